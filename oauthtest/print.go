package oauthtest

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
)

// What holds secrets prints without them.

func (s *Server) String() string { return fmt.Sprintf("oauthtest.Server(%s)", s.base) }

// Format prints the server's address, for every verb and flag.
func (s *Server) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, s.String()) }

// LogValue logs the server's address.
func (s *Server) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalJSON encodes the server's address.
func (s *Server) MarshalJSON() ([]byte, error) { return json.Marshal(s.String()) }

func (c Client) String() string { return fmt.Sprintf("oauthtest.Client(%q)", c.ID) }

// Format prints the id, for every verb and flag.
func (c Client) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, c.String()) }

// LogValue logs the id.
func (c Client) LogValue() slog.Value { return slog.StringValue(c.String()) }

// MarshalJSON encodes the id.
func (c Client) MarshalJSON() ([]byte, error) { return json.Marshal(c.String()) }

func (r Request) String() string {
	return fmt.Sprintf("oauthtest.Request(%s of %q: %d)", r.GrantType, r.ClientID, r.Status)
}

// Format prints grant type, client and status, for every verb and flag.
func (r Request) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, r.String()) }

// LogValue logs grant type, client and status.
func (r Request) LogValue() slog.Value { return slog.StringValue(r.String()) }

// MarshalJSON encodes grant type, client and status.
func (r Request) MarshalJSON() ([]byte, error) { return json.Marshal(r.String()) }

func (r GrantRequest) String() string {
	return fmt.Sprintf("oauthtest.GrantRequest(%s of %q)", r.Params.Get("grant_type"), r.Client.ID)
}

// Format prints grant type and client, for every verb and flag.
func (r GrantRequest) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, r.String()) }

// LogValue logs grant type and client.
func (r GrantRequest) LogValue() slog.Value { return slog.StringValue(r.String()) }

// MarshalJSON encodes grant type and client.
func (r GrantRequest) MarshalJSON() ([]byte, error) { return json.Marshal(r.String()) }

func (g Granted) String() string {
	return fmt.Sprintf("oauthtest.Granted(%q, scopes %q)", g.User, g.Scopes)
}

// Format prints user and scopes, for every verb and flag.
func (g Granted) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, g.String()) }

// LogValue logs user and scopes.
func (g Granted) LogValue() slog.Value { return slog.StringValue(g.String()) }

// MarshalJSON encodes user and scopes.
func (g Granted) MarshalJSON() ([]byte, error) { return json.Marshal(g.String()) }

func (s *Source) String() string { return fmt.Sprintf("oauthtest.Source(%d calls)", s.Calls()) }

// Format prints the number of calls, for every verb and flag.
func (s *Source) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, s.String()) }

// LogValue logs the number of calls.
func (s *Source) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalJSON encodes the number of calls.
func (s *Source) MarshalJSON() ([]byte, error) { return json.Marshal(s.String()) }
