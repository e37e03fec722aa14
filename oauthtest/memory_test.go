package oauthtest_test

import (
	"context"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant/oauthtest"
)

// likeANetwork runs a test of a handler in memory and over the network, where it must come out the same.
func likeANetwork(t *testing.T, h http.HandlerFunc, test func(t *testing.T, client *http.Client, url string)) {
	t.Run("in memory", func(t *testing.T) {
		test(t, &http.Client{Transport: oauthtest.HandlerTransport(h)}, "http://receiver.test")
	})
	t.Run("network", func(t *testing.T) {
		s := httptest.NewUnstartedServer(h)
		s.Config.ErrorLog = log.New(io.Discard, "", 0)
		s.Start()
		defer s.Close()
		test(t, s.Client(), s.URL)
	})
}

func TestHandlerTransportExchange(t *testing.T) {
	t.Parallel()
	likeANetwork(t, func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		w.Header().Set("X-Seen", strings.Join([]string{r.Method, r.RequestURI, r.URL.Path, r.URL.RawQuery, r.Header.Get("X-Sent"), string(body)}, " "))
		w.WriteHeader(201)
		w.WriteHeader(500) // superfluous
		w.Header().Set("X-Late", "1")
		_, _ = io.WriteString(w, "hello, ")
		_, _ = io.WriteString(w, "world")
		if err != nil || r.RemoteAddr == "" || r.Host == "" {
			panic(http.ErrAbortHandler)
		}
	}, func(t *testing.T, client *http.Client, url string) {
		req, err := http.NewRequestWithContext(t.Context(), "POST", url+"/a%20b?c=d", strings.NewReader("body"))
		require.NoError(t, err)
		req.Header.Set("X-Sent", "yes")
		resp, err := client.Do(req)
		require.NoError(t, err)
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		require.Equal(t, "hello, world", string(body))
		require.Equal(t, int64(12), resp.ContentLength)
		require.Equal(t, "201 Created", resp.Status)
		require.Equal(t, "POST /a%20b?c=d /a b c=d yes body", resp.Header.Get("X-Seen"))
		require.Empty(t, resp.Header.Get("X-Late"))
		require.Same(t, req, resp.Request)
	})
}

func TestHandlerTransportBareRequest(t *testing.T) {
	t.Parallel()
	likeANetwork(t, func(w http.ResponseWriter, r *http.Request) {
		if b, err := io.ReadAll(r.Body); len(b) > 0 || err != nil {
			w.WriteHeader(400)
		}
	}, func(t *testing.T, client *http.Client, url string) {
		req, err := http.NewRequest("GET", url, nil)
		require.NoError(t, err)
		req.Header, req.Host = nil, ""
		resp, err := client.Do(req)
		require.NoError(t, err)
		require.Equal(t, 200, resp.StatusCode, "as soon as the handler returns")
		body, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		require.Empty(t, body)
		require.NoError(t, resp.Body.Close())
	})
}

func TestHandlerTransportCutConnection(t *testing.T) {
	t.Parallel()
	likeANetwork(t, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, func(t *testing.T, client *http.Client, url string) {
		_, err := client.Get(url)
		requireCut(t, err)
	})
	for name, header := range map[string]string{"with a length": "100", "without": ""} {
		t.Run(name, func(t *testing.T) {
			likeANetwork(t, func(w http.ResponseWriter, _ *http.Request) {
				if header != "" {
					w.Header().Set("Content-Length", header)
				}
				_, _ = io.WriteString(w, "half of ")
				_ = http.NewResponseController(w).Flush()
				panic(http.ErrAbortHandler)
			}, func(t *testing.T, client *http.Client, url string) {
				resp, err := client.Get(url)
				require.NoError(t, err)
				defer resp.Body.Close()
				require.Equal(t, header == "", resp.ContentLength == -1)
				body, err := io.ReadAll(resp.Body)
				require.ErrorIs(t, err, io.ErrUnexpectedEOF)
				require.Equal(t, "half of ", string(body))
			})
		})
	}
}

// TestHandlerTransportLength: an answer that is shorter than it says breaks off, one that is longer is cut.
func TestHandlerTransportLength(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ name, length, want string }{{"too long", "100", "hello"}, {"too short", "4", "hell"}, {"right", "5", "hello"}} {
		t.Run(tc.name, func(t *testing.T) {
			likeANetwork(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Length", tc.length)
				for _, b := range []byte("hello") {
					_, _ = w.Write([]byte{b})
				}
			}, func(t *testing.T, client *http.Client, url string) {
				resp, err := client.Get(url)
				require.NoError(t, err)
				defer resp.Body.Close()
				body, err := io.ReadAll(resp.Body)
				require.Equal(t, tc.want, string(body))
				if tc.name == "too long" {
					require.ErrorIs(t, err, io.ErrUnexpectedEOF)
				} else {
					require.NoError(t, err)
				}
			})
		})
	}
}

func TestHandlerTransportContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var calls, ended atomic.Int32
		transport := oauthtest.HandlerTransport(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			calls.Add(1)
			<-r.Context().Done()
			time.Sleep(time.Second)
			_, _ = io.WriteString(w, "nobody reads this")
			ended.Add(1)
		}))
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		req, err := http.NewRequestWithContext(ctx, "GET", "https://receiver.test/", nil)
		require.NoError(t, err)
		start := time.Now()
		_, err = transport.RoundTrip(req)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, time.Minute, time.Since(start), "the caller leaves at once, the handler later")
		require.Zero(t, ended.Load())
		time.Sleep(time.Second)
		synctest.Wait()
		require.EqualValues(t, 1, ended.Load())

		_, err = transport.RoundTrip(req)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		synctest.Wait()
		require.EqualValues(t, 1, calls.Load(), "a context that has ended reaches no handler")

		gone := errors.New("gone")
		cause, cancelCause := context.WithCancelCause(t.Context())
		go func() { time.Sleep(time.Second); cancelCause(gone) }()
		_, err = transport.RoundTrip(req.WithContext(cause))
		require.ErrorIs(t, err, gone)
		time.Sleep(2 * time.Second)
	})
}

// TestHandlerTransportEndsTheHandlersContext: when the answer is there, the handler's own goroutines are told.
func TestHandlerTransportEndsTheHandlersContext(t *testing.T) {
	t.Parallel()
	likeANetwork(t, func(w http.ResponseWriter, r *http.Request) {
		go func(ctx context.Context) { <-ctx.Done() }(r.Context()) // would be left behind
	}, func(t *testing.T, client *http.Client, url string) {
		resp, err := client.Get(url)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
	})
}

// closeCounter is a body that is written as it is read.
type closeCounter struct {
	io.Reader
	closer io.Closer
	closed atomic.Int32
}

func (c *closeCounter) Close() error {
	c.closed.Add(1)
	if c.closer != nil {
		return c.closer.Close()
	}
	return nil
}

func TestHandlerTransportClosesTheBody(t *testing.T) {
	t.Parallel()
	t.Run("that was read", func(t *testing.T) {
		body := &closeCounter{Reader: strings.NewReader("x")}
		resp, err := oauthtest.HandlerTransport(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) })).
			RoundTrip(bodyRequest(t, t.Context(), body))
		require.NoError(t, err)
		got, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		require.Equal(t, "x", string(got))
		require.EqualValues(t, 1, body.closed.Load())
	})
	t.Run("that was not read", func(t *testing.T) {
		body := &closeCounter{Reader: strings.NewReader("x")}
		_, err := oauthtest.HandlerTransport(http.NotFoundHandler()).RoundTrip(bodyRequest(t, t.Context(), body))
		require.NoError(t, err)
		require.EqualValues(t, 1, body.closed.Load())
	})
	t.Run("whose caller is gone", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		body := &closeCounter{Reader: strings.NewReader("x")}
		_, err := oauthtest.HandlerTransport(http.NotFoundHandler()).RoundTrip(bodyRequest(t, ctx, body))
		require.ErrorIs(t, err, context.Canceled)
		require.EqualValues(t, 1, body.closed.Load())
	})
	t.Run("that never comes", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			r, w := io.Pipe()
			body := &closeCounter{Reader: r, closer: r}
			var readErr error
			_, err := oauthtest.HandlerTransport(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { _, readErr = io.ReadAll(r.Body) })).
				RoundTrip(bodyRequest(t, ctx, body))
			require.ErrorIs(t, err, context.DeadlineExceeded)
			synctest.Wait()
			require.Error(t, readErr, "the handler is not left waiting")
			_, err = w.Write([]byte("late"))
			require.ErrorIs(t, err, io.ErrClosedPipe)
		})
	})
}

func bodyRequest(t *testing.T, ctx context.Context, body io.Reader) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, "POST", "https://receiver.test/", body)
	require.NoError(t, err)
	return req
}
