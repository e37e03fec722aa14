package readahead_test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant/internal/readahead"
)

func answer(body io.ReadCloser) *http.Response {
	return &http.Response{Header: http.Header{}, Body: body}
}

type spy struct {
	io.Reader
	closed bool
}

func (s *spy) Close() error { s.closed = true; return nil }

func TestRead(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		text  string
		most  int64
		whole bool
	}{{"", 4, true}, {"abcd", 4, true}, {"abcde", 4, false}} {
		body := &spy{Reader: strings.NewReader(c.text)}
		resp := answer(body)
		for range 2 {
			ahead := readahead.Read(resp, c.most, 0)
			require.Equal(t, c.whole, ahead.Whole, c.text)
			require.Equal(t, c.text, string(ahead.Text(resp.Header, c.most)), "one byte more tells that there is more")
		}
		text, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		require.Equal(t, c.text, string(text))
		require.False(t, body.closed)
		require.NoError(t, resp.Body.Close())
		require.True(t, body.closed)
	}
	require.True(t, readahead.Read(answer(nil), 4, time.Second).Whole)
	readahead.Drop(answer(nil))
	broken := answer(io.NopCloser(io.MultiReader(strings.NewReader("abc"), failing{})))
	require.False(t, readahead.Read(broken, 9, 0).Whole)
	text, err := io.ReadAll(broken.Body)
	require.Equal(t, "abc", string(text))
	require.ErrorIs(t, err, errReset)
}

var errReset = errors.New("reset")

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errReset }

func TestSlow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r, w := io.Pipe()
		go func() { _, _ = io.WriteString(w, "abc") }()
		resp := answer(r)
		start := time.Now()
		require.False(t, readahead.Read(resp, 9, 5*time.Second).Whole)
		require.Equal(t, 5*time.Second, time.Since(start))
		text, err := io.ReadAll(resp.Body)
		require.Equal(t, "abc", string(text))
		require.ErrorContains(t, err, "did not come in time")

		r, _ = io.Pipe()
		start = time.Now()
		readahead.Drop(answer(r))
		require.Equal(t, time.Second, time.Since(start))
	})
}

func TestText(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = io.WriteString(w, "\ufeff"+strings.Repeat("x", 1<<20))
	_ = w.Close()
	resp := answer(io.NopCloser(&b))
	resp.Header.Set("Content-Encoding", "GZIP")
	require.Equal(t, strings.Repeat("x", 7), string(readahead.Read(resp, 1<<16, 0).Text(resp.Header, 10)))
	lying := answer(io.NopCloser(strings.NewReader("plain")))
	lying.Header.Set("Content-Encoding", "gzip")
	require.Equal(t, "plain", string(readahead.Read(lying, 9, 0).Text(lying.Header, 9)))
}
