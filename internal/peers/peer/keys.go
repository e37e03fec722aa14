package peer

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// SigningKeys makes a key for each algorithm that client assertions are tested with.
func SigningKeys(tb testing.TB) map[string]crypto.Signer {
	tb.Helper()
	return map[string]crypto.Signer{"RS256": RSAKey(), "PS256": RSAKey(), "ES256": ECKey(tb, elliptic.P256())}
}

// RSAKey and AnotherRSAKey return a key of 2048 bits, always the same: to make one takes long.
var RSAKey, AnotherRSAKey = sync.OnceValue(newRSAKey), sync.OnceValue(newRSAKey)

func newRSAKey() crypto.Signer {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err) // there is no randomness
	}
	return key
}

// ECKey makes a key on the curve.
func ECKey(tb testing.TB, curve elliptic.Curve) crypto.Signer {
	tb.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	require.NoError(tb, err)
	return key
}
