package authcode_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/authcode"
	"github.com/outgrant/outgrant/oauthtest"
)

// ended is what a function that Callback calls was told.
type ended struct {
	id     string
	client *authcode.Client
	err    error
}

// newDoneSite is a site whose host writes the last page itself, and what it was told.
func newDoneSite(t testing.TB, opts oauthtest.ServerOptions, edit func(*authcode.Config)) (*site, *[]ended) {
	s := newBareSite(t, opts, edit)
	var mu sync.Mutex
	all := &[]ended{}
	s.mux.Handle("/oauth/authorize", s.client.AuthorizeHandler())
	s.mux.Handle("/oauth/callback", s.client.CallbackHandler(func(w http.ResponseWriter, r *http.Request, err error) {
		mu.Lock()
		defer mu.Unlock()
		id, c := authcode.AttemptOf(r)
		*all = append(*all, ended{id, c, err})
		fmt.Fprint(w, "the host's own page")
	}))
	return s, all
}

func TestDone(t *testing.T) {
	t.Parallel()
	s, all := newDoneSite(t, oauthtest.ServerOptions{}, nil)
	b := s.browser()
	v := b.open(startURL)
	require.Equal(t, http.StatusOK, v.status)
	require.Equal(t, "the host's own page", v.body)
	require.Equal(t, "no-store", v.header.Get("Cache-Control"))
	require.Equal(t, "no-referrer", v.header.Get("Referrer-Policy"))
	require.Empty(t, v.header.Get("Content-Security-Policy"), "the host's page may have more")
	require.Equal(t, []ended{{"MAILBOX", s.client, nil}}, *all)

	b.open(callbackURL)
	require.Len(t, *all, 2)
	require.ErrorIs(t, (*all)[1].err, authcode.ErrNoAttempt)
	require.Empty(t, (*all)[1].id)
	require.Nil(t, (*all)[1].client)

	s.service.Inject(oauthtest.Deny("access_denied", "not today"))
	b.open(startURL)
	denied := (*all)[2]
	require.Same(t, s.client, denied.client)
	require.ErrorIs(t, denied.err, authcode.ErrDenied)
	var te *outgrant.TokenError
	require.ErrorAs(t, denied.err, &te)
	require.Equal(t, "access_denied", te.Code)
	require.Equal(t, "not today", te.Description)
	require.Zero(t, te.StatusCode)
	require.False(t, te.Temporary())

	id, c := authcode.AttemptOf(httptest.NewRequest("GET", "/", nil))
	require.Empty(t, id)
	require.Nil(t, c)
}

// secretsOf are the client's secret, and codes and states of callbacks.
func secretsOf(callbacks ...string) []string {
	all := []string{appSecret}
	for _, c := range callbacks {
		for _, name := range []string{"code", "state"} {
			if value := param(c, name); len(value) > 10 {
				all = append(all, value)
			}
		}
	}
	return all
}

// TestCallbackFailures breaks a callback in each way once. The one that was broken spends nothing that is not said.
func TestCallbackFailures(t *testing.T) {
	t.Parallel()
	withIssuer := func(c *authcode.Config) { c.Issuer = strings.TrimSuffix(c.AuthURL, "/oauth/authorize") }
	edit := func(params ...string) func(*site, string) string {
		return func(_ *site, callback string) string { return with(callback, params...) }
	}
	for _, tc := range []struct {
		name   string
		config func(*authcode.Config)
		faults []oauthtest.Fault
		break_ func(s *site, callback string) string
		err    error
		status int
		says   string
		again  bool // the right callback still works afterwards
	}{
		{"nothing broken", nil, nil, nil, nil, 200, "is authorized", false},
		{"no parameters", nil, nil, func(*site, string) string { return callbackURL }, authcode.ErrNoAttempt, 400, "localhost and 127.0.0.1", true},
		{"no state", nil, nil, edit("state", ""), authcode.ErrNoAttempt, 400, "allow cookies", true},
		{"another state", nil, nil, edit("state", "AAAAAAAAAAAAAAAAAAAAAAAAAA"), authcode.ErrNoAttempt, 400, "No authorization waits here", true},
		{"a long state", nil, nil, edit("state", strings.Repeat("A", 20000)), authcode.ErrNoAttempt, 400, "No authorization waits here", true},
		{"a huge query", nil, nil, edit("code", strings.Repeat("A", 40000)), authcode.ErrNoAttempt, 400, "larger than 32 KiB", true},
		{"neither code nor error", nil, nil, edit("code", ""), authcode.ErrNoAttempt, 400, "neither a code nor an error", true},
		{"two states", nil, nil, func(_ *site, c string) string { return c + "&state=" + param(c, "state") }, authcode.ErrNoAttempt, 400, "state twice", true},
		{"two codes", nil, nil, func(_ *site, c string) string { return c + "&code=x" }, authcode.ErrNoAttempt, 400, "code twice", true},
		{"two issuers", nil, nil, func(_ *site, c string) string { return c + "&iss=https://evil.test" }, authcode.ErrNoAttempt, 400, "iss twice", true},
		{"two errors", nil, nil, func(_ *site, c string) string { return c + "&error=a&error=b" }, authcode.ErrNoAttempt, 400, "error twice", true},
		{"malformed", nil, nil, func(_ *site, c string) string { return c + "&x=%zz" }, authcode.ErrNoAttempt, 400, "malformed", true},
		{"unknown parameters", nil, nil, edit("session_state", "x", "authuser", "0"), nil, 200, "is authorized", false},

		{"denied", nil, []oauthtest.Fault{oauthtest.Deny("access_denied", "The user said <b>no</b>.\r\nSet-Cookie: a=b")}, nil, authcode.ErrDenied, 403, "The user said &lt;b&gt;no&lt;/b&gt;.  Set-Cookie: a=b", false},
		{"provider error", nil, []oauthtest.Fault{oauthtest.Deny("temporarily_unavailable", strings.Repeat("<x>", 2000))}, nil, nil, 502, "temporarily_unavailable (&lt;x&gt;", false},
		{"an error that is no code", nil, []oauthtest.Fault{oauthtest.Deny("<script>alert(1)</script>\n", "")}, nil, nil, 502, "does not name", false},
		{"an error that is empty", nil, nil, func(_ *site, c string) string { return with(c, "code", "") + "&error=" }, nil, 502, "does not name", false},

		{"issuer as configured", withIssuer, nil, nil, nil, 200, "is authorized", false},
		{"another issuer", withIssuer, []oauthtest.Fault{oauthtest.OtherIssuer("https://evil.test")}, nil, authcode.ErrWrongIssuer, 403, "https://evil.test", false},
		{"no issuer", withIssuer, []oauthtest.Fault{oauthtest.OtherIssuer("")}, nil, authcode.ErrWrongIssuer, 403, "from somebody else", false},
		{"issuer with a slash", withIssuer, nil, func(s *site, c string) string { return with(c, "iss", s.service.Issuer()+"/") }, authcode.ErrWrongIssuer, 403, "from somebody else", false},
		{"another issuer's error", withIssuer, []oauthtest.Fault{oauthtest.Together(oauthtest.OtherIssuer("https://evil.test"), oauthtest.Deny("access_denied", ""))}, nil, authcode.ErrWrongIssuer, 403, "from somebody else", false},
		{"issuer not configured", nil, []oauthtest.Fault{oauthtest.OtherIssuer("https://elsewhere.test")}, nil, nil, 200, "is authorized", false},

		{"code refused", nil, nil, edit("code", "sentinel-code"), nil, 502, "invalid_grant", false},
		{"token service away", nil, []oauthtest.Fault{oauthtest.HTML503()}, nil, nil, 502, "answer 503", false},
		{"answer lost", nil, []oauthtest.Fault{oauthtest.LostResponse()}, nil, nil, 502, "gave no tokens", false},
		{"token is of no use", nil, []oauthtest.Fault{oauthtest.TokenType("DPoP")}, nil, outgrant.ErrUnsupportedTokenType, 502, "DPoP", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			s, all := newDoneSite(t, oauthtest.ServerOptions{}, tc.config)
			b := s.browser()
			s.service.Inject(tc.faults...)
			right := b.consent(startURL)
			callback := right
			if tc.break_ != nil {
				callback = tc.break_(s, right)
			}
			b.open(callback)
			require.Len(t, *all, 1)
			err := (*all)[0].err
			if tc.status == 200 {
				require.NoError(t, err)
				require.NotZero(t, s.stored().Authorized)
			} else {
				require.Error(t, err)
				require.NotContains(t, err.Error(), "\n")
				require.Less(t, len(err.Error()), 1000)
				oauthtest.AssertNoSecrets(t, secretsOf(right, callback), err)
				s.requireNothingStored()
			}
			if tc.err != nil {
				require.ErrorIs(t, err, tc.err)
			}
			if tc.again {
				require.Zero(t, s.service.TokenRequests())
				b.open(right)
				require.NoError(t, (*all)[1].err)
			}

			// The same once more, with our own page.
			s = newSite(t, oauthtest.ServerOptions{}, tc.config)
			b = s.browser()
			s.service.Inject(tc.faults...)
			if callback = b.consent(startURL); tc.break_ != nil {
				callback = tc.break_(s, callback)
			}
			v := b.open(callback)
			v.requirePage(t, tc.status, tc.says)
			require.NotContains(t, v.body, "<script>")
			require.NotContains(t, v.body, "<x>")
			require.Less(t, len(v.body), 6000)
			oauthtest.AssertNoSecrets(t, secretsOf(callback), v.body, fmt.Sprint(v.header))
		})
	}
}

// TestCodeGoesNowhereBeforeItsIssuerIsKnown: mix-up (RFC 9207).
func TestCodeGoesNowhereBeforeItsIssuerIsKnown(t *testing.T) {
	t.Parallel()
	s := newSite(t, oauthtest.ServerOptions{}, func(c *authcode.Config) { c.Issuer = "https://honest.test" })
	b := s.browser()
	callback := b.consent(startURL)
	b.open(callback).requirePage(t, http.StatusForbidden)
	require.Zero(t, s.service.TokenRequests())
	b.open(with(callback, "iss", "https://honest.test")).requirePage(t, http.StatusBadRequest) // the attempt is over
	require.Zero(t, s.service.TokenRequests())
}

// TestStrangersCallback: a link that was made in one browser is worth nothing in another, so nobody can have somebody else
// authorize an account of theirs.
func TestStrangersCallback(t *testing.T) {
	t.Parallel()
	s := newSite(t, oauthtest.ServerOptions{}, nil)
	attacker, victim := s.browser(), s.browser()
	link := attacker.consent(startURL)
	victim.begin(startURL) // even with an authorization of their own under way
	victim.open(link).requirePage(t, http.StatusBadRequest, "No authorization waits here")
	require.Zero(t, s.service.TokenRequests())
	s.requireNothingStored()
}

// TestPlantedCookies: cookies that another host of the domain can plant do no harm.
func TestPlantedCookies(t *testing.T) {
	t.Parallel()
	s := newSite(t, oauthtest.ServerOptions{}, nil)
	b := s.browser()
	callback := b.consent(startURL)
	good := b.attempts(callbackURL)[0]
	other := s.browser()
	other.consent(startURL)
	planted := other.attempts(callbackURL)[0].Value
	request := func(values ...string) *httptest.ResponseRecorder {
		r := httptest.NewRequest("GET", callback, nil)
		for _, value := range values {
			r.AddCookie(&http.Cookie{Name: good.Name, Value: value})
		}
		w := httptest.NewRecorder()
		s.client.CallbackHandler(nil).ServeHTTP(w, r)
		return w
	}
	for name, value := range map[string]string{
		"another attempt's": planted, "changed": "A" + good.Value[1:], "shortened": good.Value[:len(good.Value)-2],
		"empty": "", "not base64": "a b*c", "base64 of little": "AAAA", "long": strings.Repeat("A", 5000),
	} {
		if value == good.Value {
			value = "B" + good.Value[1:]
		}
		w := request(value)
		require.Equal(t, http.StatusBadRequest, w.Code, name)
		require.Empty(t, w.Result().Cookies(), name)
	}
	require.Equal(t, http.StatusOK, request(planted, "x", good.Value).Code, "the right one is found among others")
}

func TestSeveralTabs(t *testing.T) {
	t.Parallel()
	s := newSite(t, oauthtest.ServerOptions{}, nil)
	b := s.browser()
	var callbacks []string
	for range 5 {
		callbacks = append(callbacks, b.consent(startURL))
	}
	for _, i := range []int{3, 0, 4, 1, 2} {
		b.open(callbacks[i]).requirePage(t, http.StatusOK)
	}
	require.Empty(t, b.attempts(callbackURL))
	require.Equal(t, 5, s.service.TokenRequests())
}

// TestCallbackTwice: a callback counts once, also where the browser still has its cookie.
func TestCallbackTwice(t *testing.T) {
	t.Parallel()
	for _, fault := range []oauthtest.Fault{oauthtest.None(), oauthtest.Deny("access_denied", ""), oauthtest.Refuse("invalid_grant", "")} {
		s := newSite(t, oauthtest.ServerOptions{}, nil)
		s.service.Inject(fault)
		b := s.browser()
		callback := b.consent(startURL)
		cookie := b.attempts(callbackURL)[0]
		b.open(callback)
		requests := s.service.TokenRequests()
		b.open(callback).requirePage(t, http.StatusBadRequest, "unless it was completed before")

		v := s.browser().open(callback, "Cookie", cookie.String())
		v.requirePage(t, http.StatusConflict, "Completed before", "MAILBOX may be authorized by now", `<a href="/oauth/authorize">Start again</a>`)
		require.Equal(t, requests, s.service.TokenRequests(), "the code is not sent again: that would revoke what it gave")
	}
}

func TestConcurrentCallbacks(t *testing.T) {
	t.Parallel()
	s, all := newDoneSite(t, oauthtest.ServerOptions{}, nil)
	b := s.browser()
	callback := b.consent(startURL)
	cookie := b.attempts(callbackURL)[0].String()
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			r := httptest.NewRequest("GET", callback, nil)
			r.Header.Set("Cookie", cookie)
			s.mux.ServeHTTP(httptest.NewRecorder(), r)
		})
	}
	wg.Wait()
	succeeded := 0
	for _, e := range *all {
		if e.err == nil {
			succeeded++
		} else {
			assert.ErrorIs(t, e.err, authcode.ErrUsed)
		}
	}
	require.Len(t, *all, 20)
	require.Equal(t, 1, succeeded)
	require.Equal(t, 1, s.service.TokenRequests())
	token, err := s.client.Token(t.Context())
	require.NoError(t, err)
	require.True(t, s.service.Live(token.AccessToken))
}

// TestBrowserLeaves: what the user has granted is kept although nobody waits for the page.
func TestBrowserLeaves(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, oauthtest.ServerOptions{}, nil)
		b := s.browser()
		callback := b.consent(startURL)
		s.service.Inject(oauthtest.Delay(5 * time.Second))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, callback, nil)
		require.NoError(t, err)
		_, err = b.client.Do(req)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		s.requireNothingStored()
		time.Sleep(5 * time.Second)
		synctest.Wait()
		require.NotEmpty(t, s.stored().RefreshToken)
		s.service.Close()
	})
}

func FuzzCallback(f *testing.F) {
	seeds := readSeeds(f, "testdata/callbacks")
	for _, query := range seeds {
		f.Add(query)
	}
	s := newSite(f, oauthtest.ServerOptions{}, func(c *authcode.Config) { c.Issuer = strings.TrimSuffix(c.AuthURL, "/oauth/authorize") })
	f.Fuzz(func(t *testing.T, query string) {
		b := newBrowser(t, s)
		right := b.consent(startURL)
		cookie := b.attempts(callbackURL)[0]
		r := httptest.NewRequest("GET", callbackURL, nil)
		r.URL.RawQuery = strings.NewReplacer("STATE", param(right, "state"), "ISSUER", url.QueryEscape(s.service.Issuer())).Replace(query)
		r.AddCookie(cookie)
		w := httptest.NewRecorder()
		s.client.CallbackHandler(nil).ServeHTTP(w, r)
		v := view{status: w.Code, header: w.Header(), body: w.Body.String()}
		v.requirePage(t, w.Code)
		switch w.Code {
		case 400, 403, 502:
		default:
			t.Errorf("status %d: the code is not the provider's", w.Code)
		}
		if len(v.body) > 8000 || strings.Count(v.body, "<") > 40 {
			t.Errorf("a page with what came: %q", v.body)
		}
		// The right callback goes through unless this one was it.
		if r.URL.Query().Get("state") != param(right, "state") {
			b.open(right).requirePage(t, http.StatusOK)
		}
	})
}
