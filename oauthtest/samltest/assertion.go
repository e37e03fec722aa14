package samltest

import (
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"regexp"
	"time"
)

// Assertion is what a signed assertion says. It prints its ID alone.
type Assertion struct {
	ID, Issuer   string
	IssueInstant time.Time

	// The subject.
	NameID        string
	NameIDFormat  string // "": unspecified
	NameQualifier string

	// Recipient and ConfirmedUntil are the bearer confirmation's: the token URL, and the instant that NotOnOrAfter names.
	Recipient      string
	ConfirmedUntil time.Time

	// Audiences are those of the one AudienceRestriction: any of them may take the assertion.
	Audiences []string

	// NotBefore and NotOnOrAfter are the conditions'. Zero: there is none.
	NotBefore, NotOnOrAfter time.Time

	// AuthnContext and AuthnInstant say how and when the user was authenticated. Zero: there is no AuthnStatement.
	AuthnContext string
	AuthnInstant time.Time

	Attributes map[string][]string

	// HasCertificate: the signature carries one in its KeyInfo. It has no say in whether the signature is right.
	HasCertificate bool
}

func (a Assertion) String() string { return fmt.Sprintf("samltest.Assertion(%q)", a.ID) }

// Format prints the ID, for every verb and flag.
func (a Assertion) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, a.String()) }

// LogValue logs the ID.
func (a Assertion) LogValue() slog.Value { return slog.StringValue(a.String()) }

// MarshalJSON encodes the ID.
func (a Assertion) MarshalJSON() ([]byte, error) { return json.Marshal(a.String()) }

const (
	assertionElement = "saml:Assertion"
	responseElement  = "samlp:Response"
	bearer           = "urn:oasis:names:tc:SAML:2.0:cm:bearer"
)

// Verify reads an assertion - the XML, not encoded - whose signature verifies with the certificate's key. It believes what
// the signature covers and nothing else: the Assertion is read from the canonical bytes that were signed. The document must
// be one that no two readers can see differently, in the order of the schemas, with one bearer confirmation for one
// NameID; the signature must stand right behind the Issuer, have one reference to the root, exclusive c14n, and RSA or ECDSA
// with SHA-256, SHA-384 or SHA-512. KeyInfo is ignored.
//
// Verify has no clock and no expectations: times, issuer, audience and recipient are the caller's to judge, and so is
// whether the certificate is still valid. Its errors hold nothing of the assertion.
func Verify(assertion []byte, cert *x509.Certificate) (*Assertion, error) {
	root, err := document(assertion, assertionElement)
	if err != nil {
		return nil, fmt.Errorf("samltest: %w", err)
	}
	a, err := verify(root, cert)
	if err != nil {
		return nil, fmt.Errorf("samltest: %w", err)
	}
	return a, nil
}

// document parses a document with this root, and checks its shape.
func document(text []byte, root string) (*element, error) {
	e, err := parse(text)
	if err != nil {
		return nil, err
	}
	if e.name() != root {
		return nil, errors.New("the document's root is not " + root)
	}
	return e, checkShape(e)
}

// verify verifies an assertion where it stands in its document.
func verify(assertion *element, cert *x509.Certificate) (*Assertion, error) {
	if cert == nil {
		return nil, errors.New("there is no certificate to verify the signature with")
	}
	signed, err := signedBytes(assertion, cert)
	if err != nil {
		return nil, err
	}
	root, err := document(signed, assertionElement)
	if err != nil {
		return nil, err
	}
	a, err := read(root)
	if err != nil {
		return nil, err
	}
	a.HasCertificate = assertion.find("ds:Signature", "ds:KeyInfo", "ds:X509Data", "ds:X509Certificate") != nil
	return a, nil
}

var ncName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9._-]*$`) // the ASCII part of xs:ID

// read reads an assertion that has its shape (SAML 2.0 Core 2).
func read(root *element) (*Assertion, error) {
	subject, conditions, authn := root.find("saml:Subject"), root.find("saml:Conditions"), root.find("saml:AuthnStatement")
	data := subject.find("saml:SubjectConfirmation", "saml:SubjectConfirmationData")
	a := &Assertion{
		ID:            root.attribute("ID"),
		Issuer:        root.find("saml:Issuer").content(),
		NameID:        subject.find("saml:NameID").content(),
		NameIDFormat:  subject.find("saml:NameID").attribute("Format"),
		NameQualifier: subject.find("saml:NameID").attribute("NameQualifier"),
		Recipient:     data.attribute("Recipient"),
		AuthnContext:  authn.find("saml:AuthnContext", "saml:AuthnContextClassRef").content(),
		Attributes:    map[string][]string{},
	}
	for _, audience := range conditions.find("saml:AudienceRestriction").all("saml:Audience") {
		a.Audiences = append(a.Audiences, audience.content())
	}
	for _, statement := range root.all("saml:AttributeStatement") {
		for _, attribute := range statement.all("saml:Attribute") {
			name := attribute.attribute("Name")
			for _, value := range attribute.all("saml:AttributeValue") {
				a.Attributes[name] = append(a.Attributes[name], value.content())
			}
		}
	}
	switch {
	case root.attribute("Version") != "2.0":
		return nil, errors.New("the assertion's Version is not 2.0")
	case !ncName.MatchString(a.ID):
		return nil, errors.New("the assertion's ID is not an xs:ID: begin it with a letter or an underscore")
	case isBlank(a.Issuer), isBlank(a.NameID):
		return nil, errors.New("the assertion's Issuer or NameID is empty")
	case subject.find("saml:SubjectConfirmation").attribute("Method") != bearer:
		return nil, errors.New("the assertion's subject confirmation is not bearer")
	case authn != nil && isBlank(a.AuthnContext):
		return nil, errors.New("the assertion's AuthnContextClassRef is empty")
	}
	return a, readTimes([]instant{
		{root, "IssueInstant", &a.IssueInstant}, {data, "NotOnOrAfter", &a.ConfirmedUntil},
		{conditions, "NotBefore", &a.NotBefore}, {conditions, "NotOnOrAfter", &a.NotOnOrAfter},
		{authn, "AuthnInstant", &a.AuthnInstant},
	})
}

// instant is an attribute that is a time, if it is there.
type instant struct {
	of   *element
	name string
	to   *time.Time
}

// dateTime is xs:dateTime in UTC (SAML 2.0 Core 1.3.3).
var dateTime = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$`)

func readTimes(all []instant) (err error) {
	for _, i := range all {
		text := i.of.attribute(i.name)
		if text == "" {
			continue
		}
		if *i.to, err = time.Parse(time.RFC3339Nano, text); err != nil || !dateTime.MatchString(text) {
			return fmt.Errorf("the assertion's %s is not a time in UTC such as 2006-01-02T15:04:05Z", i.name)
		}
	}
	return nil
}
