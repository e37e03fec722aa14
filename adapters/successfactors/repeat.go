package successfactors

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"time"

	"github.com/outgrant/outgrant/internal/retryafter"
)

// rule says when requests of a kind are repeated.
type rule struct {
	statuses []int
	pause    time.Duration
	most     int // repeats
}

// What SAP Cloud Integration does.
var (
	queries = rule{[]int{http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout}, 3 * time.Minute, 5}
	changes = rule{[]int{http.StatusPreconditionFailed, http.StatusTooManyRequests}, time.Minute, 1}
)

const (
	longestPause = time.Hour   // no Retry-After is waited for longer
	longestDrain = time.Second // for the rest of an answer that is dropped, so that its connection can be used again
)

// repeat repeats the request as long as its answer is one that is repeated. It returns the last answer.
func (c *call) repeat(req *http.Request, resp *http.Response) (*http.Response, error) {
	for n := 0; ; n++ {
		pause, ok := c.due(req, resp, n)
		if !ok {
			return resp, nil
		}
		readAhead(resp, longestError, longestDrain)
		_ = resp.Body.Close()
		err := wait(req.Context(), pause)
		if err != nil {
			return nil, fmt.Errorf("successfactors: %s answered %d, and the call ended while waiting to repeat it: %w", req.URL.Host, resp.StatusCode, err)
		}
		next := req.WithContext(req.Context())
		if hasBody(req) { // opened only now, for a pause is long
			if next.Body, err = replay(req); err != nil {
				return nil, fmt.Errorf("successfactors: %s answered %d, and the request's body cannot be read again: %w", req.URL.Host, resp.StatusCode, err)
			}
		}
		if resp, err = c.send(next); err != nil {
			return nil, err
		}
	}
}

// due reports whether the request, which was repeated n times, is to be repeated, and after which pause.
func (c *call) due(req *http.Request, resp *http.Response, n int) (time.Duration, bool) {
	if c.src == nil || hasBody(req) && req.GetBody == nil { // another server, or it is not to be had again
		return 0, false
	}
	upsert := c.isUpsert(req)
	if resp.StatusCode < http.StatusBadRequest && !upsert {
		return 0, false
	}
	r := changes
	if c.isQuery(req) {
		r = queries
	}
	if n >= r.most || !slices.Contains(r.statuses, resp.StatusCode) && !(upsert && r.inside(resp)) {
		return 0, false
	}
	pause := max(r.pause, retryafter.Parse(resp.Header.Get("Retry-After"), time.Now()))
	deadline, limited := req.Context().Deadline()
	return pause, pause <= longestPause && !(limited && time.Until(deadline) <= pause)
}

// inside reports whether an upsert's answer has a result with one of the rule's statuses.
func (r rule) inside(resp *http.Response) bool {
	if resp.StatusCode/100 != 2 || resp.ContentLength > longestUpsert {
		return false
	}
	read := readAhead(resp, longestUpsert, 0)
	return read.whole && upsertHas(read.text(resp.Header, longestUpsert), r.statuses)
}

func hasBody(req *http.Request) bool { return req.Body != nil && req.Body != http.NoBody }

var errNoReplay = errors.New("successfactors: the body cannot be read again")

// replay returns the body of a request once more.
func replay(req *http.Request) (io.ReadCloser, error) {
	if req.GetBody == nil {
		return nil, errNoReplay
	}
	return req.GetBody()
}

// wait returns after the pause, or when ctx ends, with its error.
func wait(ctx context.Context, pause time.Duration) error {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
