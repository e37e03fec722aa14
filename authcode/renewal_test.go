package authcode_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/authcode"
	"github.com/outgrant/outgrant/oauthtest"
)

const day = 24 * time.Hour

// expires sets how long refresh tokens live.
func expires(life time.Duration) func(*authcode.Config) {
	return func(cfg *authcode.Config) { cfg.RefreshTokenExpiry = life }
}

// TestDue tests when a refresh token is renewed: between a fifth of its life and two days before its end, as SAP says.
func TestDue(t *testing.T) {
	inBubble(t, oauthtest.ServerOptions{}, func(t *testing.T, b *bed) {
		for _, life := range []time.Duration{
			3 * day, 3*day + time.Hour, 84 * time.Hour, 4 * day, 5 * day, 9*day + 23*time.Hour, 10 * day, 10*day + time.Minute, 14 * day,
			30 * day, 60 * day, 90 * day, 180 * day, 365 * day,
		} {
			c := b.process(t, expires(life))
			dues := map[time.Time]bool{}
			for range 20 {
				require.NoError(t, b.consent(t, c))
				s := b.status(t, c)
				now := time.Now()
				require.Equal(t, life, s.Expires.Sub(now))
				require.GreaterOrEqual(t, s.Due.Sub(now), life/5, "%s", life)
				require.GreaterOrEqual(t, s.Expires.Sub(s.Due), 2*day, "%s", life)
				if life >= 10*day {
					require.LessOrEqual(t, s.Expires.Sub(s.Due), life/5, "%s: there is time enough", life)
				}
				dues[s.Due] = true
			}
			if life != 10*day { // where there is one moment alone
				require.Greater(t, len(dues), 15, "%s: they would all come at once", life)
			}
			b.mu.Lock()
			b.secrets = b.secrets[:1] // it takes a while to search for them all
			b.mu.Unlock()
		}
	})
}

// TestDueOfShortLives tests lives that the token service tells and nobody would configure.
func TestDueOfShortLives(t *testing.T) {
	for _, tc := range []struct {
		told     any
		life     time.Duration // 0: it never ends
		earliest time.Duration
		latest   time.Duration
	}{
		{1, time.Second, 200 * time.Millisecond, 275 * time.Millisecond},
		{60, time.Minute, 12 * time.Second, 16500 * time.Millisecond},
		{"1800", 30 * time.Minute, 6 * time.Minute, 8*time.Minute + 15*time.Second},
		{86400.0, day, 288 * time.Minute, 396 * time.Minute},
		{2 * 86400, 2 * day, 576 * time.Minute, 792 * time.Minute},
		{90 * 86400, 90 * day, 72 * day, 76 * day},
		{1e300, 3650 * day, 2920 * day, 3102 * day}, // as much as is believed
		{0, 0, 0, 0},
		{-1, 0, 0, 0},
		{"soon", 0, 0, 0},
		{nil, 0, 0, 0},
	} {
		for _, member := range []string{"refresh_token_expires_in", "refresh_expires_in"} {
			t.Run(fmt.Sprintf("%s %v", member, tc.told), func(t *testing.T) {
				inBubble(t, oauthtest.ServerOptions{}, func(t *testing.T, b *bed) {
					b.Inject(oauthtest.Member(member, tc.told))
					c := b.authorized(t)
					s, now := b.status(t, c), time.Now()
					if tc.life == 0 {
						require.Zero(t, s.Expires)
						require.Zero(t, s.Due)
						return
					}
					require.Equal(t, tc.life, s.Expires.Sub(now))
					require.WithinRange(t, s.Due, now.Add(tc.earliest), now.Add(tc.latest))
				})
			})
		}
	}
}

// TestWhatTheTokenServiceTellsComesFirst tests lives that are told beside the configured one.
func TestWhatTheTokenServiceTellsComesFirst(t *testing.T) {
	inBubble(t, oauthtest.ServerOptions{}, func(t *testing.T, b *bed) {
		b.Inject(oauthtest.Together(oauthtest.Member("refresh_expires_in", 7*86400), oauthtest.Member("refresh_token_expires_in", 5*86400)),
			oauthtest.Member("refresh_expires_in", 0))
		c := b.authorized(t, expires(90*day))
		require.Equal(t, 5*day, time.Until(b.status(t, c).Expires))
		time.Sleep(past)
		b.token(t, c)
		require.Equal(t, 90*day, time.Until(b.status(t, c).Expires), "0 says nothing")
	})
}

// TestALifeThatIsNotToldAgain tests that the end of one refresh token is not taken for the end of the next.
func TestALifeThatIsNotToldAgain(t *testing.T) {
	inBubble(t, oauthtest.ServerOptions{}, func(t *testing.T, b *bed) {
		b.Inject(oauthtest.Member("refresh_expires_in", 7*86400))
		c := b.authorized(t)
		require.NotZero(t, b.status(t, c).Expires)
		time.Sleep(past)
		b.token(t, c)
		require.Zero(t, b.status(t, c).Expires)
		require.Zero(t, b.status(t, c).Due)
	})
}

func TestRenew(t *testing.T) {
	inBubble(t, oauthtest.ServerOptions{}, func(t *testing.T, b *bed) {
		c := b.process(t, expires(30*day))
		due, err := c.Renew(t.Context())
		require.NoError(t, err)
		require.Zero(t, due, "nobody has authorized it")
		require.NoError(t, b.consent(t, c))

		due, err = c.Renew(t.Context())
		require.NoError(t, err)
		require.True(t, due.Equal(b.status(t, c).Due))
		require.Zero(t, b.vault.locks.Load(), "what is not due costs one look")
		time.Sleep(time.Until(due) - time.Nanosecond)
		_, err = c.Renew(t.Context())
		require.NoError(t, err)
		require.Zero(t, b.refreshes())

		time.Sleep(time.Nanosecond)
		old := b.stored(t)
		next, err := c.Renew(t.Context())
		require.NoError(t, err)
		require.Equal(t, 1, b.refreshes())
		a := b.stored(t)
		require.NotEqual(t, old.RefreshToken, a.RefreshToken)
		require.True(t, next.Equal(a.Due))
		require.WithinRange(t, next, time.Now().Add(24*day), time.Now().Add(28*day))
		require.Equal(t, a.Token.AccessToken, b.token(t, c).AccessToken, "the access token that it brought is of use")
		require.Equal(t, 1, b.refreshes())
	})
}

// TestRenewIsSharedByProcesses tests that of several that renew at once one does.
func TestRenewIsSharedByProcesses(t *testing.T) {
	inBubble(t, oauthtest.ServerOptions{}, func(t *testing.T, b *bed) {
		c := b.authorized(t, expires(30*day))
		time.Sleep(time.Until(b.status(t, c).Due))
		b.Inject(oauthtest.Delay(5 * time.Second))
		results := make(chan time.Time, 8)
		for range 8 {
			p := b.process(t, expires(30*day))
			go func() {
				due, err := p.Renew(t.Context())
				if err != nil {
					t.Error(err)
				}
				results <- due
			}()
		}
		for range 8 {
			require.True(t, (<-results).Equal(b.stored(t).Due))
		}
		require.Equal(t, 1, b.refreshes())
	})
}

// TestARenewalThatFails tests that it is put off, a little and never past the end.
func TestARenewalThatFails(t *testing.T) {
	for _, fault := range []oauthtest.Fault{oauthtest.HTML503(), oauthtest.RetryAfter(time.Second), oauthtest.Refuse("invalid_client", "")} {
		inBubbleNamed(t, "", func(t *testing.T, b *bed) {
			c := b.authorized(t, expires(3*day))
			b.Inject(oauthtest.Lasting(fault))
			end := b.status(t, c).Expires
			pauses, longest, shortest := 0, time.Duration(0), day
			for time.Now().Before(end) {
				due := b.status(t, c).Due
				require.True(t, due.Before(end), "not past the end")
				time.Sleep(time.Until(due))
				now := time.Now()
				_, err := c.Renew(t.Context())
				require.Error(t, err)
				next := b.status(t, c).Due
				if b.status(t, c).State == authcode.Unauthorized {
					break
				}
				pause := next.Sub(now)
				require.Positive(t, pause)
				require.LessOrEqual(t, pause, 75*time.Minute)
				longest, shortest = max(longest, pause), min(shortest, pause)
				pauses++
				if end.Sub(now) < time.Second {
					break
				}
			}
			require.Greater(t, longest, time.Hour)
			require.Less(t, shortest, time.Minute)
			require.WithinRange(t, time.Now(), end.Add(-2*time.Second), end)
			require.LessOrEqual(t, pauses, 150)
		})
	}
}

// TestARenewalAfterFailures tests that it succeeds when the token service is back.
func TestARenewalAfterFailures(t *testing.T) {
	inBubble(t, oauthtest.ServerOptions{}, func(t *testing.T, b *bed) {
		c := b.authorized(t, expires(10*day))
		b.Inject(oauthtest.Times(5, oauthtest.HTML503())...)
		for range 6 {
			time.Sleep(time.Until(b.status(t, c).Due))
			_, _ = c.Renew(t.Context())
		}
		require.Equal(t, 6, b.refreshes())
		require.Equal(t, 10*day, time.Until(b.status(t, c).Expires))
		require.Equal(t, 8*day, time.Until(b.status(t, c).Due))
	})
}

// TestARefreshInBetween tests that failures of other refreshes do not put the renewal off.
func TestARefreshInBetween(t *testing.T) {
	inBubble(t, oauthtest.ServerOptions{}, func(t *testing.T, b *bed) {
		c := b.authorized(t, expires(10*day))
		due := b.status(t, c).Due
		time.Sleep(past)
		b.Inject(oauthtest.HTML503())
		b.fails(t, c)
		require.True(t, due.Equal(b.status(t, c).Due))
		time.Sleep(time.Minute)
		b.token(t, c)
		require.True(t, due.Before(b.status(t, c).Due))
	})
}

// TestRefreshTokensThatStay tests a token service that keeps refresh tokens: the end of the first one counts.
func TestRefreshTokensThatStay(t *testing.T) {
	for _, same := range []bool{false, true} {
		t.Run(map[bool]string{false: "no refresh token in the answer", true: "the same one"}[same], func(t *testing.T) {
			inBubble(t, oauthtest.ServerOptions{KeepRefreshToken: true}, func(t *testing.T, b *bed) {
				c := b.authorized(t, expires(10*day))
				before := b.stored(t)
				require.False(t, before.Fixed)
				require.Empty(t, b.status(t, c).Reason, "it is not known yet")
				if same {
					b.Inject(oauthtest.Lasting(oauthtest.Member("refresh_token", before.RefreshToken.Reveal())))
				}
				time.Sleep(past)
				b.token(t, c)
				a := b.stored(t)
				require.Equal(t, before.RefreshToken, a.RefreshToken)
				require.True(t, a.RefreshExpires.Equal(before.RefreshExpires), "its own end")
				require.True(t, a.RefreshIssued.Equal(before.RefreshIssued))
				require.True(t, a.Due.Equal(before.Due), "the token service may think better of it")
				require.True(t, a.Refreshed.Equal(time.Now()))
				require.True(t, a.Fixed)
				s := b.status(t, c)
				require.Equal(t, authcode.Deployed, s.State)
				require.Equal(t, "re-authorize by "+before.RefreshExpires.UTC().Format("2006-01-02 15:04")+" UTC: the token service does not renew the refresh token", s.Reason)

				time.Sleep(time.Until(a.Due))
				due, err := c.Renew(t.Context())
				require.NoError(t, err)
				require.Zero(t, due, "once, and not again")
				require.Equal(t, 2, b.refreshes())
				require.Zero(t, b.status(t, c).Due)
				_, err = c.Renew(t.Context())
				require.NoError(t, err)
				require.Equal(t, 2, b.refreshes())

				time.Sleep(time.Until(before.RefreshExpires) - time.Hour)
				b.token(t, c)
				require.Equal(t, authcode.Deployed, b.status(t, c).State)
				time.Sleep(past)
				asked := b.refreshes()
				require.ErrorIs(t, b.fails(t, c), outgrant.ErrNotAuthorized)
				require.Equal(t, asked, b.refreshes(), "it is not sent after its end")
				s = b.status(t, c)
				require.Equal(t, authcode.Unauthorized, s.State)
				require.Contains(t, s.Reason, "ended on "+before.RefreshExpires.UTC().Format("2006-01-02 15:04")+" UTC: authorize again")
			})
		})
	}
}

// TestATokenServiceThatThinksBetter tests refresh tokens that are replaced after they were not.
func TestATokenServiceThatThinksBetter(t *testing.T) {
	inBubble(t, oauthtest.ServerOptions{KeepRefreshToken: true}, func(t *testing.T, b *bed) {
		c := b.authorized(t, expires(10*day))
		time.Sleep(past)
		b.token(t, c)
		require.True(t, b.stored(t).Fixed)
		time.Sleep(past)
		b.Inject(oauthtest.Member("refresh_token", "another refresh token"))
		b.token(t, c)
		a := b.stored(t)
		require.False(t, a.Fixed)
		require.Equal(t, "another refresh token", a.RefreshToken.Reveal())
		require.Equal(t, 10*day, time.Until(a.RefreshExpires))
		require.Equal(t, 8*day, time.Until(a.Due))
		require.Empty(t, b.status(t, c).Reason)
	})
}

// TestARefreshTokenThatNeverEnds tests that nothing is ever due, whether it is replaced or not.
func TestARefreshTokenThatNeverEnds(t *testing.T) {
	for _, keeps := range []bool{false, true} {
		t.Run(fmt.Sprintf("kept %v", keeps), func(t *testing.T) {
			inBubble(t, oauthtest.ServerOptions{KeepRefreshToken: keeps, RefreshTokenLifetime: 3650 * day}, func(t *testing.T, b *bed) {
				c := b.authorized(t)
				time.Sleep(700 * day)
				b.token(t, c)
				s := b.status(t, c)
				require.Equal(t, authcode.Deployed, s.State)
				require.Empty(t, s.Reason)
				require.Zero(t, s.Due)
				require.Zero(t, s.Expires)
				due, err := c.Renew(t.Context())
				require.NoError(t, err)
				require.Zero(t, due)
				require.Equal(t, 1, b.refreshes())
			})
		})
	}
}

// TestRenewWhatHasEnded tests that a refresh token that has ended costs no more than a look into the vault, and that a
// clock which was ahead does no harm.
func TestRenewWhatHasEnded(t *testing.T) {
	inBubble(t, oauthtest.ServerOptions{}, func(t *testing.T, b *bed) {
		c := b.authorized(t, expires(3*day))
		time.Sleep(4 * day)
		due, err := c.Renew(t.Context())
		require.ErrorIs(t, err, outgrant.ErrNotAuthorized)
		require.Zero(t, due)
		b.show(err)
		require.Zero(t, b.status(t, c).Due)
		require.Zero(t, b.vault.locks.Load())
		require.False(t, b.stored(t).Due.IsZero(), "it is still due, should the clock have been wrong")
		require.Zero(t, b.refreshes())
		require.Equal(t, authcode.Unauthorized, b.status(t, c).State)
		require.NoError(t, b.consent(t, c))
		due, err = c.Renew(t.Context())
		require.NoError(t, err)
		require.True(t, due.After(time.Now()))
	})
}

// TestALifeThatIsToldAnew tests a provider that never changes the refresh token, and tells with each refresh how long it
// lives on.
func TestALifeThatIsToldAnew(t *testing.T) {
	inBubble(t, oauthtest.ServerOptions{KeepRefreshToken: true}, func(t *testing.T, b *bed) {
		b.Inject(oauthtest.Lasting(oauthtest.Member("refresh_expires_in", 7*86400)))
		c := b.authorized(t, expires(90*day))
		for range 30 {
			time.Sleep(day)
			b.token(t, c)
			s := b.status(t, c)
			require.Equal(t, authcode.Deployed, s.State)
			require.Empty(t, s.Reason)
			require.Equal(t, 7*day, time.Until(s.Expires))
			require.True(t, s.Due.After(time.Now()))
		}
		b.ClearFaults()
		told := time.Now().Add(7 * day)
		b.Inject(oauthtest.Lasting(oauthtest.Member("refresh_expires_in", 6*86400))) // what is left of it
		time.Sleep(day)
		b.token(t, c)
		s := b.status(t, c)
		require.True(t, s.Expires.Equal(told))
		require.Contains(t, s.Reason, "re-authorize by")
	})
}

// TestAnExpiryThatIsChanged tests that the refresh token that is there follows, unless the provider told its end.
func TestAnExpiryThatIsChanged(t *testing.T) {
	inBubble(t, oauthtest.ServerOptions{}, func(t *testing.T, b *bed) {
		issued := time.Now()
		b.authorized(t)
		time.Sleep(past)
		c := b.process(t, expires(30*day))
		due, err := c.Renew(t.Context())
		require.NoError(t, err)
		require.True(t, due.After(issued.Add(24*day)) && due.Before(issued.Add(28*day)))
		time.Sleep(time.Until(due))
		_, err = c.Renew(t.Context())
		require.NoError(t, err)
		require.Equal(t, 1, b.refreshes())
		require.Equal(t, 30*day, time.Until(b.status(t, c).Expires))

		c = b.process(t)
		due, err = c.Renew(t.Context())
		require.NoError(t, err)
		require.Zero(t, due)
		require.Zero(t, b.status(t, c).Expires)
		locks := b.vault.locks.Load()
		_, err = c.Renew(t.Context())
		require.NoError(t, err)
		require.Equal(t, locks, b.vault.locks.Load(), "it is stored")

		b.Inject(oauthtest.Member("refresh_expires_in", 7*86400))
		require.NoError(t, b.consent(t, c))
		c = b.process(t, expires(30*day))
		due, err = c.Renew(t.Context())
		require.NoError(t, err)
		require.True(t, due.Before(time.Now().Add(7*day)), "the provider knows better")
		require.Equal(t, 7*day, time.Until(b.status(t, c).Expires))
	})
}
