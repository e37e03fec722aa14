package credstore_test

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/authcode"
	"github.com/outgrant/outgrant/credstore"
	"github.com/outgrant/outgrant/credstore/driver"
	"github.com/outgrant/outgrant/oauthtest"
)

// grantOf returns what is stored of an authorization.
func grantOf(t testing.TB, s *credstore.Store, name string) authcode.Authorization {
	t.Helper()
	a, err := s.Vault().Load(t.Context(), name)
	require.NoError(t, err)
	return a
}

func consented(refreshToken outgrant.Secret) authcode.Authorization {
	return authcode.Authorization{
		Binding: "the binding", User: "ops", RefreshToken: refreshToken, Authorized: time.Now().Round(0), RefreshExpires: time.Now().Add(90 * 24 * time.Hour).Round(0),
		Due: time.Now().Add(75*24*time.Hour + 123*time.Nanosecond).Round(0), Token: &outgrant.Token{AccessToken: "S3NTINEL-access", Scopes: []string{"mail"}, User: "ops"},
	}
}

// The contract of authcode.Vault.
func TestVault(t *testing.T) {
	inBubble(t, oauthtest.ServerOptions{}, func(t *testing.T, p *place) {
		ctx, v := t.Context(), p.open(t).Vault()
		a, err := v.Load(ctx, "MAILBOX")
		require.NoError(t, err)
		require.Zero(t, a)

		one := consented("S3NTINEL-refresh-1")
		won, err := v.Save(ctx, "MAILBOX", "S3NTINEL-another", one)
		require.NoError(t, err)
		require.Zero(t, won, "there is none")
		won, err = v.Save(ctx, "MAILBOX", "", one)
		require.NoError(t, err)
		require.Equal(t, one, won)
		a, err = v.Load(ctx, "MAILBOX")
		require.NoError(t, err)
		require.Equal(t, one.RefreshToken, a.RefreshToken)
		require.Equal(t, one.Token.AccessToken, a.Token.AccessToken)
		require.True(t, one.Due.Equal(a.Due))

		two := consented("S3NTINEL-refresh-2")
		for _, spent := range []outgrant.Secret{"", "S3NTINEL-another", two.RefreshToken} {
			won, err = v.Save(ctx, "MAILBOX", spent, two)
			require.NoError(t, err)
			require.Equal(t, one.RefreshToken, won.RefreshToken, "the stored state wins")
		}
		won, err = v.Save(ctx, "MAILBOX", one.RefreshToken, two)
		require.NoError(t, err)
		require.Equal(t, two, won)
		a, err = p.open(t).Vault().Load(ctx, "MAILBOX")
		require.NoError(t, err)
		require.Equal(t, two.RefreshToken, a.RefreshToken)
		for _, elsewhere := range []authcode.Vault{p.open(t).Tenant("acme").Vault()} {
			a, err = elsewhere.Load(ctx, "MAILBOX")
			require.NoError(t, err)
			require.Zero(t, a)
		}
		p.show(v, won, a)
	})
}

// As long as the stored refresh token is the spent one, Save overcomes other changes.
func TestSaveOvercomesOtherChanges(t *testing.T) {
	inBubble(t, oauthtest.ServerOptions{}, func(t *testing.T, p *place) {
		ctx, v := t.Context(), p.open(t).Vault()
		one := consented("S3NTINEL-refresh-1")
		_, err := v.Save(ctx, "MAILBOX", "", one)
		require.NoError(t, err)
		key, times := driver.Key{Kind: "grant", Name: "MAILBOX"}, 0
		p.backend.inject(func(ctx context.Context, op string, k driver.Key) error {
			if op == "put" && times < 5 { // somebody else writes in between
				times++
				r, err := p.backend.Store.Get(ctx, key)
				require.NoError(t, err)
				_, err = p.backend.Store.Put(ctx, r, r.Version)
				require.NoError(t, err)
			}
			return nil
		})
		two := consented("S3NTINEL-refresh-2")
		won, err := v.Save(ctx, "MAILBOX", one.RefreshToken, two)
		require.NoError(t, err)
		require.Equal(t, two, won)
		require.Equal(t, 5, times)

		times = 0
		p.backend.inject(func(ctx context.Context, op string, k driver.Key) error {
			if op == "put" && times == 0 { // somebody deletes it in between
				times++
				require.NoError(t, p.backend.Store.Delete(ctx, key, ""))
			}
			return nil
		})
		won, err = v.Save(ctx, "MAILBOX", two.RefreshToken, consented("S3NTINEL-refresh-3"))
		require.NoError(t, err)
		require.Zero(t, won, "what was deleted does not come back")
	})
}

// Whoever saves at once, one wins and all are told who.
func TestSavesAtOnce(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := newPlace(t, oauthtest.ServerOptions{})
	vaults := []authcode.Vault{p.openDir(t, dir).Vault(), p.openDir(t, dir).Vault()}
	spent := outgrant.Secret("")
	for round := range 5 {
		var all sync.WaitGroup
		winners := make([]authcode.Authorization, 8)
		for i := range winners {
			all.Go(func() {
				var err error
				if winners[i], err = vaults[i%2].Save(t.Context(), "MAILBOX", spent, consented(outgrant.Secret(fmt.Sprintf("S3NTINEL-%d-%d", round, i)))); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		for _, w := range winners {
			require.Equal(t, winners[0].RefreshToken, w.RefreshToken)
		}
		spent = winners[0].RefreshToken
	}
}

// A program's own configuration with the store's vault.
func TestVaultOfAProgram(t *testing.T) {
	inBubble(t, oauthtest.ServerOptions{}, func(t *testing.T, p *place) {
		s := p.open(t)
		c, err := authcode.New(&authcode.Config{Name: "OWN", TokenURL: p.TokenURL(), ClientID: "own", ClientSecret: clientSecret, Vault: s.Vault(), HTTPClient: &http.Client{Transport: p}})
		require.NoError(t, err)
		defer c.Close()
		requireNotAuthorized(t, c)
		require.ErrorIs(t, errOf(s.TokenSource(t.Context(), "OWN")), credstore.ErrNotFound, "it is not deployed")
		all, err := s.List(t.Context())
		require.NoError(t, err)
		require.Empty(t, all)

		require.ErrorIs(t, s.Undeploy(t.Context(), "OWN"), credstore.ErrNotFound)
		a := consented("S3NTINEL-refresh")
		_, err = s.Vault().Save(t.Context(), "OWN", "", a)
		require.NoError(t, err)
		require.ErrorIs(t, s.Tenant("acme").Undeploy(t.Context(), "OWN"), credstore.ErrNotFound)
		require.NoError(t, s.Undeploy(t.Context(), "OWN"))
		a, err = s.Vault().Load(t.Context(), "OWN")
		require.NoError(t, err)
		require.Empty(t, a.RefreshToken)
		require.ErrorIs(t, s.Undeploy(t.Context(), "OWN"), credstore.ErrNotFound)
		require.Empty(t, p.revocations(), "that is for Client.Revoke")
	})
}

// What one process learned from a user, others use within PollInterval, although they remember a failure.
func TestAuthorizationEndsRememberedFailures(t *testing.T) {
	inBubble(t, oauthtest.ServerOptions{}, func(t *testing.T, p *place) {
		one, two := p.open(t), p.open(t)
		require.NoError(t, one.Deploy(t.Context(), p.authorizationCode("MAILBOX")))
		src := sourceOf(t, two, "MAILBOX")
		for range 20 { // until the pause is as long as it gets
			requireNotAuthorized(t, src)
			time.Sleep(time.Minute)
		}
		requireNotAuthorized(t, src)
		require.NoError(t, p.consent(t, one, one, "MAILBOX"))
		p.tokenOf(t, one, "MAILBOX")
		time.Sleep(time.Second)
		p.token(t, src)

		// The token service refuses, and the user authorizes again.
		p.Inject(oauthtest.Refuse("invalid_grant", "the user has changed the password"))
		time.Sleep(2 * time.Hour)
		requireNotAuthorized(t, src)
		time.Sleep(time.Second)
		requireNotAuthorized(t, sourceOf(t, one, "MAILBOX"))
		info := p.infoOf(t, one, "MAILBOX")
		require.Equal(t, credstore.Unauthorized, info.Status)
		require.Contains(t, info.Reason, "the user has changed the password")
		require.NoError(t, p.consent(t, one, two, "MAILBOX"))
		p.token(t, src)
		time.Sleep(time.Second)
		p.tokenOf(t, one, "MAILBOX")
	})
}

// A refresh by one process is no reason for the others to begin anew.
func TestRefreshesAreShared(t *testing.T) {
	inBubble(t, oauthtest.ServerOptions{}, func(t *testing.T, p *place) {
		stores := []*credstore.Store{p.open(t), p.open(t), p.open(t)}
		p.authorized(t, stores[0], "MAILBOX")
		for range 48 {
			var all sync.WaitGroup
			for _, s := range stores {
				for range 4 {
					all.Go(func() { _ = p.tokenOf(t, s, "MAILBOX") })
				}
			}
			all.Wait()
			time.Sleep(30 * time.Minute)
		}
		require.Zero(t, p.Reuses())
		require.InDelta(t, 24, len(p.requests("refresh_token")), 2, "one an hour")
	})
}
