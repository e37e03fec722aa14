package authcode_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/authcode"
	"github.com/outgrant/outgrant/oauthtest"
)

// answers reports whether it is what a refresh brought that is saved.
func answers(next authcode.Authorization) bool { return next.Mark == nil && next.Refused == nil }

// TestATokenThatCannotBeStoredIsKept tests a vault that fails after the refresh token was spent: the only copy of its
// successor is in memory, where it is served from, and nobody spends the old one.
func TestATokenThatCannotBeStoredIsKept(t *testing.T) {
	for _, tc := range []struct {
		name  string
		after bool // it is stored, and that is not told
	}{{"it is not stored", false}, {"it is stored, but that is not told", true}} {
		t.Run(tc.name, func(t *testing.T) {
			inBubble(t, oauthtest.ServerOptions{}, func(t *testing.T, b *bed) {
				c, other := b.authorized(t), b.process(t)
				before := b.stored(t)
				time.Sleep(past)
				failing := func(next authcode.Authorization) error {
					if answers(next) {
						return errDisk
					}
					return nil
				}
				b.vault.set(func(v *testVault) {
					if tc.after {
						v.saved = failing
					} else {
						v.save = failing
					}
				})
				began := time.Now()
				token := b.token(t, c)
				require.Zero(t, time.Since(began), "nobody waits for the store")
				require.NotEqual(t, before.Token.AccessToken, token.AccessToken)
				require.Equal(t, []outgrant.AuthorizationChange{outgrant.NotStored}, b.changes())
				require.ErrorIs(t, b.lastChange().Err, errDisk)
				s := b.status(t, c)
				require.Equal(t, authcode.Deployed, s.State)
				require.Contains(t, s.Reason, "could not be stored yet")

				// Another process waits, and does not use the spent token.
				if served, took, err := within(t, other, 20*time.Second); tc.after {
					require.NoError(t, err)
					require.Equal(t, token.AccessToken, served.AccessToken)
				} else {
					require.Equal(t, 20*time.Second, took)
					require.ErrorIs(t, err, context.DeadlineExceeded)
				}
				require.Equal(t, 1, b.refreshes())
				for range 10 {
					require.Equal(t, token.AccessToken, b.token(t, c).AccessToken)
					time.Sleep(time.Minute)
				}
				require.Len(t, b.changes(), 1, "told once")

				b.vault.set(func(v *testVault) { v.save, v.saved = nil, nil })
				time.Sleep(5 * time.Second)
				require.Equal(t, []outgrant.AuthorizationChange{outgrant.NotStored, outgrant.Refreshed}, b.changes())
				require.Equal(t, token.AccessToken, b.stored(t).Token.AccessToken)
				require.Empty(t, b.status(t, c).Reason)
				time.Sleep(time.Minute)
				require.Equal(t, token.AccessToken, b.token(t, other).AccessToken)
				require.Equal(t, 1, b.refreshes())
				time.Sleep(past)
				b.token(t, other)
				require.Equal(t, 2, b.refreshes())
				require.Zero(t, b.Reuses())
			})
		})
	}
}

// TestTheTokenEndsBeforeItIsStored tests that nothing is asked for with a refresh token that is in memory alone.
func TestTheTokenEndsBeforeItIsStored(t *testing.T) {
	inBubble(t, oauthtest.ServerOptions{}, func(t *testing.T, b *bed) {
		c := b.authorized(t)
		time.Sleep(past)
		b.vault.failSaves(1e9, answers)
		token := b.token(t, c)
		time.Sleep(nearEnd)
		require.Equal(t, token.AccessToken, b.token(t, c).AccessToken)
		time.Sleep(past - nearEnd)
		for range 3 {
			err := b.fails(t, c)
			require.True(t, err.Temporary())
			require.Contains(t, err.Error(), "the refresh token that came last cannot be stored, and is not used before it is: make the store writable")
			time.Sleep(time.Minute)
		}
		require.Equal(t, 1, b.refreshes())
		b.vault.failSaves(0, answers)
		time.Sleep(time.Minute)
		require.NotEqual(t, token.AccessToken, b.token(t, c).AccessToken)
		require.Equal(t, 2, b.refreshes())
		require.Zero(t, b.Reuses())
	})
}

// TestARenewalThatIsNotStored tests that what the scheduled job got counts, and that callers are served from it, to its end.
func TestARenewalThatIsNotStored(t *testing.T) {
	inBubble(t, oauthtest.ServerOptions{}, func(t *testing.T, b *bed) {
		c := b.authorized(t, expires(10*day))
		time.Sleep(8 * day)
		b.vault.failSaves(1e9, answers)
		due, err := c.Renew(t.Context())
		require.NoError(t, err)
		require.Equal(t, 8*day, time.Until(due))
		again, err := c.Renew(t.Context())
		require.NoError(t, err, "it is not due any more, whatever the store says")
		require.True(t, due.Equal(again))
		require.Equal(t, 1, b.refreshes())
		time.Sleep(nearEnd)
		b.token(t, c)
		require.Equal(t, 1, b.refreshes())
		time.Sleep(8 * day)
		_, err = c.Renew(t.Context())
		require.ErrorContains(t, err, "make the store writable")
		require.Equal(t, 1, b.refreshes())
		b.vault.failSaves(0, answers)
		time.Sleep(time.Minute)
		_, err = c.Renew(t.Context())
		require.NoError(t, err)
		require.Equal(t, 2, b.refreshes())
		require.Zero(t, b.Reuses())
	})
}

// TestAFewFailuresToStore tests the pauses between attempts.
func TestAFewFailuresToStore(t *testing.T) {
	inBubble(t, oauthtest.ServerOptions{}, func(t *testing.T, b *bed) {
		c := b.authorized(t)
		time.Sleep(past)
		b.vault.failSaves(3, answers)
		b.token(t, c)
		time.Sleep(349 * time.Millisecond)
		require.Equal(t, []outgrant.AuthorizationChange{outgrant.NotStored}, b.changes())
		time.Sleep(2 * time.Millisecond)
		require.Equal(t, []outgrant.AuthorizationChange{outgrant.NotStored, outgrant.Refreshed}, b.changes(), "50, 100 and 200 ms")
		require.NoError(t, c.Close())
	})
}

// TestARejectedTokenThatIsNotStored tests that a rejected token is not handed out again from memory.
func TestARejectedTokenThatIsNotStored(t *testing.T) {
	inBubble(t, oauthtest.ServerOptions{}, func(t *testing.T, b *bed) {
		c := b.authorized(t)
		time.Sleep(past)
		b.vault.failSaves(1e9, answers)
		token := b.token(t, c)
		b.Revoke()
		c.Invalidate(token)
		served, err := c.Token(t.Context())
		require.NoError(t, err, "a rejected token is better than none")
		require.Equal(t, token.AccessToken, served.AccessToken)
		require.Equal(t, 1, b.refreshes())
		b.vault.failSaves(0, answers)
		time.Sleep(10 * time.Second)
		_, _ = c.Token(t.Context())
		time.Sleep(time.Second)
		b.token(t, c)
		require.Equal(t, 2, b.refreshes())
	})
}

// TestAuthorizedAgainWhileATokenIsNotStored tests that a new authorization ends what is in memory, at once.
func TestAuthorizedAgainWhileATokenIsNotStored(t *testing.T) {
	inBubble(t, oauthtest.ServerOptions{}, func(t *testing.T, b *bed) {
		c := b.authorized(t)
		time.Sleep(past)
		b.vault.failSaves(6, answers) // the next attempt is in 1.6 s
		old := b.token(t, c)
		time.Sleep(2 * time.Second)
		require.NoError(t, b.consent(t, c))
		next := b.token(t, c)
		require.NotEqual(t, old.AccessToken, next.AccessToken)
		require.Equal(t, b.stored(t).Token.AccessToken, next.AccessToken)
		require.Empty(t, b.status(t, c).Reason)
		time.Sleep(5 * time.Second)
		require.Equal(t, []outgrant.AuthorizationChange{outgrant.NotStored, outgrant.Authorized, outgrant.Superseded}, b.changes())
		require.Equal(t, next.AccessToken, b.token(t, c).AccessToken)
		require.Equal(t, 1, b.refreshes())
		require.NoError(t, c.Close())
	})
}
