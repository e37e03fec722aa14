package authserver_test

import (
	"context"
	"net/http"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/clientcredentials"
	"github.com/outgrant/outgrant/internal/peers/peer"
)

// Tokens that are bound to a certificate which rotates: the receiver must be shown the one that the token is bound to.
func TestRotatedCertificateAtReceiver(t *testing.T) {
	t.Parallel()
	pki := peer.NewPKI(t)
	first, second := pki.Client(t, "rotating"), pki.Client(t, "rotating")
	client := peer.CertificateClient("rotating-certificate", first.Leaf)
	s := peer.StartAuthServer(t, peer.AuthServerOptions{PKI: pki, Clients: []peer.Client{client}})
	receiver := peer.StartReceiver(t, s.Introspection(), pki)
	prepare := func(t *testing.T, cfg *clientcredentials.Config) (*http.Client, *outgrant.CachedSource, *atomic.Pointer[outgrant.ClientAuth]) {
		var current atomic.Pointer[outgrant.ClientAuth]
		current.Store(&outgrant.ClientAuth{Method: outgrant.TLSClientAuth, Certificate: first})
		cfg.TokenURL, cfg.ClientID, cfg.HTTPClient = s.TokenURL, client.ID, &http.Client{Transport: s.Transport(t)}
		cfg.ClientAuth = func(context.Context) (outgrant.ClientAuth, error) { return *current.Load(), nil }
		source := newSource(t, cfg)
		base, err := cfg.ReceiverTransport(s.Transport(t))
		require.NoError(t, err)
		t.Cleanup(base.CloseIdleConnections)
		return &http.Client{Transport: &outgrant.Transport{Source: source, Base: base}}, source, &current
	}

	t.Run("by ClientAuth alone", func(t *testing.T) {
		t.Parallel()
		httpClient, _, _ := prepare(t, &clientcredentials.Config{})
		require.Equal(t, 200, get(t, httpClient, receiver.URL))
	})
	t.Run("after the rotation", func(t *testing.T) {
		t.Parallel()
		httpClient, source, current := prepare(t, &clientcredentials.Config{Certificate: first, Auth: outgrant.TLSClientAuth})
		require.Equal(t, 200, get(t, httpClient, receiver.URL))
		current.Store(&outgrant.ClientAuth{Method: outgrant.TLSClientAuth, Certificate: second})
		token, err := source.Token(t.Context())
		require.NoError(t, err)
		another(t, source, token)
		require.Equal(t, 200, get(t, httpClient, receiver.URL))
	})
}
