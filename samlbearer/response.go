package samlbearer

import (
	"bytes"
	"encoding/xml"
	"regexp"
	"time"

	"github.com/beevik/etree"
)

// wrap puts a samlp:Response around an assertion, which stays as it is: exclusive canonicalization takes nothing from
// what is around it, but for prefixes that a signature lists. The prefix is the usual one where none does, as there are
// services that know no other. Only a declaration goes, as it cannot stand there.
func wrap(assertion []byte) []byte {
	assertion = bytes.TrimSpace(bytes.TrimPrefix(assertion, []byte("\ufeff")))
	if bytes.HasPrefix(assertion, []byte("<?xml")) {
		if _, rest, found := bytes.Cut(assertion, []byte("?>")); found {
			assertion = bytes.TrimSpace(rest)
		}
	}
	prefix := "samlp"
	if listsSAMLP.Match(assertion) {
		prefix = "protocol"
	}
	var b bytes.Buffer
	b.WriteString(`<` + prefix + `:Response xmlns:` + prefix + `="` + protocolNS + `" ID="` + newID() + `" IssueInstant="` + dateTime(time.Now()) + `" Version="2.0">` +
		`<Issuer xmlns="` + assertionNS + `">`)
	_ = xml.EscapeText(&b, []byte(issuerOf(assertion))) // a bytes.Buffer takes all
	b.WriteString(`</Issuer><` + prefix + `:Status><` + prefix + `:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:Success"></` + prefix + `:StatusCode></` + prefix + `:Status>`)
	b.Write(assertion)
	b.WriteString(`</` + prefix + `:Response>`)
	return b.Bytes()
}

var listsSAMLP = regexp.MustCompile(`PrefixList\s*=\s*["'][^"']*\bsamlp\b`)

// issuerOf returns the Issuer of an assertion, "" if it has none that can be read.
func issuerOf(assertion []byte) string {
	doc := etree.NewDocument()
	if doc.ReadFromBytes(assertion) != nil || doc.Root() == nil {
		return ""
	}
	return doc.Root().SelectElement("Issuer").NotNil().Text()
}
