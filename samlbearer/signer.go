package samlbearer

import (
	"cmp"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/asn1"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"strings"
	"time"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/internal/keypair"
)

// Signer is an [AssertionSource] that makes assertions and signs them with a key of yours: RSA or ECDSA, exclusive
// canonicalization, an enveloped signature right after the Issuer. Each assertion has an ID of its own. A Signer is safe for
// concurrent use if its fields are not changed; a [Client] copies it. It prints its issuer and nothing else.
type Signer struct {
	// Key signs. It may live in a KMS or an HSM. RSA keys must have 2048 bits or more. Required.
	Key crypto.Signer

	// Certificate belongs to the key. One that is not valid yet, or has ended, is refused; one that ends soon is told by
	// the hook CertificateEnding. Required, unless OmitCertificate.
	Certificate *x509.Certificate

	// Hash is of the digest and the signature: crypto.SHA256, SHA384 or SHA512. Default crypto.SHA256.
	Hash crypto.Hash

	// Issuer, Audience and Recipient say who made the assertion, for whom, and where it will be sent. Defaults in a Client:
	// the client key, the target's audience, the token URL. Required without.
	Issuer, Audience, Recipient string

	// NameIDFormat is how the user is named, such as NameIDEmailAddress. Default NameIDUnspecified. NameQualifier is the
	// user's security domain. Default none.
	NameIDFormat, NameQualifier string

	// AuthnContext is how the user was authenticated. Default in a Client the target's, else AuthnPreviousSession.
	AuthnContext string

	// Attributes are the same for every user. Default none.
	Attributes map[string][]string

	// AttributesFor returns the attributes that differ by user, such as mail or Groups, and replaces attributes of the
	// same name. It must honour ctx, and may be called for several users at once. Default nil.
	AttributesFor func(ctx context.Context, user string) (map[string][]string, error)

	// Lifetime is how long an assertion is valid after it was made; before, it is for 10 minutes, as clocks differ. Some
	// token services refuse a far end. Default 10 minutes.
	Lifetime time.Duration

	// OmitCertificate leaves the certificate out of the signature's KeyInfo. Some token services need it there. Default
	// false.
	OmitCertificate bool
}

// Formats of a NameID (SAML 2.0 Core 8.3).
const (
	NameIDUnspecified  = "urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified"
	NameIDEmailAddress = "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress"
)

// Authentication contexts (SAML 2.0 Authentication Context 3.4).
const (
	AuthnPasswordProtectedTransport = "urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport"
	AuthnPreviousSession            = "urn:oasis:names:tc:SAML:2.0:ac:classes:PreviousSession"
)

const (
	defaultLifetime = 10 * time.Minute
	notBefore       = 10 * time.Minute
	longestUser     = 1024 // bytes
)

// Assertion makes and signs an assertion for a user. Its errors name the field that is wrong.
func (s Signer) Assertion(ctx context.Context, user string) ([]byte, error) {
	xml, err := s.assertion(ctx, user)
	if err != nil {
		return nil, fmt.Errorf("samlbearer: %w", err)
	}
	return xml, nil
}

func (s *Signer) assertion(ctx context.Context, user string) ([]byte, error) {
	if user == "" {
		return nil, outgrant.ErrUserRequired
	}
	now := time.Now()
	if err := s.check(now); err != nil {
		return nil, permanent{err}
	}
	attributes := s.Attributes
	if s.AttributesFor != nil {
		own, err := s.AttributesFor(ctx, user)
		if err != nil {
			return nil, fmt.Errorf("Signer.AttributesFor: %w", err)
		}
		attributes = maps.Clone(attributes)
		if attributes == nil {
			attributes = own
		} else {
			maps.Copy(attributes, own)
		}
	}
	doc := document{
		ID: newID(), IssuedAt: now, NotBefore: now.Add(-notBefore), NotOnOrAfter: now.Add(cmp.Or(s.Lifetime, defaultLifetime)),
		Issuer: s.Issuer, Audience: s.Audience, Recipient: s.Recipient, User: user, NameQualifier: s.NameQualifier,
		NameIDFormat: cmp.Or(s.NameIDFormat, NameIDUnspecified), AuthnContext: cmp.Or(s.AuthnContext, AuthnPreviousSession), Attributes: attributes,
	}
	if err := doc.check(); err != nil {
		return nil, permanent{err}
	}
	return s.sign(&doc)
}

// newID returns an ID, which must not begin with a digit.
func newID() string {
	id := make([]byte, 20)
	_, _ = rand.Read(id) // never fails
	return "_" + hex.EncodeToString(id)
}

// check reports what is wrong with the fields, but for the texts that go into the assertion.
func (s *Signer) check(now time.Time) error {
	switch {
	case keypair.IsNil(s.Key):
		return errors.New("Signer.Key: missing; set the private key that signs the assertions")
	case s.Certificate == nil && !s.OmitCertificate:
		return errors.New("Signer.Certificate: missing; set the key's certificate, or OmitCertificate")
	case s.Lifetime < 0 || s.Lifetime > 24*time.Hour:
		return errors.New("Signer.Lifetime: must be at most a day")
	}
	if err := checkKey(s.Key.Public(), s.hash()); err != nil {
		return err
	}
	if s.Certificate != nil {
		pair := &tls.Certificate{Certificate: [][]byte{s.Certificate.Raw}, Leaf: s.Certificate, PrivateKey: s.Key}
		if err := keypair.Check(pair, now); err != nil {
			return fmt.Errorf("Signer.Certificate: %w", err)
		}
	}
	return nil
}

func (s *Signer) hash() crypto.Hash { return cmp.Or(s.Hash, crypto.SHA256) }

// bind completes a copy of s with what the client knows.
func (s Signer) bind(c *Client) (assertions, error) {
	target := c.target
	if s.Issuer == "" && target.IssuerRequired {
		return nil, errors.New("Signer.Issuer: missing; set the entity id of the identity provider that the token service trusts")
	}
	s.Issuer = cmp.Or(s.Issuer, c.clientKey)
	s.Audience = cmp.Or(s.Audience, target.Audience)
	s.Recipient = cmp.Or(s.Recipient, c.tokenURL)
	s.AuthnContext = cmp.Or(s.AuthnContext, target.AuthnContext)
	s.Attributes = cloneAttributes(s.Attributes)
	if name := target.ClientKeyAttribute; name != "" && s.Attributes[name] == nil {
		s.Attributes[name] = []string{c.clientKey}
	}
	trial := document{Issuer: s.Issuer, Audience: s.Audience, Recipient: s.Recipient, NameIDFormat: s.NameIDFormat,
		NameQualifier: s.NameQualifier, AuthnContext: s.AuthnContext, Attributes: s.Attributes, User: "user"}
	if err := cmp.Or(s.check(time.Now()), trial.check()); err != nil {
		return nil, err
	}
	return func(ctx context.Context, user string) ([]byte, func(error), error) {
		if s.Certificate != nil {
			c.token.WarnOfEnd(s.Certificate)
		}
		xml, err := s.assertion(ctx, user)
		return xml, nil, err
	}, nil
}

func cloneAttributes(m map[string][]string) map[string][]string {
	c := map[string][]string{}
	for name, values := range m {
		c[name] = append([]string{}, values...)
	}
	return c
}

var commonName = asn1.ObjectIdentifier{2, 5, 4, 3}

// TechnicalUser returns the common name of the certificate's subject. One with no common name, or with several, is refused:
// which of them is meant would be anybody's guess.
func (s Signer) TechnicalUser() (string, error) {
	if s.Certificate == nil {
		return "", errors.New("Signer.Certificate: missing; the technical user is the common name of its subject")
	}
	var names []string
	for _, part := range s.Certificate.Subject.Names {
		if part.Type.Equal(commonName) {
			name, _ := part.Value.(string)
			names = append(names, name)
		}
	}
	switch {
	case len(names) == 0 || len(names) == 1 && strings.TrimSpace(names[0]) == "":
		return "", errors.New("Signer.Certificate: its subject has no common name, so there is no technical user")
	case len(names) > 1:
		return "", fmt.Errorf("Signer.Certificate: its subject has %d common names, so the technical user cannot be told", len(names))
	}
	return names[0], nil
}

func (s Signer) String() string { return fmt.Sprintf("samlbearer.Signer(%q)", s.Issuer) }

// Format prints the issuer, for every verb and flag.
func (s Signer) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, s.String()) }

// LogValue logs the issuer.
func (s Signer) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalJSON encodes the issuer: a Signer is not meant to be stored.
func (s Signer) MarshalJSON() ([]byte, error) { return json.Marshal(s.String()) }
