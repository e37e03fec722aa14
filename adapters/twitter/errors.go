package twitter

import (
	"cmp"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/outgrant/outgrant/internal/display"
	"github.com/outgrant/outgrant/internal/restcall"
	"github.com/outgrant/outgrant/internal/retryafter"
)

// Error is an answer of the X API that is no success. Its texts are X's own, each as one line of bounded length; one that
// quotes a key or the signature is withheld.
type Error struct {
	Host       string
	StatusCode int
	Code       int           // of the older form, such as 32; 0 if the answer had none
	Title      string        // such as "Invalid Request"
	Detail     string        // what is wrong
	Type       string        // a URL that says the kind of problem
	RetryAfter time.Duration // how long X wants to be left alone; 0: it did not say
}

// Error names the server, says what it answered and what to do next.
func (e *Error) Error() string {
	text := fmt.Sprintf("twitter: %s answered %d", e.Host, e.StatusCode)
	if e.Code != 0 {
		text += fmt.Sprintf(" (code %d)", e.Code)
	}
	if e.Title != "" {
		text += " " + e.Title
	}
	if e.Detail != "" && e.Detail != e.Title {
		text += ": " + e.Detail
	}
	switch {
	case e.StatusCode == http.StatusUnauthorized:
		text += "; check the keys and the access token, and this machine's clock"
	case e.StatusCode == http.StatusForbidden:
		text += "; check the app's permissions and access level, and that the access token was made after they were changed"
	case e.StatusCode >= 300 && e.StatusCode < 400:
		text += "; set BaseURL to the final address: a call follows no redirect"
	}
	return text
}

// RateLimitError is an answer that says that there were too many requests.
type RateLimitError struct {
	Limit     int       // requests in a window; 0: X did not say
	Remaining int       // of these
	Reset     time.Time // when the next window begins, by X's clock (x-rate-limit-reset), or else after Retry-After; zero: X did not say
	Err       *Error
}

// Error says when to try again.
func (e *RateLimitError) Error() string {
	if e.Reset.IsZero() {
		return e.Err.Error() + "; wait a quarter of an hour"
	}
	return e.Err.Error() + "; wait until " + e.Reset.UTC().Format(time.RFC3339)
}

// Unwrap returns the answer.
func (e *RateLimitError) Unwrap() error { return e.Err }

func errorOf(a *restcall.Answer) error {
	var problem struct {
		Title, Detail, Type string
		Errors              []struct {
			Code                int
			Message             string
			Title, Detail, Type string
		}
	}
	_ = a.Decode(&problem) // what is no problem says nothing
	e := &Error{Host: a.Host, StatusCode: a.Status, RetryAfter: retryafter.Parse(a.Header.Get("Retry-After"), time.Now())}
	title, detail, kind := problem.Title, problem.Detail, problem.Type
	if len(problem.Errors) > 0 {
		first := problem.Errors[0]
		e.Code = first.Code
		title, kind = cmp.Or(title, first.Title), cmp.Or(kind, first.Type)
		detail = cmp.Or(first.Message, first.Detail, detail) // what is general comes beside what is particular
	}
	e.Title = a.Secrets.Line(title, 100)
	e.Detail = a.Secrets.Line(detail, display.LongestDescription)
	e.Type = a.Secrets.Line(kind, 200)
	if a.Status != http.StatusTooManyRequests {
		return e
	}
	limited := &RateLimitError{Limit: number(a.Header, "x-rate-limit-limit"), Remaining: number(a.Header, "x-rate-limit-remaining"), Err: e}
	if at := number(a.Header, "x-rate-limit-reset"); at > 0 {
		limited.Reset = time.Unix(int64(at), 0)
	} else if e.RetryAfter > 0 {
		limited.Reset = time.Now().Add(e.RetryAfter).Round(0)
	}
	return limited
}

// number reads a header of the rate limit; 0 is none that can be.
func number(header http.Header, name string) int {
	n, err := strconv.ParseInt(header.Get(name), 10, 64)
	if err != nil || n < 0 || n > 1<<40 {
		return 0
	}
	return int(n)
}
