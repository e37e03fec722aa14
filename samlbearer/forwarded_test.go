package samlbearer_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/samlbearer"
)

const moreNamespace = "http://www.w3.org/2001/04/xmldsig-more#"

func TestForwardedHandsOnWhatItReceived(t *testing.T) {
	t.Parallel()
	p384 := newFwdKey(ecdsa.GenerateKey(elliptic.P384(), rand.Reader))
	p521 := newFwdKey(ecdsa.GenerateKey(elliptic.P521(), rand.Reader))
	wrapped := fwdSignature{wrap: func(s string) string { return "\r\n  " + s[:64] + "\n\t" + s[64:128] + "&#13;\n" + s[128:] + "\n" }}
	honest := signFwd(honestText, rsaIssuer, fwdSignature{})
	for name, c := range map[string]struct {
		text string
		cert *x509.Certificate
	}{
		"RSA-SHA256":    {honest, nil},
		"RSA-SHA384":    {signFwd(honestText, rsaIssuer, fwdSignature{hash: crypto.SHA384, method: moreNamespace + "rsa-sha384"}), nil},
		"RSA-SHA512":    {signFwd(honestText, rsaIssuer, fwdSignature{hash: crypto.SHA512, method: moreNamespace + "rsa-sha512"}), nil},
		"ECDSA-SHA256":  {signFwd(honestText, ecIssuer, fwdSignature{method: moreNamespace + "ecdsa-sha256"}), ecIssuer.cert},
		"ECDSA-SHA384":  {signFwd(honestText, p384, fwdSignature{hash: crypto.SHA384, method: moreNamespace + "ecdsa-sha384"}), p384.cert},
		"ECDSA-SHA512":  {signFwd(honestText, p521, fwdSignature{hash: crypto.SHA512, method: moreNamespace + "ecdsa-sha512"}), p521.cert},
		"digest SHA384": {signFwd(honestText, rsaIssuer, fwdSignature{digest: crypto.SHA384, digestMethod: moreNamespace + "sha384"}), nil},
		"digest SHA512": {signFwd(honestText, rsaIssuer, fwdSignature{digest: crypto.SHA512, digestMethod: "http://www.w3.org/2001/04/xmlenc#sha512"}), nil},

		"SignatureValue in lines":        {signFwd(honestText, rsaIssuer, wrapped), nil},
		"the issuer's KeyInfo":           {signFwd(honestText, rsaIssuer, fwdSignature{keyInfo: x509KeyInfo(rsaIssuer)}), nil},
		"a stranger's KeyInfo, ignored":  {signFwd(honestText, rsaIssuer, fwdSignature{keyInfo: x509KeyInfo(rsaStranger)}), nil},
		"an unreadable KeyInfo":          {signFwd(honestText, rsaIssuer, fwdSignature{keyInfo: `<ds:KeyInfo><ds:X509Data/></ds:KeyInfo>`}), nil},
		"an XML declaration":             {`<?xml version="1.0" encoding="UTF-8"?>` + "\n" + honest + "\r\n", nil},
		"an XML declaration, short":      {`<?xml version='1.0' ?>` + honest, nil},
		"empty-element tags":             {strings.ReplaceAll(strings.ReplaceAll(honest, "></ds:Transform>", "/>"), "></saml:SubjectConfirmationData>", " />"), nil},
		"single quotes":                  {strings.ReplaceAll(honest, `"`, `'`), nil},
		"signature at the end":           {signatureAtEnd(honest), nil},
		"signature last, many values":    {signatureAtEnd(signedByIssuer(with(honestText, "</saml:Attribute>", strings.Repeat("<saml:AttributeValue>g</saml:AttributeValue>", 1500)+"</saml:Attribute>"))), nil},
		"signature among white space":    {signatureAmongSpace(), nil},
		"an Id of the signature":         {with(honest, "<ds:Signature ", `<ds:Signature Id="signature-1" `), nil},
		"DigestValue in lines":           {signFwd(honestText, rsaIssuer, fwdSignature{wrapDigest: func(s string) string { return "\n" + s[:9] + "&#xD;\n" + s[9:] + "\n" }}), nil},
		"a default namespace taken back": {signedByIssuer(with(honestText, fwdGroup, `<n xmlns="urn:n"><m xmlns=""></m></n>`)), nil},
		"names beyond ASCII":             {signedByIssuer(with(honestText, fwdGroup, `<é:ß xmlns:é="urn:n"></é:ß>`)), nil},
		"OneTimeUse":                     {signFwd(with(honestText, "</saml:AudienceRestriction>", "</saml:AudienceRestriction><saml:OneTimeUse></saml:OneTimeUse>"), rsaIssuer, fwdSignature{}), nil},
		"two audiences":                  {signFwd(with(honestText, "<saml:Audience>", "<saml:Audience>urn:other</saml:Audience><saml:Audience>"), rsaIssuer, fwdSignature{}), nil},
		"two restrictions that name it":  {signFwd(with(honestText, "</saml:AudienceRestriction>", "</saml:AudienceRestriction><saml:AudienceRestriction><saml:Audience>"+fwdAudience+"</saml:Audience></saml:AudienceRestriction>"), rsaIssuer, fwdSignature{}), nil},
		"entity format of the issuer":    {signFwd(with(honestText, "<saml:Issuer>", `<saml:Issuer Format="urn:oasis:names:tc:SAML:2.0:nameid-format:entity">`), rsaIssuer, fwdSignature{}), nil},
		"another confirmation first":     {signFwd(with(honestText, "<saml:SubjectConfirmation ", `<saml:SubjectConfirmation Method="urn:oasis:names:tc:SAML:2.0:cm:sender-vouches"></saml:SubjectConfirmation><saml:SubjectConfirmation `), rsaIssuer, fwdSignature{}), nil},
		"a bearer of elsewhere first":    {signFwd(with(honestText, "<saml:SubjectConfirmation ", bearerFor("https://elsewhere.example", "2000-01-01T00:10:00Z")+"<saml:SubjectConfirmation "), rsaIssuer, fwdSignature{}), nil},
		"a bearer of elsewhere last":     {signFwd(with(honestText, "</saml:Subject>", bearerFor("https://elsewhere.example", "2000-01-01T00:10:00Z")+"</saml:Subject>"), rsaIssuer, fwdSignature{}), nil},
		"no authentication statement":    {signFwd(withoutElement(honestText, "saml:AuthnStatement"), rsaIssuer, fwdSignature{}), nil},
		"an element in a value":          {signFwd(with(honestText, fwdGroup, `<saml:NameID>x</saml:NameID>`), rsaIssuer, fwdSignature{}), nil},
		"inclusive prefixes":             {inclusivePrefixes(), nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := forwarding(c.text)
			if c.cert != nil {
				f.Certificates = []*x509.Certificate{c.cert}
			}
			requireForwarded(t, f, c.text)
		})
	}
}

// inclusivePrefixes is signed as OpenSAML does it: xs is declared where only a value uses it, and kept by a PrefixList.
func inclusivePrefixes() string {
	text := with(honestText, "<saml:AttributeValue>", `<saml:AttributeValue xmlns:xs="http://www.w3.org/2001/XMLSchema" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="xs:string">`)
	return signFwd(text, rsaIssuer, fwdSignature{transforms: with(honestTransforms, `exc-c14n#">`, `exc-c14n#"><ec:InclusiveNamespaces xmlns:ec="`+algExcC14N+`" PrefixList="xs"></ec:InclusiveNamespaces>`)})
}

func signatureAtEnd(signed string) string {
	signature := elementOf(signed, "ds:Signature")
	return with(with(signed, signature, ""), "</saml:Assertion>", signature+"</saml:Assertion>")
}

// signatureAmongSpace has texts beside its signature, which are one text when it is taken out.
func signatureAmongSpace() string {
	signed := signedByIssuer(with(honestText, "<saml:Subject>", "\n \t<saml:Subject>"))
	signature := elementOf(signed, "ds:Signature")
	return with(with(signed, signature, ""), "\n \t", "\n "+signature+"\t")
}

func elementOf(text, name string) string {
	return text[strings.Index(text, "<"+name) : strings.Index(text, "</"+name+">")+len("</"+name+">")]
}

func withoutElement(text, name string) string { return with(text, elementOf(text, name), "") }

func bearerFor(recipient, end string) string {
	return `<saml:SubjectConfirmation Method="urn:oasis:names:tc:SAML:2.0:cm:bearer"><saml:SubjectConfirmationData NotOnOrAfter="` + end + `" Recipient="` + recipient + `"></saml:SubjectConfirmationData></saml:SubjectConfirmation>`
}

func TestForwardedClones(t *testing.T) {
	t.Parallel()
	honest := signFwd(honestText, rsaIssuer, fwdSignature{})
	theirs := []byte(honest)
	f := forwarding("")
	f.Received = func(context.Context, string) ([]byte, error) { return theirs, nil }
	got, err := forward(t, f, fwdUser)
	require.NoError(t, err)
	clear(theirs)
	require.Equal(t, honest, string(got))
}

func TestForwardedIsASource(t *testing.T) {
	t.Parallel()
	f := forwarding("")
	for _, src := range []samlbearer.AssertionSource{f, &f} {
		_, err := src.Assertion(t.Context(), "")
		require.ErrorIs(t, err, outgrant.ErrUserRequired)
	}
}

func TestForwardedAsksForTheUser(t *testing.T) {
	t.Parallel()
	type key struct{}
	ctx := context.WithValue(t.Context(), key{}, "value")
	failure := errors.New("the session is over")
	f := forwarding("")
	f.Received = func(ctx context.Context, user string) ([]byte, error) {
		require.Equal(t, "value", ctx.Value(key{}))
		require.Equal(t, fwdUser, user)
		return nil, failure
	}
	_, err := f.Assertion(ctx, fwdUser)
	require.ErrorIs(t, err, failure)
	require.ErrorContains(t, err, "Forwarded.Received")
}

func TestForwardedFields(t *testing.T) {
	t.Parallel()
	edwards := newFwdKey(func() (ed25519.PrivateKey, error) { _, k, err := ed25519.GenerateKey(rand.Reader); return k, err }())
	p224 := newFwdKey(ecdsa.GenerateKey(elliptic.P224(), rand.Reader))
	ended := certFromTo(rsaIssuer.key, time.Date(1999, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(1999, 12, 31, 0, 0, 0, 0, time.UTC))
	future := certFromTo(rsaIssuer.key, time.Date(2000, 1, 2, 0, 0, 0, 0, time.UTC), time.Date(2001, 1, 1, 0, 0, 0, 0, time.UTC))
	for name, c := range map[string]struct {
		change func(*samlbearer.Forwarded)
		says   string
	}{
		"no Received":          {func(f *samlbearer.Forwarded) { f.Received = nil }, "Forwarded.Received: missing"},
		"no certificate":       {func(f *samlbearer.Forwarded) { f.Certificates = nil }, "Forwarded.Certificates: missing"},
		"a nil certificate":    {func(f *samlbearer.Forwarded) { f.Certificates = append(f.Certificates, nil) }, "Forwarded.Certificates[1]"},
		"an Ed25519 key":       {func(f *samlbearer.Forwarded) { f.Certificates[0] = edwards.cert }, "Forwarded.Certificates[0]"},
		"a P-224 key":          {func(f *samlbearer.Forwarded) { f.Certificates[0] = p224.cert }, "Forwarded.Certificates[0]"},
		"no key":               {func(f *samlbearer.Forwarded) { f.Certificates[0] = &x509.Certificate{} }, "Forwarded.Certificates[0]"},
		"an empty RSA key":     {func(f *samlbearer.Forwarded) { f.Certificates[0] = &x509.Certificate{PublicKey: &rsa.PublicKey{}} }, "Forwarded.Certificates[0]"},
		"no issuer":            {func(f *samlbearer.Forwarded) { f.Issuer = "" }, "Forwarded.Issuer: missing"},
		"no audience":          {func(f *samlbearer.Forwarded) { f.Audience = "" }, "Forwarded.Audience: missing"},
		"no recipient":         {func(f *samlbearer.Forwarded) { f.Recipient = "" }, "Forwarded.Recipient: missing"},
		"negative skew":        {func(f *samlbearer.Forwarded) { f.Skew = -1 }, "Forwarded.Skew"},
		"much skew":            {func(f *samlbearer.Forwarded) { f.Skew = 10*time.Minute + 1 }, "Forwarded.Skew"},
		"negative size":        {func(f *samlbearer.Forwarded) { f.MaxSize = -1 }, "Forwarded.MaxSize"},
		"large size":           {func(f *samlbearer.Forwarded) { f.MaxSize = 1<<20 + 1 }, "Forwarded.MaxSize"},
		"all certificates out": {func(f *samlbearer.Forwarded) { f.Certificates = []*x509.Certificate{ended, future} }, "none is valid now: Certificates[0] ended on 1999-12-31 00:00 UTC, Certificates[1] is not valid before 2000-01-02 00:00 UTC"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := forwarding(signFwd(honestText, rsaIssuer, fwdSignature{}))
			c.change(&f)
			requireRefused(t, f, c.says)
		})
	}
}

func TestForwardedWeakRSAKey(t *testing.T) {
	t.Parallel()
	key, err := rsa.GenerateKey(rand.Reader, 1024)
	require.NoError(t, err)
	weak := newFwdKey(key, nil)
	f := forwarding(signFwd(honestText, weak, fwdSignature{}))
	f.Certificates = []*x509.Certificate{weak.cert}
	requireRefused(t, f, "at least 2048 bits")
}

// While an issuer changes its key both certificates are pinned, and either may have ended or not begun.
func TestForwardedTwoCertificates(t *testing.T) {
	t.Parallel()
	ended := certFromTo(rsaIssuer.key, time.Date(1999, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(1999, 12, 31, 23, 59, 59, 0, time.UTC))
	text := signFwd(honestText, rsaIssuer, fwdSignature{})

	f := forwarding(text)
	for _, pinned := range [][]*x509.Certificate{{rsaIssuer.cert, rsaStranger.cert}, {rsaStranger.cert, rsaIssuer.cert}, {ecIssuer.cert, rsaIssuer.cert}, {ended, rsaIssuer.cert}} {
		f.Certificates = pinned
		requireForwarded(t, f, text)
	}
	f.Certificates = []*x509.Certificate{ended, rsaStranger.cert}
	requireRefused(t, f, "does not verify with a pinned certificate: pin the issuer's current one, and hand on the assertion as it was received (Certificates[0] ended on 1999-12-31 23:59 UTC)")
	f.Certificates = []*x509.Certificate{ecIssuer.cert}
	requireRefused(t, f, "is signed with RSA, and no pinned certificate that is valid now has such a key")
}

// The last instant of a certificate's life counts (RFC 5280 4.1.2.5).
func TestForwardedCertificateAtTheEdges(t *testing.T) {
	t.Parallel()
	now := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	text := signFwd(honestText, rsaIssuer, fwdSignature{})
	f := forwarding(text)
	f.Certificates = []*x509.Certificate{certFromTo(rsaIssuer.key, now, now)}
	requireForwarded(t, f, text)
	f.Certificates = []*x509.Certificate{certFromTo(rsaIssuer.key, now.Add(-time.Hour), now.Add(-time.Second))}
	requireRefused(t, f, "ended on")
	f.Certificates = []*x509.Certificate{certFromTo(rsaIssuer.key, now.Add(time.Second), now.Add(time.Hour))}
	requireRefused(t, f, "is not valid before")
}

func TestForwardedMatchUser(t *testing.T) {
	t.Parallel()
	text := signFwd(honestText, rsaIssuer, fwdSignature{})
	f := forwarding(text)
	f.MatchUser = func(user, nameID string) bool { return user == "P000123" && nameID == fwdUser }
	requireRefused(t, f, "NameID: is not the user's")
	got, err := forward(t, f, "P000123")
	require.NoError(t, err)
	require.Equal(t, text, string(got))
}

// Two tenants of one issuer have users of the same id: the audience tells them apart.
func TestForwardedTwoTenants(t *testing.T) {
	t.Parallel()
	const tenantB = "https://sp.S3NTINEL.example/tenant-b"
	texts := map[string]string{
		fwdAudience: signFwd(honestText, rsaIssuer, fwdSignature{}),
		tenantB:     signFwd(with(honestText, fwdAudience, tenantB), rsaIssuer, fwdSignature{}),
	}
	for _, own := range []string{fwdAudience, tenantB} {
		for of, text := range texts {
			f := forwarding(text)
			f.Audience = own
			if of == own {
				requireForwarded(t, f, text)
			} else {
				requireRefused(t, f, "does not name the configured audience")
			}
		}
	}
}

func TestForwardedUserWithSeparators(t *testing.T) {
	t.Parallel()
	users := []string{"a,b", "a;b", "a|b", "a/b", "a\\b", "a:b", "a b", " a", "a ", "a&b", "a<b>", `a"b'`, "a]]>b", "a\u00a0b", "a%2Cb", "a+b", "a\u2028b", "ａ", "A,B"}
	escape := strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace
	for _, named := range users {
		text := signFwd(with(honestText, fwdUser, escape(named)), rsaIssuer, fwdSignature{})
		for _, user := range append(users, "a", "b") {
			got, err := forward(t, forwarding(text), user)
			if user == named {
				require.NoError(t, err, named)
				require.Equal(t, text, string(got))
			} else {
				require.ErrorContains(t, err, "NameID: is not the user's", "%q named %q", user, named)
			}
		}
	}
}
