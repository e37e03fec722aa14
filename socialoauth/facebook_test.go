package socialoauth_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/oauthtest"
	"github.com/outgrant/outgrant/socialoauth"
)

// newFacebook returns a source whose exchanges go to a handler.
func newFacebook(t testing.TB, exchanges http.Handler) *socialoauth.FacebookSource {
	t.Helper()
	src, err := socialoauth.Facebook(socialoauth.FacebookKeys{
		ApplicationID: "application-id", ApplicationSecret: "application-secret", AccessToken: "short-lived-token", Name: "FB",
		Graph: socialoauth.Graph{HTTPClient: &http.Client{Transport: oauthtest.HandlerTransport(exchanges)}},
	})
	require.NoError(t, err)
	return src
}

// TestProof is a value that openssl agrees with: openssl dgst -sha256 -hmac application-secret.
func TestProof(t *testing.T) {
	t.Parallel()
	req := newRequest(t, "GET", "https://graph.test/v1/me?fields=id&access_token=x&appsecret_proof=y&a=%zz&access%5Ftoken=z&&b=", nil)
	require.NoError(t, newFacebook(t, nil).Authorize(t.Context(), req))
	require.Equal(t, "Bearer short-lived-token", req.Header.Get("Authorization"))
	require.Equal(t, "fields=id&a=%zz&b=&appsecret_proof=61ca86cc0a123a2c8b3f0d0b1b2f93e7da8827dd05a771c9bd94137ed231c6cb", req.URL.RawQuery)

	req = newRequest(t, "GET", "https://graph.test/v1/me", nil)
	require.NoError(t, newFacebook(t, nil).Authorize(t.Context(), req))
	require.True(t, strings.HasPrefix(req.URL.RawQuery, "appsecret_proof="), "no & before it")
}

// TestLongLived follows a token from its exchange to its end.
func TestLongLived(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		graph := oauthtest.NewGraph(nil)
		src := newFacebook(t, graph)
		client := &http.Client{Transport: &outgrant.Transport{Source: src, Base: oauthtest.HandlerTransport(graph.Protect(echo))}}
		get := func() int {
			status, _ := send(t, client, newRequest(t, "GET", "https://graph.test/v1/me", nil))
			return status
		}
		token, err := src.Token(t.Context())
		require.NoError(t, err)
		require.Zero(t, token.Expiry, "nobody has told it")
		require.Equal(t, 200, get())
		began := time.Now()
		long, err := src.LongLived(t.Context())
		require.NoError(t, err)
		require.Equal(t, began.Add(60*24*time.Hour).Round(0), long.Expiry)
		require.NotEqual(t, outgrant.Secret("short-lived-token"), long.AccessToken)
		time.Sleep(24 * time.Hour)
		require.Equal(t, 200, get(), "the source uses it")
		token, err = src.Token(t.Context())
		require.NoError(t, err)
		require.Equal(t, long.AccessToken, token.AccessToken)
		time.Sleep(59 * 24 * time.Hour)
		_, err = client.Get("https://graph.test/v1/me")
		require.ErrorIs(t, err, outgrant.ErrNotAuthorized)
		require.ErrorContains(t, err, "the long-lived token ended on "+long.Expiry.UTC().Format("2006-01-02"))
		_, err = src.LongLived(t.Context())
		te, ok := errors.AsType[*outgrant.TokenError](err)
		require.True(t, ok)
		require.Equal(t, "invalid_grant", te.Code)
		require.False(t, te.Temporary())
		require.Contains(t, te.Description, "Session has expired")
		require.Equal(t, "https://graph.facebook.com/"+socialoauth.GraphVersion+"/oauth/access_token", te.TokenURL)
	})
}

// TestDeployedTokenPrevails over the one that an exchange of its predecessor brought.
func TestDeployedTokenPrevails(t *testing.T) {
	t.Parallel()
	p, graph := newParameters(), oauthtest.NewGraph(nil)
	a := facebookAliases
	a.HTTPClient = &http.Client{Transport: oauthtest.HandlerTransport(graph)}
	src, err := socialoauth.FacebookFrom(t.Context(), p, a)
	require.NoError(t, err)
	long, err := src.LongLived(t.Context())
	require.NoError(t, err)
	p.set("fb-token", "a-newer-token")
	token, err := src.Token(t.Context())
	require.NoError(t, err)
	require.Equal(t, outgrant.Secret("a-newer-token"), token.AccessToken)
	require.NotEqual(t, long.AccessToken, token.AccessToken)
}

// TestEndOfDeployedToken is not known after a restart, until Graph is asked again.
func TestEndOfDeployedToken(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p, graph := newParameters(), oauthtest.NewGraph(nil)
		a := facebookAliases
		a.HTTPClient = &http.Client{Transport: oauthtest.HandlerTransport(graph)}
		start := func() *socialoauth.FacebookSource {
			src, err := socialoauth.FacebookFrom(t.Context(), p, a)
			require.NoError(t, err)
			return src
		}
		long, err := start().LongLived(t.Context())
		require.NoError(t, err)
		p.set("fb-token", long.AccessToken)
		time.Sleep(24 * time.Hour)
		src := start()
		token, err := src.Token(t.Context())
		require.NoError(t, err)
		require.Equal(t, long.AccessToken, token.AccessToken)
		require.Zero(t, token.Expiry)
		again, err := src.LongLived(t.Context())
		require.NoError(t, err)
		require.False(t, again.Expiry.IsZero())
		time.Sleep(time.Until(again.Expiry))
		_, err = src.Token(t.Context())
		require.ErrorIs(t, err, outgrant.ErrNotAuthorized)
	})
}

func TestExchangeRefused(t *testing.T) {
	t.Parallel()
	says := func(status int, body string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(status)
			_, _ = w.Write([]byte(body))
		})
	}
	for name, c := range map[string]struct {
		handler http.Handler
		want    string
	}{
		"wrong secret":      {oauthtest.NewGraph(&oauthtest.GraphOptions{ApplicationSecret: "another"}), "invalid_client (Error validating client secret.)"},
		"wrong token":       {oauthtest.NewGraph(&oauthtest.GraphOptions{AccessToken: "another"}), "Session has expired"},
		"quotes the secret": {says(400, `{"error":{"message":"application-secret is wrong"}}`), "not shown: it quotes a secret"},
		"quotes the token":  {says(400, `{"error":{"message":"short-lived-token is wrong"}}`), "not shown: it quotes a secret"},
		"redirect":          {http.RedirectHandler("https://evil.test/", http.StatusTemporaryRedirect), "never redirected"},
		"an error in 200":   {says(200, `{"error":{"message":"no","code":1}}`), "answer 200 invalid_client (no)"},
		"for a while":       {says(400, `{"error":{"message":"too many calls","code":4}}`), "answer 400 temporarily_unavailable (too many calls)"},
		"transient":         {says(500, `{"error":{"message":"wait","code":1,"is_transient":true}}`), "answer 500 temporarily_unavailable (wait)"},
		"no token":          {says(200, `{"expires_in":5}`), "no access_token"},
		"HTML":              {says(502, `<html>short-lived-token</html>`), "answer 502"},
		"lying types":       {says(400, `{"error":{"message":{"a":[1]},"code":"x"}}`), "answer 400 invalid_grant"},
	} {
		_, err := newFacebook(t, c.handler).LongLived(t.Context())
		require.ErrorContains(t, err, c.want, name)
		require.ErrorContains(t, err, `"FB"`, name)
		oauthtest.AssertNoSecrets(t, []string{"application-secret", "short-lived-token"}, err)
	}
	for address, want := range map[string]string{"http://graph.test": "insecure", "graph.test": "GraphURL", "https://graph.test?a=b": "query", "https://u:p@graph.test": "password"} {
		_, err := socialoauth.Facebook(socialoauth.FacebookKeys{ApplicationID: "1", ApplicationSecret: "2", AccessToken: "3", Graph: socialoauth.Graph{GraphURL: address}})
		require.ErrorContains(t, err, want, address)
	}
}
