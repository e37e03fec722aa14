package authcode_test

import (
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/authcode"
	"github.com/outgrant/outgrant/oauthtest"
)

// TestEachRefreshSpendsOneToken tests the usual: each refresh token is used once, by one request, and its successor stored.
func TestEachRefreshSpendsOneToken(t *testing.T) {
	inBubble(t, oauthtest.ServerOptions{}, func(t *testing.T, b *bed) {
		c := b.authorized(t)
		require.Equal(t, 0, b.refreshes(), "the consent brought an access token")
		seen := map[outgrant.Secret]bool{}
		for n := range 20 {
			token := b.token(t, c)
			require.Equal(t, n, b.refreshes())
			require.False(t, seen[token.AccessToken])
			seen[token.AccessToken] = true
			a := b.stored(t)
			require.Equal(t, token.AccessToken, a.Token.AccessToken)
			require.Nil(t, a.Mark)
			require.False(t, seen[a.RefreshToken])
			seen[a.RefreshToken] = true
			require.Equal(t, authcode.Deployed, b.status(t, c).State)
			time.Sleep(past)
		}
		require.Zero(t, b.Reuses())
		for _, change := range b.changes() {
			require.Equal(t, outgrant.Refreshed, change)
		}
	})
}

// TestManyProcesses has several processes with several callers each live on one refresh token, in front of a token service
// that ends everything when one is used twice.
func TestManyProcesses(t *testing.T) {
	inBubble(t, oauthtest.ServerOptions{TokenLifetime: time.Minute}, func(t *testing.T, b *bed) {
		const processes, callers, refreshes = 4, 16, 300
		clients := make([]*authcode.Client, processes)
		for i := range clients {
			clients[i] = b.process(t)
		}
		require.NoError(t, b.consent(t, clients[0]))
		var calls sync.WaitGroup
		for _, c := range clients {
			for range callers {
				calls.Go(func() {
					for b.TokenRequests() <= refreshes && !t.Failed() {
						token, err := c.Token(t.Context())
						switch {
						case err != nil:
							t.Errorf("a call failed: %v", err)
						case !b.Live(token.AccessToken):
							t.Error("a token was served that the token service does not know")
						}
						time.Sleep(rand.N(40 * time.Second))
						if rand.N(20) == 0 {
							b.Inject(oauthtest.Delay(rand.N(3 * time.Second)))
						}
					}
				})
			}
		}
		calls.Wait()
		refreshed := len(b.changes())
		require.GreaterOrEqual(t, refreshed, refreshes)
		require.Equal(t, refreshed, b.refreshes(), "one request for each refresh")
		require.Zero(t, b.Reuses())
	})
}

// TestShortProcesses has processes come and go all the time, and every call needs a refresh or somebody else's.
func TestShortProcesses(t *testing.T) {
	inBubble(t, oauthtest.ServerOptions{TokenLifetime: 2 * time.Second}, func(t *testing.T, b *bed) {
		b.authorized(t)
		var calls sync.WaitGroup
		for range 8 {
			calls.Go(func() {
				for range 25 {
					c := b.shortProcess(t)
					_, err := c.Token(t.Context())
					if err != nil {
						t.Errorf("a call failed: %v", err)
					}
					if err := c.Close(); err != nil {
						t.Errorf("Close: %v", err)
					}
					time.Sleep(rand.N(2 * time.Second))
				}
			})
		}
		calls.Wait()
		require.Zero(t, b.Reuses())
		require.Equal(t, len(b.changes()), b.refreshes())
	})
}
