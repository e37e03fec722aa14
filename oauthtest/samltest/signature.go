package samltest

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	_ "crypto/sha256" // the hashes of the tables
	_ "crypto/sha512"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"math/big"
	"strings"
)

const (
	exclusiveC14N      = "http://www.w3.org/2001/10/xml-exc-c14n#"
	envelopedSignature = "http://www.w3.org/2000/09/xmldsig#enveloped-signature"
)

// signatureMethod is an algorithm of RFC 9231 with a public key.
type signatureMethod struct {
	key  x509.PublicKeyAlgorithm
	hash crypto.Hash
}

var signatureMethods = map[string]signatureMethod{
	"http://www.w3.org/2001/04/xmldsig-more#rsa-sha256":   {x509.RSA, crypto.SHA256},
	"http://www.w3.org/2001/04/xmldsig-more#rsa-sha384":   {x509.RSA, crypto.SHA384},
	"http://www.w3.org/2001/04/xmldsig-more#rsa-sha512":   {x509.RSA, crypto.SHA512},
	"http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256": {x509.ECDSA, crypto.SHA256},
	"http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha384": {x509.ECDSA, crypto.SHA384},
	"http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha512": {x509.ECDSA, crypto.SHA512},
}

var digestMethods = map[string]crypto.Hash{
	"http://www.w3.org/2001/04/xmlenc#sha256":       crypto.SHA256,
	"http://www.w3.org/2001/04/xmldsig-more#sha384": crypto.SHA384,
	"http://www.w3.org/2001/04/xmlenc#sha512":       crypto.SHA512,
}

// signedBytes checks the signature of an assertion that has its shape, and returns the bytes that it covers (SAML 2.0 Core
// 5.4, XML Signature 3.2). The certificate's key is the only one that counts: KeyInfo is not looked at.
func signedBytes(assertion *element, cert *x509.Certificate) ([]byte, error) {
	signature := assertion.find("ds:Signature")
	if signature == nil {
		return nil, errors.New("the assertion has no signature right behind its Issuer")
	}
	info := signature.find("ds:SignedInfo")
	if err := checkSignedInfo(info, cert, signature.find("ds:SignatureValue").content()); err != nil {
		return nil, err
	}
	reference := info.find("ds:Reference")
	if reference.attribute("URI") != "#"+assertion.attribute("ID") {
		return nil, errors.New("the signature is about something else than the assertion")
	}
	transforms := reference.find("ds:Transforms").all("ds:Transform")
	if transforms[0].attribute("Algorithm") != envelopedSignature || len(transforms[0].children) > 0 {
		return nil, errors.New("the signature's transforms must be enveloped-signature and exclusive c14n, in this order")
	}
	inclusive, err := inclusivePrefixes(transforms[1])
	if err != nil {
		return nil, err
	}
	hash, known := digestMethods[reference.find("ds:DigestMethod").attribute("Algorithm")]
	if !known {
		return nil, errors.New("the signature's digest method is not taken: use SHA-256, SHA-384 or SHA-512")
	}
	digest, err := base64Binary(reference.find("ds:DigestValue").content())
	if err != nil {
		return nil, err
	}
	signed := canonical(assertion, signature, inclusive)
	if !bytes.Equal(sum(hash, signed), digest) {
		return nil, errors.New("the signature's digest is not the assertion's: it was changed, or put otherwise into canonical form")
	}
	return signed, nil
}

// checkSignedInfo checks the signature value, which covers all that SignedInfo says.
func checkSignedInfo(info *element, cert *x509.Certificate, value string) error {
	inclusive, err := inclusivePrefixes(info.find("ds:CanonicalizationMethod"))
	if err != nil {
		return err
	}
	method, known := signatureMethods[info.find("ds:SignatureMethod").attribute("Algorithm")]
	if !known {
		return errors.New("the signature method is not taken: use RSA (PKCS #1 v1.5) or ECDSA with SHA-256, SHA-384 or SHA-512")
	}
	signature, err := base64Binary(value)
	if err != nil {
		return err
	}
	return method.verify(cert, sum(method.hash, canonical(info, nil, inclusive)), signature)
}

func (m signatureMethod) verify(cert *x509.Certificate, digest, signature []byte) error {
	valid := false
	switch key := cert.PublicKey.(type) {
	case *rsa.PublicKey:
		if m.key != x509.RSA {
			return errWrongKey
		}
		if key.N.BitLen() < 2048 {
			return errShortKey
		}
		valid = rsa.VerifyPKCS1v15(key, m.hash, digest, signature) == nil
	case *ecdsa.PublicKey:
		if m.key != x509.ECDSA {
			return errWrongKey
		}
		if key.Params().BitSize < 256 {
			return errShortKey
		}
		size := (key.Params().N.BitLen() + 7) / 8
		if len(signature) != 2*size { // XML Signature 6.4.3
			return errors.New("the ECDSA signature is not r and s, each of the length of the curve's order")
		}
		r, s := new(big.Int).SetBytes(signature[:size]), new(big.Int).SetBytes(signature[size:])
		valid = ecdsa.Verify(key, digest, r, s)
	default:
		return errors.New("the certificate's key is neither RSA nor ECDSA")
	}
	if !valid {
		return errors.New("the signature does not verify with the registered certificate")
	}
	return nil
}

var (
	errWrongKey = errors.New("the signature method does not fit the registered certificate's key")
	errShortKey = errors.New("the certificate's key is too short: use RSA with 2048 bits or ECDSA with 256, or more")
)

// inclusivePrefixes reads a transform, or CanonicalizationMethod, which must be exclusive c14n without comments.
func inclusivePrefixes(method *element) ([]string, error) {
	if method.attribute("Algorithm") != exclusiveC14N {
		return nil, errors.New("the canonicalization method is not taken: use exclusive c14n without comments")
	}
	prefixes := words(method.find("ec:InclusiveNamespaces").attribute("PrefixList"))
	if len(prefixes) > 16 {
		return nil, errors.New("the signature has more than 16 inclusive prefixes")
	}
	for i, p := range prefixes {
		if p == "#default" {
			prefixes[i] = ""
		}
	}
	return prefixes, nil
}

// base64Binary reads a value that may have white space in it (XML Schema 2, 3.2.16).
func base64Binary(text string) ([]byte, error) {
	b, err := base64.StdEncoding.Strict().DecodeString(strings.Join(words(text), ""))
	if err != nil {
		return nil, errors.New("the signature has a value that is not base64")
	}
	return b, nil
}

func sum(hash crypto.Hash, b []byte) []byte {
	h := hash.New()
	h.Write(b)
	return h.Sum(nil)
}
