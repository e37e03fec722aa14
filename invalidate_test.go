package outgrant_test

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/oauthtest"
)

func TestInvalidateComparesTokens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &oauthtest.Source{}
		cached := outgrant.Cached(src, nil)
		first, err := cached.Token(t.Context())
		require.NoError(t, err)
		cached.Invalidate(nil)
		cached.Invalidate(&outgrant.Token{})
		cached.Invalidate(&outgrant.Token{AccessToken: "another"})
		same, err := cached.Token(t.Context())
		require.NoError(t, err)
		require.Same(t, first, same)
		cached.Invalidate(&outgrant.Token{AccessToken: first.AccessToken}) // a copy is the same token
		second, err := cached.Token(t.Context())
		require.NoError(t, err)
		require.NotEqual(t, first.AccessToken.Reveal(), second.AccessToken.Reveal())
		cached.Invalidate(first) // late news about the old one
		third, err := cached.Token(t.Context())
		require.NoError(t, err)
		require.Same(t, second, third)
		require.Equal(t, 2, src.Calls())
		require.Len(t, src.Rejected(), 1, "the source is told which token it shall not hand out again")
	})
}

func TestInvalidationsSpendABudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := oauthtest.NewServer(&oauthtest.ServerOptions{InMemory: true})
		cached := outgrant.Cached(secretSource(server), nil)
		refuse := oauthtest.HandlerTransport(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(401) }))
		start := time.Now()
		const answers = 1000
		for range answers {
			// Each call by a transport of its own: the budget belongs to the credential.
			client := &http.Client{Transport: &outgrant.Transport{Source: cached, Base: refuse}}
			resp, err := client.Get("https://receiver.test/")
			require.NoError(t, err)
			require.Equal(t, 401, resp.StatusCode)
			time.Sleep(100 * time.Millisecond)
		}
		limit := 1 + outgrant.InvalidationBurst + int(time.Since(start)/outgrant.InvalidationEvery)
		require.LessOrEqual(t, server.TokenRequests(), limit)
		t.Logf("%d answers of 401 in %s: %d token requests, at most %d", answers, time.Since(start), server.TokenRequests(), limit)
	})
}

func TestRejectedTokenIsServedWhileTheTokenServiceIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &oauthtest.Source{Lifetime: time.Hour}
		cached := outgrant.Cached(src, nil)
		first, err := cached.Token(t.Context())
		require.NoError(t, err)
		src.Fail(errDown)
		cached.Invalidate(first)
		start := time.Now()
		for time.Since(start) < 50*time.Minute {
			token, err := cached.Token(t.Context())
			require.NoError(t, err, "one bad receiver must not make an outage")
			require.Equal(t, first.AccessToken.Reveal(), token.AccessToken.Reveal())
			cached.Invalidate(token)
			time.Sleep(time.Second)
		}
		require.Greater(t, src.Calls(), 50, "it tries to get another")
		require.Less(t, src.Calls(), 200, "with back-off")
		src.Fail(nil)
		time.Sleep(31 * time.Second)
		_, _ = cached.Token(t.Context()) // starts the fetch
		synctest.Wait()
		second, err := cached.Token(t.Context())
		require.NoError(t, err)
		require.NotEqual(t, first.AccessToken.Reveal(), second.AccessToken.Reveal())
	})
}

func TestRejectedTokenIsServedWhileTheTokenServiceHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &oauthtest.Source{Script: []oauthtest.Step{{}, {Delay: time.Hour}}}
		cached := outgrant.Cached(src, nil)
		first, err := cached.Token(t.Context())
		require.NoError(t, err)
		cached.Invalidate(first)
		start := time.Now()
		longest, _, err := callDuring(50, 20*time.Second, func() error {
			token, err := cached.Token(t.Context())
			if err == nil && token.AccessToken != first.AccessToken {
				err = errors.New("another token")
			}
			return err
		})
		require.NoError(t, err)
		require.LessOrEqual(t, longest, 2*time.Second, "callers do not wait for long when there is something to serve")
		require.Equal(t, 2, src.Calls(), "no second fetch beside the one that hangs")
		time.Sleep(time.Until(start.Add(31 * time.Second)))
		_, _ = cached.Token(t.Context()) // starts another
		synctest.Wait()
		token, err := cached.Token(t.Context())
		require.NoError(t, err)
		require.NotEqual(t, first.AccessToken.Reveal(), token.AccessToken.Reveal())
	})
}

func TestLateNewsOfOneRejectionSpendOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &oauthtest.Source{Delay: 10 * time.Millisecond}
		cached := outgrant.Cached(src, nil)
		for revocation := range outgrant.InvalidationBurst {
			token, err := cached.Token(t.Context())
			require.NoError(t, err)
			require.Equal(t, revocation+1, src.Calls(), "each revocation is overcome")
			var wg sync.WaitGroup
			for range 50 {
				wg.Go(func() {
					cached.Invalidate(token)
					_, _ = cached.Token(t.Context())
					cached.Invalidate(token)
				})
			}
			wg.Wait()
		}
	})
}

func TestRejectedTokenIsNotServedBeyondItsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &oauthtest.Source{Lifetime: time.Minute}
		cached := outgrant.Cached(src, nil)
		first, err := cached.Token(t.Context())
		require.NoError(t, err)
		src.Fail(errDown)
		cached.Invalidate(first)
		time.Sleep(time.Minute)
		_, err = cached.Token(t.Context())
		require.ErrorIs(t, err, errDown)
	})
}

func TestRejectedTokenIsNotServedAfterAPermanentError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &oauthtest.Source{}
		cached := outgrant.Cached(src, nil)
		first, err := cached.Token(t.Context())
		require.NoError(t, err)
		src.Fail(&outgrant.TokenError{StatusCode: 401, Code: "invalid_client"})
		cached.Invalidate(first)
		_, err = cached.Token(t.Context())
		require.ErrorContains(t, err, "invalid_client")
	})
}

func TestFetchUnderWayIsKeptUnlessItBringsTheRejectedToken(t *testing.T) {
	for name, c := range map[string]struct {
		brings    outgrant.Secret
		wantCalls int
		want      string
	}{"another token": {"second", 2, "second"}, "the rejected one": {"first", 3, "access-1"}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				src := &oauthtest.Source{Script: []oauthtest.Step{
					{Token: &outgrant.Token{AccessToken: "first", Expiry: time.Now().Add(time.Minute)}},
					{Token: &outgrant.Token{AccessToken: c.brings, Expiry: time.Now().Add(time.Hour)}, Delay: time.Second},
				}}
				cached := outgrant.Cached(src, nil)
				first, err := cached.Token(t.Context())
				require.NoError(t, err)
				time.Sleep(40 * time.Second)
				_, _ = cached.Token(t.Context()) // refreshes in the background
				synctest.Wait()
				cached.Invalidate(first)
				token, err := cached.Token(t.Context())
				require.NoError(t, err)
				require.Equal(t, c.want, token.AccessToken.Reveal())
				require.Equal(t, c.wantCalls, src.Calls())
			})
		})
	}
}

type refresher struct {
	oauthtest.Source
	mu       sync.Mutex
	rejected []*outgrant.Token
}

func (r *refresher) Refresh(ctx context.Context, rejected *outgrant.Token) (*outgrant.Token, error) {
	r.mu.Lock()
	r.rejected = append(r.rejected, rejected)
	r.mu.Unlock()
	return r.Token(ctx)
}

func TestRefresherIsToldWhatWasRejected(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &refresher{}
		var wrapped outgrant.TokenSource
		cached := outgrant.Cached(src, &outgrant.CacheOptions{Wrap: func(s outgrant.TokenSource) outgrant.TokenSource {
			wrapped = s
			return s
		}})
		require.Same(t, src, wrapped)
		first, err := cached.Token(t.Context())
		require.NoError(t, err)
		cached.Invalidate(first)
		_, err = cached.Token(t.Context())
		require.NoError(t, err)
		require.Equal(t, []*outgrant.Token{nil, first}, src.rejected)
	})
}
