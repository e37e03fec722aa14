package socialoauth_test

import (
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/oauthtest"
	"github.com/outgrant/outgrant/socialoauth"
)

// sources are the two that authorize requests themselves.
func sources(t testing.TB) map[string]outgrant.TokenSource {
	fb, err := socialoauth.Facebook(socialoauth.FacebookKeys{ApplicationID: "application-id", ApplicationSecret: "application-secret", AccessToken: "short-lived-token"})
	require.NoError(t, err)
	return map[string]outgrant.TokenSource{"twitter": socialoauth.Twitter(twitterKeys()), "facebook": fb}
}

// arrivals records which URLs arrive with something that authorizes, and which without.
type arrivals struct {
	mu            sync.Mutex
	with, without []string
}

func (a *arrivals) note(r *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	where := r.URL.Scheme + "://" + r.Host + r.URL.Path
	if r.Header.Get("Authorization") != "" || strings.Contains(r.URL.RawQuery, "appsecret_proof") {
		a.with = append(a.with, where)
	} else {
		a.without = append(a.without, where)
	}
}

// TestOriginRules: neither a signature nor a token nor its proof goes where a stranger wants it.
func TestOriginRules(t *testing.T) {
	t.Parallel()
	for name, src := range sources(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var seen arrivals
			base := oauthtest.HandlerTransport(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				seen.note(r)
				to := map[string]string{"home.test/inside": "/end", "home.test/away": "https://evil.test/catch", "evil.test/catch": "https://home.test/back",
					"home.test/down": "http://home.test/plain", "home.test/port": "https://home.test:8443/x"}[r.Host+r.URL.Path]
				if to != "" {
					http.Redirect(w, r, to, http.StatusTemporaryRedirect)
				}
			}))
			client := &http.Client{Transport: &outgrant.Transport{Source: src, Base: base}}
			for _, path := range []string{"/inside", "/away", "/down", "/port"} {
				status, _ := send(t, client, newRequest(t, "GET", "https://home.test"+path, nil))
				require.Equal(t, 200, status, path)
			}
			require.Equal(t, []string{"https://home.test/inside", "https://home.test/end", "https://home.test/away", "https://home.test/down", "https://home.test/port"}, seen.with)
			require.Equal(t, []string{"https://evil.test/catch", "https://home.test/back", "http://home.test/plain", "https://home.test:8443/x"}, seen.without)

			_, err := client.Get("http://home.test/")
			require.ErrorIs(t, err, outgrant.ErrInsecureURL)
			bound := &http.Client{Transport: &outgrant.Transport{Source: src, Base: base, Origins: []string{"https://other.test"}}}
			status, _ := send(t, bound, newRequest(t, "GET", "https://home.test/elsewhere", nil))
			require.Equal(t, 200, status)
			require.Equal(t, "https://home.test/elsewhere", seen.without[len(seen.without)-1])
		})
	}
}

// TestNeverRepeated: a refused request goes to the caller, once, and the caller's own request has nothing in it.
func TestNeverRepeated(t *testing.T) {
	t.Parallel()
	for name, src := range sources(t) {
		var seen arrivals
		base := oauthtest.HandlerTransport(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			seen.note(r)
			w.WriteHeader(http.StatusUnauthorized)
		}))
		client := &http.Client{Transport: &outgrant.Transport{Source: src, Base: base}}
		req := newRequest(t, "POST", "https://home.test/?a=b", strings.NewReader("a=b"), "Content-Type", formType)
		resp, err := client.Do(req)
		require.NoError(t, err, name)
		require.NoError(t, resp.Body.Close())
		require.Equal(t, 401, resp.StatusCode, name)
		require.Len(t, seen.with, 1, name)
		require.Equal(t, "a=b", resp.Request.URL.RawQuery, name)
		require.Empty(t, resp.Request.Header.Get("Authorization"), name)
		require.Empty(t, req.Header.Get("Authorization"), name)
	}
}

// TestErrorsTellNoURL: what goes wrong with the network tells the caller's URL, in which there is neither.
func TestErrorsTellNoURL(t *testing.T) {
	t.Parallel()
	for name, src := range sources(t) {
		client := &http.Client{Transport: &outgrant.Transport{Source: src}}
		_, err := client.Get("http://127.0.0.1:1/?a=b")
		require.Error(t, err, name)
		require.NotContains(t, err.Error(), "proof", name)
		oauthtest.AssertNoSecrets(t, []string{"short-lived-token", "application-secret", "consumer-secret", "access-token"}, err)
	}
}
