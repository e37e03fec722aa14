package console_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/credstore"
	"github.com/outgrant/outgrant/credstore/console"
)

// pages are all that can be opened of a credential.
func pages(name string) []string {
	return []string{"./", "artifact?name=" + name, "edit?name=" + name, "delete?name=" + name, "new", "new?type=OAuth2+Client+Credentials", "import",
		"try?name=" + name, "authorize?name=" + name, "callback", "nowhere"}
}

func TestOnlyThisMachineWithoutAllow(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	s.deploy(t, s.clientCredentials("S4_ORDERS"))
	h := console.New(s.store, nil)
	for name, stranger := range map[string]func(*http.Request){
		"another machine":         func(r *http.Request) { r.RemoteAddr = "192.0.2.1:4711" },
		"another name for it":     func(r *http.Request) { r.Host = "evil.example" },
		"through a proxy":         func(r *http.Request) { r.Header.Set("X-Forwarded-For", "192.0.2.1") },
		"through a shy proxy":     func(r *http.Request) { r.Header.Set("Via", "1.1 proxy") },
		"of an address unknown":   func(r *http.Request) { r.RemoteAddr = "@" },
		"of an address that lies": func(r *http.Request) { r.RemoteAddr = "127.0.0.1.evil.example:80" },
	} {
		for _, page := range pages("S4_ORDERS") {
			for _, method := range []string{http.MethodGet, http.MethodPost} {
				r := httptest.NewRequest(method, "http://127.0.0.1/credentials/"+strings.TrimPrefix(page, "./"), strings.NewReader("type=x"))
				r.RemoteAddr = "127.0.0.1:4711"
				r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
				stranger(r)
				w := httptest.NewRecorder()
				h.ServeHTTP(w, r)
				require.Equal(t, http.StatusForbidden, w.Code, "%s: %s %s", name, method, page)
				require.NotContains(t, w.Body.String(), "client-of-")
				require.Contains(t, w.Body.String(), "console.Options.Allow", "it says what to do")
			}
		}
	}
	s.browser(t).get("./").requireStatus(http.StatusOK).has("S4_ORDERS")
}

// TestWhoIsRefusedSeesNothing: not even whose tenant it is.
func TestWhoIsRefusedSeesNothing(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	h := console.New(s.store.Tenant("acme-tenant"), &console.Options{Allow: func(*http.Request, console.Action, string) (string, error) {
		return "mallory", errors.New("log in first")
	}})
	for _, page := range pages("S4_ORDERS") {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "http://127.0.0.1/credentials/"+strings.TrimPrefix(page, "./"), nil))
		require.GreaterOrEqual(t, w.Code, 400, page)
		require.NotContains(t, w.Body.String(), "acme-tenant", page)
		require.NotContains(t, w.Body.String(), "mallory", page)
	}
}

func TestNoStore(t *testing.T) {
	require.PanicsWithValue(t, "console: New: the store is nil", func() { console.New(nil, nil) })
}

// TestAllow has one person who looks at some, and one who may do everything.
func TestAllow(t *testing.T) {
	t.Parallel()
	s := newSite(t, &console.Options{Allow: func(r *http.Request, do console.Action, name string) (string, error) {
		who := r.Header.Get("X-User")
		switch {
		case who == "alice", who == "bob" && do == console.View && !strings.HasPrefix(name, "SECRET_"):
			return who, nil
		case who == "bob":
			return who, errors.New("bob may only look")
		}
		return "", errors.New("log in first")
	}})
	s.deploy(t, s.clientCredentials("S4_ORDERS"), s.clientCredentials("SECRET_PROJECT"), s.authorizationCode("MAILBOX"))
	as := func(who string) *browser {
		b := s.browser(t)
		b.http.Transport = withUser{b.http.Transport, who}
		return b
	}

	as("").get("./").requireStatus(http.StatusForbidden).has("Log in first.").hasNot("S4_ORDERS")
	bob := as("bob")
	bob.get("./").requireStatus(http.StatusOK).has("S4_ORDERS", "2 all").hasNot("SECRET_PROJECT", "New credential", "Import", "Authorize ")
	bob.get("artifact?name=SECRET_PROJECT").requireStatus(http.StatusForbidden)
	page := bob.get("artifact?name=S4_ORDERS").requireStatus(http.StatusOK).hasNot("Edit", "Delete")
	require.NotContains(t, page.text, "<form")
	for _, other := range pages("S4_ORDERS")[2:9] {
		bob.get(other).requireStatus(http.StatusForbidden).has("Bob may only look.")
	}
	bob.get("./?q=SECRET").has("No credential is like that", "0 all", "Show all 2")

	alice := as("alice")
	form := alice.get("edit?name=S4_ORDERS")
	form.browser = bob
	form.send(map[string]any{"clientSecret": secret}).requireStatus(http.StatusForbidden)
	for _, post := range []string{"delete?name=S4_ORDERS", "try?name=S4_ORDERS", "import"} {
		form.url, _ = form.url.Parse(post)
		form.send(nil).requireStatus(http.StatusForbidden)
	}
	require.Empty(t, s.noted(), "nothing has changed")

	alice.get("edit?name=S4_ORDERS").send(map[string]any{"clientSecret": secret, "description": "by alice"}).requireStatus(http.StatusOK).has("by alice", "Deployed by alice")
	require.Equal(t, []string{"S4_ORDERS deployed by alice"}, s.noted())
	alice.get("artifact?name=S4_ORDERS").send(nil).requireStatus(http.StatusOK).has("A token came")
	require.Equal(t, []string{"S4_ORDERS tried by alice"}, s.noted())
	alice.get("delete?name=S4_ORDERS").send(nil).requireStatus(http.StatusOK).has("Deleted")
	require.Equal(t, []string{"S4_ORDERS undeployed by alice"}, s.noted())
}

type withUser struct {
	http.RoundTripper
	who string
}

func (u withUser) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("X-User", u.who)
	return u.RoundTripper.RoundTrip(r)
}

// TestANewNameHasToBeAllowed has somebody who may make some credentials, and not take others' names, by any way.
func TestANewNameHasToBeAllowed(t *testing.T) {
	t.Parallel()
	s := newSite(t, &console.Options{Allow: func(_ *http.Request, do console.Action, name string) (string, error) {
		if do == console.Deploy && name != "" && !strings.HasPrefix(name, "MINE_") {
			return "", errors.New("only names that begin with MINE_")
		}
		return "bob", nil
	}})
	s.deploy(t, s.clientCredentials("MINE_1"))
	b := s.browser(t)
	filled := map[string]any{"name": "YOURS", "tokenServiceUrl": "https://acme.example/token", "clientId": "x", "clientSecret": secret}
	b.get("new?type=OAuth2+Client+Credentials").send(filled).requireStatus(http.StatusForbidden)
	b.get("edit?name=MINE_1").send(filled).requireStatus(http.StatusOK)
	require.Equal(t, []string{"MINE_1 deployed by bob"}, s.noted(), "it is the name in the address that counts")
	b.get("import").send(map[string]any{"text": `{"type": "Secure Parameter", "name": "YOURS", "secureParameter": "x"}`}).
		requireStatus(http.StatusUnprocessableEntity).has("only names that begin with MINE_")
	filled["name"] = "MINE_2"
	b.get("new?type=OAuth2+Client+Credentials").send(filled).requireStatus(http.StatusOK)
	require.Equal(t, []string{"MINE_2 deployed by bob"}, s.noted())
}

// TestPostsOfOtherSites has another site send what a person never saw.
// TestNamesCannotBeDisguised: the name that is allowed is the name that is used.
func TestNamesCannotBeDisguised(t *testing.T) {
	t.Parallel()
	s := newSite(t, &console.Options{Allow: func(_ *http.Request, _ console.Action, name string) (string, error) {
		if strings.HasPrefix(name, "PROD_") {
			return "", errors.New("not in production")
		}
		return "bob", nil
	}})
	s.deploy(t, s.clientCredentials("MINE"), s.clientCredentials("PROD_DB"))
	b := s.browser(t)
	filled := map[string]any{"tokenServiceUrl": "https://acme.example/token", "clientId": "x", "clientSecret": secret}
	form := b.get("edit?name=MINE")
	for _, name := range []string{" PROD_DB", "PROD_DB ", "\u2003PROD_DB", "PROD_DB\r\n", " PROD_NEW"} {
		for _, page := range []string{"edit", "new"} {
			form.url, _ = form.url.Parse(page + "?name=" + url.QueryEscape(name))
			for _, version := range []string{"", "x", mustInfo(t, s, "PROD_DB").Version} {
				filled["version"], filled["name"] = version, name
				got := form.send(filled)
				require.GreaterOrEqual(t, got.status, 400, "%s %q", page, name)
				got.hasNot(mustInfo(t, s, "PROD_DB").Version)
			}
		}
	}
	require.Empty(t, s.noted())
	filled["name"], filled["version"] = "MINE_2", ""
	b.get("new?type=OAuth2+Client+Credentials&name=PROD_NEW").send(filled).requireStatus(http.StatusOK)
	require.Equal(t, []string{"MINE_2 deployed by bob"}, s.noted(), "it is what is in the form that counts")
}

// TestKeyPairsAreForThoseWhoMayUseThem: with a key pair, who may deploy one credential could sign as another.
func TestKeyPairsAreForThoseWhoMayUseThem(t *testing.T) {
	t.Parallel()
	s := newSite(t, &console.Options{Allow: func(_ *http.Request, do console.Action, name string) (string, error) {
		if do == console.Use && name != "my-key" {
			return "", errors.New("that key is of others")
		}
		return "bob", nil
	}})
	b := s.browser(t)
	filled := map[string]any{"name": "MINE", "tokenServiceUrl": "https://acme.example/token", "clientId": "x", "clientAuthentication": "privateKeyJwt", "keyPairAlias": "prod-key"}
	b.get("new?type=OAuth2+Client+Credentials").send(filled).requireStatus(http.StatusUnprocessableEntity).has("That key is of others")
	b.get("import").send(map[string]any{"text": `{"type": "OAuth2 Client Credentials", "name": "MINE", "tokenServiceUrl": "https://acme.example/token", "clientId": "x",
		"clientAuthentication": "privateKeyJwt", "keyPairAlias": "prod-key"}`}).requireStatus(http.StatusUnprocessableEntity).has("MINE: key pair prod-key: that key is of others")
	require.Empty(t, s.noted())
	filled["keyPairAlias"] = "my-key"
	b.get("new?type=OAuth2+Client+Credentials").send(filled).requireStatus(http.StatusOK)
}

// TestWhatIsSeenNeedsView: no other page shows what View does not.
func TestWhatIsSeenNeedsView(t *testing.T) {
	t.Parallel()
	s := newSite(t, &console.Options{Allow: func(_ *http.Request, do console.Action, name string) (string, error) {
		if do == console.View && name != "" {
			return "bob", errors.New("bob may not see that")
		}
		return "bob", nil
	}})
	s.deploy(t, s.clientCredentials("S4_ORDERS"))
	b := s.browser(t)
	form := b.get("new?type=Secure+Parameter")
	for _, page := range []string{"edit", "delete", "try"} {
		b.get(page + "?name=S4_ORDERS").requireStatus(http.StatusForbidden).hasNot("client-of-")
		form.url, _ = form.url.Parse(page + "?name=S4_ORDERS")
		form.send(nil).requireStatus(http.StatusForbidden).hasNot("client-of-")
	}
	require.Empty(t, s.noted())
}

func TestPostsOfOtherSites(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	s.deploy(t, s.clientCredentials("S4_ORDERS"))
	b := s.browser(t)
	for name, headers := range map[string][]string{
		"another site":    {"Sec-Fetch-Site", "cross-site"},
		"a neighbour":     {"Sec-Fetch-Site", "same-site"},
		"an old browser":  {"Sec-Fetch-Site", "", "Origin", "https://evil.example"},
		"a hidden origin": {"Sec-Fetch-Site", "", "Origin", "null"},
	} {
		for _, page := range []string{"edit?name=S4_ORDERS", "delete?name=S4_ORDERS", "artifact?name=S4_ORDERS", "import"} {
			b.get(page).send(map[string]any{"clientSecret": secret, "description": "forged", "text": `{"type": "Secure Parameter", "name": "X", "secureParameter": "x"}`}, headers...).
				requireStatus(http.StatusForbidden).has("Another site sent this")
			require.Empty(t, s.noted(), "%s: %s", name, page)
		}
	}
	info, err := s.store.Info(t.Context(), "S4_ORDERS")
	require.NoError(t, err)
	require.Empty(t, info.Description)
}

// TestALinkOfAnotherSiteAsksFirst keeps another site from making a person authorize with an account that it chose.
func TestALinkOfAnotherSiteAsksFirst(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	s.deploy(t, s.authorizationCode("MAILBOX"))
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url+"authorize?name=MAILBOX", nil)
	require.NoError(t, err)
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	s.browser(t).do(r).requireStatus(http.StatusForbidden).has("Another site sent you here")
}

// TestHeaders looks at each page, of any outcome.
func TestHeaders(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	s.deploy(t, s.clientCredentials("S4_ORDERS"))
	b := s.browser(t)
	b.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	all := append(pages("S4_ORDERS"), pages("NOBODY")...)
	for _, page := range all {
		p := b.get(page)
		policy := p.header.Get("Content-Security-Policy")
		for _, part := range []string{"default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'"} {
			require.Contains(t, policy, part, page)
		}
		require.NotContains(t, policy, "unsafe", page)
		require.Equal(t, "DENY", p.header.Get("X-Frame-Options"), page)
		require.Equal(t, "nosniff", p.header.Get("X-Content-Type-Options"), page)
		require.Equal(t, "no-store", p.header.Get("Cache-Control"), page)
		require.NotContains(t, p.text, "style=", "the policy would refuse it: %s", page)
		for _, attribute := range []string{"onclick", "onload", "javascript:"} {
			require.NotContains(t, p.text, attribute, page)
		}
	}
	for asset, kind := range map[string]string{"style.css": "text/css; charset=utf-8", "console.js": "text/javascript; charset=utf-8", "icon.svg": "image/svg+xml; charset=utf-8"} {
		p := b.get(asset).requireStatus(http.StatusOK)
		require.Equal(t, kind, p.header.Get("Content-Type"))
		require.NotContains(t, strings.ReplaceAll(p.text, "http://www.w3.org/2000/svg", ""), "//www", "of another host")
		require.NotContains(t, p.text, "url(")
	}
}

// TestMounts serves it under other paths, also where a prefix was stripped.
func TestMounts(t *testing.T) {
	t.Parallel()
	for mount, wrap := range map[string]func(http.Handler) http.Handler{
		"/":           func(h http.Handler) http.Handler { return h },
		"/a/b/":       func(h http.Handler) http.Handler { return h },
		"/stripped/":  func(h http.Handler) http.Handler { return http.StripPrefix("/stripped", h) },
		"/all/of/it/": func(h http.Handler) http.Handler { return http.StripPrefix("/all/of/it/", h) },
	} {
		t.Run(mount, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, nil)
			s.deploy(t, s.authorizationCode("MAILBOX"))
			mux := http.NewServeMux()
			server := httptest.NewServer(mux)
			defer server.Close()
			at := server.URL + strings.ReplaceAll(mount, " ", "%20")
			mailbox := s.authorizationCode("MAILBOX")
			mailbox.RedirectURL = at + "callback"
			s.deploy(t, mailbox)
			mux.Handle(mount, wrap(console.New(s.store, nil)))
			s.url = at
			b := s.browser(t)
			b.get("./").requireStatus(http.StatusOK).has("MAILBOX")
			b.get("style.css").requireStatus(http.StatusOK)
			p := b.get("edit?name=MAILBOX").send(map[string]any{"clientSecret": secret + "-code", "description": "changed"}).requireStatus(http.StatusOK)
			require.Equal(t, at+"artifact?name=MAILBOX&done=deployed", p.url.String())
			p = b.get("authorize?name=MAILBOX").requireStatus(http.StatusOK)
			require.Equal(t, at+"artifact?name=MAILBOX&done=authorized", p.url.String())

			// Under another name of this machine than the provider sends people back to, they are led to that one first.
			other := s.authorizationCode("MAILBOX")
			other.RedirectURL = strings.Replace(at, "127.0.0.1", "localhost", 1) + "callback"
			s.deploy(t, other)
			b.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
			require.Equal(t, strings.Replace(at, "127.0.0.1", "localhost", 1)+"authorize?name=MAILBOX", b.get("authorize?name=MAILBOX").header.Get("Location"))
			b.http.CheckRedirect = nil
			p = b.get("delete?name=MAILBOX").send(nil).requireStatus(http.StatusOK)
			require.Equal(t, at+"?done=deleted", p.url.String())
		})
	}
}

func TestMethods(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	s.deploy(t, s.clientCredentials("S4_ORDERS"))
	for _, method := range []string{http.MethodPut, http.MethodDelete, http.MethodPost} {
		r, err := http.NewRequestWithContext(t.Context(), method, s.url+"artifact?name=S4_ORDERS", nil)
		require.NoError(t, err)
		s.browser(t).do(r).requireStatus(http.StatusMethodNotAllowed)
	}
	require.Equal(t, credstore.Deployed, mustInfo(t, s, "S4_ORDERS").Status)
}

func mustInfo(t testing.TB, s *site, name string) credstore.Info {
	t.Helper()
	info, err := s.store.Info(t.Context(), name)
	require.NoError(t, err)
	return info
}

// TestWhoMayNotView is told what came of what they may do.
func TestWhoMayNotView(t *testing.T) {
	t.Parallel()
	s := newSite(t, &console.Options{Allow: func(_ *http.Request, do console.Action, name string) (string, error) {
		if do == console.View {
			return "", errors.New("you may not look")
		}
		return "carol", nil
	}})
	s.deploy(t, s.authorizationCode("MAILBOX"))
	b := s.browser(t)
	b.get("new?type=Secure+Parameter").send(map[string]any{"name": "P", "secureParameter": secret}).requireStatus(http.StatusOK).has("Deployed Programs use it from now on.")
	b.get("import").send(map[string]any{"text": twoArtifacts}).requireStatus(http.StatusOK).has("Imported")
	b.get("authorize?name=MAILBOX").requireStatus(http.StatusOK).has("Authorized Tokens come by themselves from now on.", "Back to MAILBOX")
	require.Equal(t, []string{"P deployed by carol", "ONE deployed by carol", "TWO deployed by carol", "MAILBOX authorized by carol"}, s.noted())

	// What they may not see they do not replace.
	b.get("import").send(map[string]any{"text": twoArtifacts, "replace": "on"}).requireStatus(http.StatusUnprocessableEntity).has("ONE: you may not look", "TWO: you may not look")
	require.Empty(t, s.noted())
}

// TestHiddenUsersOfAKeyPair are counted, so that nobody takes the key pair for unused.
func TestHiddenUsersOfAKeyPair(t *testing.T) {
	t.Parallel()
	s := newSite(t, &console.Options{Allow: func(_ *http.Request, _ console.Action, name string) (string, error) {
		if strings.HasPrefix(name, "SECRET_") {
			return "", errors.New("this is a secret project")
		}
		return "bob", nil
	}})
	s.deploy(t, &credstore.KeyPair{Name: "pair", PEM: outgrant.Secret(pemOfTest(t))})
	b := s.browser(t)
	b.get("artifact?name=pair").has("No credential names it.")
	use := func(name string) {
		a := s.clientCredentials(name)
		a.ClientSecret, a.ClientAuthentication, a.KeyPairAlias = "", credstore.WithPrivateKeyJWT, "pair"
		s.deploy(t, a)
	}
	use("SECRET_PROJECT")
	for _, page := range []string{"artifact?name=pair", "delete?name=pair"} {
		b.get(page).has("It is used by 1 that you may not see.").hasNot("SECRET_PROJECT", "No credential names it")
	}
	for i := range 101 {
		use(fmt.Sprintf("OPEN_%03d", i))
	}
	for _, page := range []string{"artifact?name=pair", "delete?name=pair"} {
		b.get(page).has("OPEN_099", "It is used by 1 more.", "It is used by 1 more that you may not see.").hasNot("OPEN_100")
	}
	b.get("artifact?name=OPEN_000").has("Key pair alias pair")
	require.Contains(t, b.get("artifact?name=OPEN_000").text, `<a href="artifact?name=pair">pair</a>`)
}
