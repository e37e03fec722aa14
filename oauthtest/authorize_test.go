package oauthtest_test

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/url"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/oauthtest"
)

const (
	callback = "https://app.test/cb"
	verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk" // of RFC 7636, appendix B
)

func challengeOf(verifier string) string {
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// consent is a well-formed authorization request of the client "public".
func consent() url.Values {
	return url.Values{"response_type": {"code"}, "client_id": {"public"}, "redirect_uri": {callback}, "state": {"state-1"},
		"code_challenge": {challengeOf(verifier)}, "code_challenge_method": {"S256"}}
}

// authorize asks for consent. It returns where the user is sent, or the status of a refusal that stays here.
func authorize(t *testing.T, s *oauthtest.Server, query string) (*url.URL, int) {
	t.Helper()
	client := *s.Client()
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	resp, err := client.Get(s.AuthURL() + "?" + query)
	require.NoError(t, err)
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusFound {
		require.Empty(t, resp.Header.Get("Location"))
		return nil, resp.StatusCode
	}
	back, err := resp.Location()
	require.NoError(t, err)
	return back, resp.StatusCode
}

// newCode gets an authorization code for a consent.
func newCode(t *testing.T, s *oauthtest.Server, q url.Values) string {
	t.Helper()
	back, _ := authorize(t, s, q.Encode())
	require.NotNil(t, back)
	require.NotEmpty(t, back.Query().Get("code"), back.String())
	return back.Query().Get("code")
}

// exchange is a well-formed request with a code of the client "public".
func exchange(code string, params ...string) *wire {
	return tokenRequest(append([]string{"grant_type", "authorization_code", "client_id", "public", "code", code,
		"redirect_uri", callback, "code_verifier", verifier}, params...)...)
}

func TestAuthorize(t *testing.T) {
	t.Parallel()
	require.Equal(t, "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM", challengeOf(verifier))
	both(t, registeredOptions, func(t *testing.T, s *oauthtest.Server) {
		q := consent()
		q.Set("redirect_uri", callback+"?x=1")
		q.Set("scope", "read write")
		back, _ := authorize(t, s, q.Encode())
		require.Equal(t, "app.test/cb", back.Host+back.Path)
		got := back.Query()
		require.Equal(t, "1", got.Get("x"), "the redirect URL keeps its own query")
		require.Equal(t, "state-1", got.Get("state"))
		require.Equal(t, s.Issuer(), got.Get("iss"))
		require.NotEmpty(t, got.Get("code"))
		require.Len(t, got, 4)
		w := exchange(got.Get("code"))
		w.body = form("grant_type", "authorization_code", "client_id", "public", "code", got.Get("code"), "redirect_uri", callback+"?x=1", "code_verifier", verifier)
		r := w.granted(t, s)
		require.NotEmpty(t, r.text("refresh_token"))
		require.Equal(t, "read write", r.text("scope"))
	})
}

// TestAuthorizeRefusals breaks each rule of the authorization endpoint once.
func TestAuthorizeRefusals(t *testing.T) {
	t.Parallel()
	set := func(name, value string) func(url.Values) { return func(q url.Values) { q.Set(name, value) } }
	del := func(name string) func(url.Values) { return func(q url.Values) { q.Del(name) } }
	add := func(name, value string) func(url.Values) { return func(q url.Values) { q.Add(name, value) } }
	const here = "" // refused without a redirect: the URL could be anybody's
	for _, tc := range []struct {
		name   string
		damage func(url.Values)
		code   string
	}{
		{"no client_id", del("client_id"), here},
		{"unknown client", set("client_id", "client-9"), here},
		{"two clients", add("client_id", "public"), here},
		{"no redirect_uri", del("redirect_uri"), here},
		{"unknown redirect_uri", set("redirect_uri", "https://evil.test/cb"), here},
		{"redirect_uri with more", set("redirect_uri", callback+"/more"), here},
		{"redirect_uri with another query", set("redirect_uri", callback+"?x=2"), here},
		{"two redirect_uri", add("redirect_uri", "https://evil.test/cb"), here},
		{"redirect_uri with fragment", func(q url.Values) { q.Set("client_id", "client-1"); q.Set("redirect_uri", callback+"#a") }, here},
		{"relative redirect_uri", func(q url.Values) { q.Set("client_id", "client-1"); q.Set("redirect_uri", "/cb") }, here},
		{"no response_type", del("response_type"), "invalid_request"},
		{"response_type token", set("response_type", "token"), "unsupported_response_type"},
		{"no state", del("state"), "invalid_request"},
		{"empty state", set("state", ""), "invalid_request"},
		{"two states", add("state", "state-2"), "invalid_request"},
		{"no challenge", del("code_challenge"), "invalid_request"},
		{"no challenge at all", func(q url.Values) { q.Del("code_challenge"); q.Del("code_challenge_method") }, "invalid_request"},
		{"plain", set("code_challenge_method", "plain"), "invalid_request"},
		{"no method", del("code_challenge_method"), "invalid_request"},
		{"challenge is padded", set("code_challenge", challengeOf(verifier)+"="), "invalid_request"},
		{"challenge is not base64url", set("code_challenge", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw/cM"), "invalid_request"},
		{"unknown scope", set("scope", "other"), "invalid_scope"},
		{"malformed scope", set("scope", "read  write"), "invalid_scope"},
		{"relative resource", set("resource", "api"), "invalid_target"},
		{"a client that may not", func(q url.Values) { q.Set("client_id", "reader") }, "unauthorized_client"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			s := inMemory(t, registeredOptions)
			newCode(t, s, consent())
			q := consent()
			tc.damage(q)
			back, status := authorize(t, s, q.Encode())
			if tc.code == here {
				require.Equal(t, 400, status)
				return
			}
			require.Equal(t, 302, status)
			require.Equal(t, "app.test", back.Host)
			got := back.Query()
			require.Equal(t, tc.code, got.Get("error"))
			require.NotEmpty(t, got.Get("error_description"))
			require.Equal(t, q.Get("state"), got.Get("state"))
			require.Equal(t, s.Issuer(), got.Get("iss"))
			require.False(t, got.Has("code"))
		})
	}
	t.Run("malformed query", func(t *testing.T) {
		_, status := authorize(t, inMemory(t, registeredOptions), consent().Encode()+"&a=%zz")
		require.Equal(t, 400, status)
	})
	t.Run("POST", func(t *testing.T) {
		s := inMemory(t, registeredOptions)
		resp, err := s.Client().PostForm(s.AuthURL()+"?"+consent().Encode(), nil)
		require.NoError(t, err)
		require.Equal(t, 405, resp.StatusCode)
	})
}

// TestAuthorizationFaults: each goes wrong with one authorization, in order, and with no token request.
func TestAuthorizationFaults(t *testing.T) {
	t.Parallel()
	both(t, registeredOptions, func(t *testing.T, s *oauthtest.Server) {
		s.Inject(oauthtest.OtherIssuer("https://evil.test"), oauthtest.Status(500), oauthtest.OtherIssuer(""), oauthtest.Deny("access_denied", "no"),
			oauthtest.Together(oauthtest.Deny("consent_required", ""), oauthtest.OtherIssuer("https://evil.test")))
		next := func() url.Values {
			back, _ := authorize(t, s, consent().Encode())
			require.Equal(t, "state-1", back.Query().Get("state"))
			return back.Query()
		}
		other := next()
		require.Equal(t, "https://evil.test", other.Get("iss"))
		without := next()
		require.False(t, without.Has("iss"))
		denied := next()
		require.Equal(t, []string{"access_denied", "no", s.Issuer(), ""}, []string{denied.Get("error"), denied.Get("error_description"), denied.Get("iss"), denied.Get("code")})
		require.False(t, denied.Has("code"))
		both := next()
		require.Equal(t, []string{"consent_required", "https://evil.test"}, []string{both.Get("error"), both.Get("iss")})
		good := next()
		require.Equal(t, s.Issuer(), good.Get("iss"))

		resp, _, err := exchange(good.Get("code")).do(t, s)
		require.NoError(t, err)
		require.Equal(t, 500, resp.StatusCode, "it waited for a token request")
		exchange(good.Get("code")).granted(t, s)
		exchange(other.Get("code")).granted(t, s)

		s.Inject(oauthtest.Lasting(oauthtest.Deny("access_denied", "")))
		require.Equal(t, "access_denied", next().Get("error"))
		require.Equal(t, "access_denied", next().Get("error"))
		s.ClearFaults()
		require.True(t, next().Has("code"))
		s.Inject(oauthtest.Deny("access_denied", ""))
		q := consent()
		q.Set("response_type", "token")
		back, _ := authorize(t, s, q.Encode())
		require.Equal(t, "unsupported_response_type", back.Query().Get("error"), "what is wrong is told before what is denied")
	})
}

// TestRedirectURLs: native programs listen at any port (RFC 8252 7.3), and nothing else may differ.
func TestRedirectURLs(t *testing.T) {
	t.Parallel()
	s := inMemory(t, oauthtest.ServerOptions{Clients: []oauthtest.Client{{ID: "public", Auth: outgrant.None, RedirectURLs: []string{
		"http://127.0.0.1/cb", "http://[::1]:8080/cb?x=1", "http://localhost/cb", "https://app.test/cb", "https://127.0.0.1/tls", "http://192.168.0.1/cb"}}}})
	for redirect, want := range map[string]bool{
		"http://127.0.0.1/cb": true, "http://127.0.0.1:5000/cb": true, "http://[::1]:5000/cb?x=1": true, "http://localhost/cb": true, "https://app.test/cb": true,
		"http://127.0.0.1:5000/": false, "http://127.0.0.1:5000/cb?x=1": false, "https://127.0.0.1:5000/cb": false, "http://127.0.0.2:5000/cb": false,
		"http://[::1]:5000/cb": false, "http://localhost:5000/cb": false, "https://app.test:5000/cb": false, "http://evil.test@127.0.0.1:5000/cb": false, "HTTPS://app.test/cb": false, "https://127.0.0.1:5000/tls": false, "http://192.168.0.1:5000/cb": false, "HTTP://127.0.0.1:5000/cb": false,
	} {
		q := consent()
		q.Set("redirect_uri", redirect)
		_, status := authorize(t, s, q.Encode())
		require.Equal(t, want, status == 302, redirect)
	}
}

func TestWithoutPKCE(t *testing.T) {
	t.Parallel()
	opts := registeredOptions
	opts.SAPDialect = true
	s := inMemory(t, opts)
	q := consent()
	q.Del("code_challenge")
	q.Del("code_challenge_method")
	params := func(code string, more ...string) *wire {
		return tokenRequest(append([]string{"grant_type", "authorization_code", "client_id", "public", "code", code, "redirect_uri", callback}, more...)...)
	}
	params(newCode(t, s, q)).granted(t, s)
	params(newCode(t, s, q), "code_verifier", verifier).refused(t, s, 400, "invalid_grant", "code_verifier")
	params(newCode(t, s, consent())).refused(t, s, 400, "invalid_grant", "code_verifier") // who began with it must go on
	q.Set("code_challenge_method", "plain")
	back, _ := authorize(t, s, q.Encode())
	require.Equal(t, "invalid_request", back.Query().Get("error"))
}

// TestCode breaks each rule about codes once.
func TestCode(t *testing.T) {
	t.Parallel()
	request := func(client, code, redirect, verifier string) *wire {
		return tokenRequest("grant_type", "authorization_code", "client_id", client, "code", code, "redirect_uri", redirect, "code_verifier", verifier)
	}
	for _, tc := range []struct {
		name string
		make func(code string) *wire
		code string
		why  string
	}{
		{"no code", func(string) *wire { return request("public", "", callback, verifier) }, "invalid_request", "code is missing"},
		{"another code", func(c string) *wire { return request("public", c+"x", callback, verifier) }, "invalid_grant", "no such code"},
		{"wrong redirect_uri", func(c string) *wire { return request("public", c, callback+"?x=1", verifier) }, "invalid_grant", "redirect_uri"},
		{"no redirect_uri", func(c string) *wire { return request("public", c, "", verifier) }, "invalid_grant", "redirect_uri"},
		{"wrong verifier", func(c string) *wire { return request("public", c, callback, verifier[1:]+"a") }, "invalid_grant", "code_verifier"},
		{"no verifier", func(c string) *wire { return request("public", c, callback, "") }, "invalid_grant", "code_verifier"},
		{"the challenge as verifier", func(c string) *wire { return request("public", c, callback, challengeOf(verifier)) }, "invalid_grant", "code_verifier"},
		{"another client", func(c string) *wire { return exchangeAs("client-1", "secret-1", c) }, "invalid_grant", "no such code for this client"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			s := inMemory(t, registeredOptions)
			code := newCode(t, s, consent())
			tc.make(code).refused(t, s, 400, tc.code, tc.why)
			exchange(code).granted(t, s) // the refusal did not spend it
		})
	}
	t.Run("a verifier that is too short", func(t *testing.T) {
		s := inMemory(t, registeredOptions)
		q := consent()
		q.Set("code_challenge", challengeOf("short"))
		request("public", newCode(t, s, q), callback, "short").refused(t, s, 400, "invalid_grant", "code_verifier")
	})
}

func exchangeAs(id, secret, code string) *wire {
	return tokenRequest("grant_type", "authorization_code", "code", code, "redirect_uri", callback, "code_verifier", verifier).as(id, secret)
}

func TestCodeUsedTwiceRevokes(t *testing.T) {
	t.Parallel()
	s := inMemory(t, registeredOptions)
	code, other := newCode(t, s, consent()), newCode(t, s, consent())
	first, second := exchange(code).granted(t, s), exchange(other).granted(t, s)
	rotated := refresh(first).granted(t, s)
	require.True(t, live(s, first))
	exchange(code).refused(t, s, 400, "invalid_grant", "used before")
	require.False(t, live(s, first))
	require.False(t, live(s, rotated))
	refresh(rotated).refused(t, s, 400, "invalid_grant", "revoked")
	require.True(t, live(s, second), "another authorization has nothing to do with it")
	refresh(second).granted(t, s)
}

func TestCodeEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := inMemory(t, registeredOptions)
		first, second := newCode(t, s, consent()), newCode(t, s, consent())
		time.Sleep(time.Minute - time.Nanosecond)
		exchange(first).granted(t, s)
		time.Sleep(time.Nanosecond)
		exchange(second).refused(t, s, 400, "invalid_grant", "ended")
	})
}
