// Package readahead reads the beginning of an answer's body and leaves the answer readable as a whole.
package readahead

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"
)

// Bounds for errors: of their bodies, and of the time for them to come.
const (
	LongestError = 64 << 10
	LongestWait  = 5 * time.Second
)

// Ahead is what of a body was read ahead.
type Ahead struct {
	part  []byte
	Whole bool // there is no more
}

var errSlow = errors.New("the rest of the answer did not come in time")

// Read reads at most most bytes of the answer's body and puts them back. If they do not come within the time, the rest is
// given up; 0 is no limit.
func Read(resp *http.Response, most int64, within time.Duration) Ahead {
	body := resp.Body
	if body == nil {
		return Ahead{Whole: true}
	}
	stop := func() bool { return true }
	if within > 0 {
		stop = time.AfterFunc(within, func() { _ = body.Close() }).Stop
	}
	part, err := io.ReadAll(io.LimitReader(body, most+1))
	if !stop() {
		err = errSlow
	}
	rest := io.Reader(body)
	if err != nil {
		rest = broken{err}
	}
	resp.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(part), rest), body}
	return Ahead{part, err == nil && int64(len(part)) <= most}
}

// broken is the end of a body that could not be read to its end.
type broken struct{ err error }

func (b broken) Read([]byte) (int, error) { return 0, b.err }

// Text returns what was read ahead without compression and byte order mark, at most most bytes of it. What is broken ends
// early.
func (a Ahead) Text(header http.Header, most int64) []byte {
	text := a.part
	if IsGzip(header) {
		if r, err := gzip.NewReader(bytes.NewReader(a.part)); err == nil {
			text, _ = io.ReadAll(io.LimitReader(r, most))
		}
	}
	return bytes.TrimPrefix(text, []byte("\ufeff"))
}

// IsGzip reports whether an answer is compressed.
func IsGzip(header http.Header) bool {
	return strings.EqualFold(header.Get("Content-Encoding"), "gzip")
}

// Drop closes the body of an answer that nobody wants. What is left of it is read if that is quick, so that its connection
// can be used again.
func Drop(resp *http.Response) {
	Read(resp, LongestError, time.Second)
	if resp.Body != nil {
		_ = resp.Body.Close()
	}
}
