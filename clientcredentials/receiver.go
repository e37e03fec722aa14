package clientcredentials

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"sync"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/internal/tokenclient"
)

// ReceiverTransport presents the client's certificate to a receiver, for tokens that are bound to it (RFC 8705 3). It
// follows a certificate that ClientAuth replaces. Use it as the Base of an [outgrant.Transport]. It is an
// [http.RoundTripper], safe for concurrent use.
type ReceiverTransport struct {
	auth       func(context.Context) (outgrant.ClientAuth, error)
	transports tokenclient.CertificateTransports

	mu    sync.Mutex
	token [sha256.Size]byte // of the last request, as a hash: another token may be bound to another certificate
	last  *http.Transport   // what it went by
}

// ReceiverTransport returns a transport for the receiver that presents the certificate of c, on a copy of base, or of
// http.DefaultTransport if base is nil.
func (c *Config) ReceiverTransport(base *http.Transport) (*ReceiverTransport, error) {
	t := &ReceiverTransport{auth: c.ClientAuth}
	if base != nil {
		t.transports.Base = base
	}
	if t.auth == nil {
		if c.Certificate == nil || len(c.Certificate.Certificate) == 0 {
			return nil, errors.New("clientcredentials: Certificate: missing; a receiver transport presents it")
		}
		fixed := outgrant.ClientAuth{Certificate: c.Certificate}
		t.auth = func(context.Context) (outgrant.ClientAuth, error) { return fixed, nil }
	}
	return t, nil
}

// RoundTrip sends req on a connection with the certificate that was the current one when its token was first seen.
func (t *ReceiverTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	transport, err := t.transportFor(req)
	if err != nil {
		if req.Body != nil {
			_ = req.Body.Close()
		}
		return nil, err
	}
	return transport.RoundTrip(req)
}

func (t *ReceiverTransport) transportFor(req *http.Request) (*http.Transport, error) {
	token := sha256.Sum256([]byte(req.Header.Get("Authorization")))
	t.mu.Lock()
	last, same := t.last, t.token == token
	t.mu.Unlock()
	if last != nil && same {
		return last, nil
	}
	auth, err := t.auth(req.Context())
	if err != nil {
		return nil, fmt.Errorf("clientcredentials: the certificate for the receiver: %w", err)
	}
	transport, err := t.transports.For(auth.Certificate)
	if err != nil {
		return nil, fmt.Errorf("clientcredentials: ReceiverTransport: %w", err)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.token, t.last = token, transport
	return transport, nil
}

// CloseIdleConnections closes the connections that are kept open.
func (t *ReceiverTransport) CloseIdleConnections() { t.transports.CloseIdleConnections() }
