package authcode_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/authcode"
	"github.com/outgrant/outgrant/oauthtest"
)

func TestAuthorizeInTheBrowser(t *testing.T) {
	t.Parallel()
	s := newSite(t, oauthtest.ServerOptions{User: "ops@acme.example"}, func(c *authcode.Config) {
		c.Scopes, c.Issuer = []string{"openid", "email", "mail.read"}, strings.TrimSuffix(c.AuthURL, "/oauth/authorize")
	})
	s.requireNothingStored()
	b := s.browser()
	v := b.open(startURL)
	v.requirePage(t, http.StatusOK, "MAILBOX is authorized", "You can close this window.")
	require.Equal(t, "/oauth/callback", v.url.Path)
	require.Empty(t, b.attempts(callbackURL), "the cookie has done its work")

	a := s.stored()
	require.Equal(t, "ops@acme.example", a.User)
	require.NotEmpty(t, a.RefreshToken)
	require.WithinDuration(t, time.Now(), a.Authorized, time.Minute)
	token, err := s.client.Token(t.Context())
	require.NoError(t, err)
	require.True(t, s.service.Live(token.AccessToken))
	require.Equal(t, "ops@acme.example", token.User)
	require.Equal(t, []outgrant.AuthorizationChange{outgrant.Authorized}, s.changes())
	require.Equal(t, 1, s.service.TokenRequests())
	sent := s.service.Requests()[0]
	require.Equal(t, "authorization_code", sent.GrantType)
	require.Equal(t, callbackURL, sent.Params.Get("redirect_uri"))
	require.Equal(t, "openid email mail.read", sent.Params.Get("scope"))
	require.NotEmpty(t, sent.Params.Get("code_verifier"))
}

// TestAuthorizeAgain replaces what was there.
func TestAuthorizeAgain(t *testing.T) {
	t.Parallel()
	s := newSite(t, oauthtest.ServerOptions{}, nil)
	b := s.browser()
	b.open(startURL).requirePage(t, http.StatusOK)
	first, err := s.client.Token(t.Context())
	require.NoError(t, err)
	b.open(startURL).requirePage(t, http.StatusOK)
	second, err := s.client.Token(t.Context())
	require.NoError(t, err)
	require.NotEqual(t, first.AccessToken, second.AccessToken)
}

func TestAuthorizationURL(t *testing.T) {
	t.Parallel()
	ours := []string{"client_id", "code_challenge", "code_challenge_method", "redirect_uri", "response_type", "state"}
	for _, tc := range []struct {
		name string
		edit func(*authcode.Config)
		keys []string
		want map[string]string
	}{
		{"plain", func(*authcode.Config) {}, ours,
			map[string]string{"client_id": "app", "redirect_uri": callbackURL, "response_type": "code", "code_challenge_method": "S256"}},
		{"scopes", func(c *authcode.Config) { c.Scopes = []string{"a", "https://b.example/c"} }, append([]string{"scope"}, ours...),
			map[string]string{"scope": "a https://b.example/c"}},
		{"own query", func(c *authcode.Config) { c.AuthURL += "?prompt=consent&access_type=offline&scope=theirs" },
			append([]string{"prompt", "access_type", "scope"}, ours...),
			map[string]string{"prompt": "consent", "access_type": "offline", "scope": "theirs"}},
		{"ours replace", func(c *authcode.Config) {
			c.Scopes = []string{"mine"}
			c.AuthURL += "?client_id=x&redirect_uri=https%3A%2F%2Felsewhere.test&state=fixed&state=twice&response_type=token&scope=theirs&code_challenge=x&code_challenge_method=plain&token_access_type=offline"
		}, append([]string{"scope", "token_access_type"}, ours...),
			map[string]string{"client_id": "app", "redirect_uri": callbackURL, "response_type": "code", "scope": "mine", "code_challenge_method": "S256"}},
		{"without PKCE", func(c *authcode.Config) { c.DisablePKCE = true }, []string{"client_id", "redirect_uri", "response_type", "state"}, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, oauthtest.ServerOptions{}, tc.edit)
			b := s.browser()
			states := map[string]bool{}
			for range 3 {
				u, err := url.Parse(b.begin(startURL))
				require.NoError(t, err)
				require.Equal(t, s.service.AuthURL(), "https://"+u.Host+u.Path)
				q := u.Query()
				require.Len(t, q, len(tc.keys), u)
				for _, key := range tc.keys {
					require.Len(t, q[key], 1, key)
				}
				for key, want := range tc.want {
					require.Equal(t, want, q.Get(key))
				}
				require.Len(t, q.Get("state"), 26, "128 bits at 5 bits a character")
				require.False(t, states[q.Get("state")])
				states[q.Get("state")] = true
			}
		})
	}
}

func TestWithoutPKCE(t *testing.T) {
	t.Parallel()
	s := newSite(t, oauthtest.ServerOptions{SAPDialect: true}, func(c *authcode.Config) {
		c.DisablePKCE, c.ScopeInURL, c.Scopes = true, true, []string{"read"}
	})
	s.browser().open(startURL).requirePage(t, http.StatusOK)
	sent := s.service.Requests()[0]
	require.False(t, sent.Params.Has("code_verifier"))
	require.Equal(t, "scope=read", sent.URL.RawQuery)
}

func TestAttemptCookie(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ redirect, start, path string }{
		{"https://app.test/oauth/callback", "/oauth/authorize", "/oauth"},
		{"https://app.test/oauth/callback", "/oauth", "/oauth"},
		{"https://app.test/a/b/callback", "/a/start?name=X", "/a"},
		{"https://app.test/a/b/callback", "/ab/start", "/"},
		{"https://app.test/a/b/", "/a/b/start", "/a/b"},
		{"https://app.test/callback", "/start", "/"},
		{"https://app.test", "/start", "/"},
		{"https://app.test/a;b/callback", "/a;b/start", "/"},
		{"http://localhost:8080/oauth/callback", "/oauth/authorize", "/oauth"},
	} {
		t.Run(tc.redirect+" "+tc.start, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, oauthtest.ServerOptions{}, func(c *authcode.Config) { c.RedirectURL = tc.redirect })
			w := httptest.NewRecorder()
			s.client.AuthorizeHandler().ServeHTTP(w, httptest.NewRequest("GET", tc.start, nil))
			require.Equal(t, http.StatusSeeOther, w.Code)
			requireSecure(t, w.Header())
			cookies := w.Result().Cookies()
			require.Len(t, cookies, 1)
			c := cookies[0]
			require.Equal(t, tc.path, c.Path)
			require.True(t, c.HttpOnly)
			require.Equal(t, http.SameSiteLaxMode, c.SameSite)
			require.Equal(t, strings.HasPrefix(tc.redirect, "https:"), c.Secure)
			require.Equal(t, 20*60, c.MaxAge)
			require.Less(t, len(c.String()), 1000)
			state := param(w.Header().Get("Location"), "state")
			require.NotContains(t, c.String(), state)
			oauthtest.AssertNoSecrets(t, []string{state, appSecret}, c.String())
		})
	}
}

// TestSurplusAttempts: tabs that were opened and left do not pile up.
func TestSurplusAttempts(t *testing.T) {
	t.Parallel()
	s := newSite(t, oauthtest.ServerOptions{}, nil)
	b := s.browser()
	var callbacks []string
	for range 30 {
		callbacks = append(callbacks, b.consent(startURL))
		require.LessOrEqual(t, len(b.attempts(callbackURL)), 8)
	}
	require.Len(t, b.attempts(callbackURL), 8)
	b.open(callbacks[29]).requirePage(t, http.StatusOK)
	b.open(callbacks[0]).requirePage(t, http.StatusBadRequest, "No authorization waits here")
}

func TestStartRefusals(t *testing.T) {
	t.Parallel()
	const confirm = "Another site sent you here"
	for _, tc := range []struct {
		name   string
		header []string
		status int
		says   string
	}{
		{"typed", []string{"Sec-Fetch-Site", "none"}, 303, ""},
		{"our own link", []string{"Sec-Fetch-Site", "same-origin"}, 303, ""},
		{"our own link, whatever Referer says", []string{"Sec-Fetch-Site", "same-origin", "Referer", "https://evil.test/"}, 303, ""},
		{"another site", []string{"Sec-Fetch-Site", "cross-site"}, 403, confirm},
		{"a sibling", []string{"Sec-Fetch-Site", "same-site"}, 403, confirm},
		{"something new", []string{"Sec-Fetch-Site", "x"}, 403, confirm},
		{"old browser", nil, 303, ""},
		{"old browser, our own link", []string{"Referer", "https://APP.test/x"}, 303, ""},
		{"old browser, another site", []string{"Referer", "https://evil.test/x"}, 403, confirm},
		{"old browser, another port", []string{"Referer", "https://app.test:444/x"}, 403, confirm},
		{"old browser, sandboxed", []string{"Origin", "null"}, 403, confirm},
		{"old browser, other origin", []string{"Origin", "https://evil.test", "Referer", "https://app.test/"}, 403, confirm},
		{"old browser, odd Referer", []string{"Referer", ":"}, 403, confirm},
		{"prefetch", []string{"Sec-Fetch-Site", "none", "Sec-Purpose", "prefetch;prerender"}, 503, ""},
		{"old prefetch", []string{"Purpose", "prefetch"}, 503, ""},
		{"older prefetch", []string{"X-Moz", "Prefetch"}, 503, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, oauthtest.ServerOptions{}, nil)
			v := s.browser().stay(startURL+"?name=X", tc.header...)
			requireSecure(t, v.header)
			if tc.says == "" {
				require.Equal(t, tc.status, v.status)
			} else {
				v.requirePage(t, tc.status, tc.says, `<a href="">Authorize MAILBOX</a>`)
			}
			require.Equal(t, tc.status == 303, len(v.header["Set-Cookie"]) == 1)
		})
	}
	for _, method := range []string{"POST", "HEAD", "PUT", "OPTIONS"} {
		t.Run(method, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, oauthtest.ServerOptions{}, nil)
			for _, h := range []http.Handler{s.client.AuthorizeHandler(), s.client.CallbackHandler(nil)} {
				w := httptest.NewRecorder()
				h.ServeHTTP(w, httptest.NewRequest(method, "/", nil))
				require.Equal(t, http.StatusMethodNotAllowed, w.Code)
				require.Equal(t, "GET", w.Header().Get("Allow"))
				requireSecure(t, w.Header())
				require.Empty(t, w.Result().Cookies())
			}
		})
	}
}

func TestMayAuthorize(t *testing.T) {
	t.Parallel()
	s := newSite(t, oauthtest.ServerOptions{}, func(c *authcode.Config) {
		c.MayAuthorize = func(r *http.Request) error {
			if r.Header.Get("X-Role") != "admin" {
				return errors.New("only <b>administrators</b> may")
			}
			return nil
		}
	})
	v := s.browser().stay(startURL)
	v.requirePage(t, http.StatusForbidden, "only &lt;b&gt;administrators&lt;/b&gt; may")
	require.Empty(t, v.header["Set-Cookie"])
	require.Equal(t, http.StatusSeeOther, s.browser().stay(startURL, "X-Role", "admin").status)
	// It comes first: who may not does not even learn whether another site sent them.
	s.browser().stay(startURL, "Sec-Fetch-Site", "cross-site").requirePage(t, http.StatusForbidden, "administrators")
}

func TestLoopbackOnly(t *testing.T) {
	t.Parallel()
	s := newSite(t, oauthtest.ServerOptions{}, func(c *authcode.Config) { c.MayAuthorize = nil })
	for _, tc := range []struct {
		peer, host string
		header     []string
		may        bool
	}{
		{"127.0.0.1:5000", "127.0.0.1:8080", nil, true},
		{"127.0.0.1:5000", "localhost:8080", nil, true},
		{"127.0.0.1:5000", "LOCALHOST", nil, true},
		{"[::1]:5000", "[::1]:8080", nil, true},
		{"[::1]:5000", "[::1]", nil, true},
		{"[::ffff:127.0.0.1]:5000", "localhost", nil, true},
		{"127.8.9.1:5000", "127.0.0.1", nil, true},
		{"192.168.0.7:5000", "127.0.0.1", nil, false},
		{"[2001:db8::1]:5000", "localhost", nil, false},
		{"127.0.0.1:5000", "evil.test", nil, false}, // DNS rebinding
		{"127.0.0.1:5000", "localhost.evil.test", nil, false},
		{"127.0.0.1:5000", "127.0.0.1.evil.test:8080", nil, false},
		{"127.0.0.1:5000", "", nil, false},
		{"@", "localhost", nil, false}, // a socket that is a file: a proxy's
		{"", "localhost", nil, false},
		{"127.0.0.1:5000", "localhost", []string{"X-Forwarded-For", "10.0.0.1"}, false},
		{"127.0.0.1:5000", "localhost", []string{"X-Forwarded-For", ""}, false},
		{"127.0.0.1:5000", "localhost", []string{"X-Forwarded-Host", "app.test"}, false},
		{"127.0.0.1:5000", "localhost", []string{"Forwarded", "for=10.0.0.1"}, false},
		{"127.0.0.1:5000", "localhost", []string{"X-Real-Ip", "10.0.0.1"}, false},
		{"127.0.0.1:5000", "localhost", []string{"X-Forwarded-Proto", "https"}, false},
		{"127.0.0.1:5000", "localhost", []string{"CF-Connecting-IP", "10.0.0.1"}, false},
		{"127.0.0.1:5000", "localhost", []string{"Via", "1.1 proxy"}, false},
	} {
		r := httptest.NewRequest("GET", "/oauth/authorize", nil)
		r.RemoteAddr, r.Host = tc.peer, tc.host
		for i := 0; i < len(tc.header); i += 2 {
			r.Header.Set(tc.header[i], tc.header[i+1])
		}
		require.Equal(t, tc.may, authcode.LoopbackOnly(r) == nil, "%+v", tc)
		w := httptest.NewRecorder()
		s.client.AuthorizeHandler().ServeHTTP(w, r)
		if tc.may {
			require.Equal(t, http.StatusSeeOther, w.Code)
			continue
		}
		require.Equal(t, http.StatusForbidden, w.Code, "%+v", tc)
		require.Contains(t, w.Body.String(), "MayAuthorize")
	}
}

func TestWhatIsMissing(t *testing.T) {
	t.Parallel()
	for field, edit := range map[string]func(*authcode.Config){
		"AuthURL":     func(c *authcode.Config) { c.AuthURL = "" },
		"RedirectURL": func(c *authcode.Config) { c.RedirectURL = "" },
	} {
		v := newSite(t, oauthtest.ServerOptions{}, edit).browser().stay(startURL)
		v.requirePage(t, http.StatusInternalServerError, field+" is not set", "MAILBOX")
	}
	// What no cookie can hold.
	s := newSite(t, oauthtest.ServerOptions{}, func(c *authcode.Config) { c.RedirectURL += "?" + strings.Repeat("n", 4000) })
	v := s.browser().stay(startURL)
	v.requirePage(t, http.StatusInternalServerError, "does not fit into a cookie")
	require.Empty(t, v.header["Set-Cookie"])
}

// TestTakesTenMinutes: an authorization is good for so long, and who comes later is told.
func TestTakesTenMinutes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, oauthtest.ServerOptions{}, nil)
		b := s.browser()
		for _, tc := range []struct {
			after  time.Duration
			status int
			says   string
		}{
			{10*time.Minute - time.Second, http.StatusBadGateway, "the code has ended"}, // ours is in time, the provider's is not
			{10 * time.Minute, http.StatusGone, "That took too long"},
			{20*time.Minute - time.Second, http.StatusGone, "That took too long"},
			{20*time.Minute + time.Second, http.StatusBadRequest, "No authorization waits here"},
		} {
			callback := b.consent(startURL)
			time.Sleep(tc.after)
			before := s.service.TokenRequests()
			v := b.open(callback)
			v.requirePage(t, tc.status, tc.says)
			require.Equal(t, tc.status == http.StatusBadGateway, s.service.TokenRequests() > before, "a code that is too late is not sent")
			require.Equal(t, tc.status != http.StatusBadRequest, strings.Contains(v.body, `<a href="/oauth/authorize">Start again</a>`), v.body)
		}
		s.requireNothingStored()
		s.service.Close()
	})
}

// TestOtherNameOfThisMachine tests that the start goes on under the name that the callback will have: a cookie of 127.0.0.1
// is not sent to localhost.
func TestOtherNameOfThisMachine(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ host, redirectURL, to string }{
		{"127.0.0.1:8080", "http://localhost:9999/oauth/callback", "http://localhost:8080/oauth/authorize?name=A%2FB"},
		{"localhost:8080", "http://127.0.0.1:8080/oauth/callback", "http://127.0.0.1:8080/oauth/authorize?name=A%2FB"},
		{"localhost", "http://[::1]:8080/oauth/callback", "http://[::1]/oauth/authorize?name=A%2FB"},
		{"[::1]:8080", "http://localhost/oauth/callback", "http://localhost:8080/oauth/authorize?name=A%2FB"},
		{"localhost:8080", "http://LOCALHOST:9999/oauth/callback", ""}, // cookies know no ports
		{"localhost:8080", "https://localhost:8080/oauth/callback", ""},
		{"localhost:8080", "https://app.test/oauth/callback", ""},
		{"app.test", "http://localhost:8080/oauth/callback", ""},
	} {
		s := newSite(t, oauthtest.ServerOptions{}, func(c *authcode.Config) { c.RedirectURL = tc.redirectURL })
		r := httptest.NewRequest(http.MethodGet, "/oauth/authorize?name=A%2FB", nil)
		r.Host = tc.host
		w := httptest.NewRecorder()
		s.client.AuthorizeHandler().ServeHTTP(w, r)
		require.Equal(t, http.StatusSeeOther, w.Code)
		if tc.to == "" {
			require.True(t, strings.HasPrefix(w.Header().Get("Location"), s.service.AuthURL()), "%+v", tc)
			require.NotEmpty(t, w.Result().Cookies())
		} else {
			require.Equal(t, tc.to, w.Header().Get("Location"))
			require.Empty(t, w.Result().Cookies())
		}
	}
}

// TestNoRefreshTokenIsSaid tests that the user who can mend it is told.
func TestNoRefreshTokenIsSaid(t *testing.T) {
	t.Parallel()
	s := newSite(t, oauthtest.ServerOptions{}, nil)
	s.service.Inject(withoutRefreshToken())
	s.browser().open(startURL).requirePage(t, http.StatusOK, "MAILBOX is authorized", "the provider gave no refresh token", "ask for offline access")
}
