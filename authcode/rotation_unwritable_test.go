package authcode_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/authcode"
	"github.com/outgrant/outgrant/oauthtest"
)

// TestNothingIsSpentThatCannotBeStored tests a vault that fails before the refresh token is sent: it lives on.
func TestNothingIsSpentThatCannotBeStored(t *testing.T) {
	for _, tc := range []struct {
		name string
		fail func(v *testVault)
		says string
	}{
		{"it cannot be written", func(v *testVault) { v.save = func(authcode.Authorization) error { return errDisk } },
			"its store cannot be written, so the refresh token was not used: no space left on device"},
		{"it writes and does not say so", func(v *testVault) { v.saved = func(authcode.Authorization) error { return errDisk } },
			"its store cannot be written, so the refresh token was not used: no space left on device"},
		{"it cannot be read", func(v *testVault) { v.load = func() error { return errDisk } },
			"its store cannot be read: no space left on device"},
		{"it cannot be locked", func(v *testVault) { v.lock = func() error { return errDisk } },
			"its store cannot be locked for a refresh: no space left on device"},
		{"it hangs", func(v *testVault) { v.lock = func() error { time.Sleep(time.Second); return errDisk } },
			"its store cannot be locked for a refresh: no space left on device"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			inBubble(t, oauthtest.ServerOptions{}, func(t *testing.T, b *bed) {
				c := b.authorized(t)
				before := b.stored(t)
				time.Sleep(past)
				b.vault.set(tc.fail)
				for range 5 {
					err := b.fails(t, c)
					require.ErrorIs(t, err, errDisk)
					require.Contains(t, err.Error(), tc.says)
					require.True(t, err.Temporary())
					time.Sleep(10 * time.Second)
				}
				require.Zero(t, b.refreshes())
				require.Equal(t, before.RefreshToken, b.stored(t).RefreshToken)
				require.Empty(t, b.changes(), "nothing happened to the authorization")

				b.vault.set(func(v *testVault) { v.load, v.lock, v.save, v.saved = nil, nil, nil, nil })
				require.Equal(t, authcode.Deployed, b.status(t, c).State)
				time.Sleep(time.Minute)
				b.token(t, c)
				require.Equal(t, 1, b.refreshes())
				require.Zero(t, b.Reuses())
				require.Nil(t, b.stored(t).Mark)
				require.Equal(t, []outgrant.AuthorizationChange{outgrant.Refreshed}, b.changes())
			})
		})
	}
}

// TestAValidTokenIsServedWhateverTheStoreDoes tests that a process does not notice a broken store before it needs it.
func TestAValidTokenIsServedWhateverTheStoreDoes(t *testing.T) {
	inBubble(t, oauthtest.ServerOptions{}, func(t *testing.T, b *bed) {
		c := b.authorized(t)
		b.token(t, c)
		b.vault.set(func(v *testVault) { v.lock = func() error { return errDisk } })
		time.Sleep(nearEnd)
		b.token(t, c)
		time.Sleep(3 * time.Minute)
		b.token(t, c)
		b.token(t, b.process(t))
		time.Sleep(time.Minute)
		b.fails(t, c)
	})
}

func TestStatusOfAnUnreadableStore(t *testing.T) {
	inBubble(t, oauthtest.ServerOptions{}, func(t *testing.T, b *bed) {
		c := b.authorized(t)
		b.vault.set(func(v *testVault) { v.load = func() error { return errDisk } })
		_, err := c.Status(t.Context())
		require.ErrorIs(t, err, errDisk)
		b.show(err)
		_, err = c.Renew(t.Context())
		require.ErrorIs(t, err, errDisk)
		b.show(err)
	})
}

// TestWaitingForTheLock tests that callers leave when they want to, while another process refreshes for ever.
func TestWaitingForTheLock(t *testing.T) {
	inBubble(t, oauthtest.ServerOptions{}, func(t *testing.T, b *bed) {
		c := b.authorized(t)
		time.Sleep(past)
		other, err := b.vault.Lock(t.Context(), bedName)
		require.NoError(t, err)

		for _, patience := range []time.Duration{time.Millisecond, 100 * time.Millisecond, 7 * time.Second} {
			token, took, err := within(t, c, patience)
			require.Nil(t, token)
			require.ErrorIs(t, err, context.DeadlineExceeded)
			require.Equal(t, patience, took)
			b.show(err)
		}
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		_, err = c.Renew(t.Context())
		require.NoError(t, err, "nothing is due, so the lock is not wanted")
		_, err = c.Token(gone)
		require.ErrorIs(t, err, context.Canceled)

		time.Sleep(30 * time.Second)
		require.NoError(t, other.Unlock())
		time.Sleep(time.Minute)
		b.token(t, c)
		require.Equal(t, 1, b.refreshes())
	})
}

// TestACallWithoutDeadlineEnds tests that FetchTimeout bounds the wait for the lock of a caller that would wait for ever.
func TestACallWithoutDeadlineEnds(t *testing.T) {
	inBubble(t, oauthtest.ServerOptions{}, func(t *testing.T, b *bed) {
		c := b.authorized(t, func(cfg *authcode.Config) { cfg.Cache.FetchTimeout = 3 * time.Second })
		time.Sleep(past)
		other, err := b.vault.Lock(t.Context(), bedName)
		require.NoError(t, err)
		defer other.Unlock()
		began := time.Now()
		err = b.fails(t, c)
		require.Equal(t, 3*time.Second, time.Since(began))
		require.True(t, errors.Is(err, context.DeadlineExceeded))
		require.Contains(t, err.Error(), "its store cannot be locked for a refresh")
	})
}

// TestTheVaultChangesUnderTheLock tests an authorization that is replaced or deleted just before the mark is stored.
func TestTheVaultChangesUnderTheLock(t *testing.T) {
	inBubble(t, oauthtest.ServerOptions{}, func(t *testing.T, b *bed) {
		c, other := b.authorized(t), b.process(t)
		time.Sleep(past)
		b.vault.set(func(v *testVault) {
			v.save = func(next authcode.Authorization) error {
				if marks(next) {
					v.set(func(v *testVault) { v.save = nil })
					return b.consent(t, other)
				}
				return nil
			}
		})
		token := b.token(t, c)
		require.Equal(t, b.stored(t).Token.AccessToken, token.AccessToken)
		require.Zero(t, b.refreshes(), "the new authorization has a token")

		time.Sleep(past)
		b.vault.set(func(v *testVault) {
			v.save = func(next authcode.Authorization) error {
				if marks(next) {
					b.delete(t)
				}
				return nil
			}
		})
		err := b.fails(t, c)
		require.ErrorIs(t, err, outgrant.ErrNotAuthorized)
		require.Zero(t, b.refreshes())
		require.Zero(t, b.stored(t))
		require.Equal(t, authcode.Unauthorized, b.status(t, c).State)
	})
}

// TestTheVaultChangesAllTheTime tests that a call ends also then.
func TestTheVaultChangesAllTheTime(t *testing.T) {
	inBubble(t, oauthtest.ServerOptions{}, func(t *testing.T, b *bed) {
		c := b.authorized(t)
		time.Sleep(past)
		n := 0
		b.vault.set(func(v *testVault) {
			v.save = func(next authcode.Authorization) error {
				if marks(next) {
					n++
					b.store(t, func(a *authcode.Authorization) { a.RefreshToken += "x" })
				}
				return nil
			}
		})
		err := b.fails(t, c)
		require.True(t, err.Temporary())
		require.Contains(t, err.Error(), "the authorization is being replaced all the time")
		require.Equal(t, 3, n)
		require.Zero(t, b.refreshes())
	})
}

// delete removes the authorization from the vault, as another process would.
func (b *bed) delete(t testing.TB) {
	t.Helper()
	b.store(t, func(a *authcode.Authorization) { *a = authcode.Authorization{} })
}
