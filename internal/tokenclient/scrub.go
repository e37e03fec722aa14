package tokenclient

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"unicode"

	"github.com/outgrant/outgrant"
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

// shortestSecret: shorter ones would be found everywhere, and are no secrets.
const shortestSecret = 4

// hide replaces every secret of the request, in whatever encoding it was sent, in a text of the answer.
func (o *outgoing) hide(text string) string {
	for _, s := range o.secrets {
		for _, form := range encodings(s.Reveal()) {
			text = strings.ReplaceAll(text, form, "[redacted]")
		}
	}
	return text
}

func encodings(s string) []string {
	if len(s) < shortestSecret {
		return nil
	}
	quoted, _ := json.Marshal(s)
	return []string{s, url.QueryEscape(s), url.PathEscape(s), strings.Trim(string(quoted), `"`),
		base64.StdEncoding.EncodeToString([]byte(s)), base64.RawURLEncoding.EncodeToString([]byte(s))}
}

// scrub makes an error of the HTTP client fit to be shown. A url.Error holds the URL with its query, so its cause
// is taken; a cause that quotes a secret all the same (a custom RoundTripper's, say) is replaced.
func (o *outgoing) scrub(err error) error {
	if ue, ok := errors.AsType[*url.Error](err); ok {
		err = ue.Err
	}
	if text := err.Error(); o.hide(text) != text {
		return errors.New("the request failed, with an error that held a secret and is not shown")
	}
	return err
}

const longestDescription = 300

// describe makes a text of the token service fit to be shown: no secret of ours, one line, not long.
func (o *outgoing) describe(text string) string {
	text = strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, strings.ToValidUTF8(o.hide(text), "?"))
	if r := []rune(text); len(r) > longestDescription {
		text = string(r[:longestDescription]) + "..."
	}
	return strings.TrimSpace(text)
}
