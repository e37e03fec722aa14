package peer

import "os"

// Short returns the first of two, or in a soak (OUTGRANT_SOAK=1) the second.
func Short[T any](inShort, inSoak T) T {
	if os.Getenv("OUTGRANT_SOAK") == "1" {
		return inSoak
	}
	return inShort
}
