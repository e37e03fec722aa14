// Package replay has what it takes to send a request once more.
package replay

import (
	"context"
	"errors"
	"io"
	"net/http"
	"time"
)

// HasBody reports whether a request has one.
func HasBody(req *http.Request) bool { return req.Body != nil && req.Body != http.NoBody }

// Possible reports whether a request has no body, or one that can be had again.
func Possible(req *http.Request) bool { return !HasBody(req) || req.GetBody != nil }

// Body returns the body of a request once more.
func Body(req *http.Request) (io.ReadCloser, error) {
	switch {
	case !HasBody(req):
		return req.Body, nil
	case req.GetBody == nil:
		return nil, errors.New("the body cannot be read again")
	}
	return req.GetBody()
}

// CloseBody closes the body of a request that is not sent.
func CloseBody(req *http.Request) {
	if req.Body != nil {
		_ = req.Body.Close()
	}
}

// Wait returns after the pause, or when ctx ends, with its error.
func Wait(ctx context.Context, pause time.Duration) error {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Fits reports whether there is time for the pause before the deadline of ctx.
func Fits(ctx context.Context, pause time.Duration) bool {
	deadline, limited := ctx.Deadline()
	return !limited || time.Until(deadline) > pause
}
