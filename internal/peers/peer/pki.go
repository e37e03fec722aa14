package peer

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"testing"
	"time"
)

// PKI issues certificates: servers' by the root, clients' by an intermediate that nobody knows unless it is presented.
type PKI struct {
	Root         *tls.Certificate
	Intermediate *tls.Certificate
}

// NewPKI makes a root and an intermediate.
func NewPKI(tb testing.TB) *PKI {
	tb.Helper()
	root := issue(tb, authority("Peers Root"), nil)
	return &PKI{Root: root, Intermediate: issue(tb, authority("Peers Issuing"), root)}
}

// Pool trusts the root.
func (p *PKI) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(p.Root.Leaf)
	return pool
}

// Server returns a certificate for a server on this machine.
func (p *PKI) Server(tb testing.TB) *tls.Certificate {
	tb.Helper()
	return issue(tb, &x509.Certificate{Subject: name("localhost"), DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}, p.Root)
}

// Client returns a client certificate with its chain: leaf and intermediate.
func (p *PKI) Client(tb testing.TB, commonName string) *tls.Certificate {
	tb.Helper()
	certificate := issue(tb, client(commonName), p.Intermediate)
	certificate.Certificate = append(certificate.Certificate, p.Intermediate.Certificate[0])
	return certificate
}

// SelfSigned returns a client certificate that nobody issued.
func SelfSigned(tb testing.TB, commonName string) *tls.Certificate {
	tb.Helper()
	return issue(tb, client(commonName), nil)
}

func authority(commonName string) *x509.Certificate {
	return &x509.Certificate{Subject: name(commonName), IsCA: true, KeyUsage: x509.KeyUsageCertSign}
}

func client(commonName string) *x509.Certificate {
	return &x509.Certificate{Subject: name(commonName), KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
}

func name(commonName string) pkix.Name {
	return pkix.Name{CommonName: commonName, Organization: []string{"Peers"}}
}

func issue(tb testing.TB, template *x509.Certificate, issuer *tls.Certificate) *tls.Certificate {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	if template.SerialNumber, err = rand.Int(rand.Reader, big.NewInt(1<<62)); err != nil {
		tb.Fatal(err)
	}
	template.BasicConstraintsValid = true
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().AddDate(1, 0, 0)
	parent, signer := template, crypto.PrivateKey(key)
	if issuer != nil {
		parent, signer = issuer.Leaf, issuer.PrivateKey
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		tb.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		tb.Fatal(err)
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

// ChainPEM returns a certificate with its chain in PEM form.
func ChainPEM(certificate *tls.Certificate) string {
	var text bytes.Buffer
	for _, der := range certificate.Certificate {
		_ = pem.Encode(&text, &pem.Block{Type: "CERTIFICATE", Bytes: der}) // a bytes.Buffer takes all
	}
	return text.String()
}

// KeyPEM returns a certificate's private key in PEM form.
func KeyPEM(tb testing.TB, certificate *tls.Certificate) string {
	tb.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(certificate.PrivateKey)
	if err != nil {
		tb.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}
