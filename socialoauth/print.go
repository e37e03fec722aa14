package socialoauth

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
)

// What holds secrets prints without them: each type its own text, for every verb and flag, in logs and as JSON.

func (k TwitterKeys) String() string { return fmt.Sprintf("socialoauth.TwitterKeys(%q)", k.Name) }

// Format prints the name, for every verb and flag.
func (k TwitterKeys) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, k.String()) }

// LogValue logs the name.
func (k TwitterKeys) LogValue() slog.Value { return slog.StringValue(k.String()) }

// MarshalJSON encodes the name.
func (k TwitterKeys) MarshalJSON() ([]byte, error) { return json.Marshal(k.String()) }

func (k FacebookKeys) String() string { return fmt.Sprintf("socialoauth.FacebookKeys(%q)", k.Name) }

// Format prints the name, for every verb and flag.
func (k FacebookKeys) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, k.String()) }

// LogValue logs the name.
func (k FacebookKeys) LogValue() slog.Value { return slog.StringValue(k.String()) }

// MarshalJSON encodes the name.
func (k FacebookKeys) MarshalJSON() ([]byte, error) { return json.Marshal(k.String()) }

func (s TwitterSource) String() string { return fmt.Sprintf("socialoauth.TwitterSource(%q)", s.name) }

// Format prints the name, for every verb and flag.
func (s TwitterSource) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, s.String()) }

// LogValue logs the name.
func (s TwitterSource) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalJSON encodes the name.
func (s TwitterSource) MarshalJSON() ([]byte, error) { return json.Marshal(s.String()) }

func (s FacebookSource) String() string { return fmt.Sprintf("socialoauth.FacebookSource(%q)", s.name) }

// Format prints the name, for every verb and flag.
func (s FacebookSource) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, s.String()) }

// LogValue logs the name.
func (s FacebookSource) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalJSON encodes the name.
func (s FacebookSource) MarshalJSON() ([]byte, error) { return json.Marshal(s.String()) }

func (c ThreeLeggedConfig) String() string {
	return fmt.Sprintf("socialoauth.ThreeLeggedConfig(%q)", c.Name)
}

// Format prints the name, for every verb and flag.
func (c ThreeLeggedConfig) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, c.String()) }

// LogValue logs the name.
func (c ThreeLeggedConfig) LogValue() slog.Value { return slog.StringValue(c.String()) }

// MarshalJSON encodes the name.
func (c ThreeLeggedConfig) MarshalJSON() ([]byte, error) { return json.Marshal(c.String()) }

func (f ThreeLegged) String() string { return fmt.Sprintf("socialoauth.ThreeLegged(%q)", f.name) }

// Format prints the name, for every verb and flag.
func (f ThreeLegged) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, f.String()) }

// LogValue logs the name.
func (f ThreeLegged) LogValue() slog.Value { return slog.StringValue(f.String()) }

// MarshalJSON encodes the name.
func (f ThreeLegged) MarshalJSON() ([]byte, error) { return json.Marshal(f.String()) }

func (p Pending) String() string { return "socialoauth.Pending" }

// Format prints the type, for every verb and flag.
func (p Pending) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, p.String()) }

// LogValue logs the type.
func (p Pending) LogValue() slog.Value { return slog.StringValue(p.String()) }

// MarshalJSON encodes the type: to keep a Pending, keep what Reveal returns.
func (p Pending) MarshalJSON() ([]byte, error) { return json.Marshal(p.String()) }

func (a AccessToken) String() string {
	return fmt.Sprintf("socialoauth.AccessToken(of %q)", a.ScreenName)
}

// Format prints whose it is, for every verb and flag.
func (a AccessToken) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, a.String()) }

// LogValue logs whose it is.
func (a AccessToken) LogValue() slog.Value { return slog.StringValue(a.String()) }

// MarshalJSON encodes whose it is: to keep an AccessToken, keep what Reveal returns.
func (a AccessToken) MarshalJSON() ([]byte, error) { return json.Marshal(a.String()) }
