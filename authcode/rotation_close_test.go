package authcode_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/authcode"
	"github.com/outgrant/outgrant/oauthtest"
)

// TestShortJobs has jobs that end within a rotation: each begins one, and ends 50 ms later.
func TestShortJobs(t *testing.T) {
	inBubble(t, oauthtest.ServerOptions{TokenLifetime: time.Second}, func(t *testing.T, b *bed) {
		b.authorized(t)
		b.Inject(oauthtest.Lasting(oauthtest.Delay(200 * time.Millisecond)))
		const jobs = 100
		for range jobs {
			time.Sleep(time.Minute)
			job := b.shortProcess(t)
			_, _, err := within(t, job, 50*time.Millisecond)
			require.ErrorIs(t, err, context.DeadlineExceeded)
			began := time.Now()
			require.NoError(t, job.Close())
			require.Equal(t, 150*time.Millisecond, time.Since(began), "it waits for the rotation, and no longer")
		}
		require.Equal(t, jobs, b.refreshes())
		require.Len(t, b.changes(), jobs)
		require.Zero(t, b.Reuses())
		b.ClearFaults()
		time.Sleep(time.Minute)
		b.token(t, b.process(t))
	})
}

// TestShortJobsAtRandom is the same with any delay, and a store that fails now and then.
func TestShortJobsAtRandom(t *testing.T) {
	inBubble(t, oauthtest.ServerOptions{TokenLifetime: time.Second}, func(t *testing.T, b *bed) {
		b.authorized(t)
		for range 100 {
			time.Sleep(time.Minute)
			b.Inject(oauthtest.Delay(rand.N(100 * time.Millisecond)))
			b.vault.failSaves(rand.N(4), func(authcode.Authorization) bool { return rand.N(2) == 0 })
			job := b.shortProcess(t)
			_, _, _ = within(t, job, 50*time.Millisecond)
			require.NoError(t, job.Close())
		}
		b.ClearFaults()
		b.vault.failSaves(0, answers)
		time.Sleep(time.Minute)
		require.Zero(t, b.Reuses())
		b.token(t, b.process(t))
	})
}

func TestClose(t *testing.T) {
	inBubble(t, oauthtest.ServerOptions{}, func(t *testing.T, b *bed) {
		c := b.authorized(t)
		token := b.token(t, c)
		began := time.Now()
		require.NoError(t, c.Close())
		require.NoError(t, c.Close())
		require.Zero(t, time.Since(began), "there was nothing to wait for")

		require.Equal(t, token.AccessToken, b.token(t, c).AccessToken, "what is in memory is served on")
		require.Equal(t, authcode.Deployed, b.status(t, c).State)
		time.Sleep(past)
		err := b.fails(t, c)
		require.Contains(t, err.Error(), "the client is closed")
		b.store(t, func(a *authcode.Authorization) { a.Due = time.Now() })
		_, err2 := c.Renew(t.Context())
		require.ErrorContains(t, err2, "the client is closed")
		require.Zero(t, b.refreshes())
		other := b.token(t, b.process(t))
		time.Sleep(time.Minute)
		require.Equal(t, other.AccessToken, b.token(t, c).AccessToken, "what others refresh is served, too")
		require.Nil(t, b.stored(t).Mark)
	})
}

// TestCloseAtOnce tests several that close while many call.
func TestCloseAtOnce(t *testing.T) {
	inBubble(t, oauthtest.ServerOptions{}, func(t *testing.T, b *bed) {
		for range 20 {
			c := b.shortProcess(t)
			if b.stored(t).Authorized.IsZero() {
				require.NoError(t, b.consent(t, c))
			}
			time.Sleep(past)
			b.Inject(oauthtest.Delay(time.Second))
			var calls sync.WaitGroup
			for i := range 8 {
				calls.Go(func() {
					if i%4 == 3 {
						time.Sleep(rand.N(1100 * time.Millisecond))
						if err := c.Close(); err != nil {
							t.Error(err)
						}
						return
					}
					_, _ = c.Token(t.Context())
				})
			}
			calls.Wait()
			b.ClearFaults()
		}
		require.Zero(t, b.Reuses())
		time.Sleep(past)
		b.token(t, b.process(t))
	})
}

// TestCloseWaitsForTheStore tests that Close gives a store that fails the time to recover.
func TestCloseWaitsForTheStore(t *testing.T) {
	inBubble(t, oauthtest.ServerOptions{}, func(t *testing.T, b *bed) {
		c := b.authorized(t)
		time.Sleep(past)
		b.vault.failSaves(1e9, answers)
		token := b.token(t, c)
		began := time.Now()
		time.AfterFunc(8*time.Second, func() { b.vault.failSaves(0, answers) })
		require.NoError(t, c.Close())
		require.WithinRange(t, time.Now(), began.Add(8*time.Second), began.Add(13*time.Second))
		require.Equal(t, token.AccessToken, b.stored(t).Token.AccessToken)
	})
}

// TestCloseGivesUp tests the end of its patience: what is lost is told.
func TestCloseGivesUp(t *testing.T) {
	inBubble(t, oauthtest.ServerOptions{}, func(t *testing.T, b *bed) {
		c := b.authorized(t, func(cfg *authcode.Config) { cfg.Cache.FetchTimeout = 5 * time.Second })
		time.Sleep(past)
		b.vault.failSaves(1e9, answers)
		token := b.token(t, c)
		began := time.Now()
		err := c.Close()
		require.Equal(t, 15*time.Second, time.Since(began), "FetchTimeout and ten seconds")
		te, ok := errors.AsType[*outgrant.TokenError](err)
		require.True(t, ok)
		require.Contains(t, te.Error(), "the refresh token that came last could not be stored, and is lost")
		b.show(err)
		require.EqualError(t, c.Close(), err.Error())
		require.Equal(t, token.AccessToken, b.token(t, c).AccessToken)

		// The lock is free, and the mark tells what became of the refresh token.
		b.vault.failSaves(0, answers)
		require.ErrorIs(t, b.fails(t, b.process(t)), outgrant.ErrNotAuthorized)
		require.Contains(t, b.status(t, c).Reason, "its answer may have been lost")
	})
}

// TestCloseIsBounded tests that a token service and a store that hang do not hold Close up for ever.
func TestCloseIsBounded(t *testing.T) {
	inBubble(t, oauthtest.ServerOptions{}, func(t *testing.T, b *bed) {
		c := b.authorized(t, func(cfg *authcode.Config) {
			cfg.Cache.FetchTimeout = 5 * time.Second
			cfg.Vault = hangingVault{b.vault}
		})
		time.Sleep(past)
		b.Inject(oauthtest.Delay(4 * time.Second))
		began := time.Now()
		_, _, err := within(t, c, time.Second)
		require.Error(t, err)
		require.Error(t, c.Close())
		require.LessOrEqual(t, time.Since(began), 25*time.Second)
	})
}

// hangingVault never stores what a refresh brought.
type hangingVault struct{ *testVault }

func (v hangingVault) Save(ctx context.Context, name string, spent outgrant.Secret, next authcode.Authorization) (authcode.Authorization, error) {
	if answers(next) && spent != "" {
		<-ctx.Done()
		return authcode.Authorization{}, ctx.Err()
	}
	return v.testVault.Save(ctx, name, spent, next)
}

// TestALongFetchTimeout tests that no patience overflows.
func TestALongFetchTimeout(t *testing.T) {
	inBubble(t, oauthtest.ServerOptions{}, func(t *testing.T, b *bed) {
		c := b.authorized(t, func(cfg *authcode.Config) { cfg.Cache.FetchTimeout = 1<<63 - 1 })
		time.Sleep(past)
		b.Inject(oauthtest.Delay(time.Hour))
		b.vault.failSaves(1, answers)
		_, _, err := within(t, c, time.Second)
		require.Error(t, err)
		require.True(t, b.stored(t).Mark.Until.After(time.Now()))
		require.NoError(t, c.Close())
		require.Equal(t, []outgrant.AuthorizationChange{outgrant.NotStored, outgrant.Refreshed}, b.changes())
	})
}
