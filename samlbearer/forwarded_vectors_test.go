package samlbearer_test

import (
	"bytes"
	"cmp"
	"context"
	"crypto/x509"
	"encoding/pem"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant/samlbearer"
)

// The vectors were signed by xmlsec1, or changed after that. All are for 2000-01-01.
const (
	vectorUser  = `Zoë & 'co' <"ß"> 😀`
	honestStart = "honest-"
)

// forwardedVectors returns the vectors by name. Nothing may pass because they are not found.
func forwardedVectors(t testing.TB) map[string][]byte {
	t.Helper()
	paths, err := filepath.Glob("testdata/forwarded/*.xml")
	require.NoError(t, err)
	vectors := map[string][]byte{}
	honest := 0
	for _, path := range paths {
		name := strings.TrimSuffix(filepath.Base(path), ".xml")
		vectors[name], err = os.ReadFile(path)
		require.NoError(t, err)
		if strings.HasPrefix(name, honestStart) {
			honest++
		}
	}
	require.NotZero(t, honest, "no honest assertions in testdata")
	require.NotEqual(t, honest, len(vectors), "no refused assertions in testdata")
	return vectors
}

// forwardingVector trusts whoever signed the vectors.
func forwardingVector(t testing.TB, vector []byte) samlbearer.Forwarded {
	t.Helper()
	f := samlbearer.Forwarded{
		Received: func(context.Context, string) ([]byte, error) { return vector, nil },
		Issuer:   "https://idp.example", Audience: "https://sp.example", Recipient: "https://token.example/oauth/token?a=1&b=2",
	}
	paths, err := filepath.Glob("testdata/forwarded/*.crt")
	require.NoError(t, err)
	for _, path := range paths {
		data, err := os.ReadFile(path)
		require.NoError(t, err)
		block, _ := pem.Decode(data)
		require.NotNil(t, block, path)
		cert, err := x509.ParseCertificate(block.Bytes)
		require.NoError(t, err)
		f.Certificates = append(f.Certificates, cert)
	}
	require.Len(t, f.Certificates, 3)
	return f
}

func TestForwardedVectors(t *testing.T) {
	t.Parallel()
	refused := map[string]string{
		"refused-comment": saysMarkup, "refused-doctype": saysMarkup, "refused-second-root": "has a second root element", "refused-surrogate": saysReference,
		"refused-xsw3": "must have exactly one Signature", "refused-xsw8": "Signature: must be SignedInfo", "refused-rsa-sha1": "SignatureMethod: must be RSA or ECDSA",
		"refused-proxy-restriction": "Conditions: has one other than",

		// These two are right. goxmldsig canonicalizes them otherwise, so that they cannot be verified.
		"refused-attributes-of-two-namespaces": saysUnverified, "refused-default-namespace-in-prefixlist": saysUnverified,
	}
	vectors := forwardedVectors(t)
	for name := range refused {
		require.Contains(t, vectors, name)
	}
	for name, vector := range vectors {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := forward(t, forwardingVector(t, vector), vectorUser)
			if strings.HasPrefix(name, honestStart) {
				require.NoError(t, err)
				require.Equal(t, vector, got)
				return
			}
			require.Contains(t, refused, name, "say why this file should be refused")
			require.ErrorContains(t, err, refused[name])
		})
	}
}

// Whatever passes says what one of the honest vectors says: all of it, and no more.
func FuzzForwarded(f *testing.F) {
	honest := map[string]bool{}
	for name, vector := range forwardedVectors(f) {
		f.Add(vector)
		if strings.HasPrefix(name, honestStart) {
			said, err := whatItSays(vector)
			require.NoError(f, err)
			honest[said] = true
		}
	}
	base := forwardingVector(f, nil)
	f.Fuzz(func(t *testing.T, doc []byte) {
		given := bytes.Clone(doc)
		base := base
		base.Received = func(context.Context, string) ([]byte, error) { return doc, nil }
		var got []byte
		var err error
		synctest.Test(t, func(t *testing.T) { got, err = base.Assertion(t.Context(), vectorUser) })
		require.Equal(t, given, doc, "the received bytes are left alone")
		if err != nil {
			require.Nil(t, got)
			require.NotContains(t, err.Error(), "_vector-1")
			require.NotContains(t, err.Error(), "idp.example")
			return
		}
		require.Equal(t, given, got)
		said, err := whatItSays(got)
		require.NoError(t, err)
		require.True(t, honest[said], "passes, and says something else: %q", said)
	})
}

// whatItSays is what canonicalization keeps of an assertion, by another reading than the package's: without the signature, and
// without regard to how attributes, tags and prefixes are written.
func whatItSays(doc []byte) (string, error) {
	var said strings.Builder
	tokens := xml.NewDecoder(bytes.NewReader(doc))
	signatures, depth := 0, 0
	for {
		token, err := tokens.Token()
		if err == io.EOF {
			return said.String(), nil
		}
		if err != nil {
			return "", err
		}
		switch token := token.(type) {
		case xml.StartElement:
			if token.Name.Local == "Signature" {
				if signatures++; signatures > 1 {
					return "", errors.New("a second signature")
				}
				if err := tokens.Skip(); err != nil {
					return "", err
				}
				continue
			}
			depth++
			attrs := slices.DeleteFunc(token.Attr, func(a xml.Attr) bool { return a.Name.Space == "xmlns" || a.Name.Local == "xmlns" })
			slices.SortFunc(attrs, func(a, b xml.Attr) int {
				return cmp.Or(cmp.Compare(a.Name.Space, b.Name.Space), cmp.Compare(a.Name.Local, b.Name.Local))
			})
			fmt.Fprintf(&said, "(%q%q", token.Name, attrs)
		case xml.EndElement:
			depth--
			said.WriteString(")")
		case xml.CharData:
			if depth > 0 {
				said.WriteString(strings.NewReplacer("(", "((", ")", "))").Replace(string(token)))
			}
		case xml.ProcInst:
			if token.Target != "xml" {
				return "", errors.New("a processing instruction")
			}
		default:
			return "", errors.New("a comment or directive")
		}
	}
}
