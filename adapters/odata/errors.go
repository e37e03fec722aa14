package odata

import (
	"cmp"
	"fmt"
	"net/http"
	"time"

	"github.com/outgrant/outgrant/internal/display"
	"github.com/outgrant/outgrant/internal/readahead"
	"github.com/outgrant/outgrant/internal/retryafter"
	"github.com/outgrant/outgrant/internal/secrettext"
)

// Error is an error answer of an OData service, V2 or V4. Its texts are the service's own, each as one line of bounded
// length; one that quotes the token, a cookie or the CSRF token that was sent is withheld.
type Error struct {
	Host       string
	Part       string // which answer of a $batch it is: its id, its Content-ID, or else its number from 1; "": of none
	StatusCode int
	Code       string        // "" if the answer had none
	Message    string        // "" if the answer had none
	Target     string        // what the error is about; "" if the answer did not say
	Details    []Detail      // at most 32
	Inner      *InnerError   // what the service says to its own developers; nil if it says nothing
	RetryAfter time.Duration // how long the service wants to be left alone; 0: it did not say
}

// Detail is one of several things that are wrong: of V4's details, or of SAP's errordetails in V2.
type Detail struct {
	Code, Message, Target string
	Severity              string // SAP's: error, warning, info; "" if it is not said
}

// InnerError is what is known about the cause of an error. There are no stack traces in it.
type InnerError struct {
	Code, Message string
	Type          string      // of the exception
	TransactionID string      // SAP's, to find it in the logs there
	Inner         *InnerError // at most 4 of them
}

// Error names the server, says what it answered and what to do next.
func (e *Error) Error() string {
	text := fmt.Sprintf("odata: %s answered %d", cmp.Or(e.Host, "the server"), e.StatusCode)
	if e.Part != "" {
		text += " in part " + e.Part + " of the batch"
	}
	if e.Code != "" {
		text += " " + e.Code
	}
	if e.Message != "" {
		text += ": " + e.Message
	}
	if e.Target != "" {
		text += " (" + e.Target + ")"
	}
	if todo := e.advice(); todo != "" {
		text += "; " + todo
	}
	return text
}

// advice says what to do about an answer.
func (e *Error) advice() string {
	switch {
	case e.StatusCode == http.StatusUnauthorized:
		return "the token was refused, and so was a new one if there was any: check what the service expects of it, such as its audience"
	case e.StatusCode == http.StatusForbidden:
		return "check the roles and scopes that the token's user or client has there, and that a change carries a CSRF token"
	case e.StatusCode == http.StatusPreconditionFailed:
		return "somebody else changed it: read it again for its ETag"
	case e.StatusCode == http.StatusPreconditionRequired:
		return "send the ETag that it was read with as If-Match"
	case e.RetryAfter > 0:
		return fmt.Sprintf("wait %s, or set MaxRetryAfter", e.RetryAfter)
	case e.StatusCode == http.StatusTooManyRequests, e.StatusCode == http.StatusBadGateway, e.StatusCode == http.StatusServiceUnavailable, e.StatusCode == http.StatusGatewayTimeout:
		return "try again later"
	}
	return ""
}

// ErrorOf returns what an answer with an error status (400 and above) says: an [*Error]. It returns nil for any other
// answer. Call it before the body is read: it reads at most 64 KiB of it, for 5 seconds at most, and puts them back. The
// caller still closes the body. Whether it is JSON or XML is told from the body alone; of another body it takes nothing.
//
// Give it the answers of a [Transport]: it knows what must not be shown. Of others the Authorization, Cookie and
// X-CSRF-Token headers are taken for that.
func ErrorOf(resp *http.Response) error {
	if resp == nil || resp.StatusCode < http.StatusBadRequest {
		return nil
	}
	text := readahead.Read(resp, readahead.LongestError, readahead.LongestWait).Text(resp.Header, readahead.LongestError)
	r := readerOf(resp)
	e := r.read(text)
	e.StatusCode, e.RetryAfter = resp.StatusCode, retryafter.Parse(resp.Header.Get("Retry-After"), time.Now())
	return e
}

// reader makes errors of one answer's texts.
type reader struct {
	host   string
	quotes func(text string) bool
}

// readerOf takes what is known about an answer beside itself.
func readerOf(resp *http.Response) (r reader) {
	r.quotes = secrettext.Quoting()
	if resp.Request == nil {
		return r
	}
	if resp.Request.URL != nil {
		r.host = resp.Request.URL.Host
	}
	r.quotes = secrettext.Quoting(secretsIn(resp.Request.Header)...)
	if ours, ok := resp.Request.Context().Value(contextKey{}).(known); ok {
		theirs := r.quotes
		r.quotes = func(text string) bool { return ours.quotes(text) || theirs(text) }
	}
	return r
}

const (
	mostDetails = 32
	mostInner   = 5
)

// read takes an error out of a body: the protocol's, and those of gateways in front of it, which are flat.
func (r reader) read(text []byte) *Error {
	document := parse(text)
	n := document.child("error")
	if len(n.kids) == 0 { // {"error":"invalid_token","error_description":"..."}, {"code":"...","message":"..."}
		n = document
	}
	message := n.child("message")
	inner := n.child("innererror")
	e := &Error{
		Host: r.host, Code: r.code(n.value("code", "error")), Target: r.line(n.value("target")), Inner: r.inner(inner, mostInner),
		Message: r.line(cmp.Or(message.text, message.value("value"), n.value("error_description"))),
	}
	for _, list := range []*node{n.child("details"), inner.child("errordetails")} {
		for _, d := range list.kids {
			detail := Detail{
				Code: r.code(d.value("code")), Message: r.line(cmp.Or(d.value("message"), d.child("message").value("value"))),
				Target: r.line(d.value("target", "propertyref")), Severity: r.code(d.value("severity")),
			}
			if detail != (Detail{}) && len(e.Details) < mostDetails {
				e.Details = append(e.Details, detail)
			}
		}
	}
	return e
}

func (r reader) inner(n *node, most int) *InnerError {
	if most == 0 || len(n.kids) == 0 {
		return nil
	}
	inner := InnerError{
		Code: r.code(n.value("code")), Message: r.line(cmp.Or(n.value("message"), n.child("message").value("value"))),
		Type: r.line(n.value("type")), TransactionID: r.code(n.value("transactionid")),
		Inner: r.inner(n.child("innererror", "internalexception"), most-1),
	}
	if inner == (InnerError{}) {
		return nil
	}
	return &inner
}

// longestText bounds the texts that are searched for secrets, for there may be many of those.
const longestText = 8 << 10

func (r reader) line(text string) string {
	switch {
	case len(text) > longestText:
		return "(not shown: it is too long)"
	case r.quotes(text):
		return "(not shown: it quotes a secret)"
	}
	return display.Line(text, display.LongestDescription)
}

func (r reader) code(text string) string {
	if text = display.Code(text); r.quotes(text) {
		return ""
	}
	return text
}
