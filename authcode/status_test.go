package authcode_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/authcode"
	"github.com/outgrant/outgrant/oauthtest"
)

// TestStatusOfAnAuthorization tests what is said about each thing that can be stored, and what takes precedence.
func TestStatusOfAnAuthorization(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	hour, week := now.Add(time.Hour), now.Add(7*day)
	token := func(expiry time.Time) *outgrant.Token {
		return &outgrant.Token{AccessToken: "the access token", Expiry: expiry}
	}
	unknown := &authcode.Mark{Started: now.Add(-time.Minute), Until: hour, Unknown: "answer 503"}
	refused := &authcode.Refusal{Code: "invalid_grant", Reason: "refused", At: now.Add(-day)}
	failed := &authcode.Refusal{Code: "invalid_client", Reason: "answer 401 invalid_client", At: now.Add(-day)}
	for _, tc := range []struct {
		name   string
		a      authcode.Authorization // those that are authorized have more in common, see below
		state  string
		reason string
	}{
		{"none", authcode.Authorization{}, authcode.Unauthorized, "nobody has authorized this credential yet"},
		{"all is well", authcode.Authorization{RefreshToken: "r", Token: token(hour)}, authcode.Deployed, ""},
		{"the access token has ended", authcode.Authorization{RefreshToken: "r", Token: token(now)}, authcode.Deployed, ""},
		{"there is no access token", authcode.Authorization{RefreshToken: "r"}, authcode.Deployed, ""},
		{"the refresh token ends", authcode.Authorization{RefreshToken: "r", RefreshExpires: week}, authcode.Deployed, ""},
		{"the refresh token ends in a moment", authcode.Authorization{RefreshToken: "r", RefreshExpires: now.Add(1)}, authcode.Deployed, ""},
		{"the refresh token has ended", authcode.Authorization{RefreshToken: "r", RefreshExpires: now}, authcode.Unauthorized,
			"the authorization ended on 2026-03-01 12:00 UTC: authorize again"},
		{"it is not renewed", authcode.Authorization{RefreshToken: "r", RefreshExpires: week, Fixed: true}, authcode.Deployed,
			"re-authorize by 2026-03-08 12:00 UTC: the token service does not renew the refresh token"},
		{"it is not renewed and does not end", authcode.Authorization{RefreshToken: "r", Fixed: true}, authcode.Deployed, ""},
		{"it was not renewed and has ended", authcode.Authorization{RefreshToken: "r", RefreshExpires: now, Fixed: true}, authcode.Unauthorized,
			"the authorization ended on 2026-03-01 12:00 UTC: authorize again"},
		{"there is no refresh token", authcode.Authorization{Token: token(hour)}, authcode.Error,
			"the provider gave no refresh token, so it works until 2026-03-01 13:00 UTC alone: ask for offline access (a scope, or a parameter of the authorization URL), and authorize again"},
		{"there is no refresh token, and the access token does not say when it ends", authcode.Authorization{Token: token(time.Time{})}, authcode.Deployed,
			"the provider gave no refresh token, nor an end of the access token: authorize again when receivers refuse it"},
		{"there is no refresh token, and the access token has ended", authcode.Authorization{Token: token(now)}, authcode.Unauthorized,
			"the authorization ended on 2026-03-01 12:00 UTC: authorize again"},
		{"a refresh is under way", authcode.Authorization{RefreshToken: "r", Mark: &authcode.Mark{Started: now, Until: hour}}, authcode.Deployed, ""},
		{"the outcome of one is unknown", authcode.Authorization{RefreshToken: "r", Mark: unknown}, authcode.Deployed,
			"the outcome of the refresh of 2026-03-01 11:59 UTC is unknown (answer 503): the refresh token will be tried again"},
		{"unknown and ended", authcode.Authorization{RefreshToken: "r", Mark: unknown, RefreshExpires: now}, authcode.Unauthorized,
			"the authorization ended on 2026-03-01 12:00 UTC: authorize again"},
		{"refused", authcode.Authorization{RefreshToken: "r", Token: token(hour), Refused: refused}, authcode.Unauthorized,
			"refused (2026-02-28 12:00 UTC): authorize again"},
		{"refused before it ended", authcode.Authorization{RefreshToken: "r", Refused: refused, RefreshExpires: now}, authcode.Unauthorized,
			"refused (2026-02-28 12:00 UTC): authorize again"},
		{"refused after a failure", authcode.Authorization{RefreshToken: "r", Refused: refused, Failure: failed, Mark: unknown}, authcode.Unauthorized,
			"refused (2026-02-28 12:00 UTC): authorize again"},
		{"failed", authcode.Authorization{RefreshToken: "r", Failure: failed, Fixed: true, RefreshExpires: week, Mark: unknown}, authcode.Error,
			"the token service refuses to refresh: answer 401 invalid_client (2026-02-28 12:00 UTC); correct the credential, or what the provider knows of it: what the user authorized is kept"},
		{"failed and ended", authcode.Authorization{RefreshToken: "r", Failure: failed, RefreshExpires: now}, authcode.Unauthorized,
			"the authorization ended on 2026-03-01 12:00 UTC: authorize again"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			a := tc.a
			if tc.name != "none" {
				a.User, a.Authorized, a.Refreshed, a.Due = "alice", now.Add(-30*day), now.Add(-20*day), now.Add(3*day)
			}
			s := a.Status(now)
			require.Equal(t, tc.state, s.State)
			require.Equal(t, tc.reason, s.Reason)
			if strings.Contains(s.Reason, "ended on") {
				a.Due = time.Time{}
			}
			require.Equal(t, []any{a.User, a.Authorized, a.Refreshed, a.Due}, []any{s.User, s.Authorized, s.Refreshed, s.Due})
			if a.RefreshToken != "" {
				require.Equal(t, a.RefreshExpires, s.Expires)
			}

			// A status that was kept tells the same as one that is made anew.
			for _, later := range []time.Time{now, hour, week, now.Add(1000 * day)} {
				require.Equal(t, a.Status(later), s.At(later))
			}
		})
	}
}

// TestStatusOfAChangedCredential tests that an authorization for something else counts for nothing, and is not used.
func TestStatusOfAChangedCredential(t *testing.T) {
	for name, change := range map[string]func(*authcode.Config){
		"client id":      func(cfg *authcode.Config) { cfg.ClientID = "client-2" },
		"token URL":      func(cfg *authcode.Config) { cfg.TokenURL += "/alias/other" },
		"auth URL":       func(cfg *authcode.Config) { cfg.AuthURL += "?prompt=consent" },
		"revocation URL": func(cfg *authcode.Config) { cfg.RevocationURL = "https://other.test/revoke" },
		"user":           func(cfg *authcode.Config) { cfg.User = "bob" },
		"scopes":         func(cfg *authcode.Config) { cfg.Scopes = []string{"mail", "calendar"} },
		"no scopes":      func(cfg *authcode.Config) { cfg.Scopes = nil },
	} {
		inBubbleNamed(t, name, func(t *testing.T, b *bed) {
			first := b.authorized(t, expires(3*day))
			before := b.stored(t)
			changed := b.process(t, change, expires(3*day))
			s := b.status(t, changed)
			require.Equal(t, authcode.Unauthorized, s.State)
			require.Equal(t, "client id, URLs, user or scopes have changed since the credential was authorized: authorize again", s.Reason)
			err := b.fails(t, changed)
			require.ErrorIs(t, err, outgrant.ErrNotAuthorized)
			require.Contains(t, err.Error(), s.Reason)
			time.Sleep(past)
			require.ErrorIs(t, b.fails(t, changed), outgrant.ErrNotAuthorized)
			time.Sleep(2 * day)
			_, err2 := changed.Renew(t.Context())
			require.ErrorIs(t, err2, outgrant.ErrNotAuthorized)
			require.Zero(t, b.refreshes(), "the refresh token goes nowhere else")
			require.Equal(t, before, b.stored(t), "and is not touched")
			require.Equal(t, authcode.Deployed, b.status(t, first).State)
			b.token(t, first)
		})
	}
	inBubbleNamed(t, "what does not count", func(t *testing.T, b *bed) {
		b.authorized(t, func(cfg *authcode.Config) { cfg.Scopes = []string{"mail", "calendar"} })
		c := b.process(t, func(cfg *authcode.Config) {
			cfg.Scopes = []string{"calendar", "mail"}
			cfg.ClientSecret, cfg.Auth, cfg.RedirectURL = "another", outgrant.ClientSecretPost, "https://other.test/"
		})
		require.Equal(t, authcode.Deployed, b.status(t, c).State)
		b.token(t, c)
	})
}

// TestStatusNeverAsks tests that looking costs one look into the vault.
func TestStatusNeverAsks(t *testing.T) {
	inBubble(t, oauthtest.ServerOptions{User: "alice"}, func(t *testing.T, b *bed) {
		c := b.process(t)
		s := b.status(t, c)
		require.Equal(t, authcode.Status{State: authcode.Unauthorized, Reason: "nobody has authorized this credential yet"}, s)
		require.ErrorIs(t, b.fails(t, c), outgrant.ErrNotAuthorized)
		require.NoError(t, b.consent(t, c))
		began := time.Now()
		time.Sleep(past)
		asked := b.TokenRequests()
		s = b.status(t, c)
		require.True(t, s.Authorized.Equal(began))
		require.Zero(t, s.Refreshed)
		require.Equal(t, asked, b.TokenRequests())
		b.token(t, c)
		require.True(t, b.status(t, c).Refreshed.Equal(time.Now()))
		require.True(t, b.status(t, c).Authorized.Equal(began))
	})
}
