package peer

import (
	"bytes"
	"io"
	"net/http"
	"net/url"
	"sync"
)

// Recorder is an [http.RoundTripper] that keeps the requests that go through it. It is for token requests.
type Recorder struct {
	Base http.RoundTripper

	mu       sync.Mutex
	requests []Request
}

// Request is a request that a [Recorder] kept.
type Request struct {
	Header http.Header
	Form   url.Values // of the body
}

// RoundTrip keeps req and sends it.
func (r *Recorder) RoundTrip(req *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, err
	}
	_ = req.Body.Close()
	form, _ := url.ParseQuery(string(body)) // a body in JSON is no form
	r.mu.Lock()
	r.requests = append(r.requests, Request{req.Header.Clone(), form})
	r.mu.Unlock()
	out := req.Clone(req.Context())
	out.Body = io.NopCloser(bytes.NewReader(body))
	return r.Base.RoundTrip(out)
}

// Requests returns what came so far.
func (r *Recorder) Requests() []Request {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]Request(nil), r.requests...)
}
