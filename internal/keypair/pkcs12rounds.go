package keypair

import (
	"encoding/asn1"
	"fmt"
	"math/big"
)

// A PKCS#12 file says itself how often its password is hashed, 64 bits wide. Programs that write such files take from one
// to a million rounds or so.
const (
	maxPasswordRounds = 2_000_000
	maxDERDepth       = 16
)

// checkPasswordRounds refuses a PKCS#12 file that would keep this machine busy for a long time. It sees what is not
// encrypted, which is what is worked on before the password is known to be right.
func checkPasswordRounds(der []byte) error {
	if tooManyRounds(der, maxDERDepth) {
		return fmt.Errorf("the password of the PKCS#12 file is hashed too often; at most %d rounds are allowed: export it again", maxPasswordRounds)
	}
	return nil
}

// tooManyRounds looks for an integer after a salt that is too large: in the parameters of the MAC (RFC 7292 4) and of key
// derivations (RFC 8018 A), wherever they are.
func tooManyRounds(der []byte, depth int) bool {
	afterSalt := false
	for depth > 0 && len(der) > 0 {
		var e asn1.RawValue
		rest, err := asn1.Unmarshal(der, &e)
		if err != nil {
			return false // the parser will say so
		}
		der = rest
		is := func(tag int) bool { return e.Class == asn1.ClassUniversal && e.Tag == tag }
		if is(asn1.TagInteger) && afterSalt && new(big.Int).SetBytes(e.Bytes).Cmp(big.NewInt(maxPasswordRounds)) > 0 {
			return true
		}
		afterSalt = afterSalt || is(asn1.TagOctetString)
		if (e.IsCompound || is(asn1.TagOctetString)) && tooManyRounds(e.Bytes, depth-1) {
			return true
		}
	}
	return false
}
