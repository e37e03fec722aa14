package oauthtest

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
)

// What the providers for Twitter and Facebook hold prints without its secrets, too.

func (o *OAuth1) String() string { return "oauthtest.OAuth1" }

// Format prints the type, for every verb and flag.
func (o *OAuth1) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, o.String()) }

// LogValue logs the type.
func (o *OAuth1) LogValue() slog.Value { return slog.StringValue(o.String()) }

// MarshalJSON encodes the type.
func (o *OAuth1) MarshalJSON() ([]byte, error) { return json.Marshal(o.String()) }

func (g *Graph) String() string { return "oauthtest.Graph" }

// Format prints the type, for every verb and flag.
func (g *Graph) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, g.String()) }

// LogValue logs the type.
func (g *Graph) LogValue() slog.Value { return slog.StringValue(g.String()) }

// MarshalJSON encodes the type.
func (g *Graph) MarshalJSON() ([]byte, error) { return json.Marshal(g.String()) }

func (c Consumer) String() string { return fmt.Sprintf("oauthtest.Consumer(%v)", c.CallbackURLs) }

// Format prints the callbacks, for every verb and flag.
func (c Consumer) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, c.String()) }

// LogValue logs the callbacks.
func (c Consumer) LogValue() slog.Value { return slog.StringValue(c.String()) }

// MarshalJSON encodes the callbacks.
func (c Consumer) MarshalJSON() ([]byte, error) { return json.Marshal(c.String()) }

func (t OAuth1Token) String() string { return fmt.Sprintf("oauthtest.OAuth1Token(%q)", t.User) }

// Format prints the user, for every verb and flag.
func (t OAuth1Token) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, t.String()) }

// LogValue logs the user.
func (t OAuth1Token) LogValue() slog.Value { return slog.StringValue(t.String()) }

// MarshalJSON encodes the user.
func (t OAuth1Token) MarshalJSON() ([]byte, error) { return json.Marshal(t.String()) }
