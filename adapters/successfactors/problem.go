package successfactors

import (
	"bytes"
	"cmp"
	"net/http"
	"regexp"
	"slices"

	"github.com/outgrant/outgrant/internal/readahead"
)

// problem is what an answer with an error status says. All of it is as the server wrote it, not fit to be shown.
type problem struct {
	fault              bool // it is a SOAP fault
	code, message      string
	faultCode, faultAs string // faultcode and faultstring
	refusal            string // the custom code that refuses the token; "": it is not refused
}

// Custom codes are what SAP calls LGN0022 and its like.
var (
	// refusalCode matches those that refuse the token: it has expired or was rejected, has expired, or is not valid.
	refusalCode     = regexp.MustCompile(`\bLGN(0022|0006|0007)\b`)
	bracketed       = regexp.MustCompile(`\[LGN(0022|0006|0007)\]`)
	customCode      = regexp.MustCompile(`^[A-Z]{3}[0-9]{4}$`)
	customCodeFirst = regexp.MustCompile(`^\[([A-Z]{3}[0-9]{4})\]`)
)

// problemOf reads ahead what an answer with an error status says: an OData error or another one, in JSON or XML, or a
// SOAP fault.
func problemOf(resp *http.Response) (p problem) {
	text := bytes.TrimSpace(readahead.Read(resp, readahead.LongestError, readahead.LongestWait).Text(resp.Header, readahead.LongestError))
	walk(text, p.leaf)
	if len(text) > 0 && text[0] != '{' && text[0] != '<' { // a plain text
		p.refusal = cmp.Or(p.refusal, refusalCode.FindString(bracketed.FindString(string(text))))
	}
	for _, values := range resp.Header { // SAP says that the code is in a header, and not in which one
		for _, value := range values {
			if refusalCode.FindString(value) == value {
				p.refusal = cmp.Or(p.refusal, value)
			}
		}
	}
	return p
}

// leaf takes a value: what is a code or a message by its name, and all of a SOAP fault, is searched for a refusal.
func (p *problem) leaf(path []string, value string) {
	name, within := path[len(path)-1], ""
	if len(path) > 1 {
		within = path[len(path)-2]
	}
	p.fault = p.fault || len(path) > 2 && slices.Equal(path[:3], []string{"Envelope", "Body", "Fault"})
	var field *string
	switch {
	case name == "code", name == "errorCode", name == "error":
		field = &p.code
	case name == "message", name == "errorMessage", name == "error_description", name == "value" && within == "message":
		field = &p.message
	case name == "faultcode", name == "Value" && within == "Code":
		field = &p.faultCode
	case name == "faultstring", name == "Text" && within == "Reason":
		field = &p.faultAs
	case !p.fault:
		return
	}
	if field != nil {
		*field = cmp.Or(*field, value)
	}
	p.refusal = cmp.Or(p.refusal, refusalCode.FindString(value))
}

// custom returns the custom code: the one that refuses the token, or in place of the code, or in brackets before the
// message.
func (p problem) custom() string {
	for _, code := range []string{p.refusal, p.code, p.faultCode} {
		if customCode.MatchString(code) {
			return code
		}
	}
	for _, message := range []string{p.message, p.faultAs} {
		if match := customCodeFirst.FindStringSubmatch(message); match != nil {
			return match[1]
		}
	}
	return ""
}
