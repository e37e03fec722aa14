package peer

import (
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"testing"
	"time"
)

// IdP signs SAML assertions. Its certificate is self-signed, as they mostly are: it is known, not issued. It is valid from
// 1999, so that a test with a clock of its own can sign.
type IdP struct {
	Issuer      string
	Key         crypto.Signer
	Certificate *x509.Certificate
}

// NewIdP makes a certificate for the key. commonName is the certificate's and, in a URN, the issuer's.
func NewIdP(tb testing.TB, commonName string, key crypto.Signer) IdP {
	tb.Helper()
	template := &x509.Certificate{Subject: name(commonName), SerialNumber: big.NewInt(time.Now().UnixNano()), KeyUsage: x509.KeyUsageDigitalSignature,
		NotBefore: time.Date(1999, time.January, 1, 0, 0, 0, 0, time.UTC), NotAfter: time.Now().AddDate(20, 0, 0)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		tb.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		tb.Fatal(err)
	}
	return IdP{Issuer: "urn:peers:" + commonName, Key: key, Certificate: certificate}
}

// CertificatePEM returns the certificate in PEM form.
func (p IdP) CertificatePEM() string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: p.Certificate.Raw}))
}

// KeyPEM returns the private key in PEM form.
func (p IdP) KeyPEM(tb testing.TB) string {
	tb.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(p.Key)
	if err != nil {
		tb.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

func certificates(idps []IdP) map[string]string {
	all := map[string]string{}
	for _, idp := range idps {
		all[idp.Issuer] = idp.CertificatePEM()
	}
	return all
}
