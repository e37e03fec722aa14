package outgrant_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/oauthtest"
)

func TestRepeatAfter401(t *testing.T) {
	t.Parallel()
	server := oauthtest.NewServer(nil)
	defer server.Close()
	type call struct{ auth, body string }
	setUp := func(t *testing.T) (*http.Client, *outgrant.CachedSource, string, *[]call) {
		var mu sync.Mutex
		var calls []call
		echo := server.Protect(http.HandlerFunc(ok))
		receiver := newReceiver(t, false, func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			mu.Lock()
			calls = append(calls, call{r.Header.Get("Authorization"), string(body)})
			mu.Unlock()
			echo.ServeHTTP(w, r)
		})
		cached := outgrant.Cached(secretSource(server), nil)
		_, err := cached.Token(t.Context())
		require.NoError(t, err)
		server.Revoke()
		return outgrant.NewClient(cached), cached, receiver.URL, &calls
	}

	t.Run("with a body that can be read again", func(t *testing.T) {
		client, _, url, calls := setUp(t)
		resp, err := client.Post(url, "text/plain", strings.NewReader("hello"))
		require.NoError(t, err)
		defer resp.Body.Close()
		require.Equal(t, 200, resp.StatusCode)
		require.Len(t, *calls, 2)
		require.Equal(t, "hello", (*calls)[1].body)
		require.NotEqual(t, (*calls)[0].auth, (*calls)[1].auth)
	})
	t.Run("with a body that cannot", func(t *testing.T) {
		client, cached, url, calls := setUp(t)
		before, err := cached.Token(t.Context())
		require.NoError(t, err)
		resp, err := client.Post(url, "text/plain", io.MultiReader(strings.NewReader("hello")))
		require.NoError(t, err)
		body, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		resp.Body.Close()
		require.Equal(t, 401, resp.StatusCode, "it reaches the caller")
		require.Equal(t, "401 Unauthorized\n", string(body), "with its body")
		require.Len(t, *calls, 1, "nothing is sent twice")
		after, err := cached.Token(t.Context())
		require.NoError(t, err)
		require.NotEqual(t, before.AccessToken.Reveal(), after.AccessToken.Reveal(), "the token is dropped")
	})
	t.Run("with the same token again", func(t *testing.T) {
		receiver := newReceiver(t, false, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(401) })
		resp, err := outgrant.NewClient(outgrant.StaticToken("sentinel-token")).Get(receiver.URL)
		require.NoError(t, err)
		resp.Body.Close()
		require.Equal(t, 401, resp.StatusCode)
		require.Len(t, receiver.authorized(), 1)
	})
	t.Run("without a body but with a left-over GetBody", func(t *testing.T) {
		client, _, url, calls := setUp(t)
		req, err := http.NewRequest(http.MethodPost, url, nil)
		require.NoError(t, err)
		req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader("invented")), nil }
		resp, err := client.Transport.RoundTrip(req)
		require.NoError(t, err)
		resp.Body.Close()
		require.Equal(t, 200, resp.StatusCode)
		require.Empty(t, (*calls)[1].body)
	})
	t.Run("with a refusal that never ends", func(t *testing.T) {
		release := make(chan struct{})
		receiver := newReceiver(t, false, func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Authorization") == "Bearer access-1" {
				w.WriteHeader(401)
				_ = http.NewResponseController(w).Flush()
				<-release
			}
		})
		defer close(release)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, receiver.URL, nil)
		require.NoError(t, err)
		resp, err := outgrant.NewClient(&oauthtest.Source{}).Do(req)
		require.NoError(t, err)
		resp.Body.Close()
		require.Equal(t, 200, resp.StatusCode)
	})
	t.Run("once only", func(t *testing.T) {
		receiver := newReceiver(t, false, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(401) })
		resp, err := outgrant.NewClient(&oauthtest.Source{}).Get(receiver.URL)
		require.NoError(t, err)
		resp.Body.Close()
		require.Equal(t, []string{"/ Bearer access-1", "/ Bearer access-2"}, receiver.authorized())
	})
	t.Run("while no other token is to be had", func(t *testing.T) {
		receiver := newReceiver(t, false, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(401) })
		src := &oauthtest.Source{Script: []oauthtest.Step{{}, {Err: errDown}}}
		resp, err := outgrant.NewClient(src).Get(receiver.URL)
		require.NoError(t, err)
		resp.Body.Close()
		require.Equal(t, 401, resp.StatusCode)
	})
}
