package tokenclient

import (
	"encoding/hex"
	"errors"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/internal/display"
	"github.com/outgrant/outgrant/internal/secrettext"
	"github.com/outgrant/outgrant/internal/withheld"
)

// outgoing is what is sent, and what of it must not come back in an error.
type outgoing struct {
	form    url.Values
	header  http.Header
	secrets []outgrant.Secret
	issued  string // the token type that an exchange asks for, or ""
}

// keep notes a secret that the request carries.
func (o *outgoing) keep(s outgrant.Secret) {
	o.secrets = append(o.secrets[:len(o.secrets):len(o.secrets)], s) // the caller's array stays as it is
}

// quotes reports whether a text quotes a secret of the request, or a piece of it.
func (o *outgoing) quotes(text string) bool {
	return text != "" && slices.ContainsFunc(o.secrets, func(s outgrant.Secret) bool {
		secret := s.Reveal()
		if _, found := secrettext.Of(secret).In(text); found {
			return true
		}
		if strings.HasPrefix(strings.TrimLeft(secret, "\ufeff \t\r\n"), "<") {
			return quotesXML(secret, text)
		}
		return secrettext.PartOf(secret, text)
	})
}

// quotesXML tells a document by any element, by a long run of its base64, and in hex: its other texts are in other texts, too.
func quotesXML(document, text string) bool {
	return secrettext.PartOf(hex.EncodeToString([]byte(document)), strings.ToLower(text)) || slices.ContainsFunc(secrettext.Readings(text), func(text string) bool {
		return markup.MatchString(text) || slices.ContainsFunc(longBase64.FindAllString(text, -1), func(run string) bool {
			return strings.Contains(document, run)
		})
	})
}

var (
	markup     = regexp.MustCompile("<[/?]?[A-Za-z]")
	longBase64 = regexp.MustCompile("[A-Za-z0-9+/]{64}")
)

const notShown = "(not shown: it quotes a secret)"

// show makes a text of the token service fit to be shown: one line, not long, and nothing if it quotes a secret.
func (o *outgoing) show(text string, most int) string {
	text = text[:min(len(text), 8*most)] // more would not be seen, and takes long to look through
	if o.quotes(text) {
		return notShown
	}
	return display.Line(text, most)
}

// code returns an error code of the token service, or "" for what is none.
func (o *outgoing) code(text string) string {
	code := display.Code(text)
	if o.quotes(code) {
		return ""
	}
	return code
}

// scrub makes an error of the HTTP client fit to be shown. A url.Error holds the URL with its query, so its cause is
// taken, and of that the text, as a custom RoundTripper's error can hold the whole request.
func (o *outgoing) scrub(err error) error {
	if ue, ok := errors.AsType[*url.Error](err); ok {
		err = ue.Err
	}
	return withheld.Cause(o.show(err.Error(), 500), err)
}
