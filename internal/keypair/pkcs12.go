package keypair

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"runtime"
	"time"

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
	private, first, others, err := decodeChain(data, password)
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

// decodePatience bounds how long a file may take: what is encrypted in it may say that its password is hashed for hours. That cannot
// be stopped, so such files never take the last processor.
var decodePatience = 30 * time.Second

var decoders = make(chan struct{}, max(runtime.GOMAXPROCS(0)-1, 1))

// decodeChain is pkcs12.DecodeChain for files that nobody has vouched for.
func decodeChain(data []byte, password string) (key any, first *x509.Certificate, others []*x509.Certificate, err error) {
	type decoded struct {
		key    any
		first  *x509.Certificate
		others []*x509.Certificate
		err    error
	}
	patience := time.NewTimer(decodePatience)
	defer patience.Stop()
	select {
	case decoders <- struct{}{}:
	case <-patience.C:
		return nil, nil, nil, errors.New("others keep this machine busy: try it again in some minutes")
	}
	done := make(chan decoded, 1)
	go func() {
		d := decoded{err: errors.New("it is damaged")}
		defer func() {
			_ = recover() // else one file would end the program
			<-decoders
			done <- d
		}()
		d.key, d.first, d.others, d.err = pkcs12.DecodeChain(data, password)
	}()
	select {
	case d := <-done:
		return d.key, d.first, d.others, d.err
	case <-patience.C:
		return nil, nil, nil, errors.New("its password is hashed too often: export it again")
	}
}
