package keypair_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant/internal/keypair"
)

func TestCheckRefuses(t *testing.T) {
	t.Parallel()
	leaf, intermediate, _ := family(t)
	for name, test := range map[string]struct {
		cert *tls.Certificate
		at   time.Time
		want string
	}{
		"nil":             {nil, now, "no certificate"},
		"no certificate":  {&tls.Certificate{PrivateKey: leaf.key}, now, "no certificate"},
		"not DER":         {&tls.Certificate{Certificate: [][]byte{{1}}, PrivateKey: leaf.key}, now, "cannot read the certificate"},
		"no private key":  {&tls.Certificate{Certificate: ders(leaf)}, now, "the certificate CN=sb-1 has no private key"},
		"not a signer":    {&tls.Certificate{Certificate: ders(leaf), PrivateKey: struct{}{}}, now, "crypto.Signer"},
		"another's key":   {&tls.Certificate{Certificate: ders(leaf, intermediate), PrivateKey: intermediate.key}, now, "does not belong to the certificate CN=sb-1"},
		"odd public key":  {&tls.Certificate{Certificate: ders(leaf), PrivateKey: oddSigner{leaf.key}}, now, "does not belong"},
		"not yet valid":   {&tls.Certificate{Certificate: ders(leaf), PrivateKey: leaf.key}, now.AddDate(-1, 0, 0), "CN=sb-1 is not valid before 2025-09-01 12:00 UTC"},
		"ended":           {&tls.Certificate{Certificate: ders(leaf), PrivateKey: leaf.key}, now.AddDate(1, 0, 0), "CN=sb-1 ended on 2026-09-01 12:00 UTC"},
		"ended, Leaf set": {&tls.Certificate{Certificate: ders(leaf), PrivateKey: leaf.key, Leaf: leaf.cert}, now.AddDate(1, 0, 0), "CN=sb-1 ended on 2026-09-01 12:00 UTC"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.ErrorContains(t, keypair.Check(test.cert, test.at), test.want)
		})
	}
}

type oddSigner struct{ crypto.Signer }

func (oddSigner) Public() crypto.PublicKey { return "a key of a kind nobody knows" }

func TestCheckAccepts(t *testing.T) {
	t.Parallel()
	for name, key := range map[string]crypto.Signer{"RSA": rsaKey(t), "EC": ecKey(t), "Ed25519": ed25519Key(t)} {
		p := issue(t, "sb-1", key, nil, false)
		cert := &tls.Certificate{Certificate: ders(p), PrivateKey: key}
		for _, at := range []time.Time{p.cert.NotBefore, now, p.cert.NotAfter} {
			require.NoError(t, keypair.Check(cert, at), name)
		}
		require.Nil(t, cert.Leaf, "Check must not modify its argument")
	}
}

func TestEndsSoon(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	for name, test := range map[string]struct {
		life, left time.Duration
		want       bool
	}{
		"a year, 31 days left":   {365 * day, 31 * day, false},
		"a year, 30 days left":   {365 * day, 30 * day, true},
		"a year, ended":          {365 * day, -day, true},
		"ten days, 3 left":       {10 * day, 3 * day, false},
		"ten days, 2 left":       {10 * day, 2 * day, true},
		"one day, 5 hours left":  {day, 5 * time.Hour, false},
		"one day, 4 hours left":  {day, 4 * time.Hour, true},
		"150 days, over 30 left": {150 * day, 30*day + time.Second, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			end := now.Add(test.left)
			p := issueFor(t, &x509.Certificate{Subject: pkix.Name{CommonName: "sb-1"}, NotBefore: end.Add(-test.life), NotAfter: end}, ecKey(t), nil)
			require.Equal(t, test.want, keypair.EndsSoon(p.cert, now))
		})
	}
}

type valueSigner struct{ crypto.Signer }

func TestIsNil(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		key  crypto.Signer
		want bool
	}{
		"nil":                         {nil, true},
		"nil RSA":                     {(*rsa.PrivateKey)(nil), true},
		"nil EC":                      {(*ecdsa.PrivateKey)(nil), true},
		"nil wrapper":                 {(*oddSigner)(nil), true},
		"nil Ed25519, which is bytes": {ed25519.PrivateKey(nil), false},
		"RSA":                         {rsaKey(t), false},
		"EC":                          {ecKey(t), false},
		"Ed25519":                     {ed25519Key(t), false},
		"a wrapper":                   {&oddSigner{ecKey(t)}, false},
		"a wrapper by value":          {valueSigner{ecKey(t)}, false},
	} {
		require.Equal(t, test.want, keypair.IsNil(test.key), name)
	}
}
