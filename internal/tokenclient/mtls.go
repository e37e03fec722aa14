package tokenclient

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/internal/keypair"
)

// CertificateTransports makes a transport for each TLS client certificate that is used: connections that are kept open
// go on with the certificate that they were made with. The present and the previous one are kept. It is safe for
// concurrent use.
type CertificateTransports struct {
	Base     http.RoundTripper // *http.Transport, or nil for http.DefaultTransport
	KeepIdle time.Duration     // how long a connection is kept open without use; 0: as Base does

	mu   sync.Mutex
	kept []certificateTransport // newest last
}

type certificateTransport struct {
	certificate *tls.Certificate
	transport   *http.Transport
}

// For returns the transport that presents a certificate; nil presents none.
func (t *CertificateTransports) For(certificate *tls.Certificate) (*http.Transport, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, k := range t.kept {
		if sameCertificate(k.certificate, certificate) {
			return k.transport, nil
		}
	}
	transport, err := presenting(t.Base, certificate)
	if err != nil {
		return nil, err
	}
	if t.KeepIdle > 0 {
		transport.IdleConnTimeout = t.KeepIdle
	}
	if len(t.kept) == 2 {
		t.kept[0].transport.CloseIdleConnections()
		t.kept = slices.Delete(t.kept, 0, 1)
	}
	t.kept = append(t.kept, certificateTransport{certificate, transport})
	return transport, nil
}

// CloseIdleConnections closes those of all transports.
func (t *CertificateTransports) CloseIdleConnections() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, k := range t.kept {
		k.transport.CloseIdleConnections()
	}
}

func presenting(base http.RoundTripper, certificate *tls.Certificate) (*http.Transport, error) {
	if base == nil {
		base = http.DefaultTransport
	}
	t, ok := base.(*http.Transport)
	if !ok {
		return nil, errors.New("the Transport must be a *http.Transport, to be given the TLS client certificate")
	}
	//lint:ignore SA1019 deprecated, and used all the same
	if t.DialTLSContext != nil || t.DialTLS != nil {
		return nil, errors.New("the Transport dials TLS itself, so it cannot be given the TLS client certificate")
	}
	t = t.Clone()
	if certificate == nil {
		return t, nil
	}
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

// clientFor returns the HTTP client to ask with.
func (c *Client) clientFor(a outgrant.ClientAuth) (*http.Client, error) {
	if a.Method != outgrant.TLSClientAuth {
		return c.http, nil
	}
	transport, err := c.certificates.For(a.Certificate)
	if err != nil {
		return nil, fmt.Errorf("HTTPClient: %w", err)
	}
	client := *c.http
	client.Transport = transport
	return &client, nil
}

// Check is CheckAuth, and reports whether the HTTP client can be given the certificate.
func (c *Client) Check(a outgrant.ClientAuth) error {
	err := CheckAuth(a, time.Now())
	if err == nil {
		_, err = c.clientFor(a)
	}
	return err
}

// WarnOfEnd calls the hook if a certificate will end soon.
func (c *Client) WarnOfEnd(leaf *x509.Certificate) {
	if hook := c.cfg.Hooks.CertificateEnding; hook != nil && keypair.EndsSoon(leaf, time.Now()) {
		hook(outgrant.CertificateEvent{Credential: c.credential, Subject: leaf.Subject.String(), NotAfter: leaf.NotAfter})
	}
}
