package samlbearer_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	_ "crypto/sha1"
	_ "crypto/sha256"
	_ "crypto/sha512"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"math/big"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant/oauthtest"
	"github.com/outgrant/outgrant/samlbearer"
)

// This issuer writes canonical XML as text and signs that with the standard library alone, so that it shares no code with
// what is tested. Its times are around the start of a synctest bubble, 2000-01-01.

// What no error may say.
const (
	fwdUser      = "alice.S3NTINEL@acme.example"
	fwdMallory   = "mallory.S3NTINEL@acme.example"
	fwdIssuer    = "https://idp.S3NTINEL.example"
	fwdAudience  = "https://sp.S3NTINEL.example/tenant-a"
	fwdRecipient = "https://token.S3NTINEL.example/oauth/token"
	fwdID        = "_S3NTINEL-1"
	fwdGroup     = "S3NTINEL-admins"
)

const (
	algExcC14N   = "http://www.w3.org/2001/10/xml-exc-c14n#"
	algEnveloped = "http://www.w3.org/2000/09/xmldsig#enveloped-signature"
	algRSA256    = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"
	algSHA256    = "http://www.w3.org/2001/04/xmlenc#sha256"
	nsXMLDSig    = "http://www.w3.org/2000/09/xmldsig#"

	honestTransforms = `<ds:Transform Algorithm="` + algEnveloped + `"></ds:Transform><ds:Transform Algorithm="` + algExcC14N + `"></ds:Transform>`
)

// honestText is an assertion in canonical form, without its signature.
const honestText = `<saml:Assertion xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion" ID="` + fwdID + `" IssueInstant="2000-01-01T00:00:00Z" Version="2.0">` +
	`<saml:Issuer>` + fwdIssuer + `</saml:Issuer>` +
	`<saml:Subject><saml:NameID Format="urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress">` + fwdUser + `</saml:NameID>` +
	`<saml:SubjectConfirmation Method="urn:oasis:names:tc:SAML:2.0:cm:bearer">` +
	`<saml:SubjectConfirmationData NotOnOrAfter="2000-01-01T00:10:00Z" Recipient="` + fwdRecipient + `"></saml:SubjectConfirmationData></saml:SubjectConfirmation></saml:Subject>` +
	`<saml:Conditions NotBefore="1999-12-31T23:50:00Z" NotOnOrAfter="2000-01-01T00:10:00.000Z">` +
	`<saml:AudienceRestriction><saml:Audience>` + fwdAudience + `</saml:Audience></saml:AudienceRestriction></saml:Conditions>` +
	`<saml:AuthnStatement AuthnInstant="2000-01-01T00:00:00Z" SessionNotOnOrAfter="2000-01-01T08:00:00Z"><saml:AuthnContext>` +
	`<saml:AuthnContextClassRef>urn:oasis:names:tc:SAML:2.0:ac:classes:PreviousSession</saml:AuthnContextClassRef></saml:AuthnContext></saml:AuthnStatement>` +
	`<saml:AttributeStatement><saml:Attribute Name="Groups"><saml:AttributeValue>` + fwdGroup + `</saml:AttributeValue></saml:Attribute></saml:AttributeStatement>` +
	`</saml:Assertion>`

// with returns the text with one piece replaced, which must be there.
func with(text, piece, by string) string {
	if !strings.Contains(text, piece) {
		panic("the text has no " + piece)
	}
	return strings.Replace(text, piece, by, 1)
}

type fwdKey struct {
	key  crypto.Signer
	cert *x509.Certificate
}

var (
	rsaIssuer   = newFwdKey(rsa.GenerateKey(rand.Reader, 2048))
	rsaStranger = newFwdKey(rsa.GenerateKey(rand.Reader, 2048))
	ecIssuer    = newFwdKey(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
)

func newFwdKey[K crypto.Signer](key K, err error) *fwdKey {
	if err != nil {
		panic(err)
	}
	return &fwdKey{key, certFromTo(key, time.Date(1999, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2049, 1, 1, 0, 0, 0, 0, time.UTC))}
}

func certFromTo(key crypto.Signer, from, to time.Time) *x509.Certificate {
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "idp"}, NotBefore: from, NotAfter: to}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		panic(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		panic(err)
	}
	return cert
}

// fwdSignature is what an issuer may do otherwise than it should. The zero value is an honest signature.
type fwdSignature struct {
	hash, digest                 crypto.Hash // default SHA-256
	method, digestMethod         string
	canonicalization, transforms string
	uri                          string
	extraReference               string
	keyInfo                      string
	wrap, wrapDigest             func(base64 string) string
	overSignedInfo               func(signedInfo []byte) []byte // instead of the key
	derECDSA                     bool
}

// signFwd returns the canonical text with an enveloped signature after its issuer.
func signFwd(text string, k *fwdKey, s fwdSignature) string {
	s.setDefaults(k)
	info := `<ds:CanonicalizationMethod Algorithm="` + s.canonicalization + `"></ds:CanonicalizationMethod>` +
		`<ds:SignatureMethod Algorithm="` + s.method + `"></ds:SignatureMethod>` +
		`<ds:Reference URI="` + s.uri + `"><ds:Transforms>` + s.transforms + `</ds:Transforms>` +
		`<ds:DigestMethod Algorithm="` + s.digestMethod + `"></ds:DigestMethod>` +
		`<ds:DigestValue>` + s.wrapDigest(base64.StdEncoding.EncodeToString(sum(s.digest, []byte(text)))) + `</ds:DigestValue></ds:Reference>` +
		s.extraReference + `</ds:SignedInfo>`
	value := s.wrap(base64.StdEncoding.EncodeToString(s.overSignedInfo([]byte(`<ds:SignedInfo xmlns:ds="` + nsXMLDSig + `">` + info))))
	signature := `<ds:Signature xmlns:ds="` + nsXMLDSig + `"><ds:SignedInfo>` + info + `<ds:SignatureValue>` + value + `</ds:SignatureValue>` + s.keyInfo + `</ds:Signature>`
	return with(text, "</saml:Issuer>", "</saml:Issuer>"+signature)
}

func (s *fwdSignature) setDefaults(k *fwdKey) {
	either := func(field *string, value string) {
		if *field == "" {
			*field = value
		}
	}
	if s.hash == 0 {
		s.hash = crypto.SHA256
	}
	if s.digest == 0 {
		s.digest = crypto.SHA256
	}
	either(&s.method, algRSA256)
	either(&s.digestMethod, algSHA256)
	either(&s.canonicalization, algExcC14N)
	either(&s.transforms, honestTransforms)
	either(&s.uri, "#"+fwdID)
	asItIs := func(text string) string { return text }
	if s.wrap == nil {
		s.wrap = asItIs
	}
	if s.wrapDigest == nil {
		s.wrapDigest = asItIs
	}
	if s.overSignedInfo == nil {
		s.overSignedInfo = func(info []byte) []byte { return k.sign(s.hash, info, s.derECDSA) }
	}
}

func sum(hash crypto.Hash, data []byte) []byte {
	h := hash.New()
	_, _ = h.Write(data)
	return h.Sum(nil)
}

func (k *fwdKey) sign(hash crypto.Hash, data []byte, der bool) []byte {
	signature, err := k.key.Sign(rand.Reader, sum(hash, data), hash)
	if err != nil {
		panic(err)
	}
	key, ok := k.key.(*ecdsa.PrivateKey)
	if !ok || der {
		return signature
	}
	var numbers struct{ R, S *big.Int }
	if _, err := asn1.Unmarshal(signature, &numbers); err != nil {
		panic(err)
	}
	size := (key.Curve.Params().BitSize + 7) / 8
	return append(numbers.R.FillBytes(make([]byte, size)), numbers.S.FillBytes(make([]byte, size))...)
}

// x509KeyInfo is a KeyInfo with a certificate.
func x509KeyInfo(k *fwdKey) string {
	return `<ds:KeyInfo><ds:X509Data><ds:X509Certificate>` + base64.StdEncoding.EncodeToString(k.cert.Raw) + `</ds:X509Certificate></ds:X509Data></ds:KeyInfo>`
}

// forwarding returns a Forwarded that receives this text, and trusts the RSA issuer.
func forwarding(text string) samlbearer.Forwarded {
	return samlbearer.Forwarded{
		Received:     func(context.Context, string) ([]byte, error) { return []byte(text), nil },
		Certificates: []*x509.Certificate{rsaIssuer.cert},
		Issuer:       fwdIssuer, Audience: fwdAudience, Recipient: fwdRecipient,
	}
}

// forward asks for the user's assertion when the clock stands at 2000-01-01.
func forward(t *testing.T, f samlbearer.Forwarded, user string) (assertion []byte, err error) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { assertion, err = f.Assertion(t.Context(), user) })
	return assertion, err
}

func requireForwarded(t *testing.T, f samlbearer.Forwarded, text string) {
	t.Helper()
	got, err := forward(t, f, fwdUser)
	require.NoError(t, err)
	require.Equal(t, text, string(got))
}

// requireRefused wants an error that says this and nothing of the assertion.
func requireRefused(t *testing.T, f samlbearer.Forwarded, says string) {
	t.Helper()
	got, err := forward(t, f, fwdUser)
	require.ErrorContains(t, err, says)
	require.Nil(t, got)
	secrets := []string{"S3NTINEL", fwdUser, fwdMallory, fwdIssuer, fwdAudience, fwdRecipient, fwdID, fwdGroup}
	oauthtest.AssertNoSecrets(t, secrets, err)
}
