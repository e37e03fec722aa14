package saml_test

import (
	"bytes"
	"cmp"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant/internal/peers/peer"
	"github.com/outgrant/outgrant/samlbearer"
)

const (
	audience  = "https://tokens.example/saml2/audience?a=1&b=2"
	recipient = "https://tokens.example/oauth/token"
)

// algorithm is what assertions are signed with.
type algorithm struct {
	name string
	hash crypto.Hash
	idp  peer.IdP
}

func algorithms(t testing.TB) []algorithm {
	rsa := peer.NewIdP(t, "rsa", peer.RSAKey())
	p256, p384 := peer.NewIdP(t, "p256", peer.ECKey(t, elliptic.P256())), peer.NewIdP(t, "p384", peer.ECKey(t, elliptic.P384()))
	p521 := peer.NewIdP(t, "p521", peer.ECKey(t, elliptic.P521()))
	return []algorithm{
		{"RSA-SHA256", crypto.SHA256, rsa}, {"RSA-SHA384", crypto.SHA384, rsa}, {"RSA-SHA512", crypto.SHA512, rsa},
		{"ECDSA-SHA256 P-256", crypto.SHA256, p256}, {"ECDSA-SHA384 P-384", crypto.SHA384, p384}, {"ECDSA-SHA512 P-521", crypto.SHA512, p521},
	}
}

func (a algorithm) signer() samlbearer.Signer {
	return samlbearer.Signer{
		Key: a.idp.Key, Certificate: a.idp.Certificate, Hash: a.hash, Issuer: a.idp.Issuer, Audience: audience, Recipient: recipient,
	}
}

func (a algorithm) expectation() expectation { return expectation{a.idp, audience, recipient} }

// odd has characters that a serializer, a parser or a canonicalizer may spoil.
const odd = "a\tb\rc\nd\r\ne \"f\" 'g' &h; &amp; <i> ]]> j> ÄÖÜß \u0085\u2028 漢字 😀"

var contents = []struct {
	name, user      string
	attributes      map[string][]string
	omitCertificate bool
}{
	{"plain", "alice@example.com", nil, false},
	{"plain, no certificate", "alice@example.com", nil, true},
	{"odd characters", odd, map[string][]string{
		"Groups": {"admins", "users", "admins"}, "http://schemas.example/claims/äöü": {odd, odd + "s"}, `N"a'm<e>&`: {"x"},
	}, false},
	{"white space and nothing", " \talice\r\n ", map[string][]string{"space": {" x ", "\ry\n"}, " N ": {"x"}, "nothing": {""}, "some": {"", "x"}}, false},
}

func TestSigner(t *testing.T) {
	t.Parallel()
	all := algorithms(t)
	for _, v := range verifiers {
		t.Run(v.name, func(t *testing.T) {
			t.Parallel()
			verify := v.start(t)
			for _, a := range all {
				for _, content := range contents {
					if !v.knows(a) || v.keyInfo && content.omitCertificate {
						continue
					}
					t.Run(a.name+"/"+content.name, func(t *testing.T) {
						s := a.signer()
						s.OmitCertificate, s.Attributes = content.omitCertificate, content.attributes
						xml := assertion(t, s, content.user)
						require.Equal(t, !content.omitCertificate, bytes.Contains(xml, []byte("X509Certificate")))
						said := verify(t, xml, a.expectation())
						require.Empty(t, said.Refused, "%s", xml)
						if v.signature == "" {
							require.Equal(t, content.user, said.NameID)
							require.True(t, maps.EqualFunc(v.reads(content.attributes), said.Attributes, slices.Equal), "%q", said.Attributes)
						}
					})
				}
			}
		})
	}
}

func assertion(t testing.TB, s samlbearer.Signer, user string) []byte {
	t.Helper()
	xml, err := s.Assertion(t.Context(), user)
	require.NoError(t, err)
	return xml
}

// What verifiers refuse: had they not, that they accept ours would say little.
func TestSignerRefused(t *testing.T) {
	t.Parallel()
	all := algorithms(t)
	for _, v := range verifiers {
		t.Run(v.name, func(t *testing.T) {
			t.Parallel()
			verify := v.start(t)
			for _, a := range []algorithm{all[0], all[len(all)-1]} {
				if !v.knows(a) {
					continue
				}
				s := a.signer()
				s.Attributes = map[string][]string{"Groups": {"users"}}
				good := assertion(t, s, "alice")
				require.Empty(t, verify(t, good, a.expectation()).Refused)
				for _, test := range refusals {
					if v.signature != "" && test.beyondSignature {
						continue
					}
					t.Run(a.name+"/"+test.name, func(t *testing.T) {
						s, want := s, a.expectation()
						bad := test.spoil(t, bytes.Clone(good), &s, &want)
						require.Regexp(t, cmp.Or(v.signature, test.says), verify(t, bad, want).Refused)
					})
				}
			}
		})
	}
}

// spoil spoils a good assertion, or makes another one, or changes what is expected of the good one.
type spoil = func(t *testing.T, good []byte, s *samlbearer.Signer, want *expectation) []byte

var refusals = []struct {
	name            string
	beyondSignature bool
	says            string
	spoil           spoil
}{
	{"another NameID", false, "[Ss]ignature", replace(">alice<", ">mallory<")},
	{"another attribute value", false, "[Ss]ignature", replace(">users<", ">admins<")},
	{"the signature value of another one", false, "[Ss]ignature", func(t *testing.T, good []byte, s *samlbearer.Signer, _ *expectation) []byte {
		other := signatureValue.Find(assertion(t, *s, "alice"))
		require.NotNil(t, other)
		return signatureValue.ReplaceAllLiteral(good, other)
	}},
	{"no signature", false, "not signed|number of Signature", func(t *testing.T, good []byte, _ *samlbearer.Signer, _ *expectation) []byte {
		bad := signature.ReplaceAllLiteral(good, nil)
		require.NotEqual(t, good, bad)
		return bad
	}},
	{"another certificate expected", false, "[Ss]ignature", func(t *testing.T, good []byte, _ *samlbearer.Signer, want *expectation) []byte {
		want.idp = another(t, want.idp)
		return good
	}},
	{"another key", false, "[Ss]ignature", func(t *testing.T, _ []byte, s *samlbearer.Signer, want *expectation) []byte {
		s.Key, s.Certificate, s.OmitCertificate = another(t, want.idp).Key, nil, true
		return assertion(t, *s, "alice")
	}},
	{"another key and certificate", false, "[Ss]ignature", func(t *testing.T, _ []byte, s *samlbearer.Signer, want *expectation) []byte {
		idp := another(t, want.idp)
		s.Key, s.Certificate = idp.Key, idp.Certificate
		return assertion(t, *s, "alice")
	}},
	{"another audience expected", true, "[Aa]udience", func(_ *testing.T, good []byte, _ *samlbearer.Signer, want *expectation) []byte {
		want.audience += "/another"
		return good
	}},
	{"another recipient expected", true, "SubjectConfirmation", func(_ *testing.T, good []byte, _ *samlbearer.Signer, want *expectation) []byte {
		want.recipient += "/another"
		return good
	}},
	{"another issuer expected", true, "issuer", func(_ *testing.T, good []byte, _ *samlbearer.Signer, want *expectation) []byte {
		want.idp.Issuer += ":another"
		return good
	}},
	{"expired", true, "expired|NotOnOrAfter", madeIn(2020)},
	{"not yet valid", true, "not yet valid|NotBefore", madeIn(2040)},
	// The enveloped-signature transform takes the signature out, wherever it is: only the schema is hurt.
	{"the signature at the end", true, "schema", func(t *testing.T, good []byte, _ *samlbearer.Signer, _ *expectation) []byte {
		moved := signature.Find(good)
		require.NotNil(t, moved)
		rest, found := bytes.CutSuffix(signature.ReplaceAllLiteral(good, nil), []byte("</saml:Assertion>"))
		require.True(t, found)
		return slices.Concat(rest, moved, []byte("</saml:Assertion>"))
	}},
}

var (
	signature      = regexp.MustCompile(`(?s)<ds:Signature .*</ds:Signature>`)
	signatureValue = regexp.MustCompile(`<ds:SignatureValue>[^<]*</ds:SignatureValue>`)
)

func replace(old, by string) spoil {
	return func(t *testing.T, good []byte, _ *samlbearer.Signer, _ *expectation) []byte {
		require.Equal(t, 1, bytes.Count(good, []byte(old)))
		return bytes.Replace(good, []byte(old), []byte(by), 1)
	}
}

// madeIn makes the assertion in that year.
func madeIn(year int) spoil {
	return func(t *testing.T, _ []byte, s *samlbearer.Signer, _ *expectation) (xml []byte) {
		synctest.Test(t, func(t *testing.T) {
			time.Sleep(time.Until(time.Date(year, time.January, 1, 0, 0, 0, 0, time.UTC)))
			xml = assertion(t, *s, "alice")
		})
		return xml
	}
}

// another is an identity provider of the same name and kind of key.
func another(t testing.TB, idp peer.IdP) peer.IdP {
	_, commonName, found := strings.Cut(idp.Issuer, "urn:peers:")
	require.True(t, found)
	key := peer.AnotherRSAKey()
	if public, ok := idp.Key.Public().(*ecdsa.PublicKey); ok {
		key = peer.ECKey(t, public.Curve)
	}
	return peer.NewIdP(t, commonName, key)
}
