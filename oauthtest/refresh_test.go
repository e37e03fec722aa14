package oauthtest_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/oauthtest"
)

// refresh is a well-formed request of the client "public" with an answer's refresh token.
func refresh(r reply, params ...string) *wire {
	return tokenRequest(append([]string{"grant_type", "refresh_token", "client_id", "public", "refresh_token", r.text("refresh_token")}, params...)...)
}

func live(s *oauthtest.Server, r reply) bool { return s.Live(outgrant.Secret(r.text("access_token"))) }

// authorized is what a new authorization of the client "public" gave.
func authorized(t *testing.T, s *oauthtest.Server, scope string) reply {
	t.Helper()
	q := consent()
	q.Set("scope", scope)
	return exchange(newCode(t, s, q)).granted(t, s)
}

func TestRefreshTokenRotates(t *testing.T) {
	t.Parallel()
	s := inMemory(t, registeredOptions)
	first := authorized(t, s, "read write")
	second := refresh(first).granted(t, s)
	require.NotEqual(t, first.text("refresh_token"), second.text("refresh_token"))
	require.NotEqual(t, first.text("access_token"), second.text("access_token"))
	require.Equal(t, "read write", second.text("scope"))
	require.True(t, live(s, first), "a refresh does not end the access token before")
	third := refresh(second).granted(t, s)
	require.True(t, live(s, third))
}

func TestRefreshTokenReuseRevokesTheFamily(t *testing.T) {
	t.Parallel()
	s := inMemory(t, registeredOptions)
	first, other := authorized(t, s, ""), authorized(t, s, "")
	second := refresh(first).granted(t, s)
	third := refresh(second).granted(t, s)
	refresh(first).refused(t, s, 400, "invalid_grant", "whole family is revoked")
	for _, r := range []reply{first, second, third} {
		require.False(t, live(s, r))
		refresh(r).refused(t, s, 400, "invalid_grant", "revoked")
	}
	require.True(t, live(s, other), "another authorization has nothing to do with it")
	refresh(other).granted(t, s)
}

func TestReuses(t *testing.T) {
	t.Parallel()
	s := inMemory(t, registeredOptions)
	first := authorized(t, s, "")
	second := refresh(first).granted(t, s)
	require.Zero(t, s.Reuses())
	tokenRequest("grant_type", "refresh_token", "refresh_token", first.text("refresh_token")).as("client-1", "secret-1").refused(t, s, 400, "invalid_grant", "for this client")
	require.Zero(t, s.Reuses(), "somebody else's attempt is none")
	refresh(first).refused(t, s, 400, "invalid_grant", "used before")
	refresh(first).refused(t, s, 400, "invalid_grant", "used before")
	require.Equal(t, 2, s.Reuses())
	refresh(second).refused(t, s, 400, "invalid_grant", "revoked")
	require.Equal(t, 2, s.Reuses(), "it was not used before")
}

func TestKeepRefreshToken(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		opts := registeredOptions
		opts.KeepRefreshToken, opts.RefreshTokenLifetime = true, 72*time.Hour
		s := inMemory(t, opts)
		first := authorized(t, s, "read write")
		for range 3 {
			again := refresh(first, "scope", "read").granted(t, s)
			require.NotContains(t, again.members, "refresh_token")
			require.NotEqual(t, first.text("access_token"), again.text("access_token"))
		}
		require.Equal(t, "read write", refresh(first).granted(t, s).text("scope"))
		require.Zero(t, s.Reuses())
		time.Sleep(72 * time.Hour)
		refresh(first).refused(t, s, 400, "invalid_grant", "ended")
	})
}

func TestRefreshScope(t *testing.T) {
	t.Parallel()
	s := inMemory(t, registeredOptions)
	first := authorized(t, s, "read write")
	refresh(first, "scope", "read admin").refused(t, s, 400, "invalid_scope", "exceeds")
	second := refresh(first, "scope", "read").granted(t, s) // the refusal did not spend it
	require.Equal(t, "read", second.text("scope"))
	third := refresh(second).granted(t, s)
	require.Equal(t, "read write", third.text("scope"), "the new refresh token has the scope of the old one (RFC 6749 6)")
}

// TestRefreshRefusals breaks each other rule about refresh tokens once.
func TestRefreshRefusals(t *testing.T) {
	t.Parallel()
	s := inMemory(t, registeredOptions)
	first := authorized(t, s, "")
	token := first.text("refresh_token")
	tokenRequest("grant_type", "refresh_token", "client_id", "public").refused(t, s, 400, "invalid_request", "refresh_token is missing")
	tokenRequest("grant_type", "refresh_token", "client_id", "public", "refresh_token", token+"x").refused(t, s, 400, "invalid_grant", "no such refresh token")
	tokenRequest("grant_type", "refresh_token", "client_id", "public", "refresh_token", first.text("access_token")).refused(t, s, 400, "invalid_grant", "no such refresh token")
	tokenRequest("grant_type", "refresh_token", "refresh_token", token).as("client-1", "secret-1").refused(t, s, 400, "invalid_grant", "for this client")
	tokenRequest("grant_type", "refresh_token", "refresh_token", token).refused(t, s, 401, "invalid_client", "no client authentication")
	refresh(first).granted(t, s) // nothing of it spent it
}

func TestRefreshTokenEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		opts := registeredOptions
		opts.RefreshTokenLifetime = 72 * time.Hour
		s := inMemory(t, opts)
		first, second := authorized(t, s, ""), authorized(t, s, "")
		time.Sleep(72*time.Hour - time.Nanosecond)
		rotated := refresh(first).granted(t, s)
		time.Sleep(time.Nanosecond)
		refresh(second).refused(t, s, 400, "invalid_grant", "ended")
		time.Sleep(71 * time.Hour)
		refresh(rotated).granted(t, s) // each has a life of its own
	})
}

func TestDefaultLifetimes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := inMemory(t, registeredOptions)
		first := authorized(t, s, "")
		time.Sleep(time.Hour - time.Nanosecond)
		require.True(t, live(s, first))
		time.Sleep(time.Nanosecond)
		require.False(t, live(s, first))
		time.Sleep(89 * 24 * time.Hour)
		refresh(first).granted(t, s)
	})
}

func TestUserConsents(t *testing.T) {
	t.Parallel()
	opts := registeredOptions
	opts.User = "ops@acme.example"
	s := inMemory(t, opts)
	first := authorized(t, s, "")
	// The user is what tells one token from another where the service hands out the same one again.
	s.Inject(oauthtest.SameToken(), oauthtest.SameToken())
	require.Equal(t, first.text("access_token"), refresh(first).granted(t, s).text("access_token"))
	require.NotEqual(t, first.text("access_token"), clientCredentials().granted(t, s).text("access_token"))
}
