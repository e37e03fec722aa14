package authcode_test

import (
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/authcode"
	"github.com/outgrant/outgrant/oauthtest"
)

// user sets whose credential it is.
func user(name string) func(*authcode.Config) {
	return func(cfg *authcode.Config) { cfg.User = name }
}

// withoutRefreshToken is an answer of a provider that gives none.
func withoutRefreshToken() oauthtest.Fault { return oauthtest.Member("refresh_token", nil) }

// TestWhatAConsentStores tests the dates and names of a new authorization.
func TestWhatAConsentStores(t *testing.T) {
	inBubble(t, oauthtest.ServerOptions{}, func(t *testing.T, b *bed) {
		b.Inject(oauthtest.Member("scope", nil))
		c := b.authorized(t, user("alice@acme.example"), expires(30*day))
		a, now := b.stored(t), time.Now().Round(0)
		require.Equal(t, "alice@acme.example", a.User)
		require.Equal(t, []time.Time{now, now, now}, []time.Time{a.Authorized, a.TokenIssued, a.RefreshIssued}, "without a monotonic clock")
		require.Zero(t, a.Refreshed)
		require.False(t, a.Fixed)
		require.Nil(t, a.Mark)
		require.Equal(t, []string{"mail"}, a.Token.Scopes, "what was asked for, where the answer does not say")
		token := b.token(t, c)
		require.Equal(t, "alice@acme.example", token.User)
		require.Equal(t, []string{"mail"}, token.Scopes)
		require.Equal(t, outgrant.Authorized, b.lastChange().Change)
		require.Equal(t, c.Describe(), b.lastChange().Credential)

		time.Sleep(past)
		b.Inject(oauthtest.Member("scope", "mail calendar"))
		token = b.token(t, c)
		require.Equal(t, "alice@acme.example", token.User)
		require.Equal(t, []string{"mail", "calendar"}, token.Scopes)
		require.True(t, b.stored(t).Authorized.Equal(a.Authorized))
	})
}

// TestScopeOnRefresh tests what a refresh asks for.
func TestScopeOnRefresh(t *testing.T) {
	for _, on := range []bool{false, true} {
		inBubbleNamed(t, map[bool]string{false: "off", true: "on"}[on], func(t *testing.T, b *bed) {
			c := b.authorized(t, func(cfg *authcode.Config) { cfg.ScopeOnRefresh = on })
			refreshToken := b.stored(t).RefreshToken
			time.Sleep(past)
			b.token(t, c)
			sent := b.Requests()[1].Params
			require.Equal(t, on, sent.Has("scope"))
			require.Equal(t, on, sent.Get("scope") == "mail")
			require.Equal(t, refreshToken.Reveal(), sent.Get("refresh_token"))
			require.Equal(t, "refresh_token", sent.Get("grant_type"))
		})
	}
}

// TestAuthorizedAgain tests that a new authorization takes effect at once, here and in other processes, and ends what was
// remembered of the old one.
func TestAuthorizedAgain(t *testing.T) {
	inBubble(t, oauthtest.ServerOptions{}, func(t *testing.T, b *bed) {
		c, other := b.authorized(t), b.process(t)
		b.token(t, other)
		time.Sleep(past)
		b.Inject(oauthtest.Refuse("invalid_grant", ""))
		b.fails(t, c)
		b.fails(t, other)
		old := b.stored(t)
		require.NoError(t, b.consent(t, c))
		a := b.stored(t)
		require.NotEqual(t, old.RefreshToken, a.RefreshToken)
		require.Nil(t, a.Refused)
		require.Equal(t, a.Token.AccessToken, b.token(t, c).AccessToken, "the failure is forgotten")
		time.Sleep(time.Second)
		require.Equal(t, a.Token.AccessToken, b.token(t, other).AccessToken)
		require.Equal(t, 1, b.refreshes())
	})
}

// TestAnotherConsentWithoutRefreshToken tests providers that give a refresh token at the first consent only.
func TestAnotherConsentWithoutRefreshToken(t *testing.T) {
	for _, tc := range []struct {
		name   string
		user   string
		change func(a *authcode.Authorization)
		kept   bool
	}{
		{"of the same user", "alice", nil, true},
		{"of the same user, as the ID token tells", "", func(a *authcode.Authorization) { a.User = "alice" }, true},
		{"of another user, as the ID token tells", "", func(a *authcode.Authorization) { a.User = "bob" }, false},
		{"of nobody knows whom", "", nil, false}, // it could be anybody's
		{"after a failure of the client", "alice", func(a *authcode.Authorization) {
			a.Failure = &authcode.Refusal{Code: "invalid_client", Reason: "answer 401", At: time.Now()}
		}, true},
		{"after an unknown outcome", "alice", func(a *authcode.Authorization) {
			a.Mark = &authcode.Mark{Started: time.Now(), Until: time.Now(), Unknown: "answer 503"}
		}, true},
		{"after it was refused", "alice", func(a *authcode.Authorization) {
			a.Refused = &authcode.Refusal{Code: "invalid_grant", Reason: "refused", At: time.Now()}
		}, false},
		{"after it had ended", "alice", func(a *authcode.Authorization) { a.RefreshExpires = time.Now() }, false},
		{"for other scopes", "alice", func(a *authcode.Authorization) { a.Binding = "another" }, false},
	} {
		inBubbleNamed(t, tc.name, func(t *testing.T, b *bed) {
			openID := func(cfg *authcode.Config) {
				if tc.name != "of nobody knows whom" {
					cfg.Scopes = []string{"openid"}
				}
			}
			b.authorized(t, user(tc.user), expires(30*day), openID)
			b.store(t, func(a *authcode.Authorization) {
				if a.Fixed = true; tc.change != nil {
					tc.change(a)
				}
			})
			before := b.stored(t)
			time.Sleep(time.Minute)
			b.Inject(withoutRefreshToken())
			c := b.process(t, user(tc.user), expires(30*day), openID)
			require.NoError(t, b.consent(t, c))
			a := b.stored(t)
			require.NotEqual(t, before.Token.AccessToken, a.Token.AccessToken)
			require.True(t, a.Authorized.Equal(time.Now()))
			require.Nil(t, a.Failure)
			require.Nil(t, a.Refused)
			state := authcode.Deployed
			if !tc.kept {
				state = authcode.Error
			}
			require.Equal(t, state, b.status(t, c).State)
			if !tc.kept {
				require.Empty(t, a.RefreshToken)
				require.Zero(t, a.RefreshExpires)
				require.Zero(t, a.Due)
				require.False(t, a.Fixed)
				require.Nil(t, a.Mark)
				return
			}
			require.Equal(t, before.RefreshToken, a.RefreshToken)
			require.Equal(t, []any{before.RefreshIssued, before.RefreshExpires, before.Due, before.Refreshed, before.Fixed},
				[]any{a.RefreshIssued, a.RefreshExpires, a.Due, a.Refreshed, a.Fixed})
			require.Equal(t, before.Mark, a.Mark)
			time.Sleep(past)
			b.token(t, c)
		})
	}
}

// TestWithoutRefreshToken tests a provider that never gives one.
func TestWithoutRefreshToken(t *testing.T) {
	inBubble(t, oauthtest.ServerOptions{}, func(t *testing.T, b *bed) {
		b.Inject(withoutRefreshToken())
		c := b.authorized(t, expires(30*day))
		require.Zero(t, b.stored(t).RefreshExpires)
		require.Zero(t, b.stored(t).Due)
		b.token(t, c)
		time.Sleep(59 * time.Minute)
		b.token(t, c)
		cold := b.token(t, b.process(t, expires(30*day)))
		require.Equal(t, b.stored(t).Token.AccessToken, cold.AccessToken, "it is good to the end")
		require.Equal(t, authcode.Error, b.status(t, c).State)
		require.Contains(t, b.status(t, c).Reason, "the provider gave no refresh token, so it works until")
		require.Contains(t, b.status(t, c).Reason, "ask for offline access")
		require.True(t, b.status(t, c).Expires.Equal(b.stored(t).Token.Expiry))
		time.Sleep(2 * time.Minute)
		err := b.fails(t, c)
		require.ErrorIs(t, err, outgrant.ErrNotAuthorized)
		require.Equal(t, authcode.Unauthorized, b.status(t, c).State)
		require.Equal(t, 1, b.TokenRequests())
		due, err2 := c.Renew(t.Context())
		require.NoError(t, err2)
		require.Zero(t, due)
	})
}

// TestAConsentThatCannotBeStored tests that it is tried for a while, as the code is spent, and what is said if that is over.
func TestAConsentThatCannotBeStored(t *testing.T) {
	inBubble(t, oauthtest.ServerOptions{}, func(t *testing.T, b *bed) {
		c := b.process(t)
		b.vault.failSaves(5, answers)
		began := time.Now()
		require.NoError(t, b.consent(t, c))
		require.Equal(t, 1550*time.Millisecond, time.Since(began), "50, 100, 200, 400 and 800 ms")
		b.token(t, c)
		old := b.stored(t)

		b.vault.set(func(v *testVault) { v.load = func() error { return errDisk } })
		began = time.Now()
		err := b.consent(t, c)
		require.ErrorIs(t, err, errDisk)
		require.Contains(t, err.Error(), "its store cannot be written, so the authorization is lost: make it writable and authorize again")
		require.Equal(t, 30*time.Second, time.Since(began))
		require.Equal(t, outgrant.NotStored, b.lastChange().Change)
		b.vault.set(func(v *testVault) { v.load = nil })
		require.Equal(t, old, b.stored(t))
		b.token(t, c)
	})
}

// TestTheSameUserOnceMore tests that the refresh token of the last consent counts.
func TestTheSameUserOnceMore(t *testing.T) {
	inBubble(t, oauthtest.ServerOptions{}, func(t *testing.T, b *bed) {
		c := b.authorized(t, user("alice"))
		before := b.stored(t)
		require.NoError(t, b.consent(t, c))
		require.NotEqual(t, before.RefreshToken, b.stored(t).RefreshToken)
	})
}

// TestAConsentThatIsOvertaken tests a consent that another one overtakes just before it is stored: who comes last wins.
func TestAConsentThatIsOvertaken(t *testing.T) {
	inBubble(t, oauthtest.ServerOptions{}, func(t *testing.T, b *bed) {
		c, other := b.process(t), b.process(t)
		var overtaker authcode.Authorization
		b.vault.set(func(v *testVault) {
			v.save = func(authcode.Authorization) error {
				v.set(func(v *testVault) { v.save = nil })
				defer func() { overtaker = b.stored(t) }()
				return b.consent(t, other)
			}
		})
		require.NoError(t, b.consent(t, c))
		require.NotEqual(t, overtaker.RefreshToken, b.stored(t).RefreshToken)
		require.Equal(t, b.stored(t).Token.AccessToken, b.token(t, c).AccessToken)
	})
}

// TestConsentsAtOnce tests two users who consent while a third process refreshes: one of them wins, whole.
func TestConsentsAtOnce(t *testing.T) {
	inBubble(t, oauthtest.ServerOptions{}, func(t *testing.T, b *bed) {
		c := b.authorized(t)
		for range 20 {
			time.Sleep(past)
			var all sync.WaitGroup
			all.Go(func() { _, _ = c.Token(t.Context()) })
			for range 3 {
				p := b.process(t)
				all.Go(func() {
					if err := b.consent(t, p); err != nil {
						t.Error(err)
					}
				})
			}
			all.Wait()
			time.Sleep(time.Second)
			token := b.token(t, b.process(t))
			require.Equal(t, b.stored(t).Token.AccessToken, token.AccessToken)
			require.True(t, b.Live(token.AccessToken))
		}
		require.Zero(t, b.Reuses())
	})
}
