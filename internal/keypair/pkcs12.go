package keypair

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"

	"software.sslmate.com/src/go-pkcs12"
)

// ParsePKCS12 reads the private key and all certificates of a DER-encoded PKCS#12 file (.p12, .pfx),
// which must hold exactly one key and at least one certificate.
func ParsePKCS12(data []byte, password string) (certs []*x509.Certificate, key crypto.Signer, err error) {
	if bytes.Contains(data, []byte("-----BEGIN ")) {
		return nil, nil, errors.New("this is PEM text, not a PKCS#12 file")
	}
	if err := checkPasswordRounds(data); err != nil {
		return nil, nil, err
	}
	private, first, others, err := pkcs12.DecodeChain(data, password)
	switch {
	case errors.Is(err, pkcs12.ErrIncorrectPassword), errors.Is(err, pkcs12.ErrDecryption):
		return nil, nil, errors.New("wrong password for the PKCS#12 file")
	case err != nil:
		return nil, nil, fmt.Errorf("cannot read the PKCS#12 file: %w", err)
	}
	key, err = asSigner(private)
	if err != nil {
		return nil, nil, err
	}
	if len(others) >= maxCertificates {
		return nil, nil, fmt.Errorf("more than %d certificates: leave only those of one chain", maxCertificates)
	}
	return append([]*x509.Certificate{first}, others...), key, nil
}
