package credstore

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
)

// Artifacts print their type and name: for every verb and flag, in logs, and in JSON that is not written by
// [FormatArtifacts].

func (a ClientCredentials) String() string {
	return fmt.Sprintf("credstore.ClientCredentials(%q)", a.Name)
}

// Format prints the name, for every verb and flag.
func (a ClientCredentials) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, a.String()) }

// LogValue logs the name.
func (a ClientCredentials) LogValue() slog.Value { return slog.StringValue(a.String()) }

// MarshalJSON encodes the name: see [FormatArtifacts].
func (a ClientCredentials) MarshalJSON() ([]byte, error) { return json.Marshal(a.String()) }

func (c CustomParameter) String() string {
	return fmt.Sprintf("credstore.CustomParameter(%q)", c.Key)
}

// Format prints the key, for every verb and flag.
func (c CustomParameter) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, c.String()) }

// LogValue logs the key.
func (c CustomParameter) LogValue() slog.Value { return slog.StringValue(c.String()) }

// MarshalJSON encodes the key: see [FormatArtifacts].
func (c CustomParameter) MarshalJSON() ([]byte, error) { return json.Marshal(c.String()) }

func (a SAMLBearerAssertion) String() string {
	return fmt.Sprintf("credstore.SAMLBearerAssertion(%q)", a.Name)
}

// Format prints the name, for every verb and flag.
func (a SAMLBearerAssertion) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, a.String()) }

// LogValue logs the name.
func (a SAMLBearerAssertion) LogValue() slog.Value { return slog.StringValue(a.String()) }

// MarshalJSON encodes the name: see [FormatArtifacts].
func (a SAMLBearerAssertion) MarshalJSON() ([]byte, error) { return json.Marshal(a.String()) }

func (a AuthorizationCode) String() string {
	return fmt.Sprintf("credstore.AuthorizationCode(%q)", a.Name)
}

// Format prints the name, for every verb and flag.
func (a AuthorizationCode) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, a.String()) }

// LogValue logs the name.
func (a AuthorizationCode) LogValue() slog.Value { return slog.StringValue(a.String()) }

// MarshalJSON encodes the name: see [FormatArtifacts].
func (a AuthorizationCode) MarshalJSON() ([]byte, error) { return json.Marshal(a.String()) }

func (a SecureParameter) String() string {
	return fmt.Sprintf("credstore.SecureParameter(%q)", a.Name)
}

// Format prints the name, for every verb and flag.
func (a SecureParameter) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, a.String()) }

// LogValue logs the name.
func (a SecureParameter) LogValue() slog.Value { return slog.StringValue(a.String()) }

// MarshalJSON encodes the name: see [FormatArtifacts].
func (a SecureParameter) MarshalJSON() ([]byte, error) { return json.Marshal(a.String()) }

func (a KeyPair) String() string { return fmt.Sprintf("credstore.KeyPair(%q)", a.Name) }

// Format prints the name, for every verb and flag.
func (a KeyPair) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, a.String()) }

// LogValue logs the name.
func (a KeyPair) LogValue() slog.Value { return slog.StringValue(a.String()) }

// MarshalJSON encodes the name: see [FormatArtifacts].
func (a KeyPair) MarshalJSON() ([]byte, error) { return json.Marshal(a.String()) }
