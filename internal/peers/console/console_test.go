// Package console_test tests the console in a real browser, also against oidc-provider's own login and consent pages.
package console_test

import (
	"context"
	"flag"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant/credstore"
	"github.com/outgrant/outgrant/credstore/console"
	"github.com/outgrant/outgrant/credstore/driver"
	"github.com/outgrant/outgrant/credstore/memstore"
	"github.com/outgrant/outgrant/internal/leakcheck"
	"github.com/outgrant/outgrant/internal/peers/peer"
)

func TestMain(m *testing.M) {
	flag.Parse()
	if err := flag.Set("test.parallel", "2"); err != nil { // a browser is a dozen processes
		panic(err)
	}
	leakcheck.Main(m)
}

// wide and narrow are a desk's window and a phone's.
var wide, narrow = peer.Window{Width: 1360}, peer.Window{Width: 390}

// site is a program with a console.
type site struct {
	store *credstore.Store
	url   string
}

// startSite starts a site on a backend. change may be nil.
func startSite(t testing.TB, b driver.Store, change func(*credstore.Options)) *site {
	t.Helper()
	server := httptest.NewUnstartedServer(nil)
	s := &site{url: "http://" + server.Listener.Addr().String() + "/credentials/"}
	keeper, err := credstore.LocalKeeper(filepath.Join(t.TempDir(), "keeper.key"))
	require.NoError(t, err)
	opts := &credstore.Options{Keeper: keeper, History: true, RedirectURL: s.url + "callback"}
	if change != nil {
		change(opts)
	}
	s.store, err = credstore.Open(b, opts)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.store.Close()) })
	mux := http.NewServeMux()
	mux.Handle("/credentials/", console.New(s.store, nil))
	server.Config.Handler = mux
	server.Start()
	t.Cleanup(server.Close)
	return s
}

// requireClean has nothing wrong with a page, for eyes, ears and keys.
func (s *site) requireClean(t testing.TB, b *peer.Chromium, what string) {
	t.Helper()
	require.Empty(t, b.Check(t), what)
	require.Empty(t, b.Complaints(t, s.url), what)
}

// TestAuthorizeAndRevoke is what an operator sees of a credential's life: it is deployed, authorized at the provider's own pages,
// used while its tokens roll over, revoked at the provider, and authorized again.
func TestAuthorizeAndRevoke(t *testing.T) {
	t.Parallel()
	b := peer.StartChromium(t)
	pki := peer.NewPKI(t)
	var provider *peer.AuthServer
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	s := startSite(t, memstore.New(), func(o *credstore.Options) {
		o.HTTPClient = &http.Client{Transport: peerTransport(func(r *http.Request) (*http.Response, error) { return transport.RoundTrip(r) })}
	})
	client := peer.SecretClient("web", "s3cr:et/+ %&=").ForUsers(s.url + "callback")
	provider = peer.StartAuthServer(t, peer.AuthServerOptions{TokenLifetime: 4 * time.Second, PKI: pki, Clients: []peer.Client{client},
		Scopes: []string{"openid", "offline_access", "odata.read"}, Accounts: map[string]map[string]any{"alice": {"email": "alice@acme.example"}}})
	transport.TLSClientConfig = provider.Transport(t).TLSClientConfig

	b.Open(t, wide)
	b.Goto(t, s.url)
	require.Contains(t, b.Text(t), "There are no credentials yet.")
	b.Click(t, "link", "New credential")
	b.Click(t, "link", "OAuth2 Authorization Code What a user authorizes once, in a browser: a mailbox, or an API of Microsoft, Google and others.")
	b.Fill(t, "Name (required)", "MAILBOX")
	b.Fill(t, "Authorization URL", provider.AuthURL+"?prompt=consent")
	b.Fill(t, "Token service URL", provider.TokenURL)
	b.Fill(t, "Client ID (required)", client.ID)
	b.Fill(t, "Scope", "openid offline_access odata.read")
	b.Select(t, "Client authentication", "header")
	s.requireClean(t, b, "the form")
	b.Click(t, "button", "Deploy")
	require.Contains(t, b.Text(t), "Nothing was deployed yet")
	require.Equal(t, "alert", b.Evaluate(t, "document.activeElement.role"), "who hears the page is told first")
	s.requireClean(t, b, "the form with a problem")
	b.Fill(t, "Client secret", client.Secret)
	b.Click(t, "button", "Deploy")
	require.Contains(t, b.Text(t), "Nobody has authorized this credential yet")
	require.NotContains(t, b.Text(t), client.Secret)

	b.Click(t, "link", "Authorize")
	require.True(t, strings.HasPrefix(b.URL(t), provider.Issuer), b.URL(t))
	b.Input(t, "input[name=login]", "alice")
	b.Input(t, "input[name=password]", "any")
	b.Click(t, "button", "Sign-in")
	b.Click(t, "button", "Continue")
	require.Contains(t, b.Text(t), "Authorized Tokens come by themselves")
	require.Equal(t, s.url+"artifact?name=MAILBOX", b.URL(t), "nothing of the callback, nor of what was done, is in the address")
	require.NotContains(t, b.Text(t), "Unauthorized")
	s.requireClean(t, b, "the page of an authorized credential")

	// A program uses it, and the page tells of itself that the token has rolled over.
	ctx, stop := context.WithCancel(t.Context())
	used := make(chan struct{})
	go func() {
		defer close(used)
		for ctx.Err() == nil {
			if src, err := s.store.TokenSource(ctx, "MAILBOX"); err == nil {
				_, _ = src.Token(ctx)
			}
			select {
			case <-time.After(200 * time.Millisecond):
			case <-ctx.Done():
			}
		}
	}()
	defer func() { stop(); <-used }()
	b.Until(t, "Refreshed", 30*time.Second)

	// Somebody revokes it at the provider.
	a, err := s.store.Vault().Load(t.Context(), "MAILBOX")
	require.NoError(t, err)
	provider.Revoke(t, client, a.RefreshToken.Reveal())
	b.Until(t, "Unauthorized", 30*time.Second)
	require.Contains(t, b.Text(t), "invalid_grant")
	require.Contains(t, b.Text(t), "authorize again")
	require.Contains(t, b.Text(t), "Authorization ended")
	s.requireClean(t, b, "the page of a credential that was revoked")
	b.Goto(t, s.url)
	require.Contains(t, b.Text(t), "Unauthorized")

	b.Click(t, "link", "Authorize")
	b.Click(t, "button", "Continue") // it knows alice still
	require.Contains(t, b.Text(t), "Authorized Tokens come by themselves")
	require.NotContains(t, b.Text(t), "Unauthorized")
	_, err = s.store.TokenSource(t.Context(), "MAILBOX")
	require.NoError(t, err)

	// And an operator who does not consent.
	b.Click(t, "link", "Authorize again")
	b.Click(t, "link", "[ Cancel ]")
	require.Contains(t, b.Text(t), "Consent was not given")
	s.requireClean(t, b, "the page of a denied consent")
	b.Click(t, "link", "Back to MAILBOX")
	require.Contains(t, b.Text(t), "Authorization came to nothing")
	info, err := s.store.Info(t.Context(), "MAILBOX")
	require.NoError(t, err)
	require.Equal(t, credstore.Deployed, info.Status)
}

// peerTransport is one that is known later.
type peerTransport func(*http.Request) (*http.Response, error)

func (p peerTransport) RoundTrip(r *http.Request) (*http.Response, error) { return p(r) }
