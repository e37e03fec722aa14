package clientcredentials

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/outgrant/outgrant"
)

// Place is where a custom parameter is sent.
type Place int

const (
	InBody   Place = iota // beside the other parameters; the default
	InHeader              // as a header
	InURL                 // in the token URL's query
)

func (p Place) String() string {
	switch p {
	case InBody:
		return "body"
	case InHeader:
		return "header"
	case InURL:
		return "URL"
	}
	return fmt.Sprintf("Place(%d)", int(p))
}

// Param is a custom parameter of the token request. The rules are SAP's: key and value have 1 to 1,024 characters
// and are not blank; no (key, value, place) comes twice; the key is not client_id, client_secret or grant_type. As
// values can be secrets, it prints its key and place only.
type Param struct {
	Key, Value string
	In         Place
}

func (p Param) String() string { return fmt.Sprintf("%s in %s", p.Key, p.In) }

// Format prints key and place, for every verb and flag.
func (p Param) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, p.String()) }

// LogValue logs key and place.
func (p Param) LogValue() slog.Value { return slog.StringValue(p.String()) }

// MarshalJSON encodes key and place.
func (p Param) MarshalJSON() ([]byte, error) { return json.Marshal(p.String()) }

const (
	maxParams     = 20
	maxParamChars = 1024
)

// ownHeaders are headers that the token request has already, or that HTTP itself sets.
var ownHeaders = []string{"Accept", "Accept-Encoding", "Authorization", "Connection", "Content-Encoding", "Content-Length", "Content-Type",
	"Expect", "Host", "Keep-Alive", "Proxy-Authorization", "Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade"}

// checkParams checks SAP's rules, and that no parameter is sent twice where it may not be (RFC 6749 3.2).
func (c *Config) checkParams() error {
	if len(c.Params) > maxParams {
		return fmt.Errorf("Params: %d of them; at most %d are allowed", len(c.Params), maxParams)
	}
	for i, p := range c.Params {
		if err := c.checkParam(p); err != nil {
			return fmt.Errorf("Params[%d]: %w", i, err)
		}
		if slices.Contains(c.Params[:i], p) {
			return fmt.Errorf("Params[%d]: the same key, value and place come twice", i)
		}
		sameKey := func(q Param) bool { return q.Key == p.Key && q.In == p.In }
		if c.JSONBody && p.In == InBody && slices.ContainsFunc(c.Params[:i], sameKey) {
			return fmt.Errorf("Params[%d]: the key %q comes twice, which a JSON body cannot hold", i, p.Key)
		}
	}
	return nil
}

func (c *Config) checkParam(p Param) error {
	for _, f := range []struct{ name, text string }{{"Key", p.Key}, {"Value", p.Value}} {
		switch n := utf8.RuneCountInString(f.text); {
		case strings.TrimSpace(f.text) == "":
			return fmt.Errorf("%s: blank", f.name)
		case n > maxParamChars:
			return fmt.Errorf("%s: %d characters; at most %d are allowed", f.name, n, maxParamChars)
		case !utf8.ValidString(f.text):
			return fmt.Errorf("%s: not UTF-8", f.name)
		case outgrant.Secret(f.text).IsRedacted():
			return fmt.Errorf("%s: is the printed form of a secret, not the secret", f.name)
		}
	}
	switch p.Key {
	case "client_id", "client_secret", "grant_type", "client_assertion", "client_assertion_type":
		return fmt.Errorf("Key: %s is set by the grant itself", p.Key)
	}
	if taken := map[string]bool{"scope": len(c.Scopes) > 0, "resource": c.Resource != "", "audience": c.Audience != ""}; taken[p.Key] && p.In != InHeader {
		return fmt.Errorf("Key: %s is set by the field of that name", p.Key)
	}
	switch p.In {
	case InBody, InURL:
	case InHeader:
		return checkHeader(p)
	default:
		return fmt.Errorf("In: unknown place %d", int(p.In))
	}
	return nil
}

func checkHeader(p Param) error {
	for _, r := range p.Key {
		if !strings.ContainsRune("!#$%&'*+-.^_`|~", r) && !('0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z') {
			return errors.New("Key: not a header name (RFC 9110 5.1)")
		}
	}
	if slices.Contains(ownHeaders, http.CanonicalHeaderKey(p.Key)) {
		return fmt.Errorf("Key: the header %s is set by the token request itself", http.CanonicalHeaderKey(p.Key))
	}
	if strings.ContainsFunc(p.Value, func(r rune) bool { return r < 0x20 && r != '\t' || r == 0x7f }) {
		return errors.New("Value: control characters cannot be sent in a header")
	}
	return nil
}
