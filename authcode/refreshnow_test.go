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

func TestRefreshNow(t *testing.T) {
	inBubble(t, oauthtest.ServerOptions{}, func(t *testing.T, b *bed) {
		c := b.authorized(t)
		before := b.token(t, c)
		token, err := c.RefreshNow(t.Context())
		require.NoError(t, err)
		require.NotEqual(t, before.AccessToken, token.AccessToken)
		require.True(t, b.Live(token.AccessToken))
		require.Equal(t, before.AccessToken, b.token(t, c).AccessToken, "callers go on with theirs")
		time.Sleep(time.Until(before.Expiry))
		b.token(t, c)
		require.Equal(t, 1+1+1, b.TokenRequests(), "the code, this, and one for the callers")

		// A refusal is told, also where the token in memory is good still, and changes the status as any refresh does.
		b.Inject(oauthtest.Status(503))
		_, err = c.RefreshNow(t.Context())
		require.ErrorContains(t, err, "503")
		b.Inject(oauthtest.Refuse("invalid_grant", "revoked"))
		_, err = c.RefreshNow(t.Context())
		require.ErrorIs(t, err, outgrant.ErrNotAuthorized)
		status, err := c.Status(t.Context())
		require.NoError(t, err)
		require.Equal(t, authcode.Unauthorized, status.State)
	})
}

// TestRefreshNowAtOnce has two processes do it at the same time: no refresh token is used twice.
func TestRefreshNowAtOnce(t *testing.T) {
	inBubble(t, oauthtest.ServerOptions{}, func(t *testing.T, b *bed) {
		one := b.authorized(t)
		other := b.process(t)
		var calls sync.WaitGroup
		for _, c := range []*authcode.Client{one, other, one, other} {
			calls.Go(func() {
				_, err := c.RefreshNow(t.Context())
				require.NoError(t, err)
			})
		}
		calls.Wait()
		b.token(t, one)
		b.token(t, other)
	})
}
