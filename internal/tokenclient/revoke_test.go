package tokenclient_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/internal/tokenclient"
	"github.com/outgrant/outgrant/oauthtest"
)

func revocationEndpoint(t *testing.T) *url.URL {
	u, err := url.Parse("https://token.example/oauth/revoke?tenant=sentinel-query")
	require.NoError(t, err)
	return u
}

func TestRevokeOnTheWire(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		auth               outgrant.ClientAuth
		wantAuth, wantBody string
	}{
		"basic": {outgrant.ClientAuth{Secret: "s"}, "Basic aWQ6cw==", "token=r%2F1&token_type_hint=refresh_token"},
		"post":  {outgrant.ClientAuth{Method: outgrant.ClientSecretPost, Secret: "s"}, "", "client_id=id&client_secret=s&token=r%2F1&token_type_hint=refresh_token"},
		"none":  {outgrant.ClientAuth{Method: outgrant.None}, "", "client_id=id&token=r%2F1&token_type_hint=refresh_token"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			asked := 0
			client := newClient(t, c.auth, func(w http.ResponseWriter, r *http.Request) {
				asked++
				body, _ := io.ReadAll(r.Body)
				if r.Method != http.MethodPost || string(body) != c.wantBody || r.URL.RequestURI() != "/oauth/revoke?tenant=sentinel-query" || r.Header.Get("Authorization") != c.wantAuth {
					t.Errorf("%s %s %q, Authorization %q", r.Method, r.URL, body, r.Header.Get("Authorization"))
				}
			})
			require.NoError(t, client.Revoke(t.Context(), revocationEndpoint(t), "r/1"))
			require.Equal(t, 1, asked)
		})
	}
}

// TestRevokeAnswers: a success is one whatever its body says (RFC 7009 2.2); anything else is an error that names the
// endpoint and no secret.
func TestRevokeAnswers(t *testing.T) {
	t.Parallel()
	const token = "sentinel-refresh-token"
	for name, tc := range map[string]struct {
		status    int
		body      string
		says      string // "": it is a success
		temporary bool
	}{
		"empty":           {200, "", "", false},
		"JSON":            {200, "{}", "", false},
		"a page":          {200, "<html>", "", false},
		"an error in 200": {200, `{"error":"invalid_token"}`, "", false},
		"no content":      {204, "", "", false},
		"refused":         {400, `{"error":"unsupported_token_type","error_description":"not ` + token + `"}`, "400 unsupported_token_type ((not shown", true},
		"client refused":  {401, `{"error":"invalid_client"}`, "401 invalid_client", false},
		"away":            {503, "", "answer 503", true},
		"redirected":      {307, "", "answer 307", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client := newClient(t, outgrant.ClientAuth{Secret: "sentinel-secret"}, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Location", "https://evil.test/")
				w.WriteHeader(tc.status)
				_, _ = io.WriteString(w, tc.body)
			})
			err := client.Revoke(t.Context(), revocationEndpoint(t), token)
			if tc.says == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, tc.says)
			var te *outgrant.TokenError
			require.ErrorAs(t, err, &te)
			require.Equal(t, "https://token.example/oauth/revoke", te.TokenURL)
			require.Equal(t, tc.temporary, te.Temporary())
			oauthtest.AssertNoSecrets(t, []string{token, "sentinel-secret", "sentinel-query"}, err)
		})
	}
}

// TestRevokeAfterARotatedSecret: what the token endpoint has accepted counts at the revocation endpoint, too.
func TestRevokeAfterARotatedSecret(t *testing.T) {
	t.Parallel()
	server := oauthtest.NewServer(&oauthtest.ServerOptions{InMemory: true, Clients: []oauthtest.Client{{ID: "id", Secret: "old"}}})
	defer server.Close()
	auth := outgrant.ClientAuth{Secret: "old"}
	client, err := tokenclient.New(tokenclient.Config{TokenURL: server.TokenURL(), ClientID: "id", HTTPClient: server.Client(),
		Auth: func(context.Context) (outgrant.ClientAuth, error) { return auth, nil }})
	require.NoError(t, err)
	endpoint, err := url.Parse(server.RevokeURL())
	require.NoError(t, err)
	_, err = client.Ask(t.Context(), &tokenclient.Request{Form: url.Values{"grant_type": {"client_credentials"}}})
	require.NoError(t, err)
	auth.Secret = "new"
	require.NoError(t, client.Revoke(t.Context(), endpoint, "r1"))

	hanging := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // only who has read the body notices that the client leaves
		<-r.Context().Done()
	}))
	defer hanging.Close()
	endpoint, err = url.Parse(hanging.URL)
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	client, err = tokenclient.New(tokenclient.Config{TokenURL: server.TokenURL(), ClientID: "id",
		Auth: func(context.Context) (outgrant.ClientAuth, error) { return auth, nil }})
	require.NoError(t, err)
	require.ErrorIs(t, client.Revoke(ctx, endpoint, "r1"), context.DeadlineExceeded)
}
