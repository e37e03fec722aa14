package facebook

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/outgrant/outgrant/internal/display"
	"github.com/outgrant/outgrant/internal/restcall"
	"github.com/outgrant/outgrant/internal/retryafter"
)

// Error is an answer of the Graph API that is no success. Its texts are Facebook's own, each as one line of bounded length;
// one that quotes the token or its proof is withheld.
type Error struct {
	Host       string
	StatusCode int
	Code       int // such as 190; 0 if the answer had none
	Subcode    int // such as 463
	Type       string
	Message    string
	TraceID    string // for Facebook's support
	Transient  bool   // Facebook says that it may succeed later
	RetryAfter time.Duration
}

// Error names the server, says what it answered and what to do next.
func (e *Error) Error() string {
	text := fmt.Sprintf("facebook: %s answered %d", e.Host, e.StatusCode)
	if e.Code != 0 {
		text += fmt.Sprintf(" (code %d", e.Code)
		if e.Subcode != 0 {
			text += fmt.Sprintf(", subcode %d", e.Subcode)
		}
		text += ")"
	}
	if e.Message != "" {
		text += ": " + e.Message
	}
	switch {
	case e.Code == 190 || e.Code == 102 || (e.Code == 0 && e.StatusCode == http.StatusUnauthorized):
		text += "; the access token has ended or was revoked: the user has to authorize the app again"
	case e.Code == 10 || (e.Code >= 200 && e.Code < 300) || (e.Code == 0 && e.StatusCode == http.StatusForbidden):
		text += "; check the app's permissions, and that the user granted them"
	case e.StatusCode >= 300 && e.StatusCode < 400:
		text += "; set BaseURL to the final address: a call follows no redirect"
	}
	return text
}

// RateLimitError is an answer that says that there were too many requests.
type RateLimitError struct {
	Reset time.Time // when Facebook expects to take requests again; zero: it did not say
	Err   *Error
}

// Error says when to try again.
func (e *RateLimitError) Error() string {
	if e.Reset.IsZero() {
		return e.Err.Error() + "; wait an hour"
	}
	return e.Err.Error() + "; wait until " + e.Reset.UTC().Format(time.RFC3339)
}

// Unwrap returns the answer.
func (e *RateLimitError) Unwrap() error { return e.Err }

// limits are the codes that mean too many requests: of the app, the user, the page, and of single business use cases.
var limits = []int{4, 17, 32, 341, 613}

func errorOf(a *restcall.Answer) error {
	var failure struct {
		Error struct {
			Message     string
			Type        string
			Code        int
			Subcode     int    `json:"error_subcode"`
			TraceID     string `json:"fbtrace_id"`
			IsTransient bool   `json:"is_transient"`
		}
	}
	_ = a.Decode(&failure) // what is no error says nothing
	f := failure.Error
	e := &Error{Host: a.Host, StatusCode: a.Status, Code: f.Code, Subcode: f.Subcode, Transient: f.IsTransient,
		Type: a.Secrets.Line(f.Type, 100), Message: a.Secrets.Line(f.Message, display.LongestDescription), TraceID: a.Secrets.Line(f.TraceID, 100),
		RetryAfter: retryafter.Parse(a.Header.Get("Retry-After"), time.Now())}
	if a.Status != http.StatusTooManyRequests && !slices.Contains(limits, f.Code) && (f.Code < 80000 || f.Code >= 80100) {
		return e
	}
	limited := &RateLimitError{Err: e}
	if wait := max(e.RetryAfter, regain(a.Header)); wait > 0 {
		limited.Reset = time.Now().Add(wait).Round(0)
	}
	return limited
}

// regain reads how long it takes until requests are taken again: the longest of the minutes that the usage headers estimate.
func regain(header http.Header) time.Duration {
	const mostMinutes = 7 * 24 * 60
	var longest float64
	for _, value := range header.Values("X-Business-Use-Case-Usage") {
		var usage map[string][]struct {
			Minutes float64 `json:"estimated_time_to_regain_access"`
		}
		_ = json.Unmarshal([]byte(value), &usage) // what cannot be read says nothing
		for _, cases := range usage {
			for _, c := range cases {
				longest = max(longest, min(c.Minutes, mostMinutes))
			}
		}
	}
	return time.Duration(longest * float64(time.Minute))
}
