package outgrant

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"time"
)

// Token is an access token and what its token service said about it. A Token is shared between
// callers and must not be modified. It prints [redacted] as a whole; see [Secret] for unexported fields.
type Token struct {
	AccessToken Secret
	Type        string    // token_type of the answer; "" means Bearer; compared without regard to case
	Expiry      time.Time // when it ends, by this machine's clock; zero: unknown
	Scopes      []string  // what was granted; nil: the token service did not say
	User        string    // the user it acts for; "" for a technical client

	extra  map[string]any
	header string // the Authorization header's value, where it was worked out ahead
	self   *Token // whose header that is: a copy may have been changed
}

// Extra returns another member of the token service's answer, such as "instance_url", or nil.
// Numbers are float64 unless whoever made the token stored another type. Tokens and secrets of the
// answer (refresh_token, id_token, ...) are never in it. Maps and slices are copies.
func (t *Token) Extra(key string) any {
	if t == nil {
		return nil
	}
	return withoutSecrets(t.extra[key])
}

// Extras returns all that [Token.Extra] knows, to keep a token with it; nil: nothing. It is a copy.
func (t *Token) Extras() map[string]any {
	if t == nil || t.extra == nil {
		return nil
	}
	all, _ := withoutSecrets(t.extra).(map[string]any)
	return all
}

// WithExtra returns a copy of t whose other members are those of m, as encoding/json makes them: copied, and
// at any depth without those whose names say that they are secret: names that end in token, secret, password or
// assertion, or the plural of that.
func (t *Token) WithExtra(m map[string]any) *Token {
	c := Token{}
	if t != nil {
		c = *t
	}
	if c.extra, _ = withoutSecrets(m).(map[string]any); len(c.extra) == 0 {
		c.extra = nil
	}
	return &c
}

// ValidAt reports whether the token can be used at the time now: there is one, and it has not ended
// or does not say when it will. It compares wall clocks and allows no leeway; a nil token is not valid.
func (t *Token) ValidAt(now time.Time) bool {
	if t == nil || t.AccessToken == "" {
		return false
	}
	return t.Expiry.IsZero() || now.Round(0).Before(t.Expiry.Round(0))
}

// Format prints [redacted] for every verb and flag.
func (t Token) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// LogValue logs [redacted].
func (t Token) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalJSON encodes "[redacted]": a Token is not meant to be stored.
func (t Token) MarshalJSON() ([]byte, error) { return json.Marshal(redacted) }

// authorization returns the value of the Authorization header (RFC 6750 2.1).
func (t *Token) authorization() string {
	if t.self == t {
		return t.header
	}
	kind := t.Type
	if kind == "" || strings.EqualFold(kind, "bearer") {
		kind = "Bearer"
	}
	return kind + " " + t.AccessToken.Reveal()
}

// prepared returns a copy of t that has its header worked out, for a token that is used many times.
func (t *Token) prepared() *Token {
	c := *t
	c.header, c.self = c.authorization(), &c
	c.AccessToken = Secret(c.header[len(c.header)-len(t.AccessToken.Reveal()):]) // in memory once, not twice
	return &c
}

func namesSecret(key string) bool {
	key = strings.TrimSuffix(strings.ToLower(key), "s")
	return slices.ContainsFunc([]string{"token", "secret", "password", "assertion"}, func(end string) bool {
		return strings.HasSuffix(key, end)
	})
}

// withoutSecrets copies what a JSON document can hold, but for members whose names say that they are secret.
func withoutSecrets(v any) any {
	switch v := v.(type) {
	case map[string]any:
		c := make(map[string]any, len(v))
		for k := range v {
			if !namesSecret(k) {
				c[k] = withoutSecrets(v[k])
			}
		}
		return c
	case []any:
		c := slices.Clone(v)
		for i := range c {
			c[i] = withoutSecrets(c[i])
		}
		return c
	case []string:
		return slices.Clone(v)
	}
	return v
}

// StaticToken returns a source that always supplies accessToken as a Bearer token of unknown expiry.
// Use it in tests, and for services that hand out one long-lived token.
func StaticToken(accessToken Secret) TokenSource {
	token := (&Token{AccessToken: accessToken}).prepared()
	// A function, because fmt prints what it holds with no verb, not even from an unexported field.
	return TokenSourceFunc(func(context.Context) (*Token, error) {
		switch {
		case accessToken == "":
			return nil, errors.New("outgrant: StaticToken: the access token is empty")
		case accessToken.IsRedacted():
			return nil, errors.New("outgrant: StaticToken: the access token is the printed form of a secret, not the secret")
		}
		return token, nil
	})
}
