// Package codeflow_test tests authorization codes, and what lasts of them in a store, against oidc-provider: users sign in
// and consent on its pages, and its refresh tokens work once.
package codeflow_test

import (
	"context"
	"flag"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/authcode"
	"github.com/outgrant/outgrant/internal/leakcheck"
	"github.com/outgrant/outgrant/internal/peers/peer"
)

func TestMain(m *testing.M) {
	flag.Parse()
	if err := flag.Set("test.parallel", "8"); err != nil { // most of them wait, for tokens to end
		panic(err)
	}
	leakcheck.Main(m)
}

const secret = "s3cr:et/+ %&="

var (
	scopes   = []string{"openid", "email", "offline_access", "odata.read"}
	accounts = map[string]map[string]any{
		"alice": {"email": "alice@acme.example", "preferred_username": "alice.a"},
		"bob":   {"email": "bob@acme.example", "preferred_username": "bob.b"},
	}
)

// app is a web server of ours.
type app struct {
	*httptest.Server
	mux *http.ServeMux
}

func startApp(t testing.TB) *app {
	a := &app{mux: http.NewServeMux()}
	a.Server = httptest.NewServer(a.mux)
	t.Cleanup(a.Close)
	return a
}

// callbacks are the addresses of callbacks below paths.
func (a *app) callbacks(paths ...string) []string {
	var urls []string
	for _, path := range paths {
		urls = append(urls, a.URL+path+"/callback")
	}
	return urls
}

// mount gives the client its two pages below a path.
func (a *app) mount(client *authcode.Client, path string) {
	a.mux.Handle(path+"/authorize", client.AuthorizeHandler())
	a.mux.Handle(path+"/callback", client.CallbackHandler(nil))
}

func startServer(t testing.TB, accessTokens time.Duration, clients ...peer.Client) *peer.AuthServer {
	return peer.StartAuthServer(t, peer.AuthServerOptions{
		TokenLifetime: accessTokens, Clients: clients, Scopes: []string{"openid", "offline_access", "odata.read", "odata.write"}, Accounts: accounts,
	})
}

// configFor is the configuration of a client with the first of its redirect URIs.
func configFor(t testing.TB, s *peer.AuthServer, c peer.Client) *authcode.Config {
	return &authcode.Config{
		Name: "MAILBOX", User: "alice@acme.example", AuthURL: s.AuthURL + "?prompt=consent", TokenURL: s.TokenURL,
		RevocationURL: s.RevocationURL, Issuer: s.Issuer, ClientID: c.ID, ClientSecret: outgrant.Secret(c.Secret),
		RedirectURL: c.Redirects[0], Scopes: scopes, Vault: authcode.NewMemoryVault(), HTTPClient: &http.Client{Transport: s.Transport(t)},
	}
}

func newClient(t testing.TB, cfg *authcode.Config) *authcode.Client {
	t.Helper()
	client, err := authcode.New(cfg)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, client.Close()) })
	return client
}

// browse opens a page of the app in a new browser, as a user who consents to all.
func browse(t testing.TB, s *peer.AuthServer, login, url string) *peer.Page {
	t.Helper()
	return peer.NewBrowser(t, login, s.Transport(t)).Visit(t, url)
}

// authorize has alice authorize a client that is mounted at the path.
func authorize(t testing.TB, s *peer.AuthServer, a *app, path string) {
	t.Helper()
	page := browse(t, s, "alice", a.URL+path+"/authorize")
	require.Equal(t, http.StatusOK, page.Status, page.Text)
}

func requireState(t testing.TB, client *authcode.Client, state string) authcode.Status {
	t.Helper()
	status, err := client.Status(t.Context())
	require.NoError(t, err)
	require.Equal(t, state, status.State, status.Reason)
	return status
}

func tokenOf(t testing.TB, source outgrant.TokenSource) *outgrant.Token {
	t.Helper()
	token, err := source.Token(t.Context())
	require.NoError(t, err)
	return token
}

// another has the client refresh: its token, which must be the last one, is rejected.
func another(t testing.TB, client *authcode.Client, last *outgrant.Token) *outgrant.Token {
	t.Helper()
	client.Invalidate(last)
	token := tokenOf(t, client)
	require.NotEqual(t, last.AccessToken.Reveal(), token.AccessToken.Reveal())
	return token
}

// askAbout asks the server about an access token.
func askAbout(t testing.TB, s *peer.AuthServer, token *outgrant.Token) *peer.Answer {
	t.Helper()
	answer, err := s.Introspection().Ask(context.WithoutCancel(t.Context()), token.AccessToken.Reveal())
	require.NoError(t, err)
	return answer
}
