package keypair

import (
	"testing"
	"time"
)

// SetDecodePatience sets how long a PKCS#12 file may take, for a test that runs alone.
func SetDecodePatience(t *testing.T, d time.Duration) {
	before := decodePatience
	decodePatience = d
	t.Cleanup(func() { decodePatience = before })
}
