package samlbearer

import (
	"crypto"
	"crypto/x509"

	dsig "github.com/russellhaering/goxmldsig"
)

// excC14NNamespace is exclusive canonicalization without comments, and the namespace of its parameters.
const excC14NNamespace = "http://www.w3.org/2001/10/xml-exc-c14n#"

// algorithms are the identifiers that go with a hash (RFC 6931, XML Encryption).
type algorithms struct{ digest, rsa, ecdsa string }

// algorithmsOf are all that assertions may be signed with, here or by others. None of them is an HMAC, which would take a
// public key for a secret.
var algorithmsOf = map[crypto.Hash]algorithms{
	crypto.SHA256: {"http://www.w3.org/2001/04/xmlenc#sha256", dsig.RSASHA256SignatureMethod, dsig.ECDSASHA256SignatureMethod},
	crypto.SHA384: {"http://www.w3.org/2001/04/xmldsig-more#sha384", dsig.RSASHA384SignatureMethod, dsig.ECDSASHA384SignatureMethod},
	crypto.SHA512: {"http://www.w3.org/2001/04/xmlenc#sha512", dsig.RSASHA512SignatureMethod, dsig.ECDSASHA512SignatureMethod},
}

// keyOf returns the kind of key that a signature method is for, x509.UnknownPublicKeyAlgorithm for a method that may not be
// used.
func keyOf(method string) x509.PublicKeyAlgorithm {
	for _, a := range algorithmsOf {
		switch method {
		case a.rsa:
			return x509.RSA
		case a.ecdsa:
			return x509.ECDSA
		}
	}
	return x509.UnknownPublicKeyAlgorithm
}

// isDigest reports whether a digest method may be used.
func isDigest(method string) bool {
	for _, a := range algorithmsOf {
		if method == a.digest {
			return true
		}
	}
	return false
}
