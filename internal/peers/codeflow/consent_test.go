package codeflow_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/authcode"
	"github.com/outgrant/outgrant/internal/peers/peer"
)

// A credential that is not used any more takes what the user authorized with it.
func TestRevoke(t *testing.T) {
	t.Parallel()
	a := startApp(t)
	c := peer.SecretClient("web", secret).ForUsers(a.callbacks("")...)
	s := startServer(t, time.Minute, c)
	cfg := configFor(t, s, c)
	client := newClient(t, cfg)
	a.mount(client, "")
	require.NoError(t, client.Revoke(t.Context()), "there is nothing to revoke")
	authorize(t, s, a, "")
	token := another(t, client, tokenOf(t, client))
	require.True(t, askAbout(t, s, token).Active)

	require.NoError(t, client.Revoke(t.Context()))
	require.False(t, askAbout(t, s, token).Active)
	client.Invalidate(token)
	_, err := client.Token(t.Context())
	require.ErrorIs(t, err, outgrant.ErrNotAuthorized)
	requireState(t, client, authcode.Unauthorized)
}

// Without prompt=consent the server leaves offline_access out, as OpenID Connect wants it, and gives no refresh token.
func TestNoOfflineAccess(t *testing.T) {
	t.Parallel()
	a := startApp(t)
	c := peer.SecretClient("web", secret).ForUsers(a.callbacks("")...)
	s := startServer(t, time.Minute, c)
	cfg := configFor(t, s, c)
	cfg.AuthURL = s.AuthURL
	client := newClient(t, cfg)
	a.mount(client, "")
	authorize(t, s, a, "")
	status := requireState(t, client, authcode.Error)
	require.Contains(t, status.Reason, "no refresh token, so it works until")
	require.WithinDuration(t, time.Now().Add(time.Minute), status.Expires, 10*time.Second)
	token := tokenOf(t, client)
	require.NotContains(t, token.Scopes, "offline_access")
	require.True(t, askAbout(t, s, token).Active)
}

// The scopes go with a refresh if that is wanted, and the server takes them.
func TestScopeOnRefresh(t *testing.T) {
	t.Parallel()
	a := startApp(t)
	c := peer.SecretClient("web", secret).ForUsers(a.callbacks("/with", "/without")...)
	s := startServer(t, time.Minute, c)
	for path, with := range map[string]bool{"/with": true, "/without": false} {
		t.Run(path[1:], func(t *testing.T) {
			t.Parallel()
			cfg := configFor(t, s, c)
			recorder := &peer.Recorder{Base: s.Transport(t)}
			cfg.RedirectURL, cfg.HTTPClient, cfg.ScopeOnRefresh = a.callbacks(path)[0], &http.Client{Transport: recorder}, with
			client := newClient(t, cfg)
			a.mount(client, path)
			authorize(t, s, a, path)
			token := another(t, client, tokenOf(t, client))
			require.ElementsMatch(t, scopes, token.Scopes)
			sent := recorder.Requests()
			require.Len(t, sent, 2)
			require.Equal(t, "refresh_token", sent[1].Form.Get("grant_type"))
			require.Equal(t, with, sent[1].Form.Has("scope"))
		})
	}
}
