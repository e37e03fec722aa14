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
	Redirects []string            `json:"redirect_uris,omitempty"`
	Responses []string            `json:"response_types,omitempty"`
	Kind      string              `json:"application_type,omitempty"` // default web
}

// ForUsers returns the client as one that users authorize, at their browsers. It authenticates as before.
func (c Client) ForUsers(redirectURIs ...string) Client {
	c.Grants, c.Responses, c.Redirects = []string{"authorization_code", "refresh_token"}, []string{"code"}, redirectURIs
	return c
}

// NativeClient is a program on a user's machine, with no secret. Its redirect URIs stand for all ports (RFC 8252 7.3).
func NativeClient(id string, redirectURIs ...string) Client {
	c := Client{ID: id, Method: "none", Kind: "native"}
	return c.ForUsers(redirectURIs...)
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
