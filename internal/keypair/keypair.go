// Package keypair reads private keys and X.509 certificates in the forms that people and tools hand
// them over in, joins them into what crypto/tls presents, and checks the result.
//
// No error of this package holds a key, a password or a piece of its input.
package keypair

import (
	"bytes"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"unicode"
)

// maxCertificates bounds the signatures that ordering a chain may have to verify.
const maxCertificates = 256

// Join returns the private key with its certificate and the chain above it: leaf first, each next one
// the issuer of the one before, as far as certs reach. The leaf is the first certificate that belongs
// to the key. Certs may come in any order; duplicates and unrelated ones are dropped.
func Join(certs []*x509.Certificate, key crypto.Signer) (*tls.Certificate, error) {
	switch {
	case key == nil:
		return nil, errors.New("no private key: add the one that belongs to the certificate")
	case len(certs) == 0:
		return nil, errors.New("no certificate: add the one that belongs to the private key")
	}
	i := slices.IndexFunc(certs, func(c *x509.Certificate) bool { return fits(key, c.PublicKey) })
	if i < 0 {
		return nil, notItsKey(endEntity(certs))
	}
	joined := chain(certs[i], certs)
	joined.PrivateKey = key
	return joined, nil
}

// WithoutKey orders certs as [Join] does, for a private key that comes later. The leaf is the first
// certificate that issued none of certs, itself included; the first one if all did.
func WithoutKey(certs []*x509.Certificate) (*tls.Certificate, error) {
	if len(certs) == 0 {
		return nil, errors.New("no certificate")
	}
	return chain(endEntity(certs), certs), nil
}

// Leaf returns the certificate that cert presents, parsing it where cert.Leaf is not set.
func Leaf(cert *tls.Certificate) (*x509.Certificate, error) {
	if cert == nil || len(cert.Certificate) == 0 {
		return nil, errors.New("no certificate")
	}
	if cert.Leaf != nil && bytes.Equal(cert.Leaf.Raw, cert.Certificate[0]) {
		return cert.Leaf, nil
	}
	leaf, err := x509.ParseCertificate(cert.Certificate[0])
	if err != nil {
		return nil, fmt.Errorf("cannot read the certificate: %w", err)
	}
	return leaf, nil
}

// IsNil reports whether there is no key, which a nil *rsa.PrivateKey is not either.
func IsNil(key crypto.Signer) bool {
	v := reflect.ValueOf(key)
	return key == nil || v.Kind() == reflect.Pointer && v.IsNil()
}

func chain(leaf *x509.Certificate, certs []*x509.Certificate) *tls.Certificate {
	out := &tls.Certificate{Leaf: leaf}
	var path []*x509.Certificate
	for c := leaf; c != nil; c = issuer(c, certs, path) {
		path = append(path, c)
		out.Certificate = append(out.Certificate, c.Raw)
	}
	return out
}

// issuer returns the certificate in certs that issued c and is not yet in path, or nil.
func issuer(c *x509.Certificate, certs, path []*x509.Certificate) *x509.Certificate {
	if bytes.Equal(c.RawSubject, c.RawIssuer) {
		return nil
	}
	for _, parent := range certs {
		if bytes.Equal(parent.RawSubject, c.RawIssuer) && !slices.ContainsFunc(path, parent.Equal) && c.CheckSignatureFrom(parent) == nil {
			return parent
		}
	}
	return nil
}

// endEntity returns the first certificate that issued none of them, itself included, by name; certs[0]
// if there is none.
func endEntity(certs []*x509.Certificate) *x509.Certificate {
	for _, c := range certs {
		if !slices.ContainsFunc(certs, func(other *x509.Certificate) bool { return bytes.Equal(other.RawIssuer, c.RawSubject) }) {
			return c
		}
	}
	return certs[0]
}

func fits(key crypto.Signer, public crypto.PublicKey) bool {
	own, ok := key.Public().(interface{ Equal(crypto.PublicKey) bool })
	return ok && own.Equal(public)
}

func notItsKey(c *x509.Certificate) error {
	return fmt.Errorf("the private key does not belong to the certificate %s: use the key that the certificate was requested with", name(c))
}

// name is how errors call a certificate: printable, and short whatever its issuer put in.
func name(c *x509.Certificate) string {
	text := "CN=" + c.Subject.CommonName
	if c.Subject.CommonName == "" {
		text = c.Subject.String()
	}
	if text == "" {
		return "without a subject"
	}
	text = strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return '?'
	}, text)
	if r := []rune(text); len(r) > 100 {
		text = string(r[:100]) + "..."
	}
	return text
}
