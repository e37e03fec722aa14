package clientcredentials_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"software.sslmate.com/src/go-pkcs12"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/clientcredentials"
)

// keyOwner is a certificate with its private key.
type keyOwner struct {
	cert *x509.Certificate
	key  crypto.Signer
}

func issueCertificate(t testing.TB, cn string, issuer *keyOwner, key crypto.Signer) *keyOwner {
	if key == nil {
		var err error
		key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		require.NoError(t, err)
	}
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<60))
	require.NoError(t, err)
	template := &x509.Certificate{SerialNumber: serial, Subject: pkix.Name{CommonName: cn}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(1, 0, 0)}
	if issuer == nil {
		issuer = &keyOwner{template, key}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, issuer.cert, key.Public(), issuer.key)
	require.NoError(t, err)
	cert, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	return &keyOwner{cert, key}
}

func (o *keyOwner) certPEM() string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: o.cert.Raw}))
}

func (o *keyOwner) keyPEM(t testing.TB) string {
	der, err := x509.MarshalPKCS8PrivateKey(o.key)
	require.NoError(t, err)
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

type keyFamily struct{ leaf, intermediate, root *keyOwner }

func newKeyFamily(t testing.TB) keyFamily {
	root := issueCertificate(t, "Acme Root", nil, nil)
	intermediate := issueCertificate(t, "Acme Issuing", root, nil)
	return keyFamily{issueCertificate(t, "sb-1", intermediate, nil), intermediate, root}
}

type members map[string]any

func (m members) parse(t testing.TB) (*clientcredentials.ServiceKey, error) {
	data, err := json.Marshal(m)
	require.NoError(t, err)
	return clientcredentials.ParseServiceKey(data)
}

func requireChain(t *testing.T, got *tls.Certificate, want ...*keyOwner) {
	t.Helper()
	require.NotNil(t, got)
	require.Len(t, got.Certificate, len(want))
	for i, o := range want {
		require.Equal(t, o.cert.Raw, got.Certificate[i], "certificate %d", i)
	}
	require.True(t, want[0].cert.Equal(got.Leaf))
}

func TestParseServiceKeyWithGeneratedCertificate(t *testing.T) {
	t.Parallel()
	f := newKeyFamily(t)
	chain, private := f.leaf.certPEM()+f.intermediate.certPEM()+f.root.certPEM(), f.leaf.keyPEM(t)
	escaped, oneLine := strings.NewReplacer("\n", `\n`), strings.NewReplacer("\n", "")
	const certURL = "https://sub.auth.cert.acme.example"

	for name, test := range map[string]struct {
		key           members
		tokenURL, url string
	}{
		"oauth": {members{"oauth": members{"clientid": "sb-1", "certificate": chain, "key": private, "tokenurl": standardURL, "url": serviceURL}},
			standardURL, serviceURL},
		"escaped": {members{"oauth": members{"clientid": "sb-1", "certificate": escaped.Replace(chain), "key": escaped.Replace(private), "tokenurl": standardURL, "url": serviceURL}},
			standardURL, serviceURL},
		"one line, reversed, privateKey": {members{"clientId": "sb-1", "certificate": oneLine.Replace(f.root.certPEM() + f.intermediate.certPEM() + f.leaf.certPEM()), "privateKey": oneLine.Replace(private), "tokenUrl": standardURL, "url": serviceURL},
			standardURL, serviceURL},
		"key within certificate": {members{"clientid": "sb-1", "certificate": private + chain, "tokenurl": standardURL, "url": serviceURL},
			standardURL, serviceURL},
		"certurl beside tokenurl": {members{"oauth": members{"clientid": "sb-1", "certificate": chain, "key": private, "certurl": certURL, "tokenurl": standardURL, "url": serviceURL}},
			certURL + "/oauth/token", serviceURL},
		"certurl with path": {members{"oauth": members{"clientid": "sb-1", "certificate": chain, "key": private, "certurl": certURL + "/oauth/token", "url": "https://sub.auth.acme.example"}},
			certURL + "/oauth/token", ""},
		"uaa": {members{"uaa": members{"clientid": "sb-1", "certificate": chain, "key": private, "certurl": certURL, "url": "https://sub.auth.acme.example", "credential-type": "x509"}, "url": serviceURL},
			certURL + "/oauth/token", serviceURL},
		"event mesh": {members{"messaging": []members{{"protocol": []string{"amqp10ws"}, "uri": brokerURL, "oa2": members{"clientid": "sb-1", "certificate": chain, "key": private, "tokenendpoint": standardURL}}}},
			standardURL, brokerURL},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			key, err := test.key.parse(t)
			require.NoError(t, err)
			require.Equal(t, test.tokenURL, key.TokenURL)
			require.Equal(t, test.url, key.URL)
			require.Empty(t, key.ClientSecret)
			requireChain(t, key.Certificate, f.leaf, f.intermediate, f.root)

			cfg, err := key.Config()
			require.NoError(t, err)
			require.Equal(t, outgrant.TLSClientAuth, cfg.Auth)
			require.Equal(t, key.Certificate, cfg.Certificate)
			_, err = clientcredentials.New(cfg)
			require.NoError(t, err)
		})
	}
}

func TestParseServiceKeyRefusesCertificate(t *testing.T) {
	t.Parallel()
	f, other := newKeyFamily(t), newKeyFamily(t)
	encrypted := strings.ReplaceAll(f.leaf.keyPEM(t), "PRIVATE", "ENCRYPTED PRIVATE")
	for name, test := range map[string]struct {
		certificate, key any
		want             string
	}{
		"another's key":          {f.leaf.certPEM(), other.leaf.keyPEM(t), "oauth.certificate and key: the private key does not belong to the certificate CN=sb-1"},
		"no certificate in it":   {f.leaf.keyPEM(t), f.leaf.keyPEM(t), "oauth.certificate and key: no certificate"},
		"no key in it":           {f.leaf.certPEM(), f.leaf.certPEM(), "oauth.certificate and key: no private key"},
		"key encrypted":          {f.leaf.certPEM(), encrypted, "oauth.key: PEM block 1 (private key): the key is encrypted"},
		"key cut off":            {f.leaf.certPEM(), f.leaf.keyPEM(t)[:60], "oauth.key: PEM block 1 has no END line"},
		"key not a string":       {f.leaf.certPEM(), 1, "oauth.key: not a string"},
		"certificate cut off":    {f.leaf.certPEM()[:60], nil, "oauth.certificate: PEM block 1 has no END line"},
		"certificate no string":  {[]string{f.leaf.certPEM()}, nil, "oauth.certificate: not a string"},
		"key without its anchor": {nil, f.leaf.keyPEM(t), "oauth.clientsecret: missing, and so is certificate"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := members{"oauth": members{"clientid": "sb-1", "certificate": test.certificate, "key": test.key, "tokenurl": standardURL}}.parse(t)
			require.ErrorContains(t, err, "service key: "+test.want)
		})
	}
}

func externalKey(t testing.TB, certificates ...*keyOwner) *clientcredentials.ServiceKey {
	var text string
	for _, c := range certificates {
		text += c.certPEM()
	}
	key, err := members{"oauth": members{"clientid": "sb-1", "certificate": text, "tokenurl": standardURL, "url": serviceURL}}.parse(t)
	require.NoError(t, err)
	return key
}

func TestServiceKeyWithExternalCertificate(t *testing.T) {
	t.Parallel()
	f := newKeyFamily(t)
	renewed := issueCertificate(t, "sb-1", f.intermediate, f.leaf.key)
	const password = sentinel + "-password"
	for name, test := range map[string]struct {
		own  []*keyOwner
		with []*keyOwner // the user's certificates
		want []*keyOwner
	}{
		"key alone":             {[]*keyOwner{f.leaf}, nil, []*keyOwner{f.leaf}},
		"same leaf":             {[]*keyOwner{f.leaf}, []*keyOwner{f.leaf}, []*keyOwner{f.leaf}},
		"chain from the user":   {[]*keyOwner{f.leaf}, []*keyOwner{f.root, f.intermediate, f.leaf}, []*keyOwner{f.leaf, f.intermediate, f.root}},
		"chain from the key":    {[]*keyOwner{f.root, f.intermediate, f.leaf}, nil, []*keyOwner{f.leaf, f.intermediate, f.root}},
		"chain from both":       {[]*keyOwner{f.intermediate, f.leaf}, []*keyOwner{f.intermediate, f.root}, []*keyOwner{f.leaf, f.intermediate, f.root}},
		"renewed, the same key": {[]*keyOwner{f.leaf}, []*keyOwner{renewed, f.intermediate}, []*keyOwner{f.leaf, f.intermediate}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			key := externalKey(t, test.own...)
			require.True(t, f.leaf.cert.Equal(key.Certificate.Leaf))
			require.Nil(t, key.Certificate.PrivateKey)
			_, err := key.Config()
			require.ErrorContains(t, err, "call JoinPEM or JoinPKCS12 with your key pair before Config")

			text := f.leaf.keyPEM(t)
			var certs []*x509.Certificate
			for _, c := range test.with {
				text += c.certPEM()
				certs = append(certs, c.cert)
			}
			require.NoError(t, key.JoinPEM([]byte(text)))
			requireJoined(t, key, f.leaf.key, test.want...)
			require.NoError(t, key.JoinPEM([]byte(text)), "once more")
			requireJoined(t, key, f.leaf.key, test.want...)

			if len(certs) == 0 { // PKCS#12 cannot go without
				certs = []*x509.Certificate{f.leaf.cert}
			}
			key = externalKey(t, test.own...)
			data, err := pkcs12.Modern.Encode(f.leaf.key, certs[0], certs[1:], password)
			require.NoError(t, err)
			require.NoError(t, key.JoinPKCS12(data, password))
			requireJoined(t, key, f.leaf.key, test.want...)
		})
	}
}

func requireJoined(t *testing.T, key *clientcredentials.ServiceKey, private crypto.Signer, want ...*keyOwner) {
	t.Helper()
	requireChain(t, key.Certificate, want...)
	require.True(t, private.(*ecdsa.PrivateKey).Equal(key.Certificate.PrivateKey))
	cfg, err := key.Config()
	require.NoError(t, err)
	_, err = clientcredentials.New(cfg)
	require.NoError(t, err)
}

func TestServiceKeyJoinRefuses(t *testing.T) {
	t.Parallel()
	f, other := newKeyFamily(t), newKeyFamily(t)
	const password = sentinel + "-password"
	p12 := func(o *keyOwner) []byte {
		data, err := pkcs12.Modern.Encode(o.key, o.cert, nil, password)
		require.NoError(t, err)
		return data
	}
	joinPEM := func(text string) func(*clientcredentials.ServiceKey) error {
		return func(k *clientcredentials.ServiceKey) error { return k.JoinPEM([]byte(text)) }
	}
	joinPKCS12 := func(data []byte, password outgrant.Secret) func(*clientcredentials.ServiceKey) error {
		return func(k *clientcredentials.ServiceKey) error { return k.JoinPKCS12(data, password) }
	}
	const notItsKey = "the private key does not belong to the certificate CN=sb-1"
	for name, test := range map[string]struct {
		join func(*clientcredentials.ServiceKey) error
		want string
	}{
		"no key":            {joinPEM(f.leaf.certPEM()), "JoinPEM: no private key"},
		"another's pair":    {joinPEM(other.leaf.keyPEM(t) + other.leaf.certPEM()), "JoinPEM: " + notItsKey},
		"the issuer's key":  {joinPEM(f.intermediate.keyPEM(t)), "JoinPEM: " + notItsKey},
		"not PEM":           {joinPEM(sentinel), "JoinPEM: neither a certificate nor a private key"},
		"another's PKCS#12": {joinPKCS12(p12(other.leaf), password), "JoinPKCS12: " + notItsKey},
		"wrong password":    {joinPKCS12(p12(f.leaf), password+"x"), "JoinPKCS12: wrong password"},
		"printed password":  {joinPKCS12(p12(f.leaf), "[redacted]"), "JoinPKCS12: the password is the printed form [redacted] of a secret"},
		"PEM instead":       {joinPKCS12([]byte(f.leaf.keyPEM(t)), password), "JoinPKCS12: this is PEM text"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			key := externalKey(t, f.leaf, f.intermediate)
			err := test.join(key)
			require.ErrorContains(t, err, "service key: "+test.want)
			require.NotContains(t, err.Error(), sentinel)
			requireChain(t, key.Certificate, f.leaf, f.intermediate)
			require.Nil(t, key.Certificate.PrivateKey)

			secretKey := &clientcredentials.ServiceKey{ClientID: "sb-1", ClientSecret: sentinel}
			require.Error(t, test.join(secretKey))
			require.Nil(t, secretKey.Certificate)
		})
	}
	secretKey := &clientcredentials.ServiceKey{ClientID: "sb-1", ClientSecret: sentinel}
	require.ErrorContains(t, secretKey.JoinPEM([]byte(f.leaf.keyPEM(t))), "there is nothing to join")
}
