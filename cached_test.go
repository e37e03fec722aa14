package outgrant_test

import (
	"context"
	"errors"
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

// letFlightsLand lets background fetches end, by the bubble's clock, before the test does.
func letFlightsLand() { time.Sleep(time.Minute) }

// callDuring calls from n goroutines for a time, 5,000 times each or every 10 ms, and returns the longest call.
func callDuring(n int, d time.Duration, call func() error) (longest time.Duration, stalled int, err error) {
	var mu sync.Mutex
	var wg sync.WaitGroup
	end, pause := time.Now().Add(d), max(10*time.Millisecond, d/5000)
	for range n {
		wg.Go(func() {
			for time.Now().Before(end) {
				start := time.Now()
				e := call()
				took := time.Since(start)
				mu.Lock()
				if longest = max(longest, took); took > 20*time.Millisecond {
					stalled++
				}
				err = errors.Join(err, e)
				mu.Unlock()
				time.Sleep(pause)
			}
		})
	}
	wg.Wait()
	return longest, stalled, err
}

func TestNoCallerStallsAtRollOver(t *testing.T) {
	for _, life := range []time.Duration{time.Second, 2 * time.Second, 20 * time.Second} {
		t.Run(life.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				src := &oauthtest.Source{Lifetime: life - 200*time.Millisecond, Delay: 200 * time.Millisecond} // its life counts from the request
				cached := outgrant.Cached(src, nil)
				_, err := cached.Token(t.Context())
				require.NoError(t, err)
				longest, stalled, err := callDuring(50, 3*life+life/2, func() error {
					token, err := cached.Token(t.Context())
					if err == nil && !token.ValidAt(time.Now()) {
						err = errors.New("an ended token was served")
					}
					return err
				})
				require.NoError(t, err)
				require.LessOrEqual(t, longest, 20*time.Millisecond)
				require.GreaterOrEqual(t, src.Calls(), 4, "three roll-overs")
				letFlightsLand()
				t.Logf("50 callers, 3 roll-overs: longest call %s, %d stalled, %d token requests", longest, stalled, src.Calls())
			})
		})
	}
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

func TestOutageInTheRefreshWindowIsNotNoticed(t *testing.T) {
	for _, life := range []time.Duration{2 * time.Second, time.Minute, time.Hour} {
		t.Run(life.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				src := &oauthtest.Source{Lifetime: life}
				cached := outgrant.Cached(src, nil)
				_, err := cached.Token(t.Context())
				require.NoError(t, err)
				start := time.Now()
				src.Fail(errDown)
				back := start.Add(life - min(10*time.Second, life/10) - time.Millisecond) // just before it counts as ended
				for time.Since(start) < 2*life {
					if !time.Now().Before(back) {
						src.Fail(nil)
					}
					_, err := cached.Token(t.Context())
					require.NoError(t, err, "after %s", time.Since(start))
					time.Sleep(life / 2000)
				}
				t.Logf("life %s, token service down for all of the window: %d token requests, no error", life, src.Calls())
			})
		})
	}
}

// TestHangInTheRefreshWindowIsNotNoticed has one refresh go unanswered, and the token service healthy before and after.
func TestHangInTheRefreshWindowIsNotNoticed(t *testing.T) {
	for _, life := range []time.Duration{2 * time.Second, 3 * time.Second, 10 * time.Second, time.Minute, time.Hour} {
		t.Run(life.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				src := &oauthtest.Source{Lifetime: life, Delay: 10 * time.Millisecond, Script: []oauthtest.Step{{}, {Delay: time.Hour}}}
				cached := outgrant.Cached(src, nil)
				_, err := cached.Token(t.Context())
				require.NoError(t, err)
				longest, _, err := callDuring(5, 2*life, func() error { _, err := cached.Token(t.Context()); return err })
				require.NoError(t, err)
				require.LessOrEqual(t, longest, time.Second, "no longer than a refresh that begins at the end may take")
				if life >= 10*time.Second {
					require.LessOrEqual(t, longest, 10*time.Millisecond)
				}
				letFlightsLand()
			})
		})
	}
}

func TestRetryAfterDoesNotOutliveTheToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &oauthtest.Source{Lifetime: time.Minute}
		cached := outgrant.Cached(src, nil)
		_, err := cached.Token(t.Context())
		require.NoError(t, err)
		src.Fail(&outgrant.TokenError{StatusCode: 503, RetryAfter: 2 * time.Minute})
		time.Sleep(31 * time.Second)
		for range 20 {
			_, err = cached.Token(t.Context())
			require.NoError(t, err)
			time.Sleep(time.Second)
		}
		require.Equal(t, 2, src.Calls(), "it is left alone")
		src.Fail(nil)
		time.Sleep(4 * time.Second)
		_, err = cached.Token(t.Context())
		require.NoError(t, err, "one attempt is made when the token has ended")
	})
}

// TestSameTokenThatLivesOn has a token service that extends the life of its one token.
func TestSameTokenThatLivesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		cached := outgrant.Cached(outgrant.TokenSourceFunc(func(context.Context) (*outgrant.Token, error) {
			calls++
			time.Sleep(50 * time.Millisecond)
			return &outgrant.Token{AccessToken: "constant", Expiry: time.Now().Add(time.Minute)}, nil
		}), nil)
		_, err := cached.Token(t.Context())
		require.NoError(t, err)
		longest, _, err := callDuring(1, 10*time.Minute, func() error { _, err := cached.Token(t.Context()); return err })
		require.NoError(t, err)
		require.Zero(t, longest, "it is refreshed ahead like any other")
		require.InDelta(t, 20, calls, 2)
		letFlightsLand()
	})
}

// TestTokenServiceThatRenewsEarly hands out the same token until shortly before it ends, as the caching sources of
// golang.org/x/oauth2 do.
func TestTokenServiceThatRenewsEarly(t *testing.T) {
	for _, early := range []time.Duration{10 * time.Second, 5 * time.Second, time.Minute, 4 * time.Minute} {
		t.Run(early.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var token *outgrant.Token
				calls, issued := 0, 0
				cached := outgrant.Cached(outgrant.TokenSourceFunc(func(context.Context) (*outgrant.Token, error) {
					calls++
					if token == nil || time.Until(token.Expiry) < early {
						time.Sleep(50 * time.Millisecond)
						issued++
						token = &outgrant.Token{AccessToken: outgrant.Secret(fmt.Sprint("access-", issued)), Expiry: time.Now().Add(10 * time.Minute)}
					}
					return token, nil
				}), nil)
				_, err := cached.Token(t.Context())
				require.NoError(t, err)
				longest, _, err := callDuring(1, 50*time.Minute, func() error { _, err := cached.Token(t.Context()); return err })
				require.NoError(t, err)
				require.Zero(t, longest, "nobody waits")
				require.GreaterOrEqual(t, issued, 5)
				require.LessOrEqual(t, calls, 1+5*5)
				letFlightsLand()
			})
		})
	}
}

// TestTokenRequestsAreBounded counts against the formula in the documentation of CachedSource.
func TestTokenRequestsAreBounded(t *testing.T) {
	for _, life := range []time.Duration{time.Second, 5 * time.Second, 30 * time.Second, time.Minute, 5 * time.Minute, 10 * time.Minute, time.Hour} {
		t.Run(life.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				src := &oauthtest.Source{Lifetime: life}
				cached := outgrant.Cached(src, nil)
				const lives = 20
				start := time.Now()
				for time.Since(start) < lives*life {
					_, err := cached.Token(t.Context())
					require.NoError(t, err)
					time.Sleep(life / 500)
				}
				window := min(5*time.Minute, life/2)
				limit := 1 + int(lives*life/(life-window))
				require.LessOrEqual(t, src.Calls(), limit)
				require.GreaterOrEqual(t, src.Calls(), lives)
				t.Logf("life %s, %d lives: %d token requests, at most %d", life, lives, src.Calls(), limit)
			})
		})
	}
}

// TestSameTokenIsNotAskedForAgain speaks to a token service that hands out its one token, with the remaining time.
func TestSameTokenIsNotAskedForAgain(t *testing.T) {
	for _, life := range []time.Duration{2 * time.Second, time.Minute, time.Hour, 24 * time.Hour} {
		t.Run(life.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				server := oauthtest.NewServer(&oauthtest.ServerOptions{InMemory: true, TokenLifetime: life})
				server.Inject(oauthtest.Lasting(oauthtest.SameToken()))
				cached := outgrant.Cached(secretSource(server), nil)
				const lives = 10
				start, tokens := time.Now(), map[outgrant.Secret]bool{}
				for time.Since(start) < lives*life {
					token, err := cached.Token(t.Context())
					require.NoError(t, err)
					tokens[token.AccessToken] = true
					time.Sleep(life / 1000)
				}
				limit := 1 + 5*lives
				require.LessOrEqual(t, server.TokenRequests(), limit)
				require.GreaterOrEqual(t, len(tokens), lives-1)
				t.Logf("the same token again, life %s, %d lives: %d token requests, at most %d", life, lives, server.TokenRequests(), limit)
			})
		})
	}
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
		require.Equal(t, []string{"start false", "done false false false true", "start true", "done true true false false", "invalidated false"}, events)
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
