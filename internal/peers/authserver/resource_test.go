package authserver_test

import (
	"encoding/json"
	"net/http"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/clientcredentials"
	"github.com/outgrant/outgrant/internal/peers/peer"
)

const resource = "https://odata.peers.example/v2"

func TestResourceAndScopes(t *testing.T) {
	t.Parallel()
	client := secretClient
	client.Scope = "odata.read odata.write"
	s := peer.StartAuthServer(t, peer.AuthServerOptions{Clients: []peer.Client{client}, Resources: []string{resource},
		Scopes: []string{"odata.read", "odata.write", "odata.admin"}})
	ask := func(t *testing.T, set func(*clientcredentials.Config)) (*outgrant.Token, error) {
		cfg, _ := configFor(t, s, client)
		cfg.ClientSecret = outgrant.Secret(client.Secret)
		set(cfg)
		return newSource(t, cfg).Token(t.Context())
	}

	t.Run("a resource's token is a JWT for it", func(t *testing.T) {
		t.Parallel()
		token, err := ask(t, func(c *clientcredentials.Config) { c.Resource, c.Scopes = resource, []string{"odata.read"} })
		require.NoError(t, err)
		claims := claimsOf(t, token.AccessToken.Reveal(), jose.RS256, keysOf(t, s))
		require.Equal(t, jwt.Audience{resource}, claims.Audience)
		require.Equal(t, s.Issuer, claims.Issuer)
		require.Equal(t, []string{"odata.read"}, token.Scopes)
		require.WithinDuration(t, claims.Expiry.Time(), token.Expiry, 1500e6, "JWTs count whole seconds")
	})
	t.Run("unknown resource", func(t *testing.T) {
		t.Parallel()
		_, err := ask(t, func(c *clientcredentials.Config) { c.Resource = "https://unknown.example" })
		refused := requireRefused(t, err, http.StatusBadRequest, "invalid_target")
		require.False(t, refused.Temporary())
	})
	t.Run("scopes", func(t *testing.T) {
		t.Parallel()
		want := []string{"odata.read", "odata.write"}
		token, err := ask(t, func(c *clientcredentials.Config) { c.Scopes = want })
		require.NoError(t, err)
		require.Equal(t, want, token.Scopes)
		require.Equal(t, "odata.read odata.write", requireActive(t, s, client, token).Scope)
	})
	t.Run("scope not allowed", func(t *testing.T) {
		t.Parallel()
		_, err := ask(t, func(c *clientcredentials.Config) { c.Scopes = []string{"odata.admin"} })
		refused := requireRefused(t, err, http.StatusBadRequest, "invalid_scope")
		require.False(t, refused.Temporary())
	})
}

// keysOf returns the keys that the server signs with.
func keysOf(t testing.TB, s *peer.AuthServer) *jose.JSONWebKeySet {
	t.Helper()
	resp, err := (&http.Client{Transport: s.Transport(t)}).Get(s.Issuer + "/jwks")
	require.NoError(t, err)
	defer resp.Body.Close()
	keys := &jose.JSONWebKeySet{}
	require.NoError(t, json.NewDecoder(resp.Body).Decode(keys))
	return keys
}
