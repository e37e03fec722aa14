package fosite_test

import (
	"crypto"
	"errors"
	"net/http"
	"testing"

	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/clientcredentials"
	"github.com/outgrant/outgrant/internal/peers/peer"
	"github.com/outgrant/outgrant/oauthtest"
)

func configFor(s *server) *clientcredentials.Config {
	return &clientcredentials.Config{Name: "PEER", TokenURL: s.tokenURL(), ClientID: clientID, ClientSecret: clientSecret, HTTPClient: s.Client()}
}

func TestClientCredentials(t *testing.T) {
	t.Parallel()
	s := startServer(t, nil)
	receiver := peer.StartReceiver(t, s.introspection(), nil)

	for name, set := range map[string]func(*clientcredentials.Config){
		"basic":    func(*clientcredentials.Config) {},
		"post":     func(c *clientcredentials.Config) { c.Auth = outgrant.ClientSecretPost },
		"audience": func(c *clientcredentials.Config) { c.Audience = audience },
		"scopes":   func(c *clientcredentials.Config) { c.Scopes = []string{"odata.read", "odata.write"} },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := configFor(s)
			set(cfg)
			source, err := clientcredentials.New(cfg)
			require.NoError(t, err)
			token, err := source.Token(t.Context())
			require.NoError(t, err)
			answer, err := s.introspection().Ask(t.Context(), token.AccessToken.Reveal())
			require.NoError(t, err)
			require.True(t, answer.Active)
			require.Equal(t, clientID, answer.ClientID)
			if cfg.Audience != "" {
				require.Equal(t, jwt.Audience{audience}, answer.Audience)
			}
			require.ElementsMatch(t, cfg.Scopes, token.Scopes)

			client := outgrant.NewClient(source)
			resp, err := client.Get(receiver.URL)
			require.NoError(t, err)
			require.NoError(t, resp.Body.Close())
			require.Equal(t, http.StatusOK, resp.StatusCode)
		})
	}

	const wrong = "not/the secret+at&all%"
	for name, test := range map[string]struct {
		set    func(*clientcredentials.Config)
		status int
		code   string
	}{
		"wrong secret":         {func(c *clientcredentials.Config) { c.ClientSecret = wrong }, http.StatusUnauthorized, "invalid_client"},
		"unknown client":       {func(c *clientcredentials.Config) { c.ClientID = "nobody" }, http.StatusUnauthorized, "invalid_client"},
		"scope not allowed":    {func(c *clientcredentials.Config) { c.Scopes = []string{"odata.admin"} }, http.StatusBadRequest, "invalid_scope"},
		"audience not allowed": {func(c *clientcredentials.Config) { c.Audience = "https://another.example" }, http.StatusBadRequest, "invalid_request"},
	} {
		t.Run("refused: "+name, func(t *testing.T) {
			t.Parallel()
			cfg := configFor(s)
			test.set(cfg)
			source, err := clientcredentials.New(cfg)
			require.NoError(t, err)
			_, err = source.Token(t.Context())
			var refused *outgrant.TokenError
			require.True(t, errors.As(err, &refused), "%v", err)
			require.Equal(t, test.status, refused.StatusCode, "%v", err)
			require.Equal(t, test.code, refused.Code, "%v", err)
			require.False(t, refused.Temporary())
			oauthtest.AssertNoSecrets(t, []string{clientSecret, wrong}, err, source, cfg)
		})
	}
}

func TestPrivateKeyJWT(t *testing.T) {
	t.Parallel()
	keys := peer.SigningKeys(t)
	public := map[string]crypto.PublicKey{}
	for algorithm, key := range keys {
		public[algorithm] = key.Public()
	}
	s := startServer(t, public)
	for algorithm, key := range keys {
		t.Run(algorithm, func(t *testing.T) {
			t.Parallel()
			source, err := clientcredentials.New(&clientcredentials.Config{TokenURL: s.tokenURL(), ClientID: algorithm,
				Auth: outgrant.PrivateKeyJWT, Key: key, KeyID: "k1", Algorithm: algorithm, HTTPClient: s.Client()})
			require.NoError(t, err)
			for range 3 {
				token, err := source.Token(t.Context())
				require.NoError(t, err)
				source.Invalidate(token)
			}
		})
	}
}
