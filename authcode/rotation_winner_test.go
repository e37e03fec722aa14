package authcode_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/authcode"
	"github.com/outgrant/outgrant/oauthtest"
)

// TestSuperseded tests that what is stored wins when it has changed during a refresh, and what becomes of the token that the
// refresh brought.
//
// A token is revoked where nothing is stored any more. Where something else is, it may be of the same user's consent to the
// same client, and some providers end them all when one is revoked.
func TestSuperseded(t *testing.T) {
	for _, tc := range []struct {
		name      string
		keeps     bool // the token service keeps refresh tokens
		meanwhile func(t *testing.T, b *bed, other *authcode.Client)
		changes   []outgrant.AuthorizationChange
		revoked   bool // the token that came
		none      bool // there is no token any more
	}{
		{"authorized again", false, func(t *testing.T, b *bed, other *authcode.Client) {
			require.NoError(t, b.consent(t, other))
		}, []outgrant.AuthorizationChange{outgrant.Authorized, outgrant.Superseded}, false, false},
		{"deleted", false, func(t *testing.T, b *bed, _ *authcode.Client) {
			b.delete(t)
		}, []outgrant.AuthorizationChange{outgrant.Superseded, outgrant.Revoked}, true, true},
		{"replaced by a token of the same consent", false, func(t *testing.T, b *bed, _ *authcode.Client) {
			b.store(t, func(a *authcode.Authorization) {
				token := *a.Token
				token.Expiry = time.Now().Add(time.Hour)
				a.Token, a.TokenIssued, a.RefreshToken, a.Mark = &token, time.Now(), "the refresh token of a restored backup", nil
			})
		}, []outgrant.AuthorizationChange{outgrant.Superseded}, false, false},
		{"authorized again, and the old refresh token lives on", true, func(t *testing.T, b *bed, other *authcode.Client) {
			require.NoError(t, b.consent(t, other))
		}, []outgrant.AuthorizationChange{outgrant.Authorized, outgrant.Superseded}, false, false},
		{"deleted, and the old refresh token lives on", true, func(t *testing.T, b *bed, _ *authcode.Client) {
			b.delete(t)
		}, []outgrant.AuthorizationChange{outgrant.Superseded}, false, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			inBubble(t, oauthtest.ServerOptions{KeepRefreshToken: tc.keeps}, func(t *testing.T, b *bed) {
				c, other := b.authorized(t), b.process(t)
				time.Sleep(past)
				b.Inject(oauthtest.Delay(5 * time.Second))
				done := make(chan error, 1)
				var token *outgrant.Token
				go func() {
					var err error
					token, err = c.Token(t.Context())
					done <- err
				}()
				time.Sleep(time.Second)
				tc.meanwhile(t, b, other)
				winner := b.stored(t)
				err := <-done
				b.show(err)
				if tc.none {
					require.ErrorIs(t, err, outgrant.ErrNotAuthorized)
				} else {
					require.NoError(t, err)
					require.Equal(t, winner.Token.AccessToken, token.AccessToken)
				}
				synctest.Wait()
				require.Equal(t, winner, b.stored(t), "unchanged")
				require.Equal(t, tc.changes, b.changes())
				require.Equal(t, 1, b.refreshes())
				require.Equal(t, tc.revoked, b.lastChange().Change == outgrant.Revoked)
				if tc.revoked {
					require.NoError(t, b.lastChange().Err)
				}
			})
		})
	}
}

// TestWithoutRevocationURL tests that a superseded token is left alone where the provider cannot be told.
func TestWithoutRevocationURL(t *testing.T) {
	inBubble(t, oauthtest.ServerOptions{}, func(t *testing.T, b *bed) {
		c := b.authorized(t, func(cfg *authcode.Config) { cfg.RevocationURL = "" })
		time.Sleep(past)
		b.vault.set(func(v *testVault) {
			v.save = func(next authcode.Authorization) error {
				if answers(next) {
					b.delete(t)
				}
				return nil
			}
		})
		require.ErrorIs(t, b.fails(t, c), outgrant.ErrNotAuthorized)
		require.Equal(t, []outgrant.AuthorizationChange{outgrant.Superseded}, b.changes())
	})
}

// TestARevocationThatHangs tests that nobody waits for it.
func TestARevocationThatHangs(t *testing.T) {
	inBubble(t, oauthtest.ServerOptions{}, func(t *testing.T, b *bed) {
		c, other := b.authorized(t, func(cfg *authcode.Config) { cfg.RevocationURL = "https://hangs.test/revoke" }), b.process(t)
		time.Sleep(past)
		b.Inject(oauthtest.Delay(5 * time.Second))
		go func() {
			time.Sleep(time.Second)
			b.delete(t)
		}()
		began := time.Now()
		require.ErrorIs(t, b.fails(t, c), outgrant.ErrNotAuthorized)
		require.ErrorIs(t, b.fails(t, other), outgrant.ErrNotAuthorized)
		require.NoError(t, b.consent(t, other))
		token := b.token(t, other)
		b.Server.Revoke()
		other.Invalidate(token)
		b.token(t, other)
		require.Equal(t, 2, b.refreshes())
		require.Equal(t, 5*time.Second, time.Since(began))
		require.NoError(t, c.Close())
		require.Equal(t, 35*time.Second, time.Since(began), "Close waits for it")
		require.Equal(t, outgrant.Revoked, b.lastChange().Change)
		require.Error(t, b.lastChange().Err)
	})
}
