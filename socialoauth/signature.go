package socialoauth

import (
	"bytes"
	"cmp"
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// SignatureMethod is how requests of OAuth 1.0a are signed.
type SignatureMethod int

const (
	HMACSHA1   SignatureMethod = iota // HMAC-SHA1 (RFC 5849 3.4.2): the one that X takes
	HMACSHA256                        // HMAC-SHA256, the same with another hash
)

// String returns the method's name in the protocol.
func (m SignatureMethod) String() string {
	switch m {
	case HMACSHA1:
		return "HMAC-SHA1"
	case HMACSHA256:
		return "HMAC-SHA256"
	}
	return fmt.Sprintf("SignatureMethod(%d)", int(m))
}

func (m SignatureMethod) check() error {
	if m != HMACSHA1 && m != HMACSHA256 {
		return refusal{errors.New("Method: must be HMACSHA1 or HMACSHA256")}
	}
	return nil
}

// parameter is one of the protocol, not encoded.
type parameter struct{ name, value string }

// baseString returns what is signed (RFC 5849 3.4.1) of a request with these parameters of the protocol and this form.
func baseString(req *http.Request, protocol []parameter, form string) ([]byte, error) {
	uri, err := baseURI(req)
	if err != nil {
		return nil, err
	}
	query := req.URL.RawQuery
	p := normalized{
		text: make([]byte, 0, 512+2*len(query)+2*len(form)),
		all:  make([]place, 0, len(protocol)+strings.Count(query, "&")+strings.Count(form, "&")+2),
	}
	for _, o := range protocol {
		p.add(o)
	}
	if err := p.addForm(query, "query"); err != nil {
		return nil, err
	}
	if err := p.addForm(form, "form"); err != nil {
		return nil, err
	}
	base := make([]byte, 0, 2*len(uri)+2*len(p.text)+16*len(p.all))
	base = append(appendEncoded(base, strings.ToUpper(cmp.Or(req.Method, http.MethodGet))), '&')
	base = append(appendEncoded(base, uri), '&')
	return p.join(base), nil
}

// normalized collects the parameters of a request, encoded as RFC 5849 3.6 says.
type normalized struct {
	text []byte
	all  []place
}

// place is where in the text a parameter is: its name, and from middle on its value.
type place struct{ start, middle, end int }

func (p *normalized) name(at place) []byte  { return p.text[at.start:at.middle] }
func (p *normalized) value(at place) []byte { return p.text[at.middle:at.end] }

func (p *normalized) add(o parameter) {
	at := place{start: len(p.text)}
	p.text = appendEncoded(p.text, o.name)
	at.middle = len(p.text)
	p.text = appendEncoded(p.text, o.value)
	at.end = len(p.text)
	p.all = append(p.all, at)
}

// addForm adds the parameters of a query or a body.
func (p *normalized) addForm(form, where string) error {
	for piece := range strings.SplitSeq(form, "&") {
		if piece == "" {
			continue
		}
		name, value, _ := strings.Cut(piece, "=")
		at := place{start: len(p.text)}
		var ok, okValue bool
		p.text, ok = appendReencoded(p.text, name)
		at.middle = len(p.text)
		p.text, okValue = appendReencoded(p.text, value)
		at.end = len(p.text)
		if !ok || !okValue {
			return refusal{fmt.Errorf("the %s is malformed: it has a %% that begins no escape", where)}
		}
		if ours(p.name(at)) {
			return refusal{fmt.Errorf("the %s has a parameter %s, which belongs to the signature: leave it out", where, p.name(at))}
		}
		p.all = append(p.all, at)
	}
	return nil
}

// ours reports whether a parameter is one that signing adds: it would be there twice.
func ours(name []byte) bool {
	switch string(name) {
	case "oauth_consumer_key", "oauth_nonce", "oauth_signature", "oauth_signature_method", "oauth_timestamp", "oauth_token", "oauth_version":
		return true
	}
	return false
}

// join appends the sorted parameters (RFC 5849 3.4.1.3.2), encoded once more.
func (p *normalized) join(base []byte) []byte {
	slices.SortFunc(p.all, func(a, b place) int {
		if c := bytes.Compare(p.name(a), p.name(b)); c != 0 {
			return c
		}
		return bytes.Compare(p.value(a), p.value(b))
	})
	for i, at := range p.all {
		if i > 0 {
			base = append(base, "%26"...)
		}
		base = append(appendEncoded(base, p.name(at)), "%3D"...)
		base = appendEncoded(base, p.value(at))
	}
	return base
}

// appendEncoded appends a text, percent-encoded but for unreserved characters (RFC 5849 3.6).
func appendEncoded[T string | []byte](to []byte, text T) []byte {
	start := 0
	for i := range len(text) {
		if c := text[i]; !unreserved[c] {
			to = append(to, text[start:i]...)
			to = append(to, '%', digits[c>>4], digits[c&15])
			start = i + 1
		}
	}
	return append(to, text[start:]...)
}

// appendReencoded appends what a form has encoded in its own way.
func appendReencoded(to []byte, text string) ([]byte, bool) {
	for i := 0; i < len(text); i++ {
		switch c := text[i]; c {
		case '+':
			to = append(to, "%20"...)
		case '%':
			if i+2 >= len(text) {
				return to, false
			}
			high, low := unhex(text[i+1]), unhex(text[i+2])
			if high < 0 || low < 0 {
				return to, false
			}
			to = appendByte(to, byte(high<<4|low))
			i += 2
		default:
			to = appendByte(to, c)
		}
	}
	return to, true
}

func appendByte(to []byte, c byte) []byte {
	if unreserved[c] {
		return append(to, c)
	}
	return append(to, '%', digits[c>>4], digits[c&15])
}

const digits = "0123456789ABCDEF"

var unreserved = func() (is [256]bool) {
	for _, c := range "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~" {
		is[c] = true
	}
	return is
}()

func unhex(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c && c <= 'f':
		return int(c-'a') + 10
	case 'A' <= c && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}

// signature signs a base string (RFC 5849 3.4.2).
func (k twitterKeys) signature(base []byte) string {
	key := append(appendEncoded(nil, k.consumerSecret.Reveal()), '&')
	key = appendEncoded(key, k.tokenSecret.Reveal())
	newHash := sha1.New
	if k.method == HMACSHA256 {
		newHash = sha256.New
	}
	mac := hmac.New(newHash, key)
	mac.Write(base)
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// authorization returns the header's value (RFC 5849 3.5.1).
func authorization(protocol []parameter, signature string) string {
	header := make([]byte, 0, 512)
	header = append(header, "OAuth "...)
	for _, o := range protocol {
		header = append(append(header, o.name...), `="`...)
		header = append(appendEncoded(header, o.value), `", `...)
	}
	header = append(header, `oauth_signature="`...)
	return string(append(appendEncoded(header, signature), '"'))
}
