package keypair

import (
	"crypto"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"unicode"
)

// escapedBreak is a line break that JSON or a shell left as text: \n, \r\n, or \\n where it was
// escaped twice. No PEM text holds a backslash of its own.
var escapedBreak = regexp.MustCompile(`\\+[nr]`)

// ParsePEM collects all certificates and at most one private key (PKCS#8, PKCS#1, SEC 1), in the order
// found; key is nil if there is none. Other blocks and text around the blocks are skipped. Line breaks
// may be missing, be spaces, or be a literal \n, which is why this is not [encoding/pem].
//
// It fails on a block that is damaged, on an encrypted key, on two different keys, and if it finds
// neither certificate nor key.
func ParsePEM(data []byte) (certs []*x509.Certificate, key crypto.Signer, err error) {
	text := escapedBreak.ReplaceAllString(string(data), "\n")
	for n := 1; ; n++ {
		_, rest, found := strings.Cut(text, "-----BEGIN ")
		if !found {
			break
		}
		label, rest, _ := strings.Cut(rest, "-----")
		body, rest, ended := strings.Cut(rest, "-----END "+label+"-----")
		if !ended {
			return nil, nil, fmt.Errorf("PEM block %d has no END line: copy the whole text", n)
		}
		text = rest

		switch {
		case label == "CERTIFICATE" || label == "X509 CERTIFICATE":
			cert, err := parseCertificate(body)
			if err != nil {
				return nil, nil, fmt.Errorf("PEM block %d (certificate): %w", n, err)
			}
			if certs = append(certs, cert); len(certs) > maxCertificates {
				return nil, nil, fmt.Errorf("more than %d certificates: leave only those of one chain", maxCertificates)
			}
		case strings.HasSuffix(label, "PRIVATE KEY"):
			next, err := parseKeyBlock(label, body)
			if err != nil {
				return nil, nil, fmt.Errorf("PEM block %d (private key): %w", n, err)
			}
			if key != nil && !fits(key, next.Public()) {
				return nil, nil, errors.New("more than one private key: leave only the one that belongs to the certificate")
			}
			key = next
		}
	}
	if len(certs) == 0 && key == nil {
		return nil, nil, errors.New("neither a certificate nor a private key in PEM form (-----BEGIN ...); a .p12 or .pfx file is PKCS#12")
	}
	return certs, key, nil
}

func parseCertificate(body string) (*x509.Certificate, error) {
	der, err := decode(body)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

func parseKeyBlock(label, body string) (crypto.Signer, error) {
	if label == "ENCRYPTED PRIVATE KEY" || strings.Contains(body, "Proc-Type:") {
		return nil, errors.New("the key is encrypted: decrypt it (openssl pkey -in encrypted.pem -out key.pem), or use a PKCS#12 file with its password")
	}
	if label == "OPENSSH PRIVATE KEY" {
		return nil, errors.New("the key is in OpenSSH's form: convert it (ssh-keygen -p -m PKCS8 -f FILE)")
	}
	der, err := decode(body)
	if err != nil {
		return nil, err
	}
	return parseKey(der)
}

// parseKey tries all forms, since labels cannot be relied on. The parsers' own errors are left out:
// they would say three times what the key is not.
func parseKey(der []byte) (crypto.Signer, error) {
	if key, err := x509.ParsePKCS8PrivateKey(der); err == nil {
		return asSigner(key)
	}
	if key, err := x509.ParsePKCS1PrivateKey(der); err == nil {
		return key, nil
	}
	if key, err := x509.ParseECPrivateKey(der); err == nil {
		return key, nil
	}
	return nil, errors.New("damaged, or not an RSA, EC (P-224 to P-521) or Ed25519 key in PKCS#8, PKCS#1 or SEC 1 form")
}

func asSigner(key any) (crypto.Signer, error) {
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, errors.New("the private key cannot sign: use an RSA, EC or Ed25519 key")
	}
	return signer, nil
}

func decode(body string) ([]byte, error) {
	der, err := base64.StdEncoding.DecodeString(strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) {
			return -1
		}
		return r
	}, body))
	if err != nil {
		return nil, errors.New("not base64: copy the whole text again")
	}
	return der, nil
}
