package authcode_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/authcode"
	"github.com/outgrant/outgrant/oauthtest"
)

// TestTheTokenServiceRefuses tests answers that say that the refresh token is of no use any more.
func TestTheTokenServiceRefuses(t *testing.T) {
	for _, code := range []string{"invalid_grant", "interaction_required", "login_required", "consent_required"} {
		t.Run(code, func(t *testing.T) {
			inBubble(t, oauthtest.ServerOptions{}, func(t *testing.T, b *bed) {
				c := b.authorized(t, expires(30*day))
				b.store(t, func(a *authcode.Authorization) { a.Failure = &authcode.Refusal{Reason: "an earlier one"} })
				before := b.stored(t)
				require.NotZero(t, before.Due)
				time.Sleep(past)
				at := time.Now()
				b.Inject(oauthtest.Refuse(code, "the user has changed the password"))
				err := b.fails(t, c)
				require.ErrorIs(t, err, outgrant.ErrNotAuthorized)
				require.Equal(t, code, err.Code)
				require.Equal(t, 400, err.StatusCode)
				require.False(t, err.Temporary())
				s := b.status(t, c)
				require.Equal(t, authcode.Unauthorized, s.State)
				require.Equal(t, "the token service refused the refresh token: answer 400 "+code+" (the user has changed the password) ("+at.UTC().Format("2006-01-02 15:04")+" UTC): authorize again", s.Reason)
				require.Equal(t, []outgrant.AuthorizationChange{outgrant.Unauthorized}, b.changes())
				require.ErrorIs(t, b.lastChange().Err, outgrant.ErrNotAuthorized)
				a := b.stored(t)
				require.Equal(t, code, a.Refused.Code)
				require.True(t, a.Refused.At.Equal(at))
				require.Equal(t, before.RefreshToken, a.RefreshToken)
				require.Nil(t, a.Mark)
				require.Nil(t, a.Failure)
				require.Zero(t, a.Due)

				for _, p := range []*authcode.Client{c, b.process(t, expires(30*day))} {
					time.Sleep(time.Hour)
					err = b.fails(t, p)
					require.ErrorIs(t, err, outgrant.ErrNotAuthorized)
					require.Contains(t, err.Error(), "the user has changed the password", "why is told to whoever asks later")
				}
				require.Equal(t, 1, b.refreshes(), "it is not used again")
				require.NoError(t, b.consent(t, c))
				b.token(t, c)
				require.Equal(t, authcode.Deployed, b.status(t, c).State)
				require.Empty(t, b.status(t, c).Reason)
			})
		})
	}
}

// TestRefusedAndReplaced tests that a refused refresh token is forgotten where the vault has another by then.
func TestRefusedAndReplaced(t *testing.T) {
	inBubble(t, oauthtest.ServerOptions{}, func(t *testing.T, b *bed) {
		c, other := b.authorized(t), b.process(t)
		time.Sleep(past)
		b.Inject(oauthtest.Together(oauthtest.Delay(5*time.Second), oauthtest.Refuse("invalid_grant", "")))
		go func() {
			time.Sleep(time.Second)
			if err := b.consent(t, other); err != nil {
				t.Error(err)
			}
		}()
		token := b.token(t, c)
		require.Equal(t, b.stored(t).Token.AccessToken, token.AccessToken)
		require.Equal(t, authcode.Deployed, b.status(t, c).State)
		require.Equal(t, []outgrant.AuthorizationChange{outgrant.Authorized}, b.changes(), "nobody is worried")
		require.Equal(t, 1, b.refreshes())
	})
}

// TestRefusedAndReplacedAtTheLastMoment is the same, where the vault changes after it was looked into, or cannot be.
func TestRefusedAndReplacedAtTheLastMoment(t *testing.T) {
	for _, blind := range []bool{false, true} {
		inBubbleNamed(t, map[bool]string{false: "changed", true: "unreadable"}[blind], func(t *testing.T, b *bed) {
			c, other := b.authorized(t), b.process(t)
			time.Sleep(past)
			b.Inject(oauthtest.Refuse("invalid_grant", ""))
			b.vault.set(func(v *testVault) {
				v.save = func(next authcode.Authorization) error {
					if blind && marks(next) {
						n := 0
						v.set(func(v *testVault) {
							v.load = func() error {
								if n++; n == 1 {
									return errDisk
								}
								return nil
							}
						})
					}
					if next.Refused != nil {
						return b.consent(t, other)
					}
					return nil
				}
			})
			token := b.token(t, c)
			require.Equal(t, b.stored(t).Token.AccessToken, token.AccessToken)
			require.Equal(t, authcode.Deployed, b.status(t, c).State)
			require.Equal(t, []outgrant.AuthorizationChange{outgrant.Authorized}, b.changes())
		})
	}
}

// TestATokenServiceThatQuotes tests that an answer that quotes the refresh token is not shown, nor stored.
func TestATokenServiceThatQuotes(t *testing.T) {
	for _, code := range []string{"invalid_grant", "invalid_client", "invalid_request"} {
		inBubbleNamed(t, code, func(t *testing.T, b *bed) {
			c := b.authorized(t)
			refreshToken := b.stored(t).RefreshToken.Reveal()
			time.Sleep(past)
			b.Inject(oauthtest.Refuse(code, "the token "+refreshToken+" is bad"))
			b.fails(t, c)
			a := b.stored(t)
			oauthtest.AssertNoSecrets(t, []string{refreshToken}, a.Refused, a.Failure, b.status(t, c))
		})
	}
}

// TestARefusalThatCannotBeStored tests that it is told all the same, and found out again.
func TestARefusalThatCannotBeStored(t *testing.T) {
	inBubble(t, oauthtest.ServerOptions{}, func(t *testing.T, b *bed) {
		c := b.authorized(t)
		time.Sleep(past)
		b.Inject(oauthtest.Lasting(oauthtest.Refuse("invalid_grant", "")))
		b.vault.failSaves(1, func(next authcode.Authorization) bool { return next.Refused != nil })
		require.ErrorIs(t, b.fails(t, c), outgrant.ErrNotAuthorized)
		require.Equal(t, []outgrant.AuthorizationChange{outgrant.Unauthorized}, b.changes())
		require.NotNil(t, b.stored(t).Mark, "which is safe")
		time.Sleep(time.Minute)
		require.ErrorIs(t, b.fails(t, c), outgrant.ErrNotAuthorized)
		require.Equal(t, authcode.Unauthorized, b.status(t, c).State)
		require.Equal(t, 2, b.refreshes())
	})
}

// TestTheClientIsRefused tests that somebody is told to act, and that nothing else happens until the client is accepted.
func TestTheClientIsRefused(t *testing.T) {
	inBubble(t, oauthtest.ServerOptions{}, func(t *testing.T, b *bed) {
		c := b.authorized(t)
		time.Sleep(past)
		b.Inject(oauthtest.Refuse("invalid_client", "the secret has ended"), oauthtest.HTML503())
		at := time.Now().UTC().Format("2006-01-02 15:04")
		err := b.fails(t, c)
		require.False(t, err.Temporary())
		require.NotErrorIs(t, err, outgrant.ErrNotAuthorized)
		s := b.status(t, c)
		require.Equal(t, authcode.Error, s.State)
		require.Equal(t, "the token service refuses to refresh: answer 401 invalid_client (the secret has ended) ("+at+" UTC); "+
			"correct the credential, or what the provider knows of it: what the user authorized is kept", s.Reason)
		time.Sleep(2 * time.Minute)
		b.fails(t, c)
		s = b.status(t, c)
		require.Equal(t, authcode.Error, s.State, "a temporary error says nothing about it")
		require.Contains(t, s.Reason, "the secret has ended")
		time.Sleep(2 * time.Minute)
		b.token(t, c)
		require.Equal(t, authcode.Deployed, b.status(t, c).State)
		require.Empty(t, b.status(t, c).Reason)
	})
}
