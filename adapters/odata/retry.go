package odata

import (
	"fmt"
	"net/http"
	"time"

	"github.com/outgrant/outgrant/internal/readahead"
	"github.com/outgrant/outgrant/internal/replay"
	"github.com/outgrant/outgrant/internal/retryafter"
)

const mostRepeats = 3

// repeat repeats the request as long as its answer says when to. It returns the last answer.
func (c *call) repeat(req *http.Request, resp *http.Response) (*http.Response, error) {
	for range mostRepeats {
		pause, ok := c.due(resp)
		if !ok {
			return resp, nil
		}
		readahead.Drop(resp)
		err := replay.Wait(req.Context(), pause)
		if err != nil {
			return nil, fmt.Errorf("odata: %s answered %d, and the call ended while waiting to repeat it: %w", req.URL.Host, resp.StatusCode, err)
		}
		next := req.WithContext(req.Context())
		if next.Body, err = replay.Body(c.callers); err != nil { // opened only now, for a pause may be long
			return nil, fmt.Errorf("odata: %s answered %d, and the request's body cannot be read again: %w", req.URL.Host, resp.StatusCode, err)
		}
		if resp, err = c.bearer.RoundTrip(next); err != nil {
			return nil, err
		}
	}
	return resp, nil
}

// due reports whether the call is to be repeated after an answer, and after which pause.
func (c *call) due(resp *http.Response) (time.Duration, bool) {
	if resp.StatusCode != http.StatusTooManyRequests && resp.StatusCode != http.StatusServiceUnavailable {
		return 0, false
	}
	if !idempotent(c.callers.Method) || !replay.Possible(c.callers) {
		return 0, false
	}
	pause := retryafter.Parse(resp.Header.Get("Retry-After"), time.Now())
	return pause, pause > 0 && pause <= c.opts.MaxRetryAfter && replay.Fits(c.callers.Context(), pause)
}

// idempotent reports whether it is the same to do it twice (RFC 9110 9.2.2).
func idempotent(method string) bool {
	return !changes(method) || method == http.MethodPut || method == http.MethodDelete
}
