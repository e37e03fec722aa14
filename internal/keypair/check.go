package keypair

import (
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"time"
)

// Check reports why cert cannot be presented at the time now: no certificate, no private key or one
// that cannot sign or belongs to another certificate, not yet valid, or ended.
func Check(cert *tls.Certificate, now time.Time) error {
	leaf, err := Leaf(cert)
	if err != nil {
		return err
	}
	if cert.PrivateKey == nil {
		return fmt.Errorf("the certificate %s has no private key: add the key that it was requested with", name(leaf))
	}
	key, ok := cert.PrivateKey.(crypto.Signer)
	switch {
	case !ok:
		return errors.New("the private key cannot sign: it must be a crypto.Signer")
	case !fits(key, leaf.PublicKey):
		return notItsKey(leaf)
	case now.Before(leaf.NotBefore):
		return fmt.Errorf("the certificate %s is not valid before %s: check this machine's clock", name(leaf), date(leaf.NotBefore))
	case now.After(leaf.NotAfter):
		return fmt.Errorf("the certificate %s ended on %s: renew it", name(leaf), date(leaf.NotAfter))
	}
	return nil
}

// EndsSoon reports whether leaf ends within 30 days of now, or within a fifth of its life if that is
// shorter: SAP issues certificates for a single day, too. It is true of an ended one.
func EndsSoon(leaf *x509.Certificate, now time.Time) bool { return !now.Before(SoonFrom(leaf)) }

// SoonFrom is from when on leaf ends soon.
func SoonFrom(leaf *x509.Certificate) time.Time {
	return leaf.NotAfter.Add(-min(30*24*time.Hour, leaf.NotAfter.Sub(leaf.NotBefore)/5))
}

func date(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 MST") }
