package successfactors

import (
	"cmp"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/outgrant/outgrant/internal/display"
	"github.com/outgrant/outgrant/internal/retryafter"
	"github.com/outgrant/outgrant/internal/secrettext"
)

// ODataError is an error answer of the OData API. Its texts are SuccessFactors' own, each as one line of bounded length;
// one that quotes the token or a cookie that was sent is withheld.
type ODataError struct {
	Host       string
	StatusCode int
	Code       string        // such as COE_PROPERTY_NOT_FOUND; "" if the answer had none
	CustomCode string        // such as COE0021, in brackets before the message, or LGN0022, wherever it is said; "" if there is none
	Message    string        // "" if the answer had none
	RetryAfter time.Duration // how long SuccessFactors wants to be left alone; 0: it did not say
}

// Error names the server, says what it answered and what to do next.
func (e *ODataError) Error() string {
	return describe(e.Host, e.StatusCode, e.Code, e.Message, advice(e.StatusCode, e.CustomCode, e.RetryAfter))
}

// Fault is an error answer of the SOAP API: a fault of SOAP 1.1 or 1.2, or an answer without one. Its texts are as those
// of an [ODataError].
type Fault struct {
	Host       string
	StatusCode int
	Code       string        // SuccessFactors' errorCode, such as INVALID_SESSION, or else the FaultCode
	CustomCode string        // such as LGN0022; "" if there is none
	Message    string        // SuccessFactors' errorMessage, or else the faultstring
	FaultCode  string        // SOAP's, such as soap:Server
	RetryAfter time.Duration // how long SuccessFactors wants to be left alone; 0: it did not say
}

// Error names the server, says what it answered and what to do next.
func (f *Fault) Error() string {
	return describe(f.Host, f.StatusCode, f.Code, f.Message, advice(f.StatusCode, f.CustomCode, f.RetryAfter))
}

// ErrorOf returns what an answer with an error status (400 and above) says: an [*ODataError] or a [*Fault]. It returns
// nil for any other answer. Call it before the body is read: it reads at most 64 KiB of it, for 5 seconds at most, and
// puts them back. The caller still closes the body.
//
// Give it the answers of a [Transport]: it knows what must not be shown. Of others the Authorization header is taken for
// that.
func ErrorOf(resp *http.Response) error {
	if resp == nil || resp.StatusCode < http.StatusBadRequest {
		return nil
	}
	about, host := knownOf(resp)
	p := problemOf(resp)
	line := func(text string) string {
		switch {
		case len(text) > longestMessage:
			return "(not shown: it is too long)"
		case about.quotes(text):
			return "(not shown: it quotes a secret)"
		}
		return display.Line(text, display.LongestDescription)
	}
	code := func(text string) string {
		if text = display.Code(text); about.quotes(text) {
			return ""
		}
		return text
	}
	retryAfter := retryafter.Parse(resp.Header.Get("Retry-After"), time.Now())
	if p.fault || about.soap {
		return &Fault{Host: host, StatusCode: resp.StatusCode, Code: code(cmp.Or(p.code, p.faultCode)), CustomCode: p.custom(),
			Message: line(cmp.Or(p.message, p.faultAs)), FaultCode: code(p.faultCode), RetryAfter: retryAfter}
	}
	return &ODataError{Host: host, StatusCode: resp.StatusCode, Code: code(p.code), CustomCode: p.custom(),
		Message: line(p.message), RetryAfter: retryAfter}
}

// longestMessage bounds the messages that are searched for secrets, for there may be many of those.
const longestMessage = 8 << 10

// knownOf returns what is known about an answer beside itself.
func knownOf(resp *http.Response) (about known, host string) {
	about.quotes = secrettext.Quoting()
	if resp.Request == nil {
		return about, ""
	}
	if resp.Request.URL != nil {
		host = resp.Request.URL.Host
	}
	if ours, ok := resp.Request.Context().Value(contextKey{}).(known); ok {
		about = ours
	}
	if _, credentials, _ := strings.Cut(resp.Request.Header.Get("Authorization"), " "); credentials != "" {
		above, theirs := about.quotes, secrettext.Quoting(credentials)
		about.quotes = func(text string) bool { return above(text) || theirs(text) }
	}
	return about, host
}

func describe(host string, status int, code, message, todo string) string {
	text := fmt.Sprintf("successfactors: %s answered %d", cmp.Or(host, "the server"), status)
	if code != "" {
		text += " " + code
	}
	if message != "" {
		text += ": " + message
	}
	if todo != "" {
		text += "; " + todo
	}
	return text
}

// advice says what to do about an answer.
func advice(status int, custom string, retryAfter time.Duration) string {
	switch {
	case status == http.StatusUnauthorized || refusalCode.MatchString(custom):
		return "the token was refused, and so was a new one if there was any: check that the user exists and is active, " +
			"and the OAuth client that is registered there"
	case status == http.StatusForbidden:
		return "the user may not do this: check the permissions that it has there"
	case status == http.StatusPreconditionFailed:
		return "the record is being changed by somebody else, or has been: read it and try again"
	case status == http.StatusTooManyRequests && retryAfter > 0:
		return fmt.Sprintf("too many requests: wait %s", retryAfter)
	case status == http.StatusTooManyRequests:
		return "too many requests: wait a few minutes, or set Repeat"
	case status == http.StatusBadGateway, status == http.StatusServiceUnavailable, status == http.StatusGatewayTimeout:
		return "the server is not available at the moment: try again later, or set Repeat"
	}
	return ""
}
