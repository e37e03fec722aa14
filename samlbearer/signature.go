package samlbearer

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	_ "crypto/sha256" // the hashes that a Signer may name
	_ "crypto/sha512"
	"encoding/asn1"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"math/big"
	"slices"

	dsig "github.com/russellhaering/goxmldsig"
)

// sign writes an assertion with its signature, which stands right after the Issuer, where the schema wants it (XML
// Signature, SAML 2.0 Core 5.4).
func (s *Signer) sign(d *document) ([]byte, error) {
	w := d.write()
	signature, err := s.signature(d.ID, w.signed.Bytes())
	if err != nil {
		return nil, fmt.Errorf("Signer.Key: signing the assertion: %w", err)
	}
	return slices.Concat(w.sent.Bytes()[:w.signatureAt], []byte(signature), w.sent.Bytes()[w.signatureAt:]), nil
}

// signature returns the Signature of what has the ID and this canonical form.
func (s *Signer) signature(id string, signed []byte) (string, error) {
	hash, names := s.hash(), algorithmsOf[s.hash()]
	method := names.rsa
	if _, ok := s.Key.Public().(*ecdsa.PublicKey); ok {
		method = names.ecdsa
	}
	info := `><ds:CanonicalizationMethod Algorithm="` + excC14NNamespace + `"></ds:CanonicalizationMethod><ds:SignatureMethod Algorithm="` + method +
		`"></ds:SignatureMethod><ds:Reference URI="#` + id + `"><ds:Transforms>` +
		`<ds:Transform Algorithm="` + string(dsig.EnvelopedSignatureAltorithmId) + `"></ds:Transform><ds:Transform Algorithm="` + excC14NNamespace + `"></ds:Transform>` +
		`</ds:Transforms><ds:DigestMethod Algorithm="` + names.digest + `"></ds:DigestMethod><ds:DigestValue>` + base64.StdEncoding.EncodeToString(sum(hash, signed)) +
		`</ds:DigestValue></ds:Reference></ds:SignedInfo>`
	// By itself, as it is signed, SignedInfo declares the prefix that it inherits in the document.
	const declaration = ` xmlns:ds="` + dsig.Namespace + `"`
	raw, err := xmlSigner{s.Key}.Sign(rand.Reader, sum(hash, []byte("<ds:SignedInfo"+declaration+info)), hash)
	if err != nil {
		return "", err
	}
	keyInfo := ""
	if !s.OmitCertificate {
		keyInfo = `<ds:KeyInfo><ds:X509Data><ds:X509Certificate>` + base64.StdEncoding.EncodeToString(s.Certificate.Raw) + `</ds:X509Certificate></ds:X509Data></ds:KeyInfo>`
	}
	return `<ds:Signature` + declaration + `><ds:SignedInfo` + info + `<ds:SignatureValue>` + base64.StdEncoding.EncodeToString(raw) + `</ds:SignatureValue>` + keyInfo + `</ds:Signature>`, nil
}

func sum(hash crypto.Hash, data []byte) []byte {
	h := hash.New()
	h.Write(data)
	return h.Sum(nil)
}

// checkKey refuses keys and hashes that the signature cannot be made with.
func checkKey(public crypto.PublicKey, hash crypto.Hash) error {
	if _, known := algorithmsOf[hash]; !known {
		return fmt.Errorf("Signer.Hash: %s cannot be used: use SHA256, SHA384 or SHA512", hash)
	}
	switch key := public.(type) {
	case *rsa.PublicKey:
		if key.N == nil || key.N.BitLen() < minRSABits {
			return fmt.Errorf("Signer.Key: an RSA key of fewer than %d bits is too short", minRSABits)
		}
	case *ecdsa.PublicKey:
		if !usableKey(key) {
			return errors.New("Signer.Key: an ECDSA key must be on P-256, P-384 or P-521")
		}
	default:
		return fmt.Errorf("Signer.Key: a %T cannot sign an assertion: use RSA or ECDSA", public)
	}
	return nil
}

// xmlSigner signs as XML Signature wants it: ECDSA as the two numbers one after the other, each as long as the
// curve's order (6.4.3), and not as ASN.1. It verifies what the key returns: a KMS may have changed its key, and a token
// service would only say that the client is wrong.
type xmlSigner struct{ crypto.Signer }

func (s xmlSigner) Sign(random io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	signature, err := s.Signer.Sign(random, digest, opts)
	if err != nil {
		return nil, err
	}
	switch key := s.Public().(type) {
	case *rsa.PublicKey:
		if rsa.VerifyPKCS1v15(key, opts.HashFunc(), digest, signature) == nil {
			return signature, nil
		}
	case *ecdsa.PublicKey:
		if ecdsa.VerifyASN1(key, digest, signature) {
			return rawECDSA(signature, (key.Params().N.BitLen()+7)/8)
		}
	}
	return nil, errors.New("what it returned is no signature of the key that it says it has")
}

func rawECDSA(signature []byte, size int) ([]byte, error) {
	var numbers struct{ R, S *big.Int }
	if _, err := asn1.Unmarshal(signature, &numbers); err != nil {
		return nil, err
	}
	out := make([]byte, 2*size)
	numbers.R.FillBytes(out[:size])
	numbers.S.FillBytes(out[size:])
	return out, nil
}
