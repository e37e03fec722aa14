package authcode_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/authcode"
	"github.com/outgrant/outgrant/oauthtest"
)

// inLosableBed is inBubble with a vault whose lock can be lost. It takes 2 s to store that a refresh begins.
func inLosableBed(t *testing.T, test func(t *testing.T, b *bed, v *losableVault, process func(...func(*authcode.Config)) *authcode.Client)) {
	inBubble(t, oauthtest.ServerOptions{}, func(t *testing.T, b *bed) {
		v := newLosableVault(b.vault)
		b.slowMarks(2 * time.Second)
		test(t, b, v, func(change ...func(*authcode.Config)) *authcode.Client {
			return b.process(t, append(change, func(cfg *authcode.Config) { cfg.Vault = v })...)
		})
		time.Sleep(time.Minute)
		v.mu.Lock()
		defer v.mu.Unlock()
		require.Empty(t, v.open, "each lock is unlocked, lost or not")
	})
}

// TestTheLockIsLostBeforeTheTokenIsSent tests that it is not sent then, by anybody, before no answer can come any more:
// who took over may have begun, too.
func TestTheLockIsLostBeforeTheTokenIsSent(t *testing.T) {
	inLosableBed(t, func(t *testing.T, b *bed, v *losableVault, process func(...func(*authcode.Config)) *authcode.Client) {
		c, other := process(), process()
		require.NoError(t, b.consent(t, c))
		time.Sleep(past)
		began := time.Now()
		time.AfterFunc(time.Second, v.lose)
		err := b.fails(t, c)
		require.Equal(t, 2*time.Second, time.Since(began))
		require.True(t, err.Temporary())
		require.Contains(t, err.Error(), "its store lost the lock, or was too slow, so the refresh token was not used")
		require.Zero(t, b.refreshes())
		mark := b.stored(t).Mark
		require.NotNil(t, mark)
		require.Equal(t, 70*time.Second, mark.Until.Sub(mark.Started))
		for _, p := range []*authcode.Client{c, other} {
			time.Sleep(time.Second)
			err = b.fails(t, p)
			require.Contains(t, err.Error(), "a refresh was begun on "+mark.Started.UTC().Format("2006-01-02 15:04")+" UTC, and its answer may come yet")
			require.Equal(t, time.Until(mark.Until), err.RetryAfter)
			require.True(t, err.Temporary())
			require.Equal(t, authcode.Deployed, b.status(t, p).State)
		}
		time.Sleep(time.Until(mark.Until) - time.Second)
		_, err2 := other.Token(t.Context())
		require.Error(t, err2)
		require.Zero(t, b.refreshes())
		time.Sleep(2 * time.Second)
		token := b.token(t, other)
		require.Equal(t, token.AccessToken, b.token(t, c).AccessToken)
		require.Equal(t, 1, b.refreshes())
		require.Zero(t, b.Reuses())
	})
}

// TestTheLockIsLostDuringTheRequest tests that nobody else uses the token meanwhile, this process included, and that the
// answer is stored under the lock.
func TestTheLockIsLostDuringTheRequest(t *testing.T) {
	inLosableBed(t, func(t *testing.T, b *bed, v *losableVault, process func(...func(*authcode.Config)) *authcode.Client) {
		c, other := process(), process()
		require.NoError(t, b.consent(t, c))
		b.token(t, c)
		b.Inject(oauthtest.Delay(20 * time.Second))
		time.Sleep(time.Hour - 15*time.Second)
		b.token(t, c) // begins a refresh in the background, which the engine gives up when the token ends
		time.Sleep(3 * time.Second)
		require.Equal(t, 1, b.refreshes())
		v.lose()
		time.Sleep(13 * time.Second) // for other it is good to its very end
		for range 2 {
			for _, p := range []*authcode.Client{c, other} {
				require.Contains(t, b.fails(t, p).Error(), "its answer may come yet")
			}
			time.Sleep(time.Second)
		}
		lock, err := v.Lock(t.Context(), bedName) // somebody looks into the vault
		require.NoError(t, err)
		time.Sleep(10 * time.Second)
		require.NotNil(t, b.stored(t).Mark, "the answer has come, and waits for the lock")
		require.NoError(t, lock.Unlock())
		time.Sleep(time.Minute)
		require.Equal(t, []outgrant.AuthorizationChange{outgrant.Refreshed}, b.changes())
		require.Equal(t, b.token(t, c).AccessToken, b.token(t, other).AccessToken)
		require.Equal(t, 1, b.refreshes())
		require.Zero(t, b.Reuses())
	})
}

// TestAnAnswerThatIsNone tests that the token is tried again at once where the holder of the lock has told that no answer
// came: there is nobody to wait for.
func TestAnAnswerThatIsNone(t *testing.T) {
	inLosableBed(t, func(t *testing.T, b *bed, _ *losableVault, process func(...func(*authcode.Config)) *authcode.Client) {
		c, other := process(), process()
		require.NoError(t, b.consent(t, c))
		time.Sleep(past)
		b.Inject(oauthtest.HTML503())
		b.fails(t, c)
		require.NotEmpty(t, b.stored(t).Mark.Unknown)
		b.token(t, other)
		require.Equal(t, 2, b.refreshes())
		time.Sleep(time.Second)
		b.token(t, c)
		require.Equal(t, 2, b.refreshes())
	})
}

// TestTheLockIsLostAndNotGotAgain tests that an answer is served from memory until the lock is there again.
func TestTheLockIsLostAndNotGotAgain(t *testing.T) {
	inLosableBed(t, func(t *testing.T, b *bed, v *losableVault, process func(...func(*authcode.Config)) *authcode.Client) {
		c := process()
		require.NoError(t, b.consent(t, c))
		time.Sleep(past)
		b.Inject(oauthtest.Delay(5 * time.Second))
		time.AfterFunc(4*time.Second, v.lose)
		time.AfterFunc(4*time.Second, func() { b.vault.set(func(v *testVault) { v.lock = func() error { return errDisk } }) })
		token := b.token(t, c)
		require.Equal(t, outgrant.NotStored, b.lastChange().Change)
		require.ErrorIs(t, b.lastChange().Err, errDisk)
		require.NotNil(t, b.stored(t).Mark)
		b.vault.set(func(v *testVault) { v.lock = nil })
		time.Sleep(10 * time.Second)
		require.Equal(t, outgrant.Refreshed, b.lastChange().Change)
		require.Equal(t, token.AccessToken, b.stored(t).Token.AccessToken)
		require.Equal(t, 1, b.refreshes())
	})
}

// TestTheLockIsLostAndTheRequestFails tests that who has lost the lock does not touch what another may have stored: the
// mark remains, and the token is tried again when no answer can come any more.
func TestTheLockIsLostAndTheRequestFails(t *testing.T) {
	for _, tc := range []struct {
		name  string
		fault oauthtest.Fault
	}{
		{"with an unknown outcome", oauthtest.LostRequest()},
		{"for a while", oauthtest.RetryAfter(time.Second)},
		{"for the client", oauthtest.Refuse("invalid_client", "")},
		{"for good", oauthtest.Refuse("invalid_grant", "")},
	} {
		t.Run(tc.name, func(t *testing.T) {
			inLosableBed(t, func(t *testing.T, b *bed, v *losableVault, process func(...func(*authcode.Config)) *authcode.Client) {
				c, other := process(), process()
				require.NoError(t, b.consent(t, c))
				time.Sleep(past)
				b.Inject(oauthtest.Together(tc.fault, oauthtest.Delay(5*time.Second)))
				time.AfterFunc(4*time.Second, v.lose)
				b.fails(t, c)
				a := b.stored(t)
				require.NotNil(t, a.Mark)
				require.Empty(t, a.Mark.Unknown)
				require.Nil(t, a.Refused)
				require.Nil(t, a.Failure)
				require.Positive(t, b.fails(t, other).RetryAfter)
				require.Equal(t, 1, b.refreshes())
				time.Sleep(time.Until(a.Mark.Until))
				b.token(t, other)
				require.Equal(t, 2, b.refreshes())
				require.Nil(t, b.stored(t).Mark)
			})
		})
	}
}

// TestAProcessIsStopped tests a process that is stopped just before or after it stores its mark, for so long that its lock
// is taken from it without its noticing: when it goes on it must not send a token that somebody else may have sent.
func TestAProcessIsStopped(t *testing.T) {
	for _, stop := range []time.Duration{30 * time.Second, 45 * time.Second, 65 * time.Second, 10 * time.Minute} {
		for _, after := range []bool{false, true} {
			t.Run(fmt.Sprintf("for %s, after the mark %v", stop, after), func(t *testing.T) {
				inLosableBed(t, func(t *testing.T, b *bed, v *losableVault, process func(...func(*authcode.Config)) *authcode.Client) {
					c, other := process(), process()
					require.NoError(t, b.consent(t, c))
					time.Sleep(past)
					stopped := func(next authcode.Authorization) error {
						if marks(next) {
							b.vault.set(func(v *testVault) { v.save, v.saved = nil, nil })
							time.Sleep(stop)
						}
						return nil
					}
					b.vault.set(func(v *testVault) {
						if v.save = stopped; after {
							v.save, v.saved = nil, stopped
						}
					})
					_, _, err := within(t, c, time.Second)
					require.ErrorIs(t, err, context.DeadlineExceeded)
					b.Inject(oauthtest.Lasting(oauthtest.Delay(28 * time.Second)))
					v.loseQuietly()
					for range 40 {
						_, _ = other.Token(t.Context())
						time.Sleep(5 * time.Second)
					}
					b.token(t, other)
					time.Sleep(10 * time.Minute)
					require.Equal(t, b.token(t, other).AccessToken, b.token(t, c).AccessToken)
					require.Equal(t, 1, b.refreshes())
					require.Zero(t, b.Reuses())
				})
			})
		}
	}
}

// TestAnotherHolderDied tests that a lock that ends with its holder proves that no answer can come: a mark that was left is
// no reason to wait.
func TestAnotherHolderDied(t *testing.T) {
	inBubble(t, oauthtest.ServerOptions{}, func(t *testing.T, b *bed) {
		c := b.authorized(t)
		b.store(t, func(a *authcode.Authorization) {
			a.Mark = &authcode.Mark{Holder: "a process that was killed", Started: time.Now().Add(past), Until: time.Now().Add(past + time.Hour)}
		})
		time.Sleep(past)
		b.token(t, c)
		require.Equal(t, 1, b.refreshes())
		require.Nil(t, b.stored(t).Mark)
	})
}

// TestLocksAreLostAllTheTime has processes refresh with a lock that is lost again and again.
func TestLocksAreLostAllTheTime(t *testing.T) {
	inBubble(t, oauthtest.ServerOptions{TokenLifetime: 10 * time.Minute}, func(t *testing.T, b *bed) {
		v := newLosableVault(b.vault)
		b.slowMarks(50 * time.Millisecond)
		b.Inject(oauthtest.Lasting(oauthtest.Delay(100 * time.Millisecond)))
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() {
			for n := 1; ctx.Err() == nil; n++ {
				time.Sleep(time.Duration(n%11) * 10 * time.Millisecond)
				v.lose()
				time.Sleep(20 * time.Millisecond)
			}
		})
		var calls sync.WaitGroup
		for i := range 4 {
			c := b.process(t, func(cfg *authcode.Config) { cfg.Vault = v })
			if i == 0 {
				require.NoError(t, b.consent(t, c))
			}
			calls.Go(func() {
				for range 100 {
					_, _ = c.Token(t.Context())
					time.Sleep(time.Minute)
				}
			})
		}
		calls.Wait()
		cancel()
		running.Wait()
		require.Greater(t, b.refreshes(), 5)
		require.Zero(t, b.Reuses())
		require.Equal(t, authcode.Deployed, b.stored(t).Status(time.Now()).State)
	})
}

// TestAnAnswerThatIsStoredTooLate tests that it is doubted where another process has sent the refresh token meanwhile: a token
// service that notices ends what it had given before, and the reason must be told then.
func TestAnAnswerThatIsStoredTooLate(t *testing.T) {
	inLosableBed(t, func(t *testing.T, b *bed, v *losableVault, process func(...func(*authcode.Config)) *authcode.Client) {
		c := process()
		require.NoError(t, b.consent(t, c))
		b.token(t, c)
		b.Inject(oauthtest.Delay(20 * time.Second))
		time.Sleep(time.Hour - 15*time.Second)
		b.token(t, c) // begins a refresh in the background
		time.Sleep(3 * time.Second)
		v.lose()
		lock, err := v.Lock(t.Context(), bedName)
		require.NoError(t, err)
		time.Sleep(2 * time.Minute) // the answer has come, and waits for the lock
		another := b.stored(t)
		another.Mark = &authcode.Mark{Holder: "another process", Started: time.Now(), Until: time.Now().Add(time.Minute)}
		_, err = v.Save(t.Context(), bedName, another.RefreshToken, another)
		require.NoError(t, err)
		require.NoError(t, lock.Unlock())
		time.Sleep(10 * time.Second)
		require.NotEqual(t, another.RefreshToken, b.stored(t).RefreshToken, "it is stored")
		const doubt = "is unknown (its answer was stored so late that another process had tried again)"
		status := b.status(t, c)
		require.Equal(t, authcode.Deployed, status.State)
		require.Contains(t, status.Reason, doubt)

		b.Inject(oauthtest.Lasting(oauthtest.Refuse("invalid_grant", "")))
		time.Sleep(past)
		_, err = c.Token(t.Context())
		require.ErrorIs(t, err, outgrant.ErrNotAuthorized)
		status = b.status(t, c)
		require.Equal(t, authcode.Unauthorized, status.State)
		require.Contains(t, status.Reason, doubt)
	})
}
