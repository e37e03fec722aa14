package samltest_test

import (
	"crypto/elliptic"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant/oauthtest"
	"github.com/outgrant/outgrant/oauthtest/samltest"
)

var noon = time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)

// plain is an assertion that is fine.
func plain() says {
	return says{
		id: "_a1", issuer: "https://idp.acme.test", nameID: "alice@acme.test", format: emailAddress, recipient: "https://token.test/oauth/token",
		audience: "acme.alias", issued: noon, notBefore: noon.Add(-10 * time.Minute), until: noon.Add(10 * time.Minute),
		confirmedUntil: noon.Add(5 * time.Minute), authnContext: previousSession, attributes: [][2]string{{"mail", "alice@acme.test"}, {"Groups", "a"}, {"Groups", "b"}},
	}
}

func TestVerify(t *testing.T) {
	t.Parallel()
	a, err := samltest.Verify([]byte(signing{key: p256()}.sign(plain().canonical())), p256().cert)
	require.NoError(t, err)
	require.EqualExportedValues(t, samltest.Assertion{
		ID: "_a1", Issuer: "https://idp.acme.test", IssueInstant: noon,
		NameID: "alice@acme.test", NameIDFormat: emailAddress,
		Recipient: "https://token.test/oauth/token", ConfirmedUntil: noon.Add(5 * time.Minute), Audiences: []string{"acme.alias"},
		NotBefore: noon.Add(-10 * time.Minute), NotOnOrAfter: noon.Add(10 * time.Minute),
		AuthnContext: previousSession, AuthnInstant: noon,
		Attributes: map[string][]string{"mail": {"alice@acme.test"}, "Groups": {"a", "b"}},
	}, *a)
}

// TestVerifyTakesWhatOthersSign reads assertions that xmlsec1 signed.
func TestVerifyTakesWhatOthersSign(t *testing.T) {
	t.Parallel()
	for name, text := range vectors(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, err := samltest.Verify([]byte(text), certificate(t, name))
			if strings.Contains(name, "in-response") {
				require.ErrorContains(t, err, "root is not saml:Assertion")
				return
			}
			require.NoError(t, err)
			require.Equal(t, "_a1", a.ID)
			require.Equal(t, "https://idp.acme.test", a.Issuer)
			switch {
			case name == "p256-odd-texts":
				require.Equal(t, "\ra<l>ï&ce\U0010FFFF\t\n\"'", a.NameID)
			case len(a.Attributes) > 0:
				require.Equal(t, map[string][]string{"mail": {"a\rb&c", ""}}, a.Attributes)
			default:
				require.Equal(t, "alice@acme.test", a.NameID)
			}
			require.Equal(t, strings.Contains(text, "X509Certificate"), a.HasCertificate)
			_, err = samltest.Verify([]byte(text), attacker().cert)
			require.Error(t, err)
		})
	}
}

// TestVerifyTakes are the odd ones that are right all the same.
func TestVerifyTakes(t *testing.T) {
	t.Parallel()
	body := plain().canonical()
	for _, tc := range []struct {
		name string
		key  key
		text func(t *testing.T) string
	}{
		{"RSA-SHA256", rsa2048(), func(t *testing.T) string { return signing{key: rsa2048()}.sign(body) }},
		{"RSA-SHA384", rsa2048(), func(t *testing.T) string {
			return signing{key: rsa2048(), method: "rsa-sha384", digest: "sha384"}.sign(body)
		}},
		{"RSA-SHA512", rsa2048(), func(t *testing.T) string {
			return signing{key: rsa2048(), method: "rsa-sha512", digest: "sha512"}.sign(body)
		}},
		{"ECDSA-SHA512 with another digest", p256(), func(t *testing.T) string {
			return signing{key: p256(), method: "ecdsa-sha512", digest: "sha384"}.sign(body)
		}},
		{"what is not canonical on the way", p256(), func(t *testing.T) string {
			return with(t, signing{key: p256()}.sign(body), `<saml:Issuer>`, `<saml:Issuer >`, `"></saml:SubjectConfirmationData>`, `"  />`,
				`<saml:NameID Format="`, "<saml:NameID\n Format = \"", `alice@acme.test</saml:NameID>`, `&#97;lice&#x40;acme.test</saml:NameID>`)
		}},
		{"declaration that nothing uses", p256(), func(t *testing.T) string {
			return with(t, signing{key: p256()}.sign(body), `<saml:Subject>`, `<saml:Subject xmlns:xs="http://www.w3.org/2001/XMLSchema">`)
		}},
		{"prefix list", p256(), func(t *testing.T) string {
			return signing{key: p256(), prefixList: "xs"}.sign(with(t, body, ` ID="`, ` xmlns:xs="http://www.w3.org/2001/XMLSchema" ID="`))
		}},
		{"attacker's certificate in KeyInfo", p256(), func(t *testing.T) string { return signing{key: p256(), keyInfo: keyInfo(attacker())}.sign(body) }},
		{"line wraps in the signature value", p256(), func(t *testing.T) string {
			return with(t, signing{key: p256()}.sign(body), `<ds:SignatureValue>`, "<ds:SignatureValue>\r\n  ", `</ds:SignatureValue>`, "\n</ds:SignatureValue>")
		}},
		{"white space around the root", p256(), func(t *testing.T) string { return "\n " + signing{key: p256()}.sign(body) + "\r\n" }},
		{"XML declaration", p256(), func(t *testing.T) string {
			return `<?xml version="1.0" encoding="utf-8"?>` + "\n" + signing{key: p256()}.sign(body)
		}},
		{"fractions of a second", p256(), func(t *testing.T) string {
			return signing{key: p256()}.sign(strings.ReplaceAll(body, ":00Z", ":00.000Z"))
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			a, err := samltest.Verify([]byte(tc.text(t)), tc.key.cert)
			require.NoError(t, err)
			require.Equal(t, "alice@acme.test", a.NameID)
		})
	}
}

func keyInfo(k key) string {
	return `<ds:KeyInfo><ds:X509Data><ds:X509Certificate>` + base64.StdEncoding.EncodeToString(k.cert.Raw) + `</ds:X509Certificate></ds:X509Data></ds:KeyInfo>`
}

// TestVerifyRefusesContent breaks each rule about what is signed. The signatures are right.
func TestVerifyRefusesContent(t *testing.T) {
	t.Parallel()
	body := plain().canonical()
	edit := func(oldNew ...string) string { return with(t, body, oldNew...) }
	second := `<saml:NameID>bob</saml:NameID></saml:Subject>`
	for _, tc := range []struct{ name, body, why string }{
		{"Version 1.1", edit(`Version="2.0"`, `Version="1.1"`), "Version"},
		{"no Version", edit(` Version="2.0"`, ``), "Version"},
		{"ID that is none", edit(`"_a1"`, `"1a"`), "xs:ID"},
		{"no IssueInstant", edit(` IssueInstant="2026-07-01T12:00:00Z"`, ``), "IssueInstant"},
		{"time with a zone", edit(`IssueInstant="2026-07-01T12:00:00Z"`, `IssueInstant="2026-07-01T12:00:00+02:00"`), "IssueInstant is not a time"},
		{"time that there is not", edit(`IssueInstant="2026-07-01T12:00:00Z"`, `IssueInstant="2026-02-30T12:00:00Z"`), "IssueInstant is not a time"},
		{"time with a comma", edit(`IssueInstant="2026-07-01T12:00:00Z"`, `IssueInstant="2026-07-01T12:00:00,5Z"`), "IssueInstant is not a time"},
		{"empty Issuer", edit(`>https://idp.acme.test<`, `> <`), "Issuer or NameID is empty"},
		{"empty NameID", edit(`>alice@acme.test</saml:NameID>`, "></saml:NameID>"), "Issuer or NameID is empty"},
		{"element in NameID", edit(`>alice@acme.test</saml:NameID>`, ">alice<saml:Audience>x</saml:Audience></saml:NameID>"), "saml:NameID"},
		{"second NameID", edit(`</saml:Subject>`, second), "content of saml:Subject "},
		{"no NameID", edit(`<saml:NameID Format="`+emailAddress+`">alice@acme.test</saml:NameID>`, ``), "content of saml:Subject "},
		{"NameID in the confirmation", edit(`bearer"><saml:Sub`, `bearer"><saml:NameID>bob</saml:NameID><saml:Sub`), "content of saml:SubjectConfirmation "},
		{"EncryptedID", edit(`<saml:NameID `, `<saml:EncryptedID></saml:EncryptedID><saml:NameID `), "content of saml:Subject "},
		{"other confirmation", edit(`cm:bearer`, `cm:sender-vouches`), "not bearer"},
		{"no Recipient", edit(` Recipient="https://token.test/oauth/token"`, ``), "Recipient"},
		{"confirmation without end", edit(` NotOnOrAfter="2026-07-01T12:05:00Z"`, ``), "NotOnOrAfter"},
		{"confirmation with a beginning", edit(` NotOnOrAfter="2026-07-01T12:05:00Z"`, ` NotBefore="2026-07-01T11:00:00Z" NotOnOrAfter="2026-07-01T12:05:00Z"`), "saml:SubjectConfirmationData has an attribute"},
		{"no audience", edit(`<saml:Audience>acme.alias</saml:Audience>`, ``), "content of saml:AudienceRestriction"},
		{"condition nobody knows", edit(`</saml:Conditions>`, `<saml:Condition></saml:Condition></saml:Conditions>`), "content of saml:Conditions"},
		{"Subject behind Conditions", func() string {
			_, rest, _ := strings.Cut(body, "<saml:Subject>")
			subject, _, _ := strings.Cut(rest, "</saml:Subject>")
			subject = "<saml:Subject>" + subject + "</saml:Subject>"
			return edit(subject, "", "</saml:Conditions>", "</saml:Conditions>"+subject)
		}(), "content of saml:Assertion"},
		{"Advice", edit(`<saml:AuthnStatement `, `<saml:Advice></saml:Advice><saml:AuthnStatement `), "content of saml:Assertion"},
		{"second AuthnStatement", edit(`<saml:AuthnStatement `, `<saml:AuthnStatement AuthnInstant="2026-07-01T12:00:00Z"><saml:AuthnContext><saml:AuthnContextClassRef>x`+
			`</saml:AuthnContextClassRef></saml:AuthnContext></saml:AuthnStatement><saml:AuthnStatement `), "content of saml:Assertion"},
		{"empty AuthnContextClassRef", edit(previousSession, ``), "AuthnContextClassRef is empty"},
		{"text between elements", edit(`</saml:Subject>`, `</saml:Subject>alice`), "content of saml:Assertion"},
		{"element of another namespace", edit(`</saml:Subject>`, `</saml:Subject><x:y xmlns:x="urn:x"></x:y>`), "content of saml:Assertion"},
		{"element of no namespace", edit(`<saml:Issuer>`, `<Issuer>`, `</saml:Issuer>`, `</Issuer><saml:Issuer></saml:Issuer>`), "content of saml:Assertion"},
		{"attribute of another namespace", edit(`<saml:Subject>`, `<saml:Subject xmlns:x="urn:x" x:Format="a">`), "saml:Subject has an attribute"},
		{"SAML 1.1", strings.ReplaceAll(body, "SAML:2.0:assertion", "SAML:1.0:assertion"), "root"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			refused(t, signing{key: p256()}.sign(tc.body), p256().cert, tc.why)
		})
	}
}

// refused verifies an assertion that must be refused, with an error that says why and holds nothing of it.
func refused(t *testing.T, text string, cert *x509.Certificate, why string) {
	t.Helper()
	a, err := samltest.Verify([]byte(text), cert)
	require.ErrorContains(t, err, why)
	require.Regexp(t, "^samltest: ", err.Error())
	require.Nil(t, a)
	oauthtest.AssertNoSecrets(t, []string{"alice@acme.test", "2026-07-01", "https://idp.acme.test", "mallory"}, err)
}

// der is the form that crypto/ecdsa makes, and XML Signature has not.
func der(value []byte) []byte {
	numbers := struct{ R, S *big.Int }{new(big.Int).SetBytes(value[:len(value)/2]), new(big.Int).SetBytes(value[len(value)/2:])}
	encoded, err := asn1.Marshal(numbers)
	if err != nil {
		panic(err)
	}
	return encoded
}

// TestVerifyRefusesSignatures breaks each rule about the signature.
func TestVerifyRefusesSignatures(t *testing.T) {
	t.Parallel()
	body := plain().canonical()
	good := signing{key: p256()}.sign(body)
	info := func(oldNew ...string) string {
		return signing{key: p256(), info: func(s string) string { return with(t, s, oldNew...) }}.sign(body)
	}
	transform := func(algorithm, content string) string {
		return `<ds:Transform Algorithm="` + algorithm + `">` + content + `</ds:Transform>`
	}
	const enveloped = "http://www.w3.org/2000/09/xmldsig#enveloped-signature"
	first, last := transform(enveloped, ""), transform(exclusive, "")
	reference := `<ds:Reference URI="#_a1"><ds:Transforms>` + first + last + `</ds:Transforms><ds:DigestMethod Algorithm="http://www.w3.org/2001/04/xmlenc#sha256"></ds:DigestMethod>` +
		`<ds:DigestValue>` + base64.StdEncoding.EncodeToString(digestOf("sha256", body)) + `</ds:DigestValue></ds:Reference>`
	p224, weak := newEC(elliptic.P224()), newRSA(1024)
	_, signature, _ := strings.Cut(good, "</saml:Issuer>")
	signature, _, _ = strings.Cut(signature, "<saml:Subject>")
	for _, tc := range []struct {
		name, text string
		cert       *x509.Certificate
		why        string
	}{
		{"none", body, p256().cert, "no signature"},
		{"no certificate", good, nil, "there is no certificate"},
		{"before the Issuer", strings.Replace(with(t, good, signature, ""), `<saml:Issuer>`, signature+`<saml:Issuer>`, 1), p256().cert, "content of saml:Assertion"},
		{"at the end", with(t, good, signature, "", `</saml:Assertion>`, signature+`</saml:Assertion>`), p256().cert, "content of saml:Assertion"},
		{"two", with(t, good, signature, signature+signature), p256().cert, "content of saml:Assertion"},
		{"in another place", with(t, good, signature, "", `<saml:Subject>`, `<saml:Subject>`+signature), p256().cert, "content of saml:Subject "},
		{"of somebody else", signing{key: attacker()}.sign(body), p256().cert, "does not verify"},
		{"of somebody else, with their KeyInfo", signing{key: attacker(), keyInfo: keyInfo(attacker())}.sign(body), p256().cert, "does not verify"},
		{"of another kind of key", signing{key: rsa2048()}.sign(body), p256().cert, "does not fit"},
		{"of another kind of key, again", good, rsa2048().cert, "does not fit"},
		{"key that is too short", signing{key: weak}.sign(body), weak.cert, "too short"},
		{"curve that is too short", signing{key: p224}.sign(body), p224.cert, "too short"},
		{"changed text", strings.Replace(good, "alice@acme.test</saml:NameID>", "mallory</saml:NameID>", 1), p256().cert, "digest"},
		{"changed value", strings.Replace(good, `"2026-07-01T12:10:00Z"`, `"2026-07-02T12:10:00Z"`, 1), p256().cert, "digest"},
		{"changed white space", strings.Replace(good, "</saml:Subject>", "</saml:Subject>\n", 1), p256().cert, "digest"},
		{"changed prefix", strings.NewReplacer("saml:", "s:", "xmlns:saml", "xmlns:s").Replace(good), p256().cert, "digest"},
		{"changed SignedInfo", with(t, good, `<ds:SignedInfo>`, `<ds:SignedInfo Id="x">`), p256().cert, "does not verify"},
		{"SHA-1", signing{key: rsa2048(), method: "rsa-sha1"}.sign(body), rsa2048().cert, "signature method"},
		{"SHA-1 digest", signing{key: rsa2048(), digest: "sha1"}.sign(body), rsa2048().cert, "digest method"},
		{"HMAC with the certificate", signing{key: p256(), method: "hmac-sha256"}.sign(body), p256().cert, "signature method"},
		{"HMAC length", info(`ecdsa-sha256">`, `ecdsa-sha256"><ds:HMACOutputLength>1</ds:HMACOutputLength>`), p256().cert, "content of ds:SignatureMethod"},
		{"ECDSA as DER", signing{key: p256(), form: der}.sign(body), p256().cert, "r and s"},
		{"ECDSA of zeros", signing{key: p256(), form: func(b []byte) []byte { return make([]byte, len(b)) }}.sign(body), p256().cert, "does not verify"},
		{"RSA value cut", signing{key: rsa2048(), form: func(b []byte) []byte { return b[1:] }}.sign(body), rsa2048().cert, "does not verify"},
		{"empty value", signing{key: p256(), form: func([]byte) []byte { return nil }}.sign(body), p256().cert, "r and s"},
		{"value in base64url", with(t, good, `<ds:SignatureValue>`, `<ds:SignatureValue>-_`), p256().cert, "not base64"},
		{"value with bits to spare", spare(good, "==</ds:SignatureValue>"), p256().cert, "not base64"},
		{"value with a blank that XML has not", with(t, good, `<ds:SignatureValue>`, "<ds:SignatureValue>\u00a0"), p256().cert, "not base64"},
		{"inclusive c14n of SignedInfo", info(`CanonicalizationMethod Algorithm="`+exclusive, `CanonicalizationMethod Algorithm="http://www.w3.org/TR/2001/REC-xml-c14n-20010315`), p256().cert, "canonicalization method"},
		{"c14n with comments", info(`CanonicalizationMethod Algorithm="`+exclusive, `CanonicalizationMethod Algorithm="`+exclusive+`WithComments`), p256().cert, "canonicalization method"},
		{"inclusive c14n of the assertion", info(last, transform("http://www.w3.org/2006/12/xml-c14n11", "")), p256().cert, "canonicalization method"},
		{"transforms the other way round", info(first+last, last+first), p256().cert, "transforms"},
		{"no enveloped-signature", info(first, ""), p256().cert, "content of ds:Transforms"},
		{"enveloped-signature twice", info(last, first), p256().cert, "canonicalization method"},
		{"three transforms", info(last, last+last), p256().cert, "content of ds:Transforms"},
		{"content of enveloped-signature", info(first, transform(enveloped, `<ec:InclusiveNamespaces xmlns:ec="`+exclusive+`" PrefixList="x"></ec:InclusiveNamespaces>`)), p256().cert, "transforms"},
		{"XPath", info(last, transform("http://www.w3.org/TR/1999/REC-xpath-19991116", `<ds:XPath>true()</ds:XPath>`)), p256().cert, "content of ds:Transform "},
		{"XSLT", info(last, transform("http://www.w3.org/TR/1999/REC-xslt-19991116", `<x:stylesheet xmlns:x="http://www.w3.org/1999/XSL/Transform"></x:stylesheet>`)), p256().cert, "content of ds:Transform "},
		{"XPath filter without content", info(first, transform("http://www.w3.org/2002/06/xmldsig-filter2", "")), p256().cert, "transforms"},
		{"no transforms", info(`<ds:Transforms>`+first+last+`</ds:Transforms>`, ""), p256().cert, "content of ds:Reference"},
		{"second reference", info(`</ds:Reference>`, `</ds:Reference>`+reference), p256().cert, "content of ds:SignedInfo"},
		{"no reference", info(reference, ""), p256().cert, "content of ds:SignedInfo"},
		{"reference to the document", info(`URI="#_a1"`, `URI=""`), p256().cert, "ds:Reference has no attribute URI"},
		{"reference to another ID", info(`URI="#_a1"`, `URI="#_a2"`), p256().cert, "something else"},
		{"reference by XPointer", info(`URI="#_a1"`, `URI="#xpointer(id('_a1'))"`), p256().cert, "something else"},
		{"reference to the outside", info(`URI="#_a1"`, `URI="https://attacker.test/"`), p256().cert, "something else"},
		{"too many prefixes", signing{key: p256(), prefixList: strings.Repeat("a ", 17)}.sign(body), p256().cert, "more than 16"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			if tc.cert == nil {
				_, err := samltest.Verify([]byte(tc.text), nil)
				require.ErrorContains(t, err, tc.why)
				return
			}
			refused(t, tc.text, tc.cert, tc.why)
		})
	}
}
