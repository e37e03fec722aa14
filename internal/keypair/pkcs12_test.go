package keypair_test

import (
	"crypto/ecdh"
	"crypto/rand"
	"testing"

	"github.com/stretchr/testify/require"
	"software.sslmate.com/src/go-pkcs12"

	"github.com/outgrant/outgrant/internal/keypair"
)

const password = "S3NTINEL-password"

func TestParsePKCS12(t *testing.T) {
	t.Parallel()
	leaf, intermediate, root := family(t)
	rsaLeaf := issue(t, "sb-2", rsaKey(t), intermediate, false)
	for name, encoder := range map[string]*pkcs12.Encoder{"modern": pkcs12.Modern2023, "2026": pkcs12.Modern2026, "DES": pkcs12.LegacyDES, "RC2": pkcs12.LegacyRC2} {
		for _, p := range []*pair{leaf, rsaLeaf} {
			data, err := encoder.Encode(p.key, p.cert, certsOf(root, intermediate), password)
			require.NoError(t, err)
			certs, key, err := keypair.ParsePKCS12(data, password)
			require.NoError(t, err, name)
			requireSameKey(t, p.key, key)
			joined, err := keypair.Join(certs, key)
			require.NoError(t, err, name)
			require.Equal(t, ders(p, intermediate, root), joined.Certificate, name)
		}
	}
}

func TestParsePKCS12WithoutPassword(t *testing.T) {
	t.Parallel()
	leaf, _, _ := family(t)
	for name, encoder := range map[string]*pkcs12.Encoder{"empty": pkcs12.Modern, "none": pkcs12.Passwordless} {
		data, err := encoder.Encode(leaf.key, leaf.cert, nil, "")
		require.NoError(t, err, name)
		certs, _, err := keypair.ParsePKCS12(data, "")
		require.NoError(t, err, name)
		require.Equal(t, certsOf(leaf), certs, name)
	}
}

func TestParsePKCS12Refuses(t *testing.T) {
	t.Parallel()
	leaf, _, _ := family(t)
	x25519, err := ecdh.X25519().GenerateKey(rand.Reader)
	require.NoError(t, err)
	encode := func(key any) []byte {
		data, err := pkcs12.Modern.Encode(key, leaf.cert, nil, password)
		require.NoError(t, err)
		return data
	}
	good := encode(leaf.key)
	trust, err := pkcs12.Modern.EncodeTrustStore(certsOf(leaf), password)
	require.NoError(t, err)

	for name, test := range map[string]struct {
		data           []byte
		password, want string
	}{
		"wrong password":      {good, password + "x", "wrong password"},
		"no password":         {good, "", "wrong password"},
		"impossible password": {good, password + "\U0001F511", "cannot read the PKCS#12 file"},
		"empty":               {nil, password, "cannot read the PKCS#12 file"},
		"cut off":             {good[:len(good)/2], password, "cannot read the PKCS#12 file"},
		"PEM":                 {[]byte("\n" + certPEM(leaf)), password, "this is PEM text"},
		"no key":              {trust, password, "cannot read the PKCS#12 file: pkcs12: private key missing"},
		"cannot sign":         {encode(x25519), password, "cannot sign"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, key, err := keypair.ParsePKCS12(test.data, test.password)
			require.ErrorContains(t, err, test.want)
			require.NotContains(t, err.Error(), "S3NTINEL")
			require.Nil(t, key)
		})
	}
}
