package samlbearer

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
)

const minRSABits = 2048

// usableKey reports whether a public key is of a kind and size that assertions may be signed with, here or by others.
func usableKey(public any) bool {
	switch key := public.(type) {
	case *rsa.PublicKey:
		return key.N != nil && key.N.BitLen() >= minRSABits
	case *ecdsa.PublicKey:
		return key.Curve == elliptic.P256() || key.Curve == elliptic.P384() || key.Curve == elliptic.P521()
	}
	return false
}
