package authcode_test

import (
	"context"
	"fmt"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/authcode"
	"github.com/outgrant/outgrant/oauthtest"
)

// keepFresh runs KeepFresh until the test ends.
func keepFresh(t *testing.T, c *authcode.Client) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- c.KeepFresh(ctx) }()
	t.Cleanup(func() {
		cancel()
		require.ErrorIs(t, <-done, context.Canceled)
	})
}

// TestKeepFreshForLong tests that an authorization lives on that nobody uses, in one process and in two. The long version
// has them all live for a year.
func TestKeepFreshForLong(t *testing.T) {
	for _, tc := range []struct {
		life        time.Duration
		processes   int
		days        int
		least, most int // renewals
	}{
		{3 * day, 1, 60, 72, 100}, // each 14.4 to 19.8 hours
		{10 * day, 1, 120, 14, 15},
		{90 * day, 1, 365, 4, 5},
		{10 * day, 2, 120, 14, 15},
	} {
		if os.Getenv("OUTGRANT_SOAK") != "" {
			tc.least, tc.most, tc.days = tc.least*365/tc.days, tc.most*365/tc.days+1, 365
		}
		t.Run(fmt.Sprintf("%s, %d processes", tc.life, tc.processes), func(t *testing.T) {
			inBubble(t, oauthtest.ServerOptions{RefreshTokenLifetime: tc.life}, func(t *testing.T, b *bed) {
				c := b.authorized(t, expires(tc.life))
				keepFresh(t, c)
				for range tc.processes - 1 {
					keepFresh(t, b.process(t, expires(tc.life)))
				}
				for range tc.days {
					time.Sleep(day)
					require.Equal(t, authcode.Deployed, b.status(t, c).State)
				}
				t.Logf("%d renewals", b.refreshes())
				require.GreaterOrEqual(t, b.refreshes(), tc.least)
				require.LessOrEqual(t, b.refreshes(), tc.most)
				b.token(t, c)
				require.Zero(t, b.Reuses())
			})
		})
	}
}

// TestKeepFreshOfShortLives tests refresh tokens that end between two looks.
func TestKeepFreshOfShortLives(t *testing.T) {
	for _, life := range []time.Duration{time.Minute, 30 * time.Minute} {
		inBubbleNamed(t, life.String(), func(t *testing.T, b *bed) {
			b.Inject(oauthtest.Lasting(oauthtest.Member("refresh_expires_in", life.Seconds())))
			c := b.authorized(t)
			keepFresh(t, c)
			time.Sleep(100 * life)
			require.Equal(t, authcode.Deployed, b.status(t, c).State)
			require.InDelta(t, 420, b.refreshes(), 80)
			b.token(t, c)
		})
	}
}

// TestKeepFreshThroughAnOutage tests that it tries again in time.
func TestKeepFreshThroughAnOutage(t *testing.T) {
	inBubble(t, oauthtest.ServerOptions{RefreshTokenLifetime: 3 * day}, func(t *testing.T, b *bed) {
		c := b.authorized(t, expires(3*day))
		keepFresh(t, c)
		b.Inject(oauthtest.Lasting(oauthtest.HTML503()))
		time.Sleep(3*day - 10*time.Minute)
		require.Greater(t, b.refreshes(), 30)
		require.Less(t, b.refreshes(), 100)
		b.ClearFaults()
		time.Sleep(5 * time.Minute)
		b.token(t, c)
		require.True(t, b.status(t, c).Expires.After(time.Now().Add(2*day)))
	})
}

// TestKeepFreshThroughABrokenStore tests that a store that fails is tried again without a storm.
func TestKeepFreshThroughABrokenStore(t *testing.T) {
	inBubble(t, oauthtest.ServerOptions{}, func(t *testing.T, b *bed) {
		c := b.authorized(t, expires(3*day))
		keepFresh(t, c)
		time.Sleep(time.Minute)
		b.vault.set(func(v *testVault) { v.load = func() error { return errDisk } })
		before := b.vault.loads.Load()
		time.Sleep(2 * day)
		require.InDelta(t, 2*24*60, b.vault.loads.Load()-before, 10, "once a minute")
		b.vault.set(func(v *testVault) { v.load = nil })
		time.Sleep(2 * time.Minute)
		require.Equal(t, 1, b.refreshes())
	})
}

// TestKeepFreshNoticesAnAuthorization tests that it need not be started after somebody has authorized.
func TestKeepFreshNoticesAnAuthorization(t *testing.T) {
	inBubble(t, oauthtest.ServerOptions{}, func(t *testing.T, b *bed) {
		c := b.process(t, expires(3*day))
		keepFresh(t, c)
		time.Sleep(10 * day)
		require.NoError(t, b.consent(t, b.process(t, expires(3*day))))
		time.Sleep(10 * day)
		require.Equal(t, authcode.Deployed, b.status(t, c).State)
		require.Greater(t, b.refreshes(), 5)
		b.Inject(oauthtest.Lasting(oauthtest.Refuse("invalid_grant", "")))
		time.Sleep(10 * day)
		refused := b.refreshes()
		require.Equal(t, authcode.Unauthorized, b.status(t, c).State)
		require.Equal(t, outgrant.Unauthorized, b.lastChange().Change)
		time.Sleep(10 * day)
		require.Equal(t, refused, b.refreshes(), "once was enough")
		b.ClearFaults()
		require.NoError(t, b.consent(t, c))
		time.Sleep(10 * day)
		require.Equal(t, authcode.Deployed, b.status(t, c).State)
	})
}

// TestKeepFreshEnds tests that it ends with its context, at once, and not before.
func TestKeepFreshEnds(t *testing.T) {
	inBubble(t, oauthtest.ServerOptions{}, func(t *testing.T, b *bed) {
		c := b.authorized(t)
		ctx, cancel := context.WithCancelCause(t.Context())
		done := make(chan error, 1)
		go func() { done <- c.KeepFresh(ctx) }()
		time.Sleep(time.Hour)
		synctest.Wait()
		require.Empty(t, done)
		began := time.Now()
		cancel(errDisk)
		require.Equal(t, context.Canceled, <-done)
		require.Zero(t, time.Since(began))
		require.Equal(t, context.Canceled, c.KeepFresh(ctx))
	})
}
