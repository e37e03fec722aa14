package authserver_test

import (
	"context"
	"crypto/tls"
	"net/http"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/clientcredentials"
	"github.com/outgrant/outgrant/internal/peers/peer"
	"github.com/outgrant/outgrant/oauthtest"
)

// A running source takes up what its client authenticates with from now on, without a call that fails.
func TestRotation(t *testing.T) {
	t.Parallel()
	pki := peer.NewPKI(t)
	secrets := peer.SecretClient("rotating", "the old secret+1")
	first, second := pki.Client(t, "rotating"), pki.Client(t, "rotating")
	certificates := peer.CertificateClient("rotating-certificate", first.Leaf)
	s := peer.StartAuthServer(t, peer.AuthServerOptions{PKI: pki, Clients: []peer.Client{secrets, certificates}})

	// current is what the program finds in its vault.
	rotating := func(cfg *clientcredentials.Config, auth outgrant.ClientAuth) *atomic.Pointer[outgrant.ClientAuth] {
		var current atomic.Pointer[outgrant.ClientAuth]
		current.Store(&auth)
		cfg.ClientAuth = func(context.Context) (outgrant.ClientAuth, error) { return *current.Load(), nil }
		return &current
	}

	t.Run("secret", func(t *testing.T) {
		t.Parallel()
		cfg, sent := configFor(t, s, secrets)
		current := rotating(cfg, outgrant.ClientAuth{Secret: outgrant.Secret(secrets.Secret)})
		source := newSource(t, cfg)
		token := another(t, source, nil)

		// The program is first: the server refuses the new secret, and takes the old one for a last time.
		fresh := peer.SecretClient(secrets.ID, "the new secret+2")
		current.Store(&outgrant.ClientAuth{Secret: outgrant.Secret(fresh.Secret)})
		token = another(t, source, token)
		require.Len(t, sent.Requests(), 3)

		s.ReplaceSecret(t, fresh)
		token = another(t, source, token)
		requireActive(t, s, fresh, token)
		require.Len(t, sent.Requests(), 4, "the new secret is taken at once")

		// The server is first, and the program has not heard of it: nothing of what it has is good.
		s.ReplaceSecret(t, peer.SecretClient(secrets.ID, "the third secret+3"))
		source.Invalidate(token)
		_, err := source.Token(t.Context())
		requireRefused(t, err, http.StatusUnauthorized, "invalid_client")
		oauthtest.AssertNoSecrets(t, []string{secrets.Secret, fresh.Secret}, err)
	})
	t.Run("certificate", func(t *testing.T) {
		t.Parallel()
		cfg := &clientcredentials.Config{TokenURL: s.TokenURL, ClientID: certificates.ID, HTTPClient: &http.Client{Transport: s.Transport(t)}}
		with := func(c *tls.Certificate) outgrant.ClientAuth {
			return outgrant.ClientAuth{Method: outgrant.TLSClientAuth, Certificate: c}
		}
		current := rotating(cfg, with(first))
		source := newSource(t, cfg)
		boundTo := func(token *outgrant.Token) string {
			return requireActive(t, s, certificates, token).Confirmation.Thumbprint
		}
		token := another(t, source, nil)
		require.Equal(t, peer.Thumbprint(first.Leaf.Raw), boundTo(token))

		renewed := with(second)
		current.Store(&renewed)
		token = another(t, source, token)
		require.Equal(t, peer.Thumbprint(second.Leaf.Raw), boundTo(token), "kept connections must not go on with the old certificate")

		strange := with(peer.SelfSigned(t, "rotating"))
		current.Store(&strange)
		token = another(t, source, token)
		require.Equal(t, peer.Thumbprint(second.Leaf.Raw), boundTo(token), "what was accepted before is tried once")
	})
	t.Run("a certificate where the server wants a secret", func(t *testing.T) {
		t.Parallel()
		cfg := &clientcredentials.Config{TokenURL: s.TokenURL, ClientID: secrets.ID, HTTPClient: &http.Client{Transport: s.Transport(t)}}
		cfg.Auth, cfg.Certificate = outgrant.TLSClientAuth, first
		_, err := newSource(t, cfg).Token(t.Context())
		requireRefused(t, err, http.StatusUnauthorized, "invalid_client")
	})
}
