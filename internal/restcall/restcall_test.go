package restcall_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant/internal/leakcheck"
	"github.com/outgrant/outgrant/internal/restcall"
)

func TestMain(m *testing.M) { leakcheck.Main(m) }

type roundTripFunc func(*http.Request) (*http.Response, error)

func (f roundTripFunc) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// authorizing puts a secret on requests, above Noting.
type authorizing struct{ base http.RoundTripper }

func (a authorizing) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer sentinel")
	r.URL.RawQuery += "&proof=second-sentinel"
	return a.base.RoundTrip(r)
}

func through(f roundTripFunc) http.RoundTripper { return authorizing{restcall.Noting(f, "proof")} }

func answer(status int, body io.Reader) (*http.Response, error) {
	return &http.Response{StatusCode: status, Header: http.Header{"Location": {"https://evil.test/"}}, Body: io.NopCloser(body)}, nil
}

func where(t testing.TB) *url.URL {
	u, err := url.Parse("https://api.test/a?q=secret-query")
	require.NoError(t, err)
	return u
}

func TestDo(t *testing.T) {
	t.Parallel()
	requests := 0
	a, err := restcall.Do(t.Context(), through(func(r *http.Request) (*http.Response, error) {
		requests++
		body, _ := io.ReadAll(r.Body)
		require.Equal(t, `{"a":1}`, string(body))
		require.Equal(t, "application/json", r.Header.Get("Content-Type"))
		return answer(302, strings.NewReader("\ufeff{\"b\":2}"))
	}), http.MethodPost, where(t), map[string]int{"a": 1})
	require.NoError(t, err)
	require.Equal(t, 1, requests, "a redirect is not followed")
	require.Equal(t, 302, a.Status)
	require.False(t, a.OK())
	require.Equal(t, "api.test", a.Host)
	var decoded struct{ B int }
	require.NoError(t, a.Decode(&decoded))
	require.Equal(t, 2, decoded.B)
	for _, secret := range []string{"sentinel", "second-sentinel"} {
		require.Contains(t, a.Secrets.Line(secret, 100), "not shown")
	}
	var wrong struct{ B []string }
	require.EqualError(t, a.Decode(&wrong), "api.test answered 302 with what is not the JSON of this call")
}

func TestDoFails(t *testing.T) {
	t.Parallel()
	broken := errors.New("cannot send sentinel")
	for name, c := range map[string]struct {
		base roundTripFunc
		want string
	}{
		"network": {func(r *http.Request) (*http.Response, error) { return nil, broken }, "GET https://api.test/a: (not shown: it quotes a secret)"},
		"broke off": {func(r *http.Request) (*http.Response, error) {
			return answer(200, io.MultiReader(strings.NewReader("{"), failing{broken}))
		}, "GET https://api.test/a: the answer broke off: (not shown: it quotes a secret)"},
		"huge": {func(r *http.Request) (*http.Response, error) { return answer(200, zeros{}) }, "GET https://api.test/a: the answer is larger than 8 MiB"},
	} {
		_, err := restcall.Do(t.Context(), through(c.base), http.MethodGet, where(t), nil)
		require.EqualError(t, err, c.want, name)
		require.Equal(t, name != "huge", errors.Is(err, broken), name)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := restcall.Do(ctx, through(func(r *http.Request) (*http.Response, error) { return nil, r.Context().Err() }), http.MethodGet, where(t), nil)
	require.ErrorIs(t, err, context.Canceled)
	_, err = restcall.Do(t.Context(), through(nil), "BAD METHOD", where(t), nil)
	require.EqualError(t, err, "the URL cannot be used")
	_, err = restcall.Do(t.Context(), through(nil), http.MethodPost, where(t), func() {})
	require.Error(t, err)
}

// TestDoRefused is for answers that are no success, which count whatever their body is.
func TestDoRefused(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]io.Reader{"huge": zeros{}, "broke off": failing{io.ErrUnexpectedEOF}} {
		a, err := restcall.Do(t.Context(), through(func(*http.Request) (*http.Response, error) { return answer(429, body) }), http.MethodGet, where(t), nil)
		require.NoError(t, err, name)
		require.Equal(t, 429, a.Status, name)
		require.NotEmpty(t, a.Header, name)
		require.Empty(t, a.Body, name)
	}
	ctx, cancel := context.WithCancel(t.Context())
	_, err := restcall.Do(ctx, through(func(*http.Request) (*http.Response, error) {
		cancel()
		return answer(429, failing{context.Canceled})
	}), http.MethodGet, where(t), nil)
	require.ErrorIs(t, err, context.Canceled)
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

// TestNotingAlone is for requests that are no calls.
func TestNotingAlone(t *testing.T) {
	t.Parallel()
	rt := through(func(*http.Request) (*http.Response, error) { return answer(204, strings.NewReader("")) })
	req, err := http.NewRequest(http.MethodGet, "https://api.test/", nil)
	require.NoError(t, err)
	resp, err := rt.RoundTrip(req)
	require.NoError(t, err)
	require.Equal(t, 204, resp.StatusCode)
	restcall.Noting(nil).(interface{ CloseIdleConnections() }).CloseIdleConnections()
}
