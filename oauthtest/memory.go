package oauthtest

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"strconv"
)

// HandlerTransport returns a transport that takes requests to a handler without a network, so that a test can run
// inside a testing/synctest bubble. The answer is buffered. As over a network, the caller leaves when its context ends,
// and a handler that panics with http.ErrAbortHandler cuts the connection.
func HandlerTransport(h http.Handler) http.RoundTripper { return handlerTransport{h} }

type handlerTransport struct{ handler http.Handler }

func (t handlerTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Body != nil {
		defer req.Body.Close() // which also ends a handler's reading of it
	}
	ctx, cancel := context.WithCancel(req.Context())
	defer cancel()
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	in := req.Clone(ctx)
	in.RemoteAddr, in.RequestURI, in.Response = "127.0.0.1:1", req.URL.RequestURI(), nil
	if in.Host == "" {
		in.Host = req.URL.Host
	}
	if in.Header == nil {
		in.Header = http.Header{}
	}
	if in.Body == nil {
		in.Body = http.NoBody
	}
	w := &memoryWriter{header: http.Header{}, done: make(chan struct{})}
	go func() {
		defer close(w.done)
		defer func() {
			if r := recover(); r == http.ErrAbortHandler {
				w.aborted = true
			} else if r != nil {
				panic(r)
			}
		}()
		t.handler.ServeHTTP(w, in)
	}()
	select {
	case <-w.done:
		return w.response(req)
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// memoryWriter is used by the handler until done is closed, and by the transport from then on.
type memoryWriter struct {
	header  http.Header
	sent    http.Header
	status  int
	body    bytes.Buffer
	aborted bool
	done    chan struct{}
}

func (w *memoryWriter) Header() http.Header { return w.header }

func (w *memoryWriter) WriteHeader(status int) {
	if w.sent == nil {
		w.status, w.sent = status, w.header.Clone()
	}
}

func (w *memoryWriter) Write(b []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	return w.body.Write(b)
}

// Flush sends the header, so that it arrives before a connection that is cut.
func (w *memoryWriter) Flush() { w.WriteHeader(http.StatusOK) }

func (w *memoryWriter) response(req *http.Request) (*http.Response, error) {
	if w.aborted && w.sent == nil {
		return nil, io.ErrUnexpectedEOF
	}
	w.WriteHeader(http.StatusOK)
	body, broken, length := w.body.Bytes(), w.aborted, int64(w.body.Len())
	if n, err := strconv.ParseInt(w.sent.Get("Content-Length"), 10, 64); err == nil {
		broken = broken || n > length
		body, length = body[:min(n, length)], n
	} else if w.aborted {
		length = -1
	}
	var reader io.Reader = bytes.NewReader(body)
	if broken {
		reader = io.MultiReader(reader, brokenReader{})
	}
	return &http.Response{
		Status: strconv.Itoa(w.status) + " " + http.StatusText(w.status), StatusCode: w.status,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: w.sent, Body: io.NopCloser(reader), ContentLength: length, Request: req,
	}, nil
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }
