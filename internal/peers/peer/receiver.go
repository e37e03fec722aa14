package peer

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/go-jose/go-jose/v4/jwt"
)

// Introspection is how a receiver asks a token service about a token (RFC 7662).
type Introspection struct {
	URL, ClientID, Secret string
	HTTPClient            *http.Client
}

// Answer is what the token service says about a token.
type Answer struct {
	Active       bool         `json:"active"`
	ClientID     string       `json:"client_id"`
	Subject      string       `json:"sub"`
	Scope        string       `json:"scope"`
	Audience     jwt.Audience `json:"aud"`
	Confirmation struct {
		Thumbprint string `json:"x5t#S256"`
	} `json:"cnf"`
}

// Ask asks about a token.
func (in Introspection) Ask(ctx context.Context, token string) (*Answer, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, in.URL, strings.NewReader(url.Values{"token": {token}}.Encode()))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.SetBasicAuth(url.QueryEscape(in.ClientID), url.QueryEscape(in.Secret))
	resp, err := in.HTTPClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("introspection: answer %s", resp.Status)
	}
	answer := &Answer{}
	return answer, json.NewDecoder(resp.Body).Decode(answer)
}

// Receiver is a server that accepts requests with a token which its token service calls active, and which come with
// the certificate that the token is bound to, if it is.
type Receiver struct {
	*httptest.Server
	Accepted, Refused atomic.Int64

	introspection Introspection
}

// StartReceiver starts a receiver; with a PKI it speaks TLS. It ends with the test.
func StartReceiver(tb testing.TB, in Introspection, pki *PKI) *Receiver {
	tb.Helper()
	r := &Receiver{introspection: in}
	r.Server = httptest.NewUnstartedServer(r)
	if pki == nil {
		r.Start()
	} else {
		r.TLS = &tls.Config{Certificates: []tls.Certificate{*pki.Server(tb)}, ClientAuth: tls.RequestClientCert}
		r.StartTLS()
	}
	tb.Cleanup(r.Close)
	return r
}

func (r *Receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	token, _ := strings.CutPrefix(req.Header.Get("Authorization"), "Bearer ")
	answer, err := r.introspection.Ask(req.Context(), token)
	switch {
	case err != nil:
		http.Error(w, err.Error(), http.StatusBadGateway)
	case !answer.Active || !presented(req, answer.Confirmation.Thumbprint):
		r.Refused.Add(1)
		w.Header().Set("WWW-Authenticate", `Bearer error="invalid_token"`)
		http.Error(w, "invalid token", http.StatusUnauthorized)
	default:
		r.Accepted.Add(1)
		fmt.Fprintf(w, "welcome, %s\n", answer.ClientID)
	}
}

// presented reports whether a request came with the certificate that its token is bound to (RFC 8705 3).
func presented(req *http.Request, thumbprint string) bool {
	if thumbprint == "" {
		return true
	}
	return req.TLS != nil && len(req.TLS.PeerCertificates) > 0 && Thumbprint(req.TLS.PeerCertificates[0].Raw) == thumbprint
}

// Thumbprint returns the x5t#S256 of a certificate.
func Thumbprint(der []byte) string {
	sum := sha256.Sum256(der)
	return base64.RawURLEncoding.EncodeToString(sum[:])
}
