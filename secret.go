package outgrant

import (
	"fmt"
	"io"
	"log/slog"
)

const redacted = "[redacted]"

// Secret is a client secret, a token, a password: text that must reach the wire and nothing else.
//
// It prints [redacted] through fmt with every verb, slog, JSON and text encoders; an empty one
// prints nothing, so that a missing secret can be told. [Secret.Reveal] is the only way to its
// text. fmt calls no methods on unexported fields: a type of yours that keeps a Secret, a [Token] or
// a configuration in one must have a Format method of its own. Sources, transports and clients of
// ours can be kept anywhere. Do not use a Secret as a key of a map that is printed.
type Secret string

// Reveal returns the text. Call it only where the bytes leave: for the wire, or to be sealed.
func (s Secret) Reveal() string { return string(s) }

// IsRedacted reports whether s is not a secret but the printed form of one, read back from a log
// or a JSON document. Constructors refuse such a secret.
func (s Secret) IsRedacted() bool { return s == redacted }

// String returns [redacted], or "" for an empty secret.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return redacted
}

// Format prints [redacted] for every verb and flag.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, s.String()) }

// LogValue logs [redacted].
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText encodes [redacted]; JSON uses it too.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }
