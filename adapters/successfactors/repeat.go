package successfactors

import (
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/outgrant/outgrant/internal/readahead"
	"github.com/outgrant/outgrant/internal/replay"
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
	longestPause  = time.Hour // no Retry-After is waited for longer
	longestUpsert = 1 << 20
)

// repeat repeats the request as long as its answer is one that is repeated. It returns the last answer.
func (c *call) repeat(req *http.Request, resp *http.Response) (*http.Response, error) {
	for n := 0; ; n++ {
		pause, ok := c.due(req, resp, n)
		if !ok {
			return resp, nil
		}
		readahead.Drop(resp)
		err := replay.Wait(req.Context(), pause)
		if err != nil {
			return nil, fmt.Errorf("successfactors: %s answered %d, and the call ended while waiting to repeat it: %w", req.URL.Host, resp.StatusCode, err)
		}
		next := req.WithContext(req.Context())
		if next.Body, err = replay.Body(req); err != nil { // opened only now, for a pause is long
			return nil, fmt.Errorf("successfactors: %s answered %d, and the request's body cannot be read again: %w", req.URL.Host, resp.StatusCode, err)
		}
		if resp, err = c.send(next); err != nil {
			return nil, err
		}
	}
}

// due reports whether the request, which was repeated n times, is to be repeated, and after which pause.
func (c *call) due(req *http.Request, resp *http.Response, n int) (time.Duration, bool) {
	if c.src == nil || !replay.Possible(req) { // another server, or it is not to be had again
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
	return pause, pause <= longestPause && replay.Fits(req.Context(), pause)
}

// inside reports whether an upsert's answer has a result with one of the rule's statuses.
func (r rule) inside(resp *http.Response) bool {
	if resp.StatusCode/100 != 2 || resp.ContentLength > longestUpsert {
		return false
	}
	read := readahead.Read(resp, longestUpsert, 0)
	return read.Whole && upsertHas(read.Text(resp.Header, longestUpsert), r.statuses)
}
