package samltest_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	_ "crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant/internal/leakcheck"
)

func TestMain(m *testing.M) { leakcheck.Main(m) }

// key is a key pair of a test.
type key struct {
	private crypto.Signer
	cert    *x509.Certificate
}

func newKey(private crypto.Signer) key {
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		panic(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		panic(err)
	}
	return key{private, cert}
}

func newEC(curve elliptic.Curve) key {
	private, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		panic(err)
	}
	return newKey(private)
}

func newRSA(bits int) key {
	private, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		panic(err)
	}
	return newKey(private)
}

var (
	p256     = sync.OnceValue(func() key { return newEC(elliptic.P256()) })
	attacker = sync.OnceValue(func() key { return newEC(elliptic.P256()) })
	rsa2048  = sync.OnceValue(func() key { return newRSA(2048) })
)

// says is what an assertion says. Without a value a part is left out.
type says struct {
	id, issuer, nameID, format, recipient, audience string
	issued, notBefore, until, confirmedUntil        time.Time
	authnContext                                    string
	attributes                                      [][2]string
}

const (
	unspecified     = "urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified"
	emailAddress    = "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress"
	previousSession = "urn:oasis:names:tc:SAML:2.0:ac:classes:PreviousSession"
)

func (s says) value(format string, value string) string {
	if value == "" {
		return ""
	}
	return fmt.Sprintf(format, value)
}

func (s says) time(name string, at time.Time) string {
	if at.IsZero() {
		return ""
	}
	return " " + name + `="` + at.UTC().Format("2006-01-02T15:04:05Z") + `"`
}

// canonical is the assertion's canonical text, without signature. Values must need no escapes.
func (s says) canonical() string {
	text := `<saml:Assertion xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion" ID="` + s.id + `"` + s.time("IssueInstant", s.issued) + ` Version="2.0">` +
		`<saml:Issuer>` + s.issuer + `</saml:Issuer><saml:Subject><saml:NameID` + s.value(` Format="%s"`, s.format) + `>` + s.nameID + `</saml:NameID>` +
		`<saml:SubjectConfirmation Method="urn:oasis:names:tc:SAML:2.0:cm:bearer"><saml:SubjectConfirmationData` + s.time("NotOnOrAfter", s.confirmedUntil) +
		s.value(` Recipient="%s"`, s.recipient) + `></saml:SubjectConfirmationData></saml:SubjectConfirmation></saml:Subject>` +
		`<saml:Conditions` + s.time("NotBefore", s.notBefore) + s.time("NotOnOrAfter", s.until) + `>` +
		`<saml:AudienceRestriction><saml:Audience>` + s.audience + `</saml:Audience></saml:AudienceRestriction></saml:Conditions>`
	if s.authnContext != "" {
		text += `<saml:AuthnStatement` + s.time("AuthnInstant", s.issued) + `><saml:AuthnContext><saml:AuthnContextClassRef>` + s.authnContext +
			`</saml:AuthnContextClassRef></saml:AuthnContext></saml:AuthnStatement>`
	}
	for _, a := range s.attributes {
		text += `<saml:AttributeStatement><saml:Attribute Name="` + a[0] + `"><saml:AttributeValue>` + a[1] + `</saml:AttributeValue></saml:Attribute></saml:AttributeStatement>`
	}
	return text + `</saml:Assertion>`
}

// signing is how a test signs.
type signing struct {
	key            key
	method, digest string              // default: what the key fits, sha256
	info           func(string) string // edits SignedInfo before it is signed
	keyInfo        string
	form           func(value []byte) []byte // of the signature value
	prefixList     string
}

const (
	dsNamespace = ` xmlns:ds="http://www.w3.org/2000/09/xmldsig#"`
	more        = "http://www.w3.org/2001/04/xmldsig-more#"
	exclusive   = "http://www.w3.org/2001/10/xml-exc-c14n#"
)

var hashes = map[string]crypto.Hash{"sha1": crypto.SHA1, "sha256": crypto.SHA256, "sha384": crypto.SHA384, "sha512": crypto.SHA512}

var digests = map[string]string{"sha1": "http://www.w3.org/2000/09/xmldsig#sha1", "sha256": "http://www.w3.org/2001/04/xmlenc#sha256",
	"sha384": more + "sha384", "sha512": "http://www.w3.org/2001/04/xmlenc#sha512"}

func digestOf(name, text string) []byte {
	h := hashes[name].New()
	h.Write([]byte(text))
	return h.Sum(nil)
}

// sign returns an assertion, whose canonical text this is, with its signature.
func (g signing) sign(canonical string) string {
	if g.digest == "" {
		g.digest = "sha256"
	}
	if g.method == "" {
		g.method = "rsa-sha256"
		if _, ok := g.key.private.(*ecdsa.PrivateKey); ok {
			g.method = "ecdsa-sha256"
		}
	}
	method, inclusive := more+g.method, ""
	if strings.HasSuffix(g.method, "sha1") {
		method = "http://www.w3.org/2000/09/xmldsig#" + g.method
	}
	if g.prefixList != "" {
		inclusive = `<ec:InclusiveNamespaces xmlns:ec="` + exclusive + `" PrefixList="` + g.prefixList + `"></ec:InclusiveNamespaces>`
	}
	_, id, _ := strings.Cut(canonical, `ID="`)
	id, _, _ = strings.Cut(id, `"`)
	info := `<ds:SignedInfo` + dsNamespace + `><ds:CanonicalizationMethod Algorithm="` + exclusive + `"></ds:CanonicalizationMethod>` +
		`<ds:SignatureMethod Algorithm="` + method + `"></ds:SignatureMethod><ds:Reference URI="#` + id + `"><ds:Transforms>` +
		`<ds:Transform Algorithm="http://www.w3.org/2000/09/xmldsig#enveloped-signature"></ds:Transform>` +
		`<ds:Transform Algorithm="` + exclusive + `">` + inclusive + `</ds:Transform></ds:Transforms>` +
		`<ds:DigestMethod Algorithm="` + digests[g.digest] + `"></ds:DigestMethod>` +
		`<ds:DigestValue>` + base64.StdEncoding.EncodeToString(digestOf(g.digest, canonical)) + `</ds:DigestValue></ds:Reference></ds:SignedInfo>`
	if g.info != nil {
		info = g.info(info)
	}
	value := g.value(info)
	if g.form != nil {
		value = g.form(value)
	}
	signature := `<ds:Signature` + dsNamespace + `>` + strings.Replace(info, dsNamespace, "", 1) + `<ds:SignatureValue>` +
		base64.StdEncoding.EncodeToString(value) + `</ds:SignatureValue>` + g.keyInfo + `</ds:Signature>`
	return strings.Replace(canonical, `</saml:Issuer>`, `</saml:Issuer>`+signature, 1)
}

func (g signing) value(info string) []byte {
	kind, hash, _ := strings.Cut(g.method, "-")
	digest := digestOf(hash, info)
	if kind == "hmac" { // with what the attacker knows: the certificate
		mac := hmac.New(sha256.New, g.key.cert.Raw)
		mac.Write([]byte(info))
		return mac.Sum(nil)
	}
	value, err := g.key.private.Sign(rand.Reader, digest, hashes[hash])
	if err != nil {
		panic(err)
	}
	private, ok := g.key.private.(*ecdsa.PrivateKey)
	if !ok {
		return value
	}
	var numbers struct{ R, S *big.Int }
	if _, err = asn1.Unmarshal(value, &numbers); err != nil {
		panic(err)
	}
	size := (private.Params().BitSize + 7) / 8
	return append(numbers.R.FillBytes(make([]byte, size)), numbers.S.FillBytes(make([]byte, size))...)
}

// with replaces the one place of a text; a test whose place is not there tests nothing.
func with(t testing.TB, text string, oldNew ...string) string {
	t.Helper()
	for i := 0; i < len(oldNew); i += 2 {
		require.Equal(t, 1, strings.Count(text, oldNew[i]), "%s in %s", oldNew[i], text)
		text = strings.Replace(text, oldNew[i], oldNew[i+1], 1)
	}
	return text
}

// vectors are the assertions in testdata that xmlsec1 signed, by name.
func vectors(t testing.TB) map[string]string {
	t.Helper()
	files, err := filepath.Glob("testdata/signed/*.xml")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	all := map[string]string{}
	for _, f := range files {
		text, err := os.ReadFile(f)
		require.NoError(t, err)
		all[strings.TrimSuffix(filepath.Base(f), ".xml")] = string(text)
	}
	return all
}

// certificate is the one that belongs to a vector.
func certificate(t testing.TB, vector string) *x509.Certificate {
	t.Helper()
	kind, _, _ := strings.Cut(vector, "-")
	text, err := os.ReadFile("testdata/signed/" + kind + ".pem")
	require.NoError(t, err)
	block, _ := pem.Decode(text)
	require.NotNil(t, block)
	cert, err := x509.ParseCertificate(block.Bytes)
	require.NoError(t, err)
	return cert
}
