package outgrant_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/oauthtest"
)

func TestWatchYieldsEachTokenAheadOfTheOldOnesEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &oauthtest.Source{Lifetime: time.Hour, Delay: time.Second}
		cached := outgrant.Cached(src, nil)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Hour)
		defer cancel()
		start, n := time.Now(), 0
		var last *outgrant.Token
		for token, err := range cached.Watch(ctx) {
			require.NoError(t, err)
			if last != nil {
				require.NotEqual(t, last.AccessToken.Reveal(), token.AccessToken.Reveal())
				require.Greater(t, time.Until(last.Expiry), 4*time.Minute, "ahead of the end")
			}
			last = token
			n++
		}
		require.Equal(t, 10*time.Hour, time.Since(start), "ends with its context")
		require.Equal(t, 11, n)
		require.Equal(t, n, src.Calls())
	})
}

func TestWatchTellsEachFailureOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &oauthtest.Source{Lifetime: time.Hour}
		cached := outgrant.Cached(src, nil)
		src.Fail(errDown)
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Hour)
		defer cancel()
		var failures, tokens int
		for _, err := range cached.Watch(ctx) {
			if err != nil {
				require.ErrorIs(t, err, errDown)
				if failures++; failures == 10 {
					src.Fail(nil)
				}
				continue
			}
			tokens++
		}
		require.Equal(t, 10, failures)
		require.Equal(t, 4, tokens)
		require.Equal(t, 14, src.Calls(), "one token request for each")
	})
}

func TestWatchHearsOfInvalidation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &oauthtest.Source{Lifetime: -1} // nothing to wait for but that
		cached := outgrant.Cached(src, nil)
		ctx, cancel := context.WithCancel(t.Context())
		var seen []string
		done := make(chan struct{})
		go func() {
			defer close(done)
			for token := range cached.Watch(ctx) {
				seen = append(seen, token.AccessToken.Reveal())
			}
		}()
		synctest.Wait()
		token, err := cached.Token(ctx)
		require.NoError(t, err)
		cached.Invalidate(token)
		synctest.Wait()
		cancel()
		<-done
		require.Equal(t, []string{"access-1", "access-2"}, seen)
	})
}

func TestWatchConflates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &oauthtest.Source{Lifetime: time.Hour}
		cached := outgrant.Cached(src, nil)
		var seen []string
		for token, err := range cached.Watch(t.Context()) {
			require.NoError(t, err)
			if seen = append(seen, token.AccessToken.Reveal()); len(seen) == 2 {
				break
			}
			for range 3 { // the loop body is busy for three tokens
				time.Sleep(56 * time.Minute)
				_, _ = cached.Token(t.Context())
				synctest.Wait()
			}
		}
		require.Equal(t, []string{"access-1", "access-4"}, seen)
	})
}

func TestWatchAfterSleep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &oauthtest.Source{Lifetime: time.Hour}
		cached := outgrant.Cached(src, nil)
		var at []time.Time
		for _, err := range cached.Watch(t.Context()) {
			require.NoError(t, err)
			if at = append(at, time.Now()); len(at) == 2 {
				break
			}
			cached.ShiftWallClock(2 * time.Hour) // the machine slept while the watcher was about to
		}
		require.LessOrEqual(t, at[1].Sub(at[0]), 5*time.Second, "a watcher notices soon")
	})
}

func TestWatchWithEndedContext(t *testing.T) {
	t.Parallel()
	src := &oauthtest.Source{}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for range outgrant.Cached(src, nil).Watch(ctx) {
		t.Error("yielded")
	}
	require.Zero(t, src.Calls())
}
