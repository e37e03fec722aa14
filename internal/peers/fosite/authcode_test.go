package fosite_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/authcode"
	"github.com/outgrant/outgrant/internal/peers/peer"
	"github.com/outgrant/outgrant/oauthtest"
)

// userClient is a client that alice can authorize, and where.
type userClient struct {
	*authcode.Client
	cfg  *authcode.Config
	page string
}

func newUserClient(t testing.TB, s *server, set func(*authcode.Config)) *userClient {
	mux := http.NewServeMux()
	app := httptest.NewServer(mux)
	t.Cleanup(app.Close)
	cfg := &authcode.Config{
		Name: "PEER", User: "alice", AuthURL: s.URL + "/authorize", TokenURL: s.tokenURL(), RevocationURL: s.URL + "/revoke",
		ClientID: "web|" + t.Name(), ClientSecret: clientSecret, RedirectURL: app.URL + "/callback",
		Scopes: []string{"openid", "offline_access", "odata.read"}, Vault: authcode.NewMemoryVault(), HTTPClient: s.Client(),
	}
	if set != nil {
		set(cfg)
	}
	s.addUserClient(t, cfg.ClientID, cfg.ClientSecret.Reveal(), cfg.RedirectURL)
	client, err := authcode.New(cfg)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, client.Close()) })
	mux.Handle("/authorize", client.AuthorizeHandler())
	mux.Handle("/callback", client.CallbackHandler(nil))
	return &userClient{client, cfg, app.URL + "/authorize"}
}

// authorize has alice authorize it.
func (c *userClient) authorize(t testing.TB, s *server) {
	t.Helper()
	page := peer.NewBrowser(t, "alice", s.Client().Transport).Visit(t, c.page)
	require.Equal(t, http.StatusOK, page.Status, page.Text)
	c.requireState(t, authcode.Deployed)
}

func (c *userClient) requireState(t testing.TB, state string) authcode.Status {
	t.Helper()
	status, err := c.Status(t.Context())
	require.NoError(t, err)
	require.Equal(t, state, status.State, status.Reason)
	return status
}

func (c *userClient) token(t testing.TB) *outgrant.Token {
	t.Helper()
	token, err := c.Token(t.Context())
	require.NoError(t, err)
	return token
}

func (s *server) active(t testing.TB, token *outgrant.Token) bool {
	t.Helper()
	answer, err := s.introspection().Ask(t.Context(), token.AccessToken.Reveal())
	require.NoError(t, err)
	return answer.Active
}

func TestAuthorizationCode(t *testing.T) {
	t.Parallel()
	s := startServer(t, nil)
	for name, set := range map[string]func(*authcode.Config){
		"basic":  nil,
		"post":   func(c *authcode.Config) { c.Auth = outgrant.ClientSecretPost },
		"public": func(c *authcode.Config) { c.Auth, c.ClientSecret = outgrant.None, "" },
		"scope":  func(c *authcode.Config) { c.ScopeOnRefresh, c.ScopeInURL = true, true },
	} {
		t.Run(name, func(t *testing.T) {
			c := newUserClient(t, s, set)
			_, err := c.Token(t.Context())
			require.ErrorIs(t, err, outgrant.ErrNotAuthorized)
			browser := peer.NewBrowser(t, "alice", s.Client().Transport)
			browser.Deny = true
			require.Contains(t, browser.Visit(t, c.page).Text, "Consent was not given")
			browser = peer.NewBrowser(t, "bob", s.Client().Transport)
			require.Contains(t, browser.Visit(t, c.page).Text, "another user")
			c.requireState(t, authcode.Unauthorized)

			c.authorize(t, s)
			for rotations := range 4 {
				token := c.token(t)
				require.True(t, s.active(t, token))
				require.Equal(t, "alice", token.User)
				require.ElementsMatch(t, c.cfg.Scopes, token.Scopes)
				require.Equal(t, peer.Refreshes{Requests: rotations, Granted: rotations}, s.refreshesOf(c.cfg.ClientID))
				c.Invalidate(token)
			}
			token := c.token(t)
			oauthtest.AssertNoSecrets(t, []string{clientSecret, token.AccessToken.Reveal()}, c.Client, c.cfg, token, err)
			require.NoError(t, c.Revoke(t.Context()))
			require.False(t, s.active(t, token))
		})
	}
}

func TestRefreshTokenReuse(t *testing.T) {
	t.Parallel()
	s := startServer(t, nil)
	c := newUserClient(t, s, nil)
	c.authorize(t, s)
	old, err := c.cfg.Vault.Load(t.Context(), c.cfg.Name)
	require.NoError(t, err)
	c.Invalidate(c.token(t))
	newest := c.token(t)
	require.True(t, s.active(t, newest))

	current, err := c.cfg.Vault.Load(t.Context(), c.cfg.Name)
	require.NoError(t, err)
	_, err = c.cfg.Vault.Save(t.Context(), c.cfg.Name, current.RefreshToken, old)
	require.NoError(t, err)
	c.Invalidate(newest)
	c.Invalidate(c.token(t)) // the old one
	_, err = c.Token(t.Context())
	require.ErrorIs(t, err, outgrant.ErrNotAuthorized)
	require.False(t, s.active(t, newest), "the whole family ends")
	require.Equal(t, peer.Refreshes{Requests: 2, Granted: 1, Reused: 1}, s.refreshesOf(c.cfg.ClientID))
	status := c.requireState(t, authcode.Unauthorized)
	require.Contains(t, status.Reason, "invalid_grant")
	c.authorize(t, s)
	require.True(t, s.active(t, c.token(t)))
}

// Tokens that end after two seconds are refreshed in time, each by one request.
func TestShortLivedTokens(t *testing.T) {
	t.Parallel()
	s := startServer(t, nil)
	s.config.AccessTokenLifespan = 2 * time.Second
	c := newUserClient(t, s, nil)
	c.authorize(t, s)
	seen := 0
	for _, err := range c.Watch(t.Context()) {
		require.NoError(t, err)
		if seen++; seen > 3 {
			break
		}
	}
	require.NoError(t, c.Close())
	came := s.refreshesOf(c.cfg.ClientID)
	require.GreaterOrEqual(t, came.Granted, 3)
	require.Equal(t, peer.Refreshes{Requests: came.Granted, Granted: came.Granted}, came)
}
