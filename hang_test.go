package outgrant_test

import (
	"context"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/oauthtest"
)

// deaf is a source that ignores its context.
type deaf struct{ oauthtest.Source }

func (d *deaf) Token(context.Context) (*outgrant.Token, error) {
	return d.Source.Token(context.Background())
}

// TestWatchWhileAFetchHangs would not end if a watcher called without pause: the virtual clock would stand still.
func TestWatchWhileAFetchHangs(t *testing.T) {
	for name, c := range map[string]struct {
		source outgrant.TokenSource
		reject bool
	}{
		"for another token than the rejected one": {&oauthtest.Source{Script: []oauthtest.Step{{}, {Delay: time.Hour}}}, true},
		"in the background":                       {&oauthtest.Source{Lifetime: time.Minute, Script: []oauthtest.Step{{}, {Delay: time.Hour}}}, false},
		"in the background, and is deaf":          {&deaf{oauthtest.Source{Lifetime: time.Hour, Script: []oauthtest.Step{{}, {Delay: 10 * time.Minute}}}}, false},
		"without a token, and is deaf":            {&deaf{oauthtest.Source{Script: []oauthtest.Step{{Delay: 10 * time.Minute}}}}, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cached := outgrant.Cached(c.source, nil)
				if token, err := cached.Token(t.Context()); c.reject {
					require.NoError(t, err)
					cached.Invalidate(token)
				}
				ctx, cancel := context.WithTimeout(t.Context(), 2*time.Hour)
				defer cancel()
				tokens, failures := 0, 0
				for _, err := range cached.Watch(ctx) {
					if err != nil {
						failures++
						continue
					}
					tokens++
				}
				require.GreaterOrEqual(t, tokens, 2, "it goes on with a new token")
				require.LessOrEqual(t, failures, 1, "the one that hung, unless a token followed at once")
				time.Sleep(time.Hour)
			})
		})
	}
}

func TestInvalidateWhileARefreshHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &oauthtest.Source{Lifetime: time.Hour, Script: []oauthtest.Step{{}, {Delay: time.Hour}}}
		cached := outgrant.Cached(src, nil)
		token, err := cached.Token(t.Context())
		require.NoError(t, err)
		time.Sleep(56 * time.Minute)
		_, _ = cached.Token(t.Context()) // refreshes in the background, and hangs
		synctest.Wait()
		cached.Invalidate(token)
		start := time.Now()
		again, err := cached.Token(t.Context())
		require.NoError(t, err)
		require.Equal(t, token.AccessToken.Reveal(), again.AccessToken.Reveal(), "better than none")
		require.LessOrEqual(t, time.Since(start), 2*time.Second)
		letFlightsLand()
	})
}

func TestInvalidateWhileADeafRefreshHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cached := outgrant.Cached(&deaf{oauthtest.Source{Lifetime: time.Hour, Script: []oauthtest.Step{{}, {Delay: 10 * time.Minute}}}}, nil)
		token, err := cached.Token(t.Context())
		require.NoError(t, err)
		time.Sleep(56 * time.Minute)
		_, _ = cached.Token(t.Context())
		time.Sleep(31 * time.Second)
		cached.Invalidate(token)
		_, err = cached.Token(t.Context())
		require.NoError(t, err, "nothing better is to be had")
		time.Sleep(time.Hour)
	})
}

// TestSlowFetchAfterARejection: that callers were served meanwhile does not hide how the fetch ended.
func TestSlowFetchAfterARejection(t *testing.T) {
	for name, c := range map[string]struct {
		step  oauthtest.Step
		check func(*testing.T, *outgrant.CachedSource, *oauthtest.Source)
	}{
		"it brings a token": {oauthtest.Step{Delay: 3 * time.Second}, func(t *testing.T, cached *outgrant.CachedSource, _ *oauthtest.Source) {
			token, err := cached.Token(t.Context())
			require.NoError(t, err)
			require.Equal(t, "access-2", token.AccessToken.Reveal())
			require.Zero(t, cached.Health().Failures)
		}},
		"it is told to wait": {oauthtest.Step{Delay: 3 * time.Second, Err: &outgrant.TokenError{StatusCode: 429, RetryAfter: 2 * time.Minute}},
			func(t *testing.T, cached *outgrant.CachedSource, src *oauthtest.Source) {
				for range 100 {
					_, err := cached.Token(t.Context())
					require.NoError(t, err)
					time.Sleep(time.Second)
				}
				require.Equal(t, 2, src.Calls())
			}},
		"it is refused for good": {oauthtest.Step{Delay: 3 * time.Second, Err: &outgrant.TokenError{StatusCode: 401, Code: "invalid_client"}},
			func(t *testing.T, cached *outgrant.CachedSource, _ *oauthtest.Source) {
				require.ErrorContains(t, cached.Health().Err, "invalid_client")
				require.Equal(t, 1, cached.Health().Failures)
			}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				src := &oauthtest.Source{Script: []oauthtest.Step{{}, c.step}}
				cached := outgrant.Cached(src, nil)
				token, err := cached.Token(t.Context())
				require.NoError(t, err)
				cached.Invalidate(token)
				_, err = cached.Token(t.Context())
				require.NoError(t, err, "served after two seconds")
				time.Sleep(2 * time.Second)
				c.check(t, cached, src)
			})
		})
	}
}

func TestRejectedTokenEndsWhileTheFetchIsSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &oauthtest.Source{Lifetime: time.Minute, Script: []oauthtest.Step{{}, {Delay: 8 * time.Second}}}
		cached := outgrant.Cached(src, nil)
		token, err := cached.Token(t.Context())
		require.NoError(t, err)
		time.Sleep(49 * time.Second) // it counts as ended after 54
		cached.Invalidate(token)
		_, _, err = callDuring(5, 20*time.Second, func() error { _, err := cached.Token(t.Context()); return err })
		require.NoError(t, err, "when it has ended, callers wait for the fetch that is under way")
		letFlightsLand()
	})
}

func TestOldTokensSpendNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kept := 0
		src := &oauthtest.Source{Delay: time.Second}
		cached := outgrant.Cached(src, &outgrant.CacheOptions{Hooks: &outgrant.Hooks{Invalidated: func(e outgrant.InvalidateEvent) {
			if e.Kept {
				kept++
			}
		}}})
		go func() {
			time.Sleep(500 * time.Millisecond) // while it is fetched
			for range 100 {
				cached.Invalidate(&outgrant.Token{AccessToken: "old"})
			}
		}()
		token, err := cached.Token(t.Context())
		require.NoError(t, err)
		cached.Invalidate(token)
		require.Zero(t, kept)
		_, err = cached.Token(t.Context())
		require.NoError(t, err)
	})
}

// TestSameTokenThatHasEnded is what a token service hands out that has nothing better, with its end in the past.
func TestSameTokenThatHasEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		dead := &outgrant.Token{AccessToken: "dead", Expiry: time.Now().Add(time.Minute)}
		cached := outgrant.Cached(outgrant.TokenSourceFunc(func(context.Context) (*outgrant.Token, error) {
			calls++
			return dead, nil
		}), nil)
		_, err := cached.Token(t.Context())
		require.NoError(t, err)
		time.Sleep(time.Hour)
		before := calls
		for range 100 {
			_, _ = cached.Token(t.Context())
			time.Sleep(100 * time.Millisecond)
		}
		require.InDelta(t, 10, calls-before, 1, "asked once a second")
	})
}

func TestHugeFetchTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cached := outgrant.Cached(&oauthtest.Source{Delay: time.Minute}, &outgrant.CacheOptions{FetchTimeout: math.MaxInt64})
		_, err := cached.Token(t.Context())
		require.NoError(t, err)
	})
}
