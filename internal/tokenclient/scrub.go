package tokenclient

import (
	"errors"
	"net/http"
	"net/url"
	"slices"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/internal/display"
	"github.com/outgrant/outgrant/internal/secrettext"
)

// outgoing is what is sent, and what of it must not come back in an error.
type outgoing struct {
	form    url.Values
	header  http.Header
	secrets []outgrant.Secret
}

// keep notes a secret that the request carries.
func (o *outgoing) keep(s outgrant.Secret) {
	o.secrets = append(o.secrets[:len(o.secrets):len(o.secrets)], s) // the caller's array stays as it is
}

// quotes reports whether a text quotes a secret of the request.
func (o *outgoing) quotes(text string) bool {
	return slices.ContainsFunc(o.secrets, func(s outgrant.Secret) bool {
		_, found := secrettext.Of(s.Reveal()).In(text)
		return found
	})
}

const withheld = "(not shown: it quotes a secret)"

// show makes a text of the token service fit to be shown: one line, not long, and nothing if it quotes a secret.
func (o *outgoing) show(text string, most int) string {
	if o.quotes(text) {
		return withheld
	}
	return display.Line(text, most)
}

// code returns an error code of the token service, or "" for what is none.
func (o *outgoing) code(text string) string {
	if o.quotes(text) {
		return ""
	}
	return display.Code(text)
}

// scrub makes an error of the HTTP client fit to be shown. A url.Error holds the URL with its query, so its cause is
// taken, and of that the text, as a custom RoundTripper's error can hold the whole request.
func (o *outgoing) scrub(err error) error {
	if ue, ok := errors.AsType[*url.Error](err); ok {
		err = ue.Err
	}
	return &cause{o.show(err.Error(), 500), func() error { return err }}
}

// cause is an error that is known for what it is but prints its text alone, in whatever way it is printed.
type cause struct {
	text     string
	original func() error // a function, where fmt does not look
}

func (c *cause) Error() string        { return c.text }
func (c *cause) Is(target error) bool { return errors.Is(c.original(), target) }
func (c *cause) As(target any) bool   { return errors.As(c.original(), target) }
