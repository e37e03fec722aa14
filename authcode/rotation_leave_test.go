package authcode_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/authcode"
	"github.com/outgrant/outgrant/oauthtest"
)

// TestTheCallerLeaves tests that a refresh goes on when whoever began it leaves: before the token is sent, or after.
func TestTheCallerLeaves(t *testing.T) {
	for _, tc := range []struct {
		name string
		when time.Duration // the mark is stored after 2 s, the answer comes 10 s later
	}{
		{"before the token is sent", time.Second},
		{"just when it is sent", 2 * time.Second},
		{"before the answer", 8 * time.Second},
		{"just when it comes", 12 * time.Second},
	} {
		t.Run(tc.name, func(t *testing.T) {
			inBubble(t, oauthtest.ServerOptions{}, func(t *testing.T, b *bed) {
				c, other := b.authorized(t), b.process(t)
				time.Sleep(past)
				b.slowMarks(2 * time.Second)
				b.Inject(oauthtest.Delay(10 * time.Second))
				token, took, err := within(t, c, tc.when)
				require.Equal(t, tc.when, took)
				if token == nil {
					require.ErrorIs(t, err, context.DeadlineExceeded)
					b.show(err)
				}
				time.Sleep(13*time.Second - tc.when)
				synctest.Wait()
				require.Equal(t, b.stored(t).Token.AccessToken, b.token(t, c).AccessToken)
				b.token(t, other)
				require.Equal(t, 1, b.refreshes())
				require.Zero(t, b.Reuses())
				require.Equal(t, []outgrant.AuthorizationChange{outgrant.Refreshed}, b.changes())
			})
		})
	}
}

// TestTheEngineGivesUp tests a refresh that takes longer than a fetch may: the call fails, and the answer is not lost.
func TestTheEngineGivesUp(t *testing.T) {
	inBubble(t, oauthtest.ServerOptions{}, func(t *testing.T, b *bed) {
		c := b.authorized(t, func(cfg *authcode.Config) { cfg.Cache.FetchTimeout = 5 * time.Second })
		time.Sleep(past)
		b.slowMarks(3 * time.Second) // the request has its 5 s from then on
		b.Inject(oauthtest.Delay(4 * time.Second))
		began := time.Now()
		err := b.fails(t, c)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Contains(t, err.Error(), "the call ended before the token service answered")
		require.Equal(t, 5*time.Second, time.Since(began))
		require.Equal(t, 1, b.refreshes())
		time.Sleep(time.Second) // the next call waits for the lock
		b.token(t, c)
		require.Equal(t, 7*time.Second, time.Since(began))
		require.Equal(t, 1, b.refreshes())
		require.Equal(t, []outgrant.AuthorizationChange{outgrant.Refreshed}, b.changes())
	})
}

// TestABackgroundRefreshIsGivenUp tests a refresh ahead of the token's end that hangs: what the engine does about it, a
// second fetch, must not use the refresh token beside it.
func TestABackgroundRefreshIsGivenUp(t *testing.T) {
	inBubble(t, oauthtest.ServerOptions{}, func(t *testing.T, b *bed) {
		c := b.authorized(t)
		b.token(t, c)
		b.Inject(oauthtest.Delay(20 * time.Second))
		time.Sleep(time.Hour - 13*time.Second) // 3 s before it counts as ended
		b.token(t, c)
		time.Sleep(4 * time.Second)
		b.token(t, c)
		require.Equal(t, 1, b.refreshes())
		require.Zero(t, b.Reuses())
	})
}

// TestARequestThatHangs tests that a request ends with FetchTimeout, and is tried again.
func TestARequestThatHangs(t *testing.T) {
	inBubble(t, oauthtest.ServerOptions{}, func(t *testing.T, b *bed) {
		c := b.authorized(t)
		time.Sleep(past)
		b.Inject(oauthtest.Together(oauthtest.Delay(time.Hour), oauthtest.LostRequest()))
		began := time.Now()
		b.fails(t, c)
		require.Equal(t, 30*time.Second, time.Since(began))
		time.Sleep(time.Second)
		mark := b.stored(t).Mark
		require.NotNil(t, mark)
		require.Contains(t, mark.Unknown, "deadline exceeded")
		require.True(t, began.Equal(mark.Started))
		b.token(t, c)
		require.Equal(t, 2, b.refreshes())
		require.Nil(t, b.stored(t).Mark)
		require.Equal(t, []outgrant.AuthorizationChange{outgrant.OutcomeUnknown, outgrant.Refreshed}, b.changes())
	})
}

// slowMarks makes it take a time to store that a refresh begins.
func (b *bed) slowMarks(d time.Duration) {
	b.vault.set(func(v *testVault) {
		v.save = func(next authcode.Authorization) error {
			if marks(next) {
				time.Sleep(d)
			}
			return nil
		}
	})
}
