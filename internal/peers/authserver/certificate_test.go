package authserver_test

import (
	"crypto/tls"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/clientcredentials"
	"github.com/outgrant/outgrant/internal/peers/peer"
)

// certificateConfig is the configuration of a client with a certificate, which wants an [http.Transport] to put it in.
func certificateConfig(t testing.TB, s *peer.AuthServer, c peer.Client, certificate *tls.Certificate) *clientcredentials.Config {
	return &clientcredentials.Config{
		TokenURL: s.TokenURL, ClientID: c.ID, Auth: outgrant.TLSClientAuth, Certificate: certificate, HTTPClient: &http.Client{Transport: s.Transport(t)},
	}
}

func TestCertificate(t *testing.T) {
	t.Parallel()
	pki := peer.NewPKI(t)
	issued, selfSigned := pki.Client(t, "issued"), peer.SelfSigned(t, "self-signed")
	byCA, bySelf := peer.CertificateClient("certificate", issued.Leaf), peer.SelfSignedClient("self-signed", selfSigned)
	s := peer.StartAuthServer(t, peer.AuthServerOptions{PKI: pki, Clients: []peer.Client{byCA, bySelf}})
	receiver := peer.StartReceiver(t, s.Introspection(), pki)

	t.Run("tls_client_auth with the whole chain", func(t *testing.T) {
		t.Parallel()
		token, err := newSource(t, certificateConfig(t, s, byCA, issued)).Token(t.Context())
		require.NoError(t, err)
		answer := requireActive(t, s, byCA, token)
		require.Equal(t, peer.Thumbprint(issued.Leaf.Raw), answer.Confirmation.Thumbprint)
		s.AwaitLog(t, "certificate: issued < Peers Issuing < Peers Root; verified: true")
	})
	t.Run("self_signed_tls_client_auth", func(t *testing.T) {
		t.Parallel()
		token, err := newSource(t, certificateConfig(t, s, bySelf, selfSigned)).Token(t.Context())
		require.NoError(t, err)
		answer := requireActive(t, s, bySelf, token)
		require.Equal(t, peer.Thumbprint(selfSigned.Leaf.Raw), answer.Confirmation.Thumbprint)
	})

	leafOnly := *pki.Client(t, "issued")
	leafOnly.Certificate = leafOnly.Certificate[:1]
	for _, test := range []struct {
		name        string
		client      peer.Client
		certificate *tls.Certificate
		cause       string
	}{
		{"without the intermediate", byCA, &leafOnly, "client certificate was not verified"},
		{"of another subject", byCA, pki.Client(t, "another"), "certificate subject value does not match"},
		{"self-signed with the right subject", byCA, peer.SelfSigned(t, "issued"), "client certificate was not verified"},
		{"another self-signed one", bySelf, peer.SelfSigned(t, "self-signed"), "unregistered client certificate provided"},
	} {
		t.Run("refused: "+test.name, func(t *testing.T) {
			t.Parallel()
			_, err := newSource(t, certificateConfig(t, s, test.client, test.certificate)).Token(t.Context())
			refused := requireRefused(t, err, http.StatusUnauthorized, "invalid_client")
			require.False(t, refused.Temporary())
			s.AwaitLog(t, test.cause)
		})
	}

	for _, test := range []struct {
		client      peer.Client
		certificate *tls.Certificate
	}{{byCA, issued}, {bySelf, selfSigned}} {
		t.Run("a receiver of bound tokens, "+test.client.Method, func(t *testing.T) {
			t.Parallel()
			cfg := certificateConfig(t, s, test.client, test.certificate)
			source := newSource(t, cfg)
			bound, err := cfg.ReceiverTransport(s.Transport(t))
			require.NoError(t, err)
			t.Cleanup(bound.CloseIdleConnections)
			through := func(base http.RoundTripper) *http.Client {
				return &http.Client{Transport: &outgrant.Transport{Source: source, Base: base}}
			}
			require.Equal(t, http.StatusOK, get(t, through(bound), receiver.URL))
			require.Equal(t, http.StatusUnauthorized, get(t, through(s.Transport(t)), receiver.URL), "a stolen token is of no use")
		})
	}
}

// get returns the status of an answer.
func get(t testing.TB, client *http.Client, url string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	require.NoError(t, err)
	resp, err := client.Do(req)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	return resp.StatusCode
}
