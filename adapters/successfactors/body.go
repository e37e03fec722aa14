package successfactors

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"
)

// Bounds of what is read ahead.
const (
	longestError  = 64 << 10
	longestUpsert = 1 << 20
	longestWait   = 5 * time.Second // for an error's body
)

// ahead is what of a body was read ahead.
type ahead struct {
	part  []byte
	whole bool // there is no more
}

var errSlow = errors.New("successfactors: the rest of the answer did not come in time")

// readAhead reads at most most bytes of the answer's body and puts them back. If they do not come within the time, the
// rest is given up; 0 is no limit.
func readAhead(resp *http.Response, most int64, within time.Duration) ahead {
	body := resp.Body
	if body == nil {
		return ahead{whole: true}
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
	return ahead{part, err == nil && int64(len(part)) <= most}
}

// broken is the end of a body that could not be read to its end.
type broken struct{ err error }

func (b broken) Read([]byte) (int, error) { return 0, b.err }

// text returns what was read ahead without compression and byte order mark, at most most bytes of it. What is broken
// ends early.
func (a ahead) text(header http.Header, most int64) []byte {
	text := a.part
	if isGzip(header) {
		if r, err := gzip.NewReader(bytes.NewReader(a.part)); err == nil {
			text, _ = io.ReadAll(io.LimitReader(r, most))
		}
	}
	return bytes.TrimPrefix(text, []byte("\ufeff"))
}

func isGzip(header http.Header) bool {
	return strings.EqualFold(header.Get("Content-Encoding"), "gzip")
}

// decompress makes a compressed answer a plain one.
func decompress(resp *http.Response) {
	if !isGzip(resp.Header) || resp.Body == nil {
		return
	}
	resp.Body = &unzipped{body: resp.Body}
	resp.Header.Del("Content-Encoding")
	resp.Header.Del("Content-Length")
	resp.ContentLength, resp.Uncompressed = -1, true
}

// unzipped decompresses a body as it is read.
type unzipped struct {
	body   io.ReadCloser
	reader *gzip.Reader // made by the first Read, as it reads itself
	err    error
}

func (u *unzipped) Read(p []byte) (int, error) {
	if u.reader == nil && u.err == nil {
		u.reader, u.err = gzip.NewReader(u.body) // io.EOF if there is no body at all
	}
	if u.err != nil {
		return 0, u.err
	}
	return u.reader.Read(p)
}

func (u *unzipped) Close() error { return u.body.Close() }
