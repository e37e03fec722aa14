// Package withheld keeps secrets out of what others say: texts of answers, and errors of transports.
package withheld

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/outgrant/outgrant/internal/display"
	"github.com/outgrant/outgrant/internal/secrettext"
)

// Secrets are what must not be shown.
type Secrets []string

// OfRequest returns the secrets that a request carries: those in its Authorization header, be it of a bearer token or of
// OAuth 1.0a, and the values of these query parameters.
func OfRequest(req *http.Request, query ...string) Secrets {
	var all Secrets
	for _, header := range req.Header.Values("Authorization") {
		scheme, credentials, _ := strings.Cut(header, " ")
		all = append(all, credentials)
		if !strings.EqualFold(scheme, "OAuth") {
			continue
		}
		for part := range strings.SplitSeq(credentials, ",") {
			name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
			switch name {
			case "oauth_consumer_key", "oauth_nonce", "oauth_signature", "oauth_token", "oauth_verifier":
				if plain, err := url.PathUnescape(strings.Trim(value, `"`)); err == nil {
					all = append(all, plain)
				}
			}
		}
	}
	if req.URL != nil && len(query) > 0 {
		values := req.URL.Query()
		for _, name := range query {
			all = append(all, values[name]...)
		}
	}
	return all
}

// quoted reports whether a text quotes one of them.
func (s Secrets) quoted(text string) bool {
	return text != "" && slices.ContainsFunc(s, func(secret string) bool {
		_, found := secrettext.Of(secret).In(text)
		return found || secrettext.PartOf(secret, text)
	})
}

// Line makes a text of others fit to be shown: one line of at most most characters, and nothing if it quotes a secret.
func (s Secrets) Line(text string, most int) string {
	shown := text[:min(len(text), 8*most)]                // more takes long to look through
	if s.quoted(text[:min(len(text), 8*most+overhang)]) { // a secret that is cut off is not recognized
		return "(not shown: it quotes a secret)"
	}
	return display.Line(shown, most)
}

// overhang is how far a secret, escaped or not, may reach beyond what is shown and be found. Longer ones are found in part.
const overhang = 1024

// Error makes an error of an HTTP client fit to be shown: of a url.Error, which holds the URL with its query, the cause is
// taken, and of that the text. It is still known for what it is.
func (s Secrets) Error(err error) error {
	if ue, ok := errors.AsType[*url.Error](err); ok {
		err = ue.Err
	}
	return Cause(s.Line(err.Error(), 500), err)
}

// Cause returns an error that is known for what err is, but prints the text alone, in whatever way it is printed.
func Cause(text string, err error) error {
	return &cause{text, func() error { return err }}
}

type cause struct {
	text     string
	original func() error // a function, where fmt does not look
}

func (c *cause) Error() string        { return c.text }
func (c *cause) Is(target error) bool { return errors.Is(c.original(), target) }
func (c *cause) As(target any) bool   { return errors.As(c.original(), target) }
