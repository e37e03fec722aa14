package console_test

import (
	"errors"
	"html"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/credstore"
	"github.com/outgrant/outgrant/credstore/console"
	"github.com/outgrant/outgrant/oauthtest"
)

func TestAuthorize(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	s.deploy(t, s.authorizationCode("MAILBOX"))
	b := s.browser(t)
	list := b.get("./").has("Nobody has authorized", "1 Unauthorized")
	require.Contains(t, list.text, `href="authorize?name=MAILBOX"`)
	b.get("artifact?name=MAILBOX").has("Register this address with the provider")
	b.get("authorize?name=MAILBOX").requireStatus(http.StatusOK).has("Authorized Tokens come by themselves", "MAILBOX Deployed", "Authorized by somebody at this machine", "for ops@acme.example")
	require.Equal(t, []string{"MAILBOX authorized by somebody at this machine"}, s.noted())
	_, err := token(t, s.store, "MAILBOX")
	require.NoError(t, err)
	b.get("./").has("0 Unauthorized", "1 Deployed")

	// The token service refuses the refresh token: the page says so, and it can be authorized again.
	s.Inject(oauthtest.Refuse("invalid_grant", "it was revoked"))
	b.get("artifact?name=MAILBOX").send(nil).requireStatus(http.StatusOK).has("No token came", "it was revoked")
	b.get("artifact?name=MAILBOX").has("MAILBOX Unauthorized", "it was revoked", "authorize again")
	eventually(t, func() bool { // hooks are called after the callers have the outcome
		return strings.Contains(b.get("artifact?name=MAILBOX").words(), "Authorization ended")
	})
	b.get("authorize?name=MAILBOX").requireStatus(http.StatusOK).has("MAILBOX Deployed")
}

// TestALongLife shows that of a refresh token that lives longer than a number of nanoseconds times a hundred can be.
func TestALongLife(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	a := s.authorizationCode("MAILBOX")
	a.RefreshTokenExpiryDays = 3650
	s.deploy(t, a)
	page := s.browser(t).get("authorize?name=MAILBOX").requireStatus(http.StatusOK).has("3650 of 3650 days left")
	require.NotContains(t, page.text, `class="life low"`)
}

// to leads a browser to the provider, and returns where that would send it back to.
func (b *browser) to(name string) (back string) {
	b.t.Helper()
	follow := b.http.CheckRedirect
	b.http.CheckRedirect = func(r *http.Request, _ []*http.Request) error {
		if r.URL.Path == "/credentials/callback" {
			back = r.URL.String()
			return http.ErrUseLastResponse
		}
		return nil
	}
	b.get("authorize?name=" + name)
	b.http.CheckRedirect = follow
	require.NotEmpty(b.t, back)
	return back
}

func TestAuthorizationsThatComeToNothing(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	s.deploy(t, s.authorizationCode("MAILBOX"), s.clientCredentials("S4_ORDERS"))
	b := s.browser(t)
	unauthorized := func() {
		t.Helper()
		require.Equal(t, credstore.Unauthorized, mustInfo(t, s, "MAILBOX").Status)
	}

	s.Inject(oauthtest.Deny("access_denied", "not today"))
	b.get("authorize?name=MAILBOX").requireStatus(http.StatusForbidden).has("Consent was not given", "Back to MAILBOX")
	unauthorized()
	require.Equal(t, []string{"MAILBOX not authorized by somebody at this machine"}, s.noted())
	b.get("artifact?name=MAILBOX").has("Authorization came to nothing", "did not consent")

	// The credential is another one by the time of the callback.
	back := b.to("MAILBOX")
	other := s.authorizationCode("MAILBOX")
	other.Scope = "more"
	s.deploy(t, other)
	b.get(back).requireStatus(http.StatusConflict).has("The credential has changed")
	unauthorized()

	// A stranger's, and one of another browser.
	b.get("callback?state=x&code=y").requireStatus(http.StatusBadRequest).has("No authorization waits here")
	s.browser(t).get(b.to("MAILBOX")).requireStatus(http.StatusBadRequest)
	unauthorized()

	// It was deleted while the user was asked.
	back = b.to("MAILBOX")
	require.NoError(t, s.store.Undeploy(t.Context(), "MAILBOX"))
	b.get(back).has("not authorized")
	b.get("authorize?name=MAILBOX").requireStatus(http.StatusNotFound)
	b.get("authorize?name=S4_ORDERS").requireStatus(http.StatusBadRequest).has("There is nothing to authorize")
}

func TestACallbackThatComesTwice(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	s.deploy(t, s.authorizationCode("MAILBOX"))
	b := s.browser(t)
	back := b.to("MAILBOX")
	u, err := url.Parse(back)
	require.NoError(t, err)
	cookies := b.http.Jar.Cookies(u)
	b.get(back).requireStatus(http.StatusOK)
	require.Equal(t, credstore.Deployed, mustInfo(t, s, "MAILBOX").Status)
	s.noted()
	b.http.Jar.SetCookies(u, cookies) // as a second request that was under way has them
	b.get(back).requireStatus(http.StatusConflict).has("Completed before")
	require.Equal(t, credstore.Deployed, mustInfo(t, s, "MAILBOX").Status)
	b.get(back).requireStatus(http.StatusBadRequest).has("No authorization waits here")
}

// TestSeveralTabs starts three authorizations in one browser, and comes back in another order.
func TestSeveralTabs(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	s.deploy(t, s.authorizationCode("MAILBOX"), s.authorizationCode("CALENDAR"))
	b := s.browser(t)
	first, other, second := b.to("MAILBOX"), b.to("CALENDAR"), b.to("MAILBOX")
	b.get(second).requireStatus(http.StatusOK).has("MAILBOX Deployed")
	b.get(other).requireStatus(http.StatusOK).has("CALENDAR Deployed")
	b.get(first).requireStatus(http.StatusOK).has("MAILBOX Deployed")
	_, err := token(t, s.store, "MAILBOX")
	require.NoError(t, err)
}

// TestTwoOperators has both authorize the same credential: who comes back last has it, and the history names both, though the
// browsers bring no session back from the provider.
func TestTwoOperators(t *testing.T) {
	t.Parallel()
	s := newSite(t, &console.Options{Allow: func(r *http.Request, _ console.Action, _ string) (string, error) { return r.Header.Get("X-User"), nil }})
	s.deploy(t, s.authorizationCode("MAILBOX"))
	as := func(who string) *browser {
		b := s.browser(t)
		b.http.Transport = withUser{b.http.Transport, who}
		return b
	}
	alice, bob := as("alice"), as("bob")
	hers, his := alice.to("MAILBOX"), bob.to("MAILBOX")
	for _, b := range []*browser{alice, bob} {
		b.http.Transport = b.http.Transport.(withUser).RoundTripper
	}
	bob.get(his).requireStatus(http.StatusOK)
	alice.get(hers).requireStatus(http.StatusOK).has("Authorized by alice", "Authorized by bob")
	require.Equal(t, []string{"MAILBOX authorized by bob", "MAILBOX authorized by alice"}, s.noted())
}

// TestOneCallbackForAllTenants has the pages of two tenants, and the callback at one of them.
func TestOneCallbackForAllTenants(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	mux := http.NewServeMux()
	mux.HandleFunc("/tenants/{tenant}/", func(w http.ResponseWriter, r *http.Request) {
		http.StripPrefix("/tenants", console.New(s.store.Tenant(r.PathValue("tenant")), nil)).ServeHTTP(w, r)
	})
	s.serve(t, mux)
	for _, tenant := range []string{"one", "other"} {
		mailbox := s.authorizationCode("MAIL & BOX")
		mailbox.RedirectURL = s.url + "tenants/one/callback"
		require.NoError(t, s.store.Tenant(tenant).Deploy(t.Context(), mailbox))
	}
	b := s.browser(t)
	for _, tenant := range []string{"one", "other"} {
		page := b.get("tenants/"+tenant+"/authorize?name=MAIL+%26+BOX").requireStatus(http.StatusOK).has("Tenant "+tenant, "MAIL & BOX Deployed")
		require.Equal(t, s.url+"tenants/"+tenant+"/artifact?name=MAIL+%26+BOX&done=authorized", page.url.String())
		s.Inject(oauthtest.Deny("access_denied", ""))
		page = b.get("tenants/" + tenant + "/authorize?name=MAIL+%26+BOX").requireStatus(http.StatusForbidden)
		m := regexp.MustCompile(`href="([^"]*)">Back to`).FindStringSubmatch(page.text)
		require.NotNil(t, m)
		back, err := page.url.Parse(html.UnescapeString(m[1]))
		require.NoError(t, err)
		b.get(back.String()).requireStatus(http.StatusOK).has("Tenant " + tenant)
	}
}

func TestWithoutARedirectURL(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	store := credstore.OpenMemory()
	defer store.Close()
	require.NoError(t, store.Deploy(t.Context(), s.authorizationCode("MAILBOX")))
	s.serve(t, console.New(store, nil))
	page := s.browser(t).get("artifact?name=MAILBOX").requireStatus(http.StatusOK).has("There is none, so it cannot be authorized")
	require.NotContains(t, page.text, "authorize?name")
	page.has("History There is none")
	require.NotContains(t, s.browser(t).get("./").text, "authorize?name")
	s.browser(t).get("authorize?name=MAILBOX").requireStatus(http.StatusConflict).has("There is no redirect URL", "so it cannot be authorized", "Back to MAILBOX")
}

func TestTry(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	s.deploy(t, s.clientCredentials("S4_ORDERS"))
	b := s.browser(t)
	page := b.get("artifact?name=S4_ORDERS")
	page.send(nil).requireStatus(http.StatusOK).has("A token came", "It took", "It ends in", "Tested by somebody at this machine")
	s.Inject(oauthtest.Status(503))
	failed := page.send(nil).requireStatus(http.StatusOK).has("No token came", "503", "Test failed by somebody at this machine")
	require.Contains(t, failed.text, "<title>No token came: S4_ORDERS · Credentials</title>", "who hears the page is told first")
	require.Contains(t, failed.text, `<body data-here="artifact?name=S4_ORDERS">`, "loaded again, it does not test again")
	require.Contains(t, b.get("./").text, `aria-label="1 failure in the last 24 hours`)
	s.Inject(oauthtest.Refuse("invalid_client", ""))
	page.send(nil).requireStatus(http.StatusOK).has("S4_ORDERS Error", "check client id, secret or certificate")
	b.get("./").has("1 Error", "check client id, secret or certificate")
	page.send(nil).has("S4_ORDERS Deployed", "A token came")
	require.NoError(t, s.store.Undeploy(t.Context(), "S4_ORDERS"))
	page.send(nil).requireStatus(http.StatusNotFound)
	require.Equal(t, s.url+"artifact?name=S4_ORDERS", b.get("try?name=S4_ORDERS").url.String(), "loaded again")
}

// TestWhatWasDone is said where it is so: anybody can make an address that says it.
func TestWhatWasDone(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	s.deploy(t, s.authorizationCode("MAILBOX"), s.clientCredentials("S4_ORDERS"))
	b := s.browser(t)
	b.get("artifact?name=MAILBOX&done=deployed").has("Deployed Programs can use it when it is authorized.")
	for _, page := range []string{"artifact?name=MAILBOX&done=authorized", "artifact?name=MAILBOX&done=deleted", "./?done=authorized", "./?done=nonsense"} {
		require.NotContains(t, b.get(page).text, `role="status"`, page)
	}
	s.Inject(oauthtest.Refuse("invalid_client", ""))
	_, err := token(t, s.store, "S4_ORDERS")
	require.Error(t, err)
	eventually(t, func() bool { return mustInfo(t, s, "S4_ORDERS").Status == credstore.Error })
	b.get("artifact?name=S4_ORDERS&done=deployed").has("Deployed It cannot be used yet: see below why.")
}

// TestNoRefreshToken has a provider that gives none.
func TestNoRefreshToken(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	s.deploy(t, s.authorizationCode("MAILBOX"))
	s.Inject(oauthtest.Body(http.StatusOK, "application/json", `{"access_token": "access", "token_type": "Bearer", "expires_in": 3600}`))
	s.browser(t).get("authorize?name=MAILBOX").requireStatus(http.StatusOK).has("Authorized It cannot be used yet: see below why.", "MAILBOX Error", "Refresh token ends in").hasNot("1 h left came now Authorized")
	require.Zero(t, mustInfo(t, s, "MAILBOX").RefreshTokenIssued)
}

// TestABehindAProxy has a proxy take the front of the path away: browsers are sent back to where they came from.
func TestBehindAProxy(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	mux := http.NewServeMux()
	mux.HandleFunc("/t/{tenant}/", func(w http.ResponseWriter, r *http.Request) {
		console.New(s.store.Tenant(r.PathValue("tenant")), nil).ServeHTTP(w, r)
	})
	inner := httptest.NewServer(mux)
	t.Cleanup(inner.Close)
	target, err := url.Parse(inner.URL)
	require.NoError(t, err)
	s.serve(t, http.StripPrefix("/ext", &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) }}))
	for _, tenant := range []string{"one", "other"} {
		mailbox := s.authorizationCode("MAILBOX")
		mailbox.RedirectURL = s.url + "ext/t/one/callback"
		require.NoError(t, s.store.Tenant(tenant).Deploy(t.Context(), mailbox))
		page := s.browser(t).get("ext/t/"+tenant+"/authorize?name=MAILBOX").requireStatus(http.StatusOK).has("Tenant "+tenant, "Authorized Tokens come by themselves")
		require.Equal(t, s.url+"ext/t/"+tenant+"/artifact?name=MAILBOX&done=authorized", page.url.String())
	}
}

// TestTryForAUser has a credential that acts for users.
func TestTryForAUser(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	s.deploy(t, &credstore.KeyPair{Name: "pair", PEM: outgrant.Secret(pemOfTest(t))}, &credstore.SAMLBearerAssertion{Name: "SF_TASKS", ClientKey: "key",
		TokenServiceURL: s.TokenURL(), TargetSystemType: credstore.SuccessFactors, CompanyID: "ACME", KeyPairAlias: "pair"})
	b := s.browser(t)
	page := b.get("artifact?name=SF_TASKS").has("Test for a user")
	page.send(map[string]any{"user": "alice"}).requireStatus(http.StatusOK).has("No token came")
	page.send(map[string]any{"user": " "}).requireStatus(http.StatusOK).has("No token came", "user")
}

// TestAnAttemptThatTakesTooLong has a person come back from the provider after eleven minutes.
func TestAnAttemptThatTakesTooLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := credstore.OpenMemory()
		defer store.Close()
		require.NoError(t, store.Deploy(t.Context(), credstore.AuthorizationCode{Name: "MAILBOX", AuthorizationURL: "https://idp.example/authorize",
			TokenServiceURL: "https://idp.example/token", ClientID: "x", ClientSecret: secret, RedirectURL: "http://127.0.0.1/callback"}))
		h := console.New(store, nil)
		open := func(address string, cookies []*http.Cookie) *http.Response {
			r := httptest.NewRequest(http.MethodGet, address, nil)
			r.RemoteAddr = "127.0.0.1:4711"
			for _, c := range cookies {
				r.AddCookie(c)
			}
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			return w.Result()
		}
		sent := open("http://127.0.0.1/authorize?name=MAILBOX", nil)
		require.Equal(t, http.StatusSeeOther, sent.StatusCode)
		to, err := sent.Location()
		require.NoError(t, err)
		time.Sleep(11 * time.Minute)
		back := open("http://127.0.0.1/callback?code=x&state="+to.Query().Get("state"), sent.Cookies())
		require.Equal(t, http.StatusGone, back.StatusCode)
		text, err := io.ReadAll(back.Body)
		require.NoError(t, err)
		require.Contains(t, string(text), "That took too long")
		require.Contains(t, string(text), "artifact?name=MAILBOX")
	})
}

// TestTwoMounts has one console for those who look after credentials, and another one for those who look on, which has the callback.
func TestTwoMounts(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	store := s.store
	mux := http.NewServeMux()
	mux.Handle("/admin/", console.New(store, nil))
	mux.Handle("/public/", console.New(store, &console.Options{Allow: func(*http.Request, console.Action, string) (string, error) { return "", errors.New("not here") }}))
	s.serve(t, mux)
	mailbox := s.authorizationCode("MAILBOX")
	mailbox.RedirectURL = s.url + "public/callback"
	s.deploy(t, mailbox)
	page := s.browser(t).get("admin/authorize?name=MAILBOX").requireStatus(http.StatusOK).has("Authorized Tokens come by themselves", "MAILBOX Deployed")
	require.Equal(t, s.url+"admin/artifact?name=MAILBOX&done=authorized", page.url.String())
}
