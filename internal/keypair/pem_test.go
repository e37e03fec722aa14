package keypair_test

import (
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant/internal/keypair"
)

// mangled are the forms that a PEM text takes on its way through JSON, shells, web forms and spreadsheets.
var mangled = map[string]func(string) string{
	"as it is":                func(s string) string { return s },
	"CRLF":                    replace("\n", "\r\n"),
	"CR":                      replace("\n", "\r"),
	`literal \n`:              replace("\n", `\n`),
	`literal \r\n`:            replace("\n", `\r\n`),
	`literal \\n`:             replace("\n", `\\n`),
	`literal \n and real one`: replace("\n", "\\n\n"),
	"spaces":                  replace("\n", " "),
	"one line":                replace("\n", ""),
	"indented":                replace("\n", "\n    "),
	"no final line break":     strings.TrimSpace,
	"quoted":                  func(s string) string { return `"` + s + `"` },
	"text around":             func(s string) string { return "Bag Attributes\n    friendlyName: x\n" + s + "subject=CN=sb-1\n" },
}

func replace(old, new string) func(string) string {
	return func(s string) string { return strings.ReplaceAll(s, old, new) }
}

func TestParsePEM(t *testing.T) {
	t.Parallel()
	leaf, intermediate, root := family(t)
	rsaPrivate, ecPrivate, edPrivate := rsaKey(t), ecKey(t), ed25519Key(t)
	sec1, err := x509.MarshalECPrivateKey(ecPrivate.(*ecdsa.PrivateKey))
	require.NoError(t, err)
	pkcs1PEM := string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(rsaPrivate.(*rsa.PrivateKey))}))
	sec1PEM := string(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: sec1}))
	parameters := "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n"

	for name, test := range map[string]struct {
		text  string
		certs []*pair
		key   crypto.Signer
	}{
		"certificate":           {certPEM(leaf), []*pair{leaf}, nil},
		"chain":                 {certPEM(leaf, intermediate, root), []*pair{leaf, intermediate, root}, nil},
		"old label":             {strings.ReplaceAll(certPEM(leaf), "CERTIFICATE", "X509 CERTIFICATE"), []*pair{leaf}, nil},
		"RSA, PKCS#8":           {pkcs8PEM(t, rsaPrivate), nil, rsaPrivate},
		"RSA, PKCS#1":           {pkcs1PEM, nil, rsaPrivate},
		"EC, PKCS#8":            {pkcs8PEM(t, ecPrivate), nil, ecPrivate},
		"EC, SEC 1":             {sec1PEM, nil, ecPrivate},
		"EC, with parameters":   {parameters + sec1PEM, nil, ecPrivate},
		"Ed25519":               {pkcs8PEM(t, edPrivate), nil, edPrivate},
		"wrong label":           {strings.ReplaceAll(pkcs1PEM, "RSA PRIVATE", "PRIVATE"), nil, rsaPrivate},
		"key and chain":         {pkcs8PEM(t, leaf.key) + certPEM(root, leaf), []*pair{root, leaf}, leaf.key},
		"key between":           {certPEM(leaf) + pkcs8PEM(t, leaf.key) + certPEM(root), []*pair{leaf, root}, leaf.key},
		"the same key twice":    {pkcs8PEM(t, ecPrivate) + sec1PEM, nil, ecPrivate},
		"with a public key too": {certPEM(leaf) + "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", []*pair{leaf}, nil},
	} {
		for form, mangle := range mangled {
			t.Run(name+"/"+form, func(t *testing.T) {
				t.Parallel()
				certs, key, err := keypair.ParsePEM([]byte(mangle(test.text)))
				require.NoError(t, err)
				require.Equal(t, certsOf(test.certs...), certs)
				requireSameKey(t, test.key, key)
			})
		}
	}
}

func TestParsePEMRefuses(t *testing.T) {
	t.Parallel()
	leaf, _, _ := family(t)
	x25519, err := ecdh.X25519().GenerateKey(rand.Reader)
	require.NoError(t, err)
	keyPEM := pkcs8PEM(t, leaf.key)
	body := regexp.MustCompile(`-{5}\n([^-]+)\n-{5}`).FindStringSubmatch(keyPEM)[1]
	encrypted := "Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,3F17F5316E2BAC89\n\n"

	for name, test := range map[string]struct{ text, want string }{
		"empty":              {"", "neither a certificate nor a private key"},
		"no PEM":             {body, "neither a certificate nor a private key"},
		"nothing of use":     {"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "neither a certificate nor a private key"},
		"cut off":            {keyPEM[:len(keyPEM)-10], "PEM block 1 has no END line"},
		"cut in the label":   {certPEM(leaf) + "-----BEGIN PRIV", "PEM block 2 has no END line"},
		"other END":          {strings.Replace(keyPEM, "END PRIVATE", "END EC PRIVATE", 1), "PEM block 1 has no END line"},
		"not base64":         {strings.Replace(keyPEM, body[:4], "!!!!", 1), "PEM block 1 (private key): not base64"},
		"certificate broken": {strings.Replace(certPEM(leaf), "MI", "!!", 1), "PEM block 1 (certificate): not base64"},
		"line lost":          {certPEM(leaf) + strings.Replace(keyPEM, body[:32], "", 1), "PEM block 2 (private key): damaged"},
		"damaged":            {strings.Replace(certPEM(leaf), "MI", "AA", 1), "PEM block 1 (certificate): x509"},
		"key as certificate": {strings.ReplaceAll(keyPEM, "PRIVATE KEY", "CERTIFICATE"), "PEM block 1 (certificate): x509"},
		"encrypted, PKCS#8":  {strings.ReplaceAll(keyPEM, "PRIVATE", "ENCRYPTED PRIVATE"), "the key is encrypted: decrypt it"},
		"encrypted, old":     {strings.Replace(keyPEM, body, encrypted+body, 1), "the key is encrypted: decrypt it"},
		"OpenSSH":            {strings.ReplaceAll(keyPEM, "PRIVATE", "OPENSSH PRIVATE"), "OpenSSH"},
		"cannot sign":        {pkcs8PEM(t, x25519), "cannot sign"},
		"two keys":           {keyPEM + pkcs8PEM(t, ecKey(t)), "more than one private key"},
	} {
		for form, mangle := range mangled {
			t.Run(name+"/"+form, func(t *testing.T) {
				t.Parallel()
				certs, key, err := keypair.ParsePEM([]byte(mangle(test.text)))
				require.ErrorContains(t, err, test.want)
				require.Nil(t, certs)
				require.Nil(t, key)
				requireNoPieceOf(t, test.text, err)
			})
		}
	}
}

func TestParsePEMRefusesTooManyCertificates(t *testing.T) {
	t.Parallel()
	leaf, _, _ := family(t)
	_, _, err := keypair.ParsePEM([]byte(strings.Repeat(certPEM(leaf), 257)))
	require.ErrorContains(t, err, "more than 256 certificates")
	_, _, err = keypair.ParsePEM([]byte(strings.Repeat(certPEM(leaf), 256)))
	require.NoError(t, err)
}

// requireNoPieceOf fails if the error repeats a longer piece of a PEM text.
func requireNoPieceOf(t testing.TB, text string, err error) {
	for _, piece := range regexp.MustCompile(`[A-Za-z0-9+/]{16}`).FindAllString(text, -1) {
		require.NotContains(t, err.Error(), piece)
	}
}

func FuzzParsePEM(f *testing.F) {
	leaf, intermediate, _ := family(f)
	text := certPEM(intermediate, leaf) + pkcs8PEM(f, leaf.key)
	for _, mangle := range mangled {
		f.Add([]byte(mangle(text)))
	}
	f.Add([]byte(strings.ReplaceAll(text, "PRIVATE", "ENCRYPTED PRIVATE")))
	f.Fuzz(func(t *testing.T, data []byte) {
		certs, key, err := keypair.ParsePEM(data)
		if err != nil {
			require.Nil(t, certs)
			require.Nil(t, key)
			requireNoPieceOf(t, string(data), err)
			return
		}
		if key == nil {
			require.NotEmpty(t, certs)
			return
		}
		if cert, err := keypair.Join(certs, key); err == nil {
			require.NotNil(t, cert.Leaf)
			require.LessOrEqual(t, len(cert.Certificate), len(certs))
		}
	})
}
