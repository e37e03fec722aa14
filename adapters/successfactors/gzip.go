package successfactors

import (
	"compress/gzip"
	"io"
	"net/http"

	"github.com/outgrant/outgrant/internal/readahead"
)

// decompress makes a compressed answer a plain one.
func decompress(resp *http.Response) {
	if !readahead.IsGzip(resp.Header) || resp.Body == nil {
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
