package samlbearer_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"errors"
	"io"
	"math/big"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/oauthtest/samltest"
	"github.com/outgrant/outgrant/samlbearer"
)

// kms is a key that lives elsewhere: no *rsa.PrivateKey. sign, if set, is what comes back instead.
type kms struct {
	crypto.Signer
	sign func(digest []byte, opts crypto.SignerOpts) ([]byte, error)
}

func (k kms) Sign(random io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	if k.sign != nil {
		return k.sign(digest, opts)
	}
	return k.Signer.Sign(random, digest, opts)
}

func TestSignerAlgorithms(t *testing.T) {
	t.Parallel()
	p384, p521 := must(ecdsa.GenerateKey(elliptic.P384(), rand.Reader)), must(ecdsa.GenerateKey(elliptic.P521(), rand.Reader))
	for name, test := range map[string]struct {
		key    crypto.Signer
		hash   crypto.Hash
		method string
	}{
		"RSA by default":   {signingKey, 0, "rsa-sha256"},
		"RSA SHA-256":      {signingKey, crypto.SHA256, "rsa-sha256"},
		"RSA SHA-384":      {signingKey, crypto.SHA384, "rsa-sha384"},
		"RSA SHA-512":      {signingKey, crypto.SHA512, "rsa-sha512"},
		"RSA in a KMS":     {kms{Signer: signingKey}, crypto.SHA256, "rsa-sha256"},
		"RSA in a KMS, by": {&kms{Signer: signingKey}, crypto.SHA256, "rsa-sha256"},
		"P-256":            {ecKey, 0, "ecdsa-sha256"},
		"P-256 SHA-512":    {ecKey, crypto.SHA512, "ecdsa-sha512"},
		"P-384":            {p384, crypto.SHA384, "ecdsa-sha384"},
		"P-521":            {p521, crypto.SHA512, "ecdsa-sha512"},
		"P-521 SHA-256":    {p521, crypto.SHA256, "ecdsa-sha256"},
		"P-384 in a KMS":   {kms{Signer: p384}, 0, "ecdsa-sha256"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := signer()
			s.Key, s.Hash, s.Certificate = test.key, test.hash, certify(test.key, pkix.Name{CommonName: "x"}, longAgo, farAhead)
			for range 4 { // a leading zero in r or s comes now and then
				assertion, err := s.Assertion(t.Context(), "alice")
				require.NoError(t, err)
				r := readAssertion(t, assertion, test.key.Public())
				require.Equal(t, "http://www.w3.org/2001/04/xmldsig-more#"+test.method, r.Signature.Method.Algorithm)
				require.Equal(t, []string{base64.StdEncoding.EncodeToString(s.Certificate.Raw)}, r.Signature.KeyInfo.Certificates)
			}
		})
	}
}

// TestSignerOrder: the schema's order, with the Signature right after the Issuer.
func TestSignerOrder(t *testing.T) {
	t.Parallel()
	s := signer()
	s.Attributes = map[string][]string{"mail": {"alice@acme.example"}}
	assertion, err := s.Assertion(t.Context(), "alice")
	require.NoError(t, err)
	at := 0
	for _, element := range []string{"<saml:Assertion ", "<saml:Issuer>", "<ds:Signature ", "<ds:SignedInfo>", "<ds:SignatureValue>", "<ds:KeyInfo>", "</ds:Signature>",
		"<saml:Subject>", "<saml:NameID ", "<saml:SubjectConfirmation ", "<saml:Conditions ", "<saml:AuthnStatement ", "<saml:AttributeStatement>", "</saml:Assertion>"} {
		require.Equal(t, 1, strings.Count(string(assertion), element), element)
		next := strings.Index(string(assertion), element)
		require.Greater(t, next+1, at, element)
		at = next
	}
	require.Contains(t, string(assertion), "</saml:Issuer><ds:Signature ")
}

func TestSignerContent(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := signer()
		s.NameIDFormat, s.NameQualifier = "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress", "acme"
		s.AuthnContext, s.Lifetime = "urn:oasis:names:tc:SAML:2.0:ac:classes:Kerberos", 3*time.Minute
		s.Attributes = map[string][]string{"mail": {"alice@acme.example"}, "Groups": {"a", "b", ""}, "none": nil, "empty": {}}
		assertion, err := s.Assertion(t.Context(), "alice@acme.example")
		require.NoError(t, err)
		r := readAssertion(t, assertion, signingKey.Public())
		require.Equal(t, "2.0", r.Version)
		require.Equal(t, "https://idp.example", r.Issuer)
		require.Equal(t, "alice@acme.example", r.NameID.Text)
		require.Equal(t, s.NameIDFormat, r.NameID.Format)
		require.Equal(t, "acme", r.NameID.NameQualifier)
		require.Equal(t, "urn:oasis:names:tc:SAML:2.0:cm:bearer", r.Confirmation.Method)
		require.Equal(t, "https://token.example/oauth/token", r.Confirmation.Data.Recipient)
		require.Equal(t, []string{"www.successfactors.com"}, r.Conditions.Audiences)
		require.Equal(t, s.AuthnContext, r.Authn.Class)
		require.Equal(t, r.ID, r.Authn.SessionIndex)
		require.Equal(t, map[string][]string{"mail": {"alice@acme.example"}, "Groups": {"a", "b", ""}}, r.attributes())
		// A bubble begins at 2000-01-01T00:00:00Z.
		require.Equal(t, "2000-01-01T00:00:00.000Z", r.IssueInstant)
		require.Equal(t, "2000-01-01T00:00:00.000Z", r.Authn.AuthnInstant)
		require.Equal(t, "1999-12-31T23:50:00.000Z", r.Conditions.NotBefore)
		require.Equal(t, "2000-01-01T00:03:00.000Z", r.Conditions.NotOnOrAfter)
		require.Equal(t, "2000-01-01T00:03:00.000Z", r.Confirmation.Data.NotOnOrAfter)

		s = signer() // the defaults
		assertion, err = s.Assertion(t.Context(), "alice")
		require.NoError(t, err)
		r = readAssertion(t, assertion, signingKey.Public())
		require.Equal(t, "2000-01-01T00:10:00.000Z", r.Conditions.NotOnOrAfter)
		require.Equal(t, "2000-01-01T00:10:00.000Z", r.Confirmation.Data.NotOnOrAfter)
		require.Equal(t, "urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified", r.NameID.Format)
		require.Equal(t, "urn:oasis:names:tc:SAML:2.0:ac:classes:PreviousSession", r.Authn.Class)
		require.NotContains(t, string(assertion), "NameQualifier")
		require.NotContains(t, string(assertion), "AttributeStatement")
	})
}

// TestSignerWritesUTC: also where the machine does not live there.
func TestSignerWritesUTC(t *testing.T) {
	t.Parallel()
	assertion, err := signer().Assertion(t.Context(), "alice")
	require.NoError(t, err)
	issued, err := time.Parse("2006-01-02T15:04:05.000Z", readAssertion(t, assertion, signingKey.Public()).IssueInstant)
	require.NoError(t, err)
	require.WithinDuration(t, time.Now(), issued, time.Minute)
}

func TestSignerIDsAreUnique(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	s := signer()
	s.Key, s.Certificate = ecKey, certify(ecKey, pkix.Name{CommonName: "x"}, longAgo, farAhead)
	for range 200 {
		assertion, err := s.Assertion(t.Context(), "alice")
		require.NoError(t, err)
		id := between(t, string(assertion), ` ID="`, `"`)
		require.Regexp(t, `^_[0-9a-f]{40}$`, id) // an NCName does not begin with a digit
		require.False(t, seen[id])
		seen[id] = true
	}
}

func TestSignerWithoutCertificate(t *testing.T) {
	t.Parallel()
	s := signer()
	s.OmitCertificate = true
	for name, certificate := range map[string]*x509.Certificate{"known": signingCert, "not known": nil} {
		s.Certificate = certificate
		assertion, err := s.Assertion(t.Context(), "alice")
		require.NoError(t, err, name)
		require.Nil(t, readAssertion(t, assertion, signingKey.Public()).Signature.KeyInfo, name)
		require.NotContains(t, string(assertion), "KeyInfo", name)
	}
}

// TestSignerRefuses: Assertion and New say what is wrong, by the field's name.
func TestSignerRefuses(t *testing.T) {
	t.Parallel()
	_, edKey, _ := ed25519.GenerateKey(rand.Reader)
	p224 := must(ecdsa.GenerateKey(elliptic.P224(), rand.Reader))
	small := shortRSAKey()
	cert := func(key crypto.Signer) *x509.Certificate {
		return certify(key, pkix.Name{CommonName: "x"}, longAgo, farAhead)
	}
	var noRSA *rsa.PrivateKey
	var noEC *ecdsa.PrivateKey
	var noKMS *kms
	now := time.Now()
	for name, test := range map[string]struct {
		change func(*samlbearer.Signer)
		want   string
	}{
		"no key":             {func(s *samlbearer.Signer) { s.Key = nil }, "Key: missing"},
		"typed nil RSA":      {func(s *samlbearer.Signer) { s.Key = noRSA }, "Key: missing"},
		"typed nil EC":       {func(s *samlbearer.Signer) { s.Key = noEC }, "Key: missing"},
		"typed nil wrapper":  {func(s *samlbearer.Signer) { s.Key = noKMS }, "Key: missing"},
		"an empty RSA key":   {func(s *samlbearer.Signer) { s.Key = &rsa.PrivateKey{} }, "Key: "},
		"an empty EC key":    {func(s *samlbearer.Signer) { s.Key, s.OmitCertificate, s.Certificate = &ecdsa.PrivateKey{}, true, nil }, "Key: "},
		"Ed25519":            {func(s *samlbearer.Signer) { s.Key, s.Certificate = edKey, cert(edKey) }, "Key: a ed25519.PublicKey cannot sign"},
		"P-224":              {func(s *samlbearer.Signer) { s.Key, s.Certificate = p224, cert(p224) }, "Key: "},
		"short RSA":          {func(s *samlbearer.Signer) { s.Key, s.Certificate = small, nil; s.OmitCertificate = true }, "Key: an RSA key of fewer than 2048 bits is too short"},
		"public key unknown": {func(s *samlbearer.Signer) { s.Key, s.Certificate, s.OmitCertificate = publicless{}, nil, true }, "Key: "},
		"SHA-1":              {func(s *samlbearer.Signer) { s.Hash = crypto.SHA1 }, "Hash: SHA-1 cannot be used"},
		"SHA-224":            {func(s *samlbearer.Signer) { s.Hash = crypto.SHA224 }, "Hash: "},
		"SHA3":               {func(s *samlbearer.Signer) { s.Hash = crypto.SHA3_256 }, "Hash: "},
		"no hash":            {func(s *samlbearer.Signer) { s.Hash = 99 }, "Hash: "},
		"no certificate":     {func(s *samlbearer.Signer) { s.Certificate = nil }, "Certificate: missing"},
		"another's":          {func(s *samlbearer.Signer) { s.Certificate = cert(ecKey) }, "Certificate: the private key does not belong"},
		"another's, omitted": {func(s *samlbearer.Signer) { s.Certificate, s.OmitCertificate = cert(ecKey), true }, "Certificate: the private key does not belong"},
		"ended": {func(s *samlbearer.Signer) {
			s.Certificate = certify(signingKey, pkix.Name{CommonName: "x"}, longAgo, now.Add(-time.Second))
		}, "Certificate: the certificate CN=x ended on"},
		"not yet valid": {func(s *samlbearer.Signer) {
			s.Certificate = certify(signingKey, pkix.Name{CommonName: "x"}, now.Add(time.Hour), farAhead)
		}, "Certificate: the certificate CN=x is not valid before"},
		"ended, omitted": {func(s *samlbearer.Signer) {
			s.OmitCertificate = true
			s.Certificate = certify(signingKey, pkix.Name{CommonName: "x"}, longAgo, now.Add(-time.Second))
		}, "Certificate: "},
		"negative lifetime":   {func(s *samlbearer.Signer) { s.Lifetime = -1 }, "Lifetime: "},
		"lifetime of a month": {func(s *samlbearer.Signer) { s.Lifetime = 30 * 24 * time.Hour }, "Lifetime: "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := signer()
			test.change(&s)
			_, err := s.Assertion(t.Context(), "alice")
			require.ErrorContains(t, err, test.want)
			cfg := config(inMemory(nil))
			cfg.Assertions = s
			_, err = samlbearer.New(cfg)
			require.ErrorContains(t, err, "samlbearer: Assertions: Signer."+test.want)
			cfg.Assertions = &s
			_, err = samlbearer.New(cfg)
			require.ErrorContains(t, err, "samlbearer: Assertions: Signer."+test.want)
		})
	}
	for name, change := range map[string]func(*samlbearer.Signer){
		"Issuer": func(s *samlbearer.Signer) { s.Issuer = "" }, "Audience": func(s *samlbearer.Signer) { s.Audience = "" }, "Recipient": func(s *samlbearer.Signer) { s.Recipient = "" },
	} {
		s := signer()
		change(&s)
		_, err := s.Assertion(t.Context(), "alice")
		require.ErrorContains(t, err, name+": missing")
	}
}

type publicless struct{}

func (publicless) Public() crypto.PublicKey { return nil }
func (publicless) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
	return nil, errors.New("never")
}

// shortRSAKey has 1024 bits, for which Go makes no keys any more.
func shortRSAKey() *rsa.PrivateKey {
	for {
		p, q := must(rand.Prime(rand.Reader, 512)), must(rand.Prime(rand.Reader, 512))
		n := new(big.Int).Mul(p, q)
		if n.BitLen() == 1024 {
			return &rsa.PrivateKey{PublicKey: rsa.PublicKey{N: n, E: 65537}, Primes: []*big.Int{p, q}, D: big.NewInt(3)}
		}
	}
}

// TestSignerKeyReturnsRubbish: what is no signature of the key does not go out.
func TestSignerKeyReturnsRubbish(t *testing.T) {
	t.Parallel()
	errAway := errors.New("the KMS is away")
	zero, one := big.NewInt(0), big.NewInt(1)
	der := func(r, s *big.Int) []byte { return must(asn1.Marshal(struct{ R, S *big.Int }{r, s})) }
	good := func(digest []byte) []byte { return must(ecKey.Sign(rand.Reader, digest, crypto.SHA256)) }
	for name, test := range map[string]struct {
		key  crypto.Signer
		sign func(digest []byte) ([]byte, error)
	}{
		"RSA, an error":  {signingKey, func([]byte) ([]byte, error) { return nil, errAway }},
		"RSA, nothing":   {signingKey, func([]byte) ([]byte, error) { return nil, nil }},
		"RSA, too short": {signingKey, func([]byte) ([]byte, error) { return make([]byte, 255), nil }},
		"RSA, too long":  {signingKey, func([]byte) ([]byte, error) { return make([]byte, 512), nil }},
		"RSA, rubbish":   {signingKey, func([]byte) ([]byte, error) { return make([]byte, 256), nil }},
		"RSA, of another key": {signingKey, func(d []byte) ([]byte, error) {
			return rsa.SignPKCS1v15(nil, rsaStranger.key.(*rsa.PrivateKey), crypto.SHA256, d)
		}},
		"RSA, PSS":               {signingKey, func(d []byte) ([]byte, error) { return rsa.SignPSS(rand.Reader, signingKey, crypto.SHA256, d, nil) }},
		"EC, an error":           {ecKey, func([]byte) ([]byte, error) { return nil, errAway }},
		"EC, nothing":            {ecKey, func([]byte) ([]byte, error) { return nil, nil }},
		"EC, r and s already":    {ecKey, func([]byte) ([]byte, error) { return make([]byte, 64), nil }},
		"EC, trailing bytes":     {ecKey, func(d []byte) ([]byte, error) { return append(good(d), 0), nil }},
		"EC, zero":               {ecKey, func([]byte) ([]byte, error) { return der(zero, one), nil }},
		"EC, zero s":             {ecKey, func([]byte) ([]byte, error) { return der(one, zero), nil }},
		"EC, negative":           {ecKey, func([]byte) ([]byte, error) { return der(big.NewInt(-1), one), nil }},
		"EC, negative s":         {ecKey, func([]byte) ([]byte, error) { return der(one, big.NewInt(-1)), nil }},
		"EC, too large r":        {ecKey, func([]byte) ([]byte, error) { return der(new(big.Int).Lsh(one, 256), one), nil }},
		"EC, too large s":        {ecKey, func([]byte) ([]byte, error) { return der(one, new(big.Int).Lsh(one, 256)), nil }},
		"EC, of another message": {ecKey, func([]byte) ([]byte, error) { return good(make([]byte, 32)), nil }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := signer()
			s.Certificate, s.OmitCertificate = nil, true
			s.Key = kms{test.key, func(digest []byte, opts crypto.SignerOpts) ([]byte, error) {
				require.Equal(t, crypto.SHA256, opts.HashFunc())
				require.Len(t, digest, 32)
				return test.sign(digest)
			}}
			assertion, err := s.Assertion(t.Context(), "alice")
			require.ErrorContains(t, err, "Key: signing the assertion: ")
			require.Nil(t, assertion)
			if strings.HasSuffix(name, "an error") {
				require.ErrorIs(t, err, errAway)
			}
			server := inMemory(nil)
			cfg := config(server)
			cfg.Assertions = s
			_, err = newClient(t, cfg).ForUser("alice").Token(t.Context())
			require.ErrorContains(t, err, "Key: signing the assertion: ")
			require.Zero(t, server.TokenRequests())
		})
	}
}

// TestSignerCertificateEndsWhileItRuns: New was happy, and a year later it is not.
func TestSignerCertificateEndsWhileItRuns(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server := inMemory(nil)
		cfg := config(server)
		ends := time.Now().Add(100 * 24 * time.Hour)
		certificate := certify(signingKey, pkix.Name{CommonName: "TECH_USER"}, time.Now(), ends)
		cfg.Assertions = samlbearer.Signer{Key: signingKey, Certificate: certificate}
		var told []outgrant.CertificateEvent
		cfg.Cache = &outgrant.CacheOptions{Hooks: &outgrant.Hooks{CertificateEnding: func(e outgrant.CertificateEvent) { told = append(told, e) }}}
		client := newClient(t, cfg)
		ask := func() error {
			_, err := client.ForUser("alice").Token(t.Context())
			synctest.Wait()
			return err
		}
		require.NoError(t, ask())
		require.Empty(t, told, "100 days are enough")
		time.Sleep(79 * 24 * time.Hour)
		require.NoError(t, ask())
		require.Empty(t, told, "a fifth of its life, and no earlier")
		time.Sleep(2 * 24 * time.Hour)
		require.NoError(t, ask())
		require.Len(t, told, 1)
		require.Equal(t, outgrant.CertificateEvent{Credential: client.Describe(), Subject: "CN=TECH_USER", NotAfter: certificate.NotAfter}, told[0])
		require.Equal(t, "CRED", told[0].Name)
		time.Sleep(19*24*time.Hour + time.Second)
		before := server.TokenRequests()
		require.ErrorContains(t, ask(), "Certificate: the certificate CN=TECH_USER ended on 2000-04-10")
		require.Equal(t, before, server.TokenRequests())
		_, err := samlbearer.New(cfg)
		require.ErrorContains(t, err, "Assertions: Signer.Certificate: ")
	})
}

func TestSignerCertificateNotYetValid(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := signer()
		s.Certificate = certify(signingKey, pkix.Name{CommonName: "x"}, time.Now().Add(time.Hour), farAhead)
		_, err := s.Assertion(t.Context(), "alice")
		require.ErrorContains(t, err, "Certificate: ")
		time.Sleep(time.Hour)
		_, err = s.Assertion(t.Context(), "alice")
		require.NoError(t, err)
	})
}

// TestSignerUserRequired: no assertion names nobody.
func TestSignerUserRequired(t *testing.T) {
	t.Parallel()
	_, err := signer().Assertion(t.Context(), "")
	require.ErrorIs(t, err, outgrant.ErrUserRequired)
}

func TestSignerVerifiesWithItsCertificateOnly(t *testing.T) {
	t.Parallel()
	assertion, err := signer().Assertion(t.Context(), "alice")
	require.NoError(t, err)
	read, err := samltest.Verify(assertion, signingCert)
	require.NoError(t, err)
	require.Equal(t, "alice", read.NameID)
	require.True(t, read.HasCertificate)
	_, err = samltest.Verify(assertion, rsaStranger.cert)
	require.Error(t, err)
	_, err = samltest.Verify([]byte(strings.Replace(string(assertion), ">alice<", ">mallory<", 1)), signingCert)
	require.Error(t, err)
}
