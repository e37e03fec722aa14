package samlbearer

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// document is an assertion before it is signed (SAML 2.0 Core 2, RFC 7522 3).
type document struct {
	ID                                string
	IssuedAt, NotBefore, NotOnOrAfter time.Time
	Issuer, Audience, Recipient       string
	User, NameIDFormat, NameQualifier string
	AuthnContext                      string
	Attributes                        map[string][]string
}

const (
	assertionNS = "urn:oasis:names:tc:SAML:2.0:assertion"
	protocolNS  = "urn:oasis:names:tc:SAML:2.0:protocol"
	bearer      = "urn:oasis:names:tc:SAML:2.0:cm:bearer"
)

// check refuses texts that are missing, or that XML cannot carry.
func (d *document) check() error {
	switch {
	case d.Issuer == "":
		return errors.New("Signer.Issuer: missing")
	case d.Audience == "":
		return errors.New("Signer.Audience: missing; it is what the token service calls itself")
	case d.Recipient == "":
		return errors.New("Signer.Recipient: missing; it is the token URL")
	case len(d.User) > longestUser:
		return fmt.Errorf("the user: longer than %d bytes", longestUser)
	}
	for _, f := range []struct{ name, text string }{
		{"the user", d.User}, {"Signer.Issuer", d.Issuer}, {"Signer.Audience", d.Audience}, {"Signer.Recipient", d.Recipient},
		{"Signer.NameIDFormat", d.NameIDFormat}, {"Signer.NameQualifier", d.NameQualifier}, {"Signer.AuthnContext", d.AuthnContext},
	} {
		if err := checkText(f.text); err != nil {
			return fmt.Errorf("%s: %w", f.name, err)
		}
	}
	for name, values := range d.Attributes {
		if name == "" || checkText(name) != nil {
			return errors.New("Signer.Attributes: a name is empty, or has characters that XML cannot carry")
		}
		for _, v := range values {
			if err := checkText(v); err != nil {
				return fmt.Errorf("Signer.Attributes: %q: %w", name, err)
			}
		}
	}
	return nil
}

// checkText refuses what XML 1.0 2.2 has no characters for. Left to the serializer, each of them would become the same
// replacement character, and two users one.
func checkText(s string) error {
	if !utf8.ValidString(s) {
		return errors.New("not UTF-8")
	}
	if strings.ContainsFunc(s, func(r rune) bool { return !isXMLChar(r) }) {
		return errors.New("has characters that XML cannot carry, such as control characters")
	}
	return nil
}

func isXMLChar(r rune) bool {
	switch {
	case r < 0x20:
		return r == '\t' || r == '\n' || r == '\r'
	case r >= 0xD800 && r <= 0xDFFF:
		return false
	}
	return r != 0xFFFE && r != 0xFFFF
}

// written is a document in two forms: as it is sent, and as exclusive canonicalization makes it, which is what the signature
// covers. They differ by the signature and by declarations that nothing but a value uses.
type written struct {
	sent, signed bytes.Buffer
	signatureAt  int // in sent
}

func (w *written) add(parts ...string) {
	for _, p := range parts {
		w.sent.WriteString(p)
		w.signed.WriteString(p)
	}
}

// write writes the assertion in the order of the schema, in the form of exclusive canonicalization: attributes in their order,
// no empty-element tags, and its escapes.
func (d *document) write() *written {
	w := &written{}
	w.add(`<saml:Assertion xmlns:saml="`+assertionNS+`" ID="`, d.ID, `" IssueInstant="`, dateTime(d.IssuedAt), `" Version="2.0">`,
		`<saml:Issuer>`, text(d.Issuer), `</saml:Issuer>`)
	w.signatureAt = w.sent.Len()

	w.add(`<saml:Subject><saml:NameID Format="`, value(d.NameIDFormat), `"`)
	if d.NameQualifier != "" {
		w.add(` NameQualifier="`, value(d.NameQualifier), `"`)
	}
	w.add(`>`, text(d.User), `</saml:NameID><saml:SubjectConfirmation Method="`+bearer+`"><saml:SubjectConfirmationData NotOnOrAfter="`,
		dateTime(d.NotOnOrAfter), `" Recipient="`, value(d.Recipient), `"></saml:SubjectConfirmationData></saml:SubjectConfirmation></saml:Subject>`)

	w.add(`<saml:Conditions NotBefore="`, dateTime(d.NotBefore), `" NotOnOrAfter="`, dateTime(d.NotOnOrAfter), `"><saml:AudienceRestriction><saml:Audience>`,
		text(d.Audience), `</saml:Audience></saml:AudienceRestriction></saml:Conditions>`)

	w.add(`<saml:AuthnStatement AuthnInstant="`, dateTime(d.IssuedAt), `" SessionIndex="`, d.ID, `"><saml:AuthnContext><saml:AuthnContextClassRef>`,
		text(d.AuthnContext), `</saml:AuthnContextClassRef></saml:AuthnContext></saml:AuthnStatement>`)

	d.writeAttributes(w)
	w.add(`</saml:Assertion>`)
	return w
}

func (d *document) writeAttributes(w *written) {
	names := slices.DeleteFunc(slices.Sorted(maps.Keys(d.Attributes)), func(name string) bool { return len(d.Attributes[name]) == 0 })
	if len(names) == 0 {
		return
	}
	w.add(`<saml:AttributeStatement>`)
	for _, name := range names {
		w.add(`<saml:Attribute Name="`, value(name), `">`)
		for _, v := range d.Attributes[name] {
			// Without its type, common libraries take it for any XML, and programs on top of them for no text.
			w.add(`<saml:AttributeValue`)
			w.sent.WriteString(` xmlns:xs="http://www.w3.org/2001/XMLSchema"`)
			w.add(` xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="xs:string">`, text(v), `</saml:AttributeValue>`)
		}
		w.add(`</saml:Attribute>`)
	}
	w.add(`</saml:AttributeStatement>`)
}

// The escapes of canonical XML (Canonical XML 1.0 2.3). A carriage return that is not escaped would come back as a line
// feed.
var (
	textEscapes  = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", "\r", "&#xD;")
	valueEscapes = strings.NewReplacer("&", "&amp;", "<", "&lt;", `"`, "&quot;", "\t", "&#x9;", "\n", "&#xA;", "\r", "&#xD;")
)

// text escapes the text of an element, value that of an attribute.
func text(s string) string  { return textEscapes.Replace(s) }
func value(s string) string { return valueEscapes.Replace(s) }

// dateTime is a time as SAML wants it: in UTC (SAML 2.0 Core 1.3.3).
func dateTime(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }
