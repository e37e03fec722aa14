package outgrant_test

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/oauthtest"
)

var errDown = &outgrant.TokenError{StatusCode: 503}

func TestColdSourceAsksOnceForAllCallers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &oauthtest.Source{Delay: 200 * time.Millisecond}
		cached := outgrant.Cached(src, nil)
		const callers = 10_000
		var got sync.Map
		var wg sync.WaitGroup
		for range callers {
			wg.Go(func() {
				token, err := cached.Token(t.Context())
				if err != nil {
					t.Error(err)
					return
				}
				got.Store(token, true)
			})
		}
		wg.Wait()
		n := 0
		got.Range(func(any, any) bool { n++; return true })
		require.Equal(t, 1, n, "different tokens")
		require.Equal(t, 1, src.Calls())
		t.Logf("%d callers at once on a cold source: %d token request", callers, src.Calls())
	})
}

func TestDeadlineIsHonouredWhileFetching(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &oauthtest.Source{Delay: 2 * time.Second}
		cached := outgrant.Cached(src, nil)
		patient := make(chan error)
		go func() {
			_, err := cached.Token(t.Context())
			patient <- err
		}()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		start := time.Now()
		_, err := cached.Token(ctx)
		took := time.Since(start)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.LessOrEqual(t, took, 120*time.Millisecond)
		require.NoError(t, <-patient, "the fetch goes on for the others")
		require.Equal(t, 1, src.Calls())
		t.Logf("a 100 ms deadline came back after %s", took)
	})
}

func TestEndedContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &oauthtest.Source{}
		cached := outgrant.Cached(src, nil)
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := cached.Token(ended)
		require.ErrorIs(t, err, context.Canceled)
		require.Zero(t, src.Calls(), "nobody waits for a fetch")
		_, err = cached.Token(t.Context())
		require.NoError(t, err)
		_, err = cached.Token(ended)
		require.NoError(t, err, "a valid token needs no waiting")
	})
}

func TestWrongSecretIsNotHammered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &oauthtest.Source{}
		src.Fail(&outgrant.TokenError{StatusCode: 401, Code: "invalid_client"})
		cached := outgrant.Cached(src, nil)
		for range 1000 {
			start := time.Now()
			_, err := cached.Token(t.Context())
			require.ErrorContains(t, err, "invalid_client")
			require.Zero(t, time.Since(start), "a call slept")
			time.Sleep(time.Millisecond)
		}
		require.LessOrEqual(t, src.Calls(), 3)
		t.Logf("wrong secret, 1,000 calls in a second: %d token requests", src.Calls())
		for range 3600 { // and it goes on slowly: 1 s doubled to 1 min
			time.Sleep(time.Second)
			_, _ = cached.Token(t.Context())
		}
		require.InDelta(t, 75, src.Calls(), 25)
		src.Fail(nil)
		time.Sleep(time.Minute)
		_, err := cached.Token(t.Context())
		require.NoError(t, err, "mended within a minute")
	})
}

func TestDeadTokenIsNotServedAfterSleep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &oauthtest.Source{Lifetime: time.Hour}
		cached := outgrant.Cached(src, nil)
		first, err := cached.Token(t.Context())
		require.NoError(t, err)
		time.Sleep(time.Minute)
		cached.ShiftWallClock(2 * time.Hour) // it wakes; the monotonic clock has stopped meanwhile
		second, err := cached.Token(t.Context())
		require.NoError(t, err)
		require.NotEqual(t, first.AccessToken.Reveal(), second.AccessToken.Reveal())
	})
}

func TestFetchTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cached := outgrant.Cached(&oauthtest.Source{Delay: time.Hour}, &outgrant.CacheOptions{FetchTimeout: 3 * time.Second})
		start := time.Now()
		_, err := cached.Token(t.Context())
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, 3*time.Second, time.Since(start))
	})
}

// TestSourceThatIgnoresItsContext cannot hold up callers for longer than FetchTimeout, nor is it called beside itself.
func TestSourceThatIgnoresItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		cached := outgrant.Cached(outgrant.TokenSourceFunc(func(context.Context) (*outgrant.Token, error) {
			calls++
			time.Sleep(time.Minute)
			return &outgrant.Token{AccessToken: "late"}, nil
		}), &outgrant.CacheOptions{FetchTimeout: 3 * time.Second})
		start := time.Now()
		_, err := cached.Token(t.Context())
		require.ErrorIs(t, err, context.DeadlineExceeded)
		gaveUp := time.Since(start)
		require.InDelta(t, 3*time.Second, gaveUp, float64(time.Second))
		_, err = cached.Token(t.Context())
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, gaveUp, time.Since(start), "at once")
		require.Equal(t, 1, cached.Health().Failures)
		failures := 0
		for token, err := range cached.Watch(t.Context()) {
			if err != nil {
				failures++
				continue
			}
			require.Equal(t, "late", token.AccessToken.Reveal(), "what comes late is not lost")
			break
		}
		require.Equal(t, 1, failures)
		require.InDelta(t, time.Minute, time.Since(start), float64(5*time.Second))
		require.Equal(t, 1, calls)
	})
}

func TestUnknownLifetime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &oauthtest.Source{Lifetime: -1}
		cached := outgrant.Cached(src, nil)
		for range 100 {
			_, err := cached.Token(t.Context())
			require.NoError(t, err)
			time.Sleep(24 * time.Hour)
		}
		require.Equal(t, 1, src.Calls(), "kept until it is rejected")

		src = &oauthtest.Source{Lifetime: -1}
		cached = outgrant.Cached(src, &outgrant.CacheOptions{AssumedLifetime: time.Hour})
		for range 20 {
			_, err := cached.Token(t.Context())
			require.NoError(t, err)
			time.Sleep(30 * time.Minute)
		}
		require.InDelta(t, 10, src.Calls(), 2)
	})
}

func TestRetryAfterIsHeeded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &oauthtest.Source{}
		src.Fail(&outgrant.TokenError{StatusCode: 429, RetryAfter: 90 * time.Second})
		cached := outgrant.Cached(src, nil)
		start := time.Now()
		for time.Since(start) < 89*time.Second {
			_, err := cached.Token(t.Context())
			require.Error(t, err)
			time.Sleep(time.Second)
		}
		require.Equal(t, 1, src.Calls())
		src.Fail(&outgrant.TokenError{StatusCode: 429, RetryAfter: 24 * time.Hour})
		time.Sleep(2 * time.Second)
		_, _ = cached.Token(t.Context())
		src.Fail(nil)
		time.Sleep(5 * time.Minute)
		_, err := cached.Token(t.Context())
		require.NoError(t, err, "no Retry-After is heeded for more than five minutes")
	})
}

func TestSourceThatNeverReturnsStallsNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cached := outgrant.Cached(outgrant.TokenSourceFunc(func(context.Context) (*outgrant.Token, error) {
			runtime.Goexit()
			return nil, nil
		}), nil)
		_, err := cached.Token(t.Context())
		require.ErrorContains(t, err, "ended its goroutine")
	})
}

func TestBadSources(t *testing.T) {
	t.Parallel()
	for name, src := range map[string]outgrant.TokenSource{
		"nil source":     nil,
		"nil token":      outgrant.TokenSourceFunc(func(context.Context) (*outgrant.Token, error) { return nil, nil }),
		"empty token":    outgrant.TokenSourceFunc(func(context.Context) (*outgrant.Token, error) { return &outgrant.Token{}, nil }),
		"empty static":   outgrant.StaticToken(""),
		"printed static": outgrant.StaticToken("[redacted]"),
	} {
		t.Run(name, func(t *testing.T) {
			_, err := outgrant.Cached(src, nil).Token(t.Context())
			require.Error(t, err)
		})
	}
}

type ctxKey struct{}

func TestFetchSeesNothingOfItsCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var seen context.Context
		var trigger context.Context
		src := outgrant.TokenSourceFunc(func(ctx context.Context) (*outgrant.Token, error) {
			seen = ctx
			return &outgrant.Token{AccessToken: "access"}, nil
		})
		cached := outgrant.Cached(src, &outgrant.CacheOptions{Hooks: &outgrant.Hooks{FetchDone: func(e outgrant.FetchEvent) { trigger = e.Trigger }}})
		ctx := context.WithValue(t.Context(), ctxKey{}, "of the caller")
		_, err := cached.Token(ctx)
		require.NoError(t, err)
		synctest.Wait()
		require.Nil(t, seen.Value(ctxKey{}))
		require.Equal(t, "of the caller", trigger.Value(ctxKey{}), "for span links")
	})
}

func TestHooks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var cached *outgrant.CachedSource
		var events []string
		src := &oauthtest.Source{Lifetime: time.Minute}
		cached = outgrant.Cached(src, &outgrant.CacheOptions{Hooks: &outgrant.Hooks{
			FetchStart: func(e outgrant.FetchEvent) { events = append(events, fmt.Sprint("start ", e.Background)) },
			FetchDone: func(e outgrant.FetchEvent) {
				_, err := cached.Token(e.Trigger) // the result is visible, and asking again does not deadlock
				events = append(events, fmt.Sprint("done ", e.Background, " ", e.Err != nil, " ", err != nil, " ", e.NextAttempt.IsZero()))
			},
			Invalidated: func(e outgrant.InvalidateEvent) { events = append(events, fmt.Sprint("invalidated ", e.Kept)) },
		}})
		token, err := cached.Token(t.Context())
		require.NoError(t, err)
		synctest.Wait()
		time.Sleep(31 * time.Second)
		src.Fail(errDown)
		_, _ = cached.Token(t.Context())
		synctest.Wait()
		cached.Invalidate(token)
		require.Equal(t, []string{"start false", "done false false false true", "start true", "done true true false false", "invalidated true"}, events)
	})
}

func TestConcurrentUse(t *testing.T) {
	t.Parallel()
	var n atomic.Int64
	src := outgrant.TokenSourceFunc(func(context.Context) (*outgrant.Token, error) {
		if n.Add(1)%3 == 0 {
			return nil, errDown
		}
		return &outgrant.Token{AccessToken: outgrant.Secret(fmt.Sprint("access-", n.Load())), Expiry: time.Now().Add(2 * time.Millisecond)}, nil
	})
	cached := outgrant.Cached(src, nil)
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for ctx.Err() == nil {
				if token, err := cached.Token(ctx); err == nil {
					cached.Invalidate(token)
				}
				_ = cached.Health()
			}
		})
		wg.Go(func() {
			for token, err := range cached.Watch(ctx) {
				if token == nil && err == nil {
					t.Error("neither a token nor an error")
				}
			}
		})
	}
	wg.Wait()
}

func TestHealth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &oauthtest.Source{Lifetime: time.Minute}
		cached := outgrant.Cached(src, nil)
		require.Equal(t, outgrant.Health{}, cached.Health())
		token, err := cached.Token(t.Context())
		require.NoError(t, err)
		require.Equal(t, outgrant.Health{Valid: true, Expiry: token.Expiry, Fetched: time.Now().Round(0)}, cached.Health())
		src.Fail(errDown)
		time.Sleep(40 * time.Second)
		_, _ = cached.Token(t.Context())
		synctest.Wait()
		h := cached.Health()
		require.True(t, h.Valid)
		require.Equal(t, 1, h.Failures)
		require.ErrorIs(t, h.Err, errDown)
		require.True(t, h.NextAttempt.After(time.Now()))
		time.Sleep(20 * time.Second)
		require.False(t, cached.Health().Valid)
	})
}

// secretSource asks a server for tokens by plain HTTP, without the package clientcredentials.
func secretSource(server *oauthtest.Server) outgrant.TokenSource {
	return &plainSource{server}
}
