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

func TestAnotherProcessAdoptsTheStoredToken(t *testing.T) {
	inBubble(t, oauthtest.ServerOptions{}, func(t *testing.T, b *bed) {
		first, second := b.authorized(t), b.process(t)
		token := b.token(t, first)
		require.Equal(t, token.AccessToken, b.token(t, second).AccessToken)
		time.Sleep(past)
		token = b.token(t, second)
		require.Equal(t, token.AccessToken, b.token(t, first).AccessToken)
		require.Equal(t, 1, b.refreshes(), "one for both")
		require.Equal(t, []outgrant.AuthorizationChange{outgrant.Refreshed}, b.changes())
	})
}

// TestRefreshAheadOfTheEnd tests that of two processes whose token wants to be refreshed one does it, in the background,
// and that the other follows.
func TestRefreshAheadOfTheEnd(t *testing.T) {
	inBubble(t, oauthtest.ServerOptions{}, func(t *testing.T, b *bed) {
		first, second := b.authorized(t), b.process(t)
		old := b.token(t, first)
		b.token(t, second)
		time.Sleep(nearEnd)
		require.Equal(t, old.AccessToken, b.token(t, first).AccessToken, "it is served while another is fetched")
		require.Equal(t, old.AccessToken, b.token(t, second).AccessToken)
		time.Sleep(time.Second)
		next := b.token(t, first)
		require.NotEqual(t, old.AccessToken, next.AccessToken)
		require.Equal(t, next.AccessToken, b.token(t, second).AccessToken)
		require.Equal(t, 1, b.refreshes())
	})
}

func TestARejectedTokenIsNotAdopted(t *testing.T) {
	inBubble(t, oauthtest.ServerOptions{}, func(t *testing.T, b *bed) {
		first, second, cold := b.authorized(t), b.process(t), b.process(t)
		old := b.token(t, first)
		b.token(t, second)
		b.Revoke()
		second.Invalidate(old)
		next := b.token(t, second)
		require.NotEqual(t, old.AccessToken, next.AccessToken)
		require.Equal(t, 1, b.refreshes(), "the stored token is the rejected one")
		first.Invalidate(old)
		require.Equal(t, next.AccessToken, b.token(t, first).AccessToken)
		require.Equal(t, next.AccessToken, b.token(t, cold).AccessToken)
		require.Equal(t, 1, b.refreshes(), "the stored token is another by now")
	})
}

// TestColdStart tests what a process does that starts when the stored token is about to end.
func TestColdStart(t *testing.T) {
	for _, tc := range []struct {
		name   string
		fault  oauthtest.Fault
		change func(*authcode.Authorization)
		sleep  time.Duration
		served bool // else there is no token
	}{
		{"the token service is down", oauthtest.Lasting(oauthtest.Status(503)), nil, nearEnd, true},
		{"the token service hangs", oauthtest.Lasting(oauthtest.Together(oauthtest.Delay(time.Hour), oauthtest.LostRequest())), nil, nearEnd, true},
		{"the client is refused", oauthtest.Lasting(oauthtest.Refuse("invalid_client", "")), nil, nearEnd, true},
		{"the refresh token is refused", oauthtest.Lasting(oauthtest.Refuse("invalid_grant", "")), nil, nearEnd, true},
		{"there is no refresh token", oauthtest.None(), func(a *authcode.Authorization) { a.RefreshToken = "" }, nearEnd, true},
		{"the token has ended, and the token service is down", oauthtest.Lasting(oauthtest.Status(503)), nil, past, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			inBubble(t, oauthtest.ServerOptions{}, func(t *testing.T, b *bed) {
				old := b.token(t, b.authorized(t))
				if tc.change != nil {
					b.store(t, tc.change)
				}
				time.Sleep(tc.sleep)
				b.Inject(tc.fault)
				cold := b.process(t)
				if !tc.served {
					b.fails(t, cold)
					return
				}
				require.Equal(t, old.AccessToken, b.token(t, cold).AccessToken, "it is good for a few minutes")
				asked := b.refreshes()
				b.token(t, cold)
				require.Equal(t, asked, b.refreshes(), "and is not asked for again at once")
				time.Sleep(past - nearEnd)
				b.fails(t, cold)
			})
		})
	}
	t.Run("the token service is well", func(t *testing.T) {
		inBubble(t, oauthtest.ServerOptions{}, func(t *testing.T, b *bed) {
			old := b.token(t, b.authorized(t))
			time.Sleep(nearEnd)
			require.NotEqual(t, old.AccessToken, b.token(t, b.process(t)).AccessToken)
			require.Equal(t, 1, b.refreshes())
		})
	})
}

// TestWhatIsAdopted tests when a stored token is good enough for a process that starts.
func TestWhatIsAdopted(t *testing.T) {
	for _, tc := range []struct {
		name    string
		cache   outgrant.CacheOptions
		life    time.Duration
		unknown bool // the token service does not tell the life
		age     time.Duration
		adopted bool
	}{
		{"an hour's token, early", outgrant.CacheOptions{}, time.Hour, false, 54 * time.Minute, true},
		{"an hour's token, late", outgrant.CacheOptions{}, time.Hour, false, 56 * time.Minute, false},
		{"refreshed much ahead, early", outgrant.CacheOptions{RefreshBefore: 20 * time.Minute}, time.Hour, false, 39 * time.Minute, true},
		{"refreshed much ahead, late", outgrant.CacheOptions{RefreshBefore: 20 * time.Minute}, time.Hour, false, 41 * time.Minute, false},
		{"a minute's token, early", outgrant.CacheOptions{}, time.Minute, false, 29 * time.Second, true},
		{"a minute's token, late", outgrant.CacheOptions{}, time.Minute, false, 31 * time.Second, false},
		{"no known life", outgrant.CacheOptions{}, time.Hour, true, 50 * time.Minute, true},
		{"an assumed life, early", outgrant.CacheOptions{AssumedLifetime: 20 * time.Minute}, time.Hour, true, 14 * time.Minute, true},
		{"an assumed life, late", outgrant.CacheOptions{AssumedLifetime: 20 * time.Minute}, time.Hour, true, 16 * time.Minute, false},
		{"an assumed life, over", outgrant.CacheOptions{AssumedLifetime: 20 * time.Minute}, time.Hour, true, 21 * time.Minute, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			inBubble(t, oauthtest.ServerOptions{TokenLifetime: tc.life}, func(t *testing.T, b *bed) {
				if tc.unknown {
					b.Inject(oauthtest.OddExpiresIn(""))
				}
				cached := func(cfg *authcode.Config) {
					hooks := cfg.Cache.Hooks
					cfg.Cache = &tc.cache
					cfg.Cache.Hooks = hooks
				}
				b.authorized(t, cached)
				old := b.stored(t).Token
				time.Sleep(tc.age)
				token := b.token(t, b.process(t, cached))
				require.Equal(t, tc.adopted, token.AccessToken == old.AccessToken)
			})
		})
	}
}

// TestAReceiverRejectsWhileTheTokenServiceIsDown tests that a rejected token is better than none, as with every source.
func TestAReceiverRejectsWhileTheTokenServiceIsDown(t *testing.T) {
	inBubble(t, oauthtest.ServerOptions{}, func(t *testing.T, b *bed) {
		c := b.authorized(t)
		old := b.token(t, c)
		b.Inject(oauthtest.Lasting(oauthtest.HTML503()))
		c.Invalidate(old)
		require.Equal(t, old.AccessToken, b.token(t, c).AccessToken)
		b.ClearFaults()
		time.Sleep(time.Second)
		b.token(t, c)
		time.Sleep(time.Second)
		require.NotEqual(t, old.AccessToken, b.token(t, c).AccessToken)
		require.Zero(t, b.Reuses())
	})
}

// TestATokenServiceThatHandsOutTheSameToken tests that the same access token is taken for what it is, and its refresh token
// for a new one.
func TestATokenServiceThatHandsOutTheSameToken(t *testing.T) {
	inBubble(t, oauthtest.ServerOptions{}, func(t *testing.T, b *bed) {
		c := b.authorized(t)
		old := b.token(t, c)
		before := b.stored(t).RefreshToken
		time.Sleep(nearEnd)
		b.Inject(oauthtest.Lasting(oauthtest.SameToken()))
		b.token(t, c)
		time.Sleep(time.Second)
		require.Equal(t, old.AccessToken, b.token(t, c).AccessToken)
		require.NotEqual(t, before, b.stored(t).RefreshToken)
		asked := b.refreshes()
		require.Equal(t, 1, asked)
		time.Sleep(time.Minute)
		b.token(t, c)
		require.Equal(t, asked, b.refreshes(), "there is nothing to gain yet")
	})
}

// TestAWrapThatKnowsTheToken tests what stands between the cache and this package, such as the shared tokens of a fleet: a
// token that came from there and is rejected is not handed out again from the vault.
func TestAWrapThatKnowsTheToken(t *testing.T) {
	inBubble(t, oauthtest.ServerOptions{}, func(t *testing.T, b *bed) {
		b.authorized(t)
		stored := b.stored(t).Token
		c := b.process(t, func(cfg *authcode.Config) {
			cfg.Cache.Wrap = func(src outgrant.TokenSource) outgrant.TokenSource { return &fleet{src.(outgrant.Refresher), stored} }
		})
		require.Equal(t, stored.AccessToken, b.token(t, c).AccessToken)
		b.Revoke()
		c.Invalidate(stored)
		require.NotEqual(t, stored.AccessToken, b.token(t, c).AccessToken)
		require.Equal(t, 1, b.refreshes())
		require.Equal(t, "authorization_code", string(outgrant.GrantOf(c)))
	})
}

type fleet struct {
	outgrant.Refresher
	shared *outgrant.Token
}

func (f *fleet) Token(ctx context.Context) (*outgrant.Token, error) { return f.Refresh(ctx, nil) }

func (f *fleet) Refresh(ctx context.Context, rejected *outgrant.Token) (*outgrant.Token, error) {
	if rejected == nil {
		return f.shared, nil
	}
	return f.Refresher.Refresh(ctx, rejected)
}

// TestAClockThatWasSetBack tests that the token that a process has is not taken from the vault again, however young it seems.
func TestAClockThatWasSetBack(t *testing.T) {
	inBubble(t, oauthtest.ServerOptions{}, func(t *testing.T, b *bed) {
		c := b.authorized(t)
		old := b.token(t, c)
		b.store(t, func(a *authcode.Authorization) {
			later := *a.Token
			later.Expiry = later.Expiry.Add(2 * time.Hour)
			a.Token, a.TokenIssued = &later, a.TokenIssued.Add(2*time.Hour)
		})
		time.Sleep(nearEnd)
		b.token(t, c)
		time.Sleep(time.Second)
		require.NotEqual(t, old.AccessToken, b.token(t, c).AccessToken)
		require.Equal(t, 1, b.refreshes())
	})
}

// TestTheOldEngineDoesNotSpoilTheNewOne tests a refresh that is under way while a user authorizes again. The one who began
// it gets the new authorization's token, and so does everybody else, without another request.
func TestTheOldEngineDoesNotSpoilTheNewOne(t *testing.T) {
	inBubble(t, oauthtest.ServerOptions{}, func(t *testing.T, b *bed) {
		c := b.authorized(t)
		time.Sleep(past)
		b.Inject(oauthtest.Delay(20 * time.Second))
		early := make(chan *outgrant.Token, 1)
		go func() {
			token, err := c.Token(context.Background())
			if err != nil {
				t.Error(err)
			}
			early <- token
		}()
		time.Sleep(time.Second)
		require.NoError(t, b.consent(t, c))
		fresh := b.stored(t)
		require.Equal(t, fresh.Token.AccessToken, b.tokenOnceFree(t, c).AccessToken)
		require.Equal(t, fresh.Token.AccessToken, (<-early).AccessToken)
		time.Sleep(time.Second)
		require.Equal(t, fresh.Token.AccessToken, b.token(t, c).AccessToken)
		require.Equal(t, 1, b.refreshes())
		require.Equal(t, fresh.RefreshToken, b.stored(t).RefreshToken)
	})
}

// tokenOnceFree is token, for a call that waits for another process's refresh.
func (b *bed) tokenOnceFree(t *testing.T, c *authcode.Client) *outgrant.Token {
	t.Helper()
	token, err := c.Token(t.Context())
	if err != nil {
		require.True(t, errors.Is(err, context.DeadlineExceeded), "%v", err)
		time.Sleep(time.Minute)
		token, err = c.Token(t.Context())
	}
	require.NoError(t, err)
	return token
}
