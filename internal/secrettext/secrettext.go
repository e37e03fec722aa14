// Package secrettext finds a secret in a text, in whatever form it takes on its way there.
package secrettext

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html"
	"net/url"
	"strconv"
	"strings"
)

// Shortest is the length of the shortest secret that is looked for: shorter ones would be found everywhere.
const Shortest = 4

// Forms are what a secret can look like.
type Forms []form

type form struct{ name, text string }

// Of returns the forms of a secret: none of one that is too short.
func Of(secret string) Forms {
	if len(secret) < Shortest {
		return nil
	}
	b := []byte(secret)
	quoted, _ := json.Marshal(secret)
	forms := Forms{
		{"as it is", secret},
		{"query-escaped", url.QueryEscape(secret)}, {"path-escaped", url.PathEscape(secret)},
		{"quoted by JSON", unquoted(string(quoted))}, {"quoted by Go", unquoted(strconv.Quote(secret))},
		{"quoted in ASCII", unquoted(strconv.QuoteToASCII(secret))},
		{"as hex", hex.EncodeToString(b)}, {"as HEX", fmt.Sprintf("%X", b)}, {"as spaced hex", fmt.Sprintf("% x", b)},
		{"as bytes", strings.Trim(fmt.Sprint(b), "[]")},
		{"as Go bytes", strings.TrimSuffix(strings.TrimPrefix(fmt.Sprintf("%#v", b), "[]byte{"), "}")},
	}
	// What is in base64 was escaped before in a Basic header (RFC 6749 2.3.1) or a form, and quoted in a JSON document.
	for _, text := range []string{secret, url.QueryEscape(secret), unquoted(string(quoted))} {
		for offset := range 3 {
			forms = append(forms, form{"as base64", inside(base64.RawStdEncoding, text, offset)},
				form{"as base64url", inside(base64.RawURLEncoding, text, offset)})
		}
	}
	return forms
}

func unquoted(s string) string { return s[1 : len(s)-1] }

// inside returns the characters that the text makes in base64, whatever is around it, when it begins at an offset in a
// group of three bytes.
func inside(enc *base64.Encoding, text string, offset int) string {
	encoded := enc.EncodeToString(append(make([]byte, offset), text...))
	return encoded[(8*offset+5)/6 : 8*(offset+len(text))/6]
}

// In reports whether a text holds the secret, and in which form. A text that is escaped for URLs, however often, or for
// HTML is looked at unescaped, too.
func (f Forms) In(text string) (name string, found bool) {
	for _, text := range Readings(text) {
		for _, form := range f {
			if strings.Contains(text, form.text) {
				return form.name, true
			}
		}
	}
	return "", false
}

// piece is how much of a long secret is told as such.
const piece = 32

// PartOf reports whether a text holds a piece of a long secret, as it is, escaped, or in the other alphabet of base64:
// quotes are often cut off.
func PartOf(secret, text string) bool {
	if len(secret) < 2*piece {
		return false
	}
	standard := strings.NewReplacer("-", "+", "_", "/")
	secret = standard.Replace(secret)
	for _, text := range Readings(standard.Replace(text)) {
		for i := 0; i+piece <= len(text); i++ {
			if strings.Contains(secret, text[i:i+piece]) {
				return true
			}
		}
	}
	return false
}

// Readings returns the text and what is left of it as escapes are taken away.
func Readings(text string) []string {
	all := []string{text}
	add := func(next string) {
		if next != all[len(all)-1] {
			all = append(all, next)
		}
	}
	add(html.UnescapeString(text))
	add(backslashDecoded(text)) // JSON escapes more characters in one library than in another
	for range 3 {
		add(percentDecoded(all[len(all)-1]))
	}
	add(percentDecoded(strings.ReplaceAll(text, "+", " ")))
	return all
}

// percentDecoded replaces what is a percent escape and leaves the rest.
func percentDecoded(s string) string {
	if !strings.Contains(s, "%") {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			if c, err := strconv.ParseUint(s[i+1:i+3], 16, 8); err == nil {
				b.WriteByte(byte(c))
				i += 2
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// backslashDecoded replaces the escapes of a JSON text.
func backslashDecoded(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' || i+1 == len(s) {
			b.WriteByte(s[i])
			continue
		}
		i++
		switch c := s[i]; c {
		case 'n':
			b.WriteByte('\n')
		case 'r':
			b.WriteByte('\r')
		case 't':
			b.WriteByte('\t')
		case 'u':
			if i+4 < len(s) {
				if r, err := strconv.ParseUint(s[i+1:i+5], 16, 16); err == nil {
					b.WriteRune(rune(r))
					i += 4
				}
			}
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}
