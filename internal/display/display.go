// Package display makes texts of others fit to be shown in errors.
package display

import (
	"strings"
	"unicode"
)

// LongestDescription bounds an error_description, in characters.
const LongestDescription = 300

// Line returns the text as one line of at most most characters.
func Line(text string, most int) string {
	text = strings.TrimSpace(strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, strings.ToValidUTF8(text, "?")))
	if r := []rune(text); len(r) > most {
		return string(r[:most]) + "..."
	}
	return text
}

// Code returns the text if it is an error code as RFC 6749 5.2 spells them, and not overlong; else "".
func Code(text string) string {
	if len(text) > 100 || strings.ContainsFunc(text, func(r rune) bool { return r < 0x20 || r > 0x7e || r == '"' || r == '\\' }) {
		return ""
	}
	return text
}
