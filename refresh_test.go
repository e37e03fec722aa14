package outgrant_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/oauthtest"
)

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
				require.LessOrEqual(t, longest, 2*time.Second, "no longer than a refresh may take that is not the only hope")
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
