package codeflow_test

import (
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/authcode"
	"github.com/outgrant/outgrant/internal/peers/peer"
)

// Each refresh spends the refresh token, and the server gives another.
func TestRotation(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		lifetime  time.Duration // of an access token
		refreshes int
	}{
		"tokens of a second":   {time.Second, peer.Short(5, 60)},
		"tokens of 2 seconds":  {2 * time.Second, peer.Short(3, 30)},
		"tokens of 10 seconds": {10 * time.Second, peer.Short(2, 6)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := startApp(t)
			c := peer.SecretClient("web", secret).ForUsers(a.callbacks("")...)
			s := startServer(t, test.lifetime, c)
			cfg := configFor(t, s, c)
			client := newClient(t, cfg)
			a.mount(client, "")
			authorize(t, s, a, "")
			spent := map[outgrant.Secret]bool{}
			for token, err := range client.Watch(t.Context()) {
				require.NoError(t, err)
				if test.lifetime >= 10*time.Second { // the server counts in whole seconds: shorter ones may have ended
					require.True(t, askAbout(t, s, token).Active)
				}
				stored, err := cfg.Vault.Load(t.Context(), cfg.Name)
				require.NoError(t, err)
				require.False(t, spent[stored.RefreshToken], "the refresh token was not replaced")
				spent[stored.RefreshToken] = true
				if len(spent) > test.refreshes {
					break
				}
			}
			require.NoError(t, client.Close())
			refreshes := s.Refreshes(t, c.ID)
			require.Equal(t, peer.Refreshes{Requests: refreshes.Granted, Granted: refreshes.Granted}, refreshes)
			require.GreaterOrEqual(t, refreshes.Granted, test.refreshes)
			require.LessOrEqual(t, refreshes.Granted, test.refreshes+1, "one may have been under way at the end")
		})
	}
}

// A refresh token that comes twice ends all that the user authorized, and the status says so. Only a vault that was set
// back can bring that about.
func TestReuse(t *testing.T) {
	t.Parallel()
	a := startApp(t)
	c := peer.SecretClient("web", secret).ForUsers(a.callbacks("")...)
	s := startServer(t, time.Minute, c)
	events := &events{}
	cfg := configFor(t, s, c)
	cfg.Cache = &outgrant.CacheOptions{Hooks: &outgrant.Hooks{AuthorizationChanged: events.add}}
	client := newClient(t, cfg)
	a.mount(client, "")
	authorize(t, s, a, "")
	first := tokenOf(t, client)
	old, err := cfg.Vault.Load(t.Context(), cfg.Name)
	require.NoError(t, err)
	second := another(t, client, first)
	require.True(t, askAbout(t, s, second).Active)

	current, err := cfg.Vault.Load(t.Context(), cfg.Name)
	require.NoError(t, err)
	_, err = cfg.Vault.Save(t.Context(), cfg.Name, current.RefreshToken, old)
	require.NoError(t, err)
	again := newClient(t, cfg)
	again.Invalidate(tokenOf(t, again)) // the old one, which is good still
	_, err = again.Token(t.Context())
	require.ErrorIs(t, err, outgrant.ErrNotAuthorized)
	require.NoError(t, again.Close()) // by then the hooks were told
	s.AwaitLog(t, "refresh token already used")
	require.Equal(t, peer.Refreshes{Requests: 2, Granted: 1, Reused: 1}, s.Refreshes(t, c.ID))
	require.False(t, askAbout(t, s, second).Active, "the whole family ends")
	status := requireState(t, again, authcode.Unauthorized)
	require.Contains(t, status.Reason, "invalid_grant")
	require.NotContains(t, status.Reason, "unknown", "no answer was lost")
	require.Equal(t, []outgrant.AuthorizationChange{outgrant.Authorized, outgrant.Refreshed, outgrant.Unauthorized}, events.all())

	// It is not asked again before a user has been asked.
	again = newClient(t, cfg)
	again.Invalidate(tokenOf(t, again))
	_, err = again.Token(t.Context())
	require.ErrorIs(t, err, outgrant.ErrNotAuthorized)
	require.Equal(t, 2, s.Refreshes(t, c.ID).Requests)
	authorize(t, s, a, "")
	require.True(t, askAbout(t, s, tokenOf(t, client)).Active)
}

// events are what the hooks told.
type events struct {
	mu   sync.Mutex
	kept []outgrant.AuthorizationChange
}

func (e *events) add(event outgrant.AuthorizationEvent) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.kept = append(e.kept, event.Change)
}

func (e *events) all() []outgrant.AuthorizationChange {
	e.mu.Lock()
	defer e.mu.Unlock()
	return append([]outgrant.AuthorizationChange(nil), e.kept...)
}
