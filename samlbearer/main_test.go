package samlbearer_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/xml"
	"io"
	"math/big"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/internal/leakcheck"
	"github.com/outgrant/outgrant/oauthtest"
	"github.com/outgrant/outgrant/oauthtest/samltest"
	"github.com/outgrant/outgrant/samlbearer"
)

func TestMain(m *testing.M) {
	time.Local = time.FixedZone("elsewhere", 5*60*60+30*60) // so that a time that is not in UTC is noticed
	leakcheck.Main(m)
}

const apiKey = "the-api-key"

var (
	signingKey  = must(rsa.GenerateKey(rand.Reader, 2048))
	signingCert = certify(signingKey, pkix.Name{CommonName: "TECH_USER"}, longAgo, farAhead)
	ecKey       = must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))

	// Around both the clock of a bubble, which begins in 2000, and the real one.
	longAgo, farAhead = time.Date(1999, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC)
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// certify returns a self-signed certificate.
func certify(key crypto.Signer, subject pkix.Name, from, to time.Time) *x509.Certificate {
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: subject, NotBefore: from, NotAfter: to}
	return must(x509.ParseCertificate(must(x509.CreateCertificate(rand.Reader, template, template, key.Public(), key))))
}

// signer is complete: it needs no Client.
func signer() samlbearer.Signer {
	return samlbearer.Signer{Key: signingKey, Certificate: signingCert,
		Issuer: "https://idp.example", Audience: "www.successfactors.com", Recipient: "https://token.example/oauth/token"}
}

// read is an assertion as encoding/xml reads it.
type read struct {
	XMLName      xml.Name `xml:"urn:oasis:names:tc:SAML:2.0:assertion Assertion"`
	ID           string   `xml:"ID,attr"`
	IssueInstant string   `xml:"IssueInstant,attr"`
	Version      string   `xml:"Version,attr"`
	Issuer       string
	Signature    *struct {
		KeyInfo *struct {
			Certificates []string `xml:"X509Data>X509Certificate"`
		}
		Value  string `xml:"SignatureValue"`
		Method struct {
			Algorithm string `xml:",attr"`
		} `xml:"SignedInfo>SignatureMethod"`
	}
	NameID struct {
		Format        string `xml:",attr"`
		NameQualifier string `xml:",attr"`
		Text          string `xml:",chardata"`
	} `xml:"Subject>NameID"`
	Confirmation struct {
		Method string `xml:",attr"`
		Data   struct {
			NotOnOrAfter string `xml:",attr"`
			Recipient    string `xml:",attr"`
		} `xml:"SubjectConfirmationData"`
	} `xml:"Subject>SubjectConfirmation"`
	Conditions struct {
		NotBefore    string   `xml:",attr"`
		NotOnOrAfter string   `xml:",attr"`
		Audiences    []string `xml:"AudienceRestriction>Audience"`
	}
	Authn struct {
		AuthnInstant string `xml:",attr"`
		SessionIndex string `xml:",attr"`
		Class        string `xml:"AuthnContext>AuthnContextClassRef"`
	} `xml:"AuthnStatement"`
	Attributes []struct {
		Name   string   `xml:",attr"`
		Values []string `xml:"AttributeValue"`
	} `xml:"AttributeStatement>Attribute"`
}

func (r *read) attributes() map[string][]string {
	all := map[string][]string{}
	for _, a := range r.Attributes {
		all[a.Name] = append(all[a.Name], a.Values...)
	}
	return all
}

// readAssertion parses an assertion, and verifies its signature twice.
func readAssertion(t testing.TB, assertion []byte, public crypto.PublicKey) *read {
	t.Helper()
	verifySignature(t, assertion, public)
	r := &read{}
	require.NoError(t, xml.Unmarshal(assertion, r))
	_, err := samltest.Verify(assertion, &x509.Certificate{PublicKey: public})
	require.NoError(t, err)
	return r
}

var hashOf = map[string]crypto.Hash{"256": crypto.SHA256, "384": crypto.SHA384, "512": crypto.SHA512}

// verifySignature needs no XML library: what a Signer writes is in canonical form already, but for what exclusive
// canonicalization leaves out, and for what SignedInfo takes over from its parents.
func verifySignature(t testing.TB, assertion []byte, public crypto.PublicKey) {
	t.Helper()
	text := string(assertion)
	before, rest, found := strings.Cut(text, "<ds:Signature ")
	require.True(t, found, "there is a signature")
	signature, after, found := strings.Cut(rest, "</ds:Signature>")
	require.True(t, found)
	signed := strings.ReplaceAll(before+after, `<saml:AttributeValue xmlns:xs="http://www.w3.org/2001/XMLSchema" `, "<saml:AttributeValue ")
	info := `<ds:SignedInfo xmlns:ds="http://www.w3.org/2000/09/xmldsig#">` + between(t, signature, "<ds:SignedInfo>", "</ds:SignedInfo>") + "</ds:SignedInfo>"
	require.Contains(t, info, `<ds:Reference URI="#`+between(t, before, ` ID="`, `"`)+`">`)

	digest := hashOf[last3(between(t, info, `<ds:DigestMethod Algorithm="`, `"`))]
	require.Equal(t, between(t, info, "<ds:DigestValue>", "</ds:DigestValue>"), base64.StdEncoding.EncodeToString(hashed(digest, signed)), "the digest")

	method := between(t, info, `<ds:SignatureMethod Algorithm="`, `"`)
	value := must(base64.StdEncoding.DecodeString(between(t, signature, "<ds:SignatureValue>", "</ds:SignatureValue>")))
	hash := hashOf[last3(method)]
	require.Equal(t, digest, hash)
	switch key := public.(type) {
	case *rsa.PublicKey:
		require.Contains(t, method, "xmldsig-more#rsa-sha")
		require.NoError(t, rsa.VerifyPKCS1v15(key, hash, hashed(hash, info), value))
	case *ecdsa.PublicKey:
		require.Contains(t, method, "xmldsig-more#ecdsa-sha")
		size := (key.Params().N.BitLen() + 7) / 8
		require.Len(t, value, 2*size)
		require.True(t, ecdsa.Verify(key, hashed(hash, info), new(big.Int).SetBytes(value[:size]), new(big.Int).SetBytes(value[size:])), "the signature")
	default:
		t.Fatalf("a %T", public)
	}
}

func between(t testing.TB, text, from, to string) string {
	t.Helper()
	_, text, found := strings.Cut(text, from)
	require.True(t, found, from)
	text, _, found = strings.Cut(text, to)
	require.True(t, found, to)
	return text
}

func last3(text string) string { return text[max(len(text)-3, 0):] }

func hashed(hash crypto.Hash, text string) []byte {
	h := hash.New()
	h.Write([]byte(text))
	return h.Sum(nil)
}

const samlGrant = "urn:ietf:params:oauth:grant-type:saml2-bearer"

// inMemory is a token service that takes anything for an assertion, and gives the user "somebody" a token.
func inMemory(opts *oauthtest.ServerOptions) *oauthtest.Server {
	if opts == nil {
		opts = &oauthtest.ServerOptions{}
	}
	opts.InMemory = true
	server := oauthtest.NewServer(opts)
	server.Handle(samlGrant, func(*oauthtest.GrantRequest) (*oauthtest.Granted, error) {
		return &oauthtest.Granted{User: "somebody"}, nil
	})
	return server
}

// config is of a client at SuccessFactors with a Signer.
func config(server *oauthtest.Server) *samlbearer.Config {
	return &samlbearer.Config{Name: "CRED", Target: samlbearer.SuccessFactors("ACME"), TokenURL: server.TokenURL(), ClientKey: apiKey,
		Assertions: samlbearer.Signer{Key: signingKey, Certificate: signingCert}, HTTPClient: server.Client()}
}

func newClient(t testing.TB, cfg *samlbearer.Config) *samlbearer.Client {
	t.Helper()
	client, err := samlbearer.New(cfg)
	require.NoError(t, err)
	return client
}

// sentAssertion returns the assertion of a request.
func sentAssertion(t testing.TB, r oauthtest.Request) []byte {
	t.Helper()
	text := r.Params.Get("assertion")
	encoding := base64.RawURLEncoding
	if len(text)%4 == 0 && !strings.ContainsAny(text, "-_") {
		encoding = base64.StdEncoding
	}
	assertion, err := encoding.Strict().DecodeString(text)
	require.NoError(t, err)
	return assertion
}

// assertionFunc is a source of assertions that is not ours.
type assertionFunc func(ctx context.Context, user string) ([]byte, error)

func (f assertionFunc) Assertion(ctx context.Context, user string) ([]byte, error) {
	return f(ctx, user)
}

// fixed supplies the same assertion for everybody.
func fixed(assertion string) assertionFunc {
	return func(context.Context, string) ([]byte, error) { return []byte(assertion), nil }
}

// counted counts the assertions that are made, and makes none: it names the user in an element.
func counted(n *atomic.Int64) assertionFunc {
	return func(_ context.Context, user string) ([]byte, error) {
		n.Add(1)
		var b bytes.Buffer
		b.WriteString("<user>")
		_ = xml.EscapeText(&b, []byte(user))
		b.WriteString("</user>")
		return b.Bytes(), nil
	}
}

// token gets a user's token, and shows that it is that user's.
func token(t testing.TB, c *samlbearer.Client, user string) *outgrant.Token {
	t.Helper()
	got, err := c.ForUser(user).Token(t.Context())
	require.NoError(t, err)
	require.Equal(t, user, got.User)
	return got
}

func bodyOf(t testing.TB, r *http.Request) string {
	t.Helper()
	b, err := io.ReadAll(r.Body)
	require.NoError(t, err)
	return string(b)
}

func readAll(r *http.Request) ([]byte, error) { return io.ReadAll(r.Body) }
