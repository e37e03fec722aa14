package oauthtest

import (
	"crypto/subtle"
	"encoding/base64"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/outgrant/outgrant"
)

func invalidClient(description string) *Error {
	return &Error{Code: "invalid_client", Description: description}
}

// authenticate finds out which client asks, and that it is that client (RFC 6749 2.3).
func (s *Server) authenticate(r *http.Request, params url.Values) (Client, error) {
	used, id, secret, err := presented(r, params)
	if err != nil {
		return Client{ID: id}, err
	}
	if id == "" {
		return Client{}, invalidClient("no client authentication")
	}
	client, known := s.registered(id)
	if !known {
		return client, invalidClient("the client is not registered")
	}
	anyClient := s.opts.Clients == nil
	if used == outgrant.None && (anyClient || client.Auth == outgrant.TLSClientAuth) && r.TLS != nil && len(r.TLS.PeerCertificates) > 0 {
		used = outgrant.TLSClientAuth
	}
	if anyClient {
		client.Auth = used
	}
	if used != client.Auth {
		return client, invalidClient("the client must authenticate by " + client.Auth.String() + ", not by " + used.String())
	}
	switch used {
	case outgrant.ClientSecretBasic, outgrant.ClientSecretPost:
		if !anyClient && subtle.ConstantTimeCompare([]byte(secret), []byte(client.Secret.Reveal())) != 1 {
			return client, invalidClient("the secret is wrong")
		}
	case outgrant.TLSClientAuth:
		if !anyClient && (client.Certificate == nil || !client.Certificate.Equal(r.TLS.PeerCertificates[0])) {
			return client, invalidClient("the certificate is not the registered one")
		}
	case outgrant.PrivateKeyJWT:
		return client, s.checkAssertion(client, params)
	}
	return client, nil
}

// registered finds a client by its id. Without a list of clients any id is one.
func (s *Server) registered(id string) (client Client, known bool) {
	i := slices.IndexFunc(s.opts.Clients, func(c Client) bool { return c.ID == id })
	if i < 0 {
		return Client{ID: id}, s.opts.Clients == nil && id != ""
	}
	return s.opts.Clients[i], true
}

// presented reads the client authentication: exactly one method (RFC 6749 2.3).
func presented(r *http.Request, params url.Values) (used outgrant.AuthMethod, id, secret string, err error) {
	used, id, secret = outgrant.None, params.Get("client_id"), params.Get("client_secret")
	basic := r.Header.Values("Authorization")
	methods := len(basic)
	if params.Has("client_secret") {
		used, methods = outgrant.ClientSecretPost, methods+1
	}
	if params.Has("client_assertion") || params.Has("client_assertion_type") {
		used, methods = outgrant.PrivateKeyJWT, methods+1
		if id == "" {
			id = unverifiedSubject(params.Get("client_assertion"))
		}
	}
	if methods > 1 {
		return used, id, "", invalidRequest("more than one client authentication")
	}
	if len(basic) == 1 {
		var basicID string
		if basicID, secret, err = basicAuth(basic[0]); err != nil {
			return used, id, "", err
		}
		if id != "" && id != basicID {
			return used, id, "", invalidRequest("client_id differs from the one in the Authorization header")
		}
		used, id = outgrant.ClientSecretBasic, basicID
	}
	return used, id, secret, nil
}

// basicAuth reads id and secret, which are form-urlencoded before base64 (RFC 6749 2.3.1).
func basicAuth(header string) (id, secret string, err error) {
	scheme, encoded, _ := strings.Cut(header, " ")
	if !strings.EqualFold(scheme, "Basic") {
		return "", "", invalidRequest("the Authorization header is not Basic")
	}
	pair, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return "", "", invalidRequest("the Authorization header is not base64")
	}
	encodedID, encodedSecret, found := strings.Cut(string(pair), ":")
	if !found {
		return "", "", invalidRequest("the Authorization header has no colon")
	}
	if id, err = formDecode(encodedID); err == nil {
		secret, err = formDecode(encodedSecret)
	}
	return id, secret, err
}

func formDecode(s string) (string, error) {
	plain := func(r rune) bool {
		return '0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || strings.ContainsRune("*-._~+%", r)
	}
	decoded, err := url.QueryUnescape(s)
	if err != nil || strings.ContainsFunc(s, func(r rune) bool { return !plain(r) }) {
		return "", invalidRequest("client id and secret must be form-urlencoded before base64 (RFC 6749 2.3.1)")
	}
	return decoded, nil
}

// assertionAlgorithms are the ones of RFC 7518 with a public key.
var assertionAlgorithms = []jose.SignatureAlgorithm{jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.PS384, jose.PS512,
	jose.ES256, jose.ES384, jose.ES512, jose.EdDSA}

func unverifiedSubject(assertion string) string {
	parsed, err := jwt.ParseSigned(assertion, assertionAlgorithms)
	if err != nil {
		return ""
	}
	var claims jwt.Claims
	if parsed.UnsafeClaimsWithoutVerification(&claims) != nil {
		return ""
	}
	return claims.Subject
}

// checkAssertion checks a client assertion (RFC 7523 3): signature, issuer, subject, audience, times, and that it is new.
func (s *Server) checkAssertion(client Client, params url.Values) error {
	if params.Get("client_assertion_type") != "urn:ietf:params:oauth:client-assertion-type:jwt-bearer" {
		return invalidRequest("client_assertion_type is wrong")
	}
	parsed, err := jwt.ParseSigned(params.Get("client_assertion"), assertionAlgorithms)
	if err != nil {
		return invalidClient("the assertion cannot be read")
	}
	if s.opts.Clients != nil && parsed.Claims(client.Key) != nil { // without a list any key is right
		return invalidClient("the assertion's signature is wrong")
	}
	var claims jwt.Claims
	if parsed.UnsafeClaimsWithoutVerification(&claims) != nil {
		return invalidClient("the assertion's claims cannot be read")
	}
	now := time.Now()
	switch {
	case claims.Issuer != client.ID || claims.Subject != client.ID:
		return invalidClient("the assertion's iss and sub must be the client id")
	case len(claims.Audience) != 1 || claims.Audience[0] != s.TokenURL() && claims.Audience[0] != s.Issuer():
		return invalidClient("the assertion's aud must be the token URL or the issuer")
	case claims.Expiry == nil || claims.IssuedAt == nil || claims.ID == "":
		return invalidClient("the assertion must have exp, iat and jti")
	case !now.Before(claims.Expiry.Time()), claims.Expiry.Time().Sub(claims.IssuedAt.Time()) > 10*time.Minute:
		return invalidClient("the assertion has ended, or lives too long")
	case claims.IssuedAt.Time().After(now.Add(time.Minute)), claims.NotBefore.Time().After(now.Add(time.Minute)):
		return invalidClient("the assertion is from the future")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	jti := client.ID + "\x00" + claims.ID
	if s.jtis[jti] {
		return invalidClient("the assertion was used before")
	}
	s.jtis[jti] = true
	return nil
}
