package peer

import (
	"crypto"
	"crypto/tls"
	"crypto/x509"

	"github.com/go-jose/go-jose/v4"
)

// Client is a client as an [AuthServer] knows it: registration metadata of OpenID Connect and RFC 8705.
type Client struct {
	ID        string              `json:"client_id"`
	Secret    string              `json:"client_secret,omitempty"`
	Method    string              `json:"token_endpoint_auth_method"`
	Algorithm string              `json:"token_endpoint_auth_signing_alg,omitempty"`
	Keys      *jose.JSONWebKeySet `json:"jwks,omitempty"`
	Subject   string              `json:"tls_client_auth_subject_dn,omitempty"`
	Bound     bool                `json:"tls_client_certificate_bound_access_tokens,omitempty"`
	Scope     string              `json:"scope,omitempty"`
	Grants    []string            `json:"grant_types,omitempty"` // default client_credentials alone
}

// SecretClient authenticates by a secret, in the header or in the body.
func SecretClient(id, secret string) Client {
	return Client{ID: id, Secret: secret, Method: "client_secret_basic"}
}

// SAMLClient authenticates by a secret and brings assertions about users.
func SAMLClient(id, secret string) Client {
	return Client{ID: id, Secret: secret, Method: "client_secret_basic", Grants: []string{"urn:ietf:params:oauth:grant-type:saml2-bearer"}}
}

// KeyClient authenticates by an assertion.
func KeyClient(id, algorithm, keyID string, key crypto.PublicKey) Client {
	keys := &jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key, KeyID: keyID, Use: "sig", Algorithm: algorithm}}}
	return Client{ID: id, Method: "private_key_jwt", Algorithm: algorithm, Keys: keys}
}

// CertificateClient authenticates by any certificate that the PKI issued for the subject. Its tokens are bound to it.
func CertificateClient(id string, subject *x509.Certificate) Client {
	return Client{ID: id, Method: "tls_client_auth", Subject: subject.Subject.String(), Bound: true}
}

// SelfSignedClient authenticates by exactly this certificate. Its tokens are bound to it.
func SelfSignedClient(id string, certificate *tls.Certificate) Client {
	keys := &jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: certificate.Leaf.PublicKey, Certificates: []*x509.Certificate{certificate.Leaf}}}}
	return Client{ID: id, Method: "self_signed_tls_client_auth", Keys: keys, Bound: true}
}
