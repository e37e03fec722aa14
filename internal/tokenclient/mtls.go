package tokenclient

import (
	"crypto/tls"
	"errors"
	"net/http"
	"time"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/internal/keypair"
)

// mutualTLS is an HTTP client that presents one certificate.
type mutualTLS struct {
	certificate *tls.Certificate
	client      *http.Client
}

// clientFor returns the HTTP client to ask with: for a TLS client certificate one of its own, as connections
// that are kept open go on with the certificate that they were made with. The present and the previous are kept.
func (c *Client) clientFor(a outgrant.ClientAuth) (*http.Client, error) {
	if a.Method != outgrant.TLSClientAuth {
		return c.http, nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, m := range c.mutual {
		if sameCertificate(m.certificate, a.Certificate) {
			return m.client, nil
		}
	}
	transport, err := TransportWithCertificate(c.http.Transport, a.Certificate)
	if err != nil {
		return nil, err
	}
	client := *c.http
	client.Transport = transport
	if len(c.mutual) == 2 {
		c.mutual[0].client.CloseIdleConnections()
		c.mutual = c.mutual[1:]
	}
	c.mutual = append(c.mutual[:len(c.mutual):len(c.mutual)], mutualTLS{a.Certificate, &client})
	return &client, nil
}

// TransportWithCertificate returns a copy of base (nil: http.DefaultTransport) that presents the certificate.
func TransportWithCertificate(base http.RoundTripper, certificate *tls.Certificate) (*http.Transport, error) {
	if base == nil {
		base = http.DefaultTransport
	}
	t, ok := base.(*http.Transport)
	if !ok {
		return nil, errors.New("HTTPClient: its Transport must be a *http.Transport, to be given the TLS client certificate")
	}
	t = t.Clone()
	if t.TLSClientConfig == nil {
		t.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	// With Certificates instead, nothing is sent where the server's list of accepted issuers does not match.
	t.TLSClientConfig.Certificates = nil
	t.TLSClientConfig.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		return certificate, nil
	}
	return t, nil
}

// warnOfEnd calls the hook for a certificate that will end soon.
func (c *Client) warnOfEnd(certificate *tls.Certificate) {
	hook := c.cfg.Hooks.CertificateEnding
	if hook == nil {
		return
	}
	leaf, err := keypair.Leaf(certificate)
	if err == nil && keypair.EndsSoon(leaf, time.Now()) {
		hook(outgrant.CertificateEvent{Credential: c.credential, Subject: leaf.Subject.String(), NotAfter: leaf.NotAfter})
	}
}
