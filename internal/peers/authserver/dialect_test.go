package authserver_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/clientcredentials"
	"github.com/outgrant/outgrant/internal/peers/peer"
)

// What old SAP artifacts send is not OAuth: here a strict server says so, and package oauthtest speaks the dialect.
func TestDialect(t *testing.T) {
	t.Parallel()
	s := peer.StartAuthServer(t, peer.AuthServerOptions{Clients: []peer.Client{secretClient}})
	for name, set := range map[string]func(*clientcredentials.Config){
		"grant_type in the URL": func(c *clientcredentials.Config) { c.GrantTypeInURL = true },
		"JSON body":             func(c *clientcredentials.Config) { c.JSONBody = true },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg, sent := configFor(t, s, secretClient)
			cfg.ClientSecret = outgrant.Secret(secretClient.Secret)
			set(cfg)
			_, err := newSource(t, cfg).Token(t.Context())
			requireRefused(t, err, http.StatusBadRequest, "invalid_request")
			require.Len(t, sent.Requests(), 1)
		})
	}
}
