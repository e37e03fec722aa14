package keypair_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

type pair struct {
	cert *x509.Certificate
	key  crypto.Signer
}

func ecKey(t testing.TB) crypto.Signer {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	return key
}

func rsaKey(t testing.TB) crypto.Signer {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	return key
}

func ed25519Key(t testing.TB) crypto.Signer {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	return key
}

// issue makes a certificate that is valid for a year around now. A nil parent makes it self-signed.
func issue(t testing.TB, cn string, key crypto.Signer, parent *pair, ca bool) *pair {
	return issueFor(t, &x509.Certificate{Subject: pkix.Name{CommonName: cn}, IsCA: ca,
		NotBefore: now.AddDate(0, -6, 0), NotAfter: now.AddDate(0, 6, 0)}, key, parent)
}

func issueFor(t testing.TB, template *x509.Certificate, key crypto.Signer, parent *pair) *pair {
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<60))
	require.NoError(t, err)
	template.SerialNumber, template.BasicConstraintsValid = serial, true
	if template.IsCA {
		template.KeyUsage = x509.KeyUsageCertSign
	}
	if parent == nil {
		parent = &pair{template, key}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent.cert, key.Public(), parent.key)
	require.NoError(t, err)
	cert, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	return &pair{cert, key}
}

// family is a root, an intermediate and a leaf.
func family(t testing.TB) (leaf, intermediate, root *pair) {
	root = issue(t, "Acme Root", ecKey(t), nil, true)
	intermediate = issue(t, "Acme Issuing", ecKey(t), root, true)
	return issue(t, "sb-1", ecKey(t), intermediate, false), intermediate, root
}

func certPEM(certs ...*pair) (text string) {
	for _, c := range certs {
		text += string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.cert.Raw}))
	}
	return text
}

func pkcs8PEM(t testing.TB, key any) string {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

func ders(pairs ...*pair) (list [][]byte) {
	for _, p := range pairs {
		list = append(list, p.cert.Raw)
	}
	return list
}

func certsOf(pairs ...*pair) (list []*x509.Certificate) {
	for _, p := range pairs {
		list = append(list, p.cert)
	}
	return list
}

// requireSameKey compares by Equal: RSA keys hold precomputed values that differ.
func requireSameKey(t testing.TB, want, got crypto.Signer) {
	if want == nil {
		require.Nil(t, got)
		return
	}
	require.NotNil(t, got)
	require.True(t, want.(interface{ Equal(crypto.PrivateKey) bool }).Equal(got), "another key")
}
