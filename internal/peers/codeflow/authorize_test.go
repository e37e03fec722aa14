package codeflow_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/authcode"
	"github.com/outgrant/outgrant/internal/peers/peer"
	"github.com/outgrant/outgrant/oauthtest"
)

// A user opens one URL, signs in and consents, and from then on tokens come by themselves, however the client
// authenticates.
func TestAuthorize(t *testing.T) {
	t.Parallel()
	a := startApp(t)
	key := peer.RSAKey()
	clients := map[string]peer.Client{
		"basic":           peer.SecretClient("basic", secret),
		"post":            peer.SecretClient("post", secret),
		"private_key_jwt": peer.KeyClient("key", "RS256", "k1", key.Public()),
		"public":          peer.NativeClient("public"),
	}
	var known []peer.Client
	for name, c := range clients {
		clients[name] = c.ForUsers(a.callbacks("/" + name)...)
		known = append(known, clients[name])
	}
	s := startServer(t, time.Minute, known...)

	for name, c := range clients {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := configFor(t, s, c)
			switch name {
			case "post":
				cfg.Auth = outgrant.ClientSecretPost
			case "public":
				cfg.Auth = outgrant.None
			case "private_key_jwt":
				auth := outgrant.ClientAuth{Method: outgrant.PrivateKeyJWT, Key: key, KeyID: "k1", Algorithm: "RS256"}
				cfg.ClientAuth = func(context.Context) (outgrant.ClientAuth, error) { return auth, nil }
			}
			client := newClient(t, cfg)
			a.mount(client, "/"+name)
			requireState(t, client, authcode.Unauthorized)
			_, err := client.Token(t.Context())
			require.ErrorIs(t, err, outgrant.ErrNotAuthorized)

			authorize(t, s, a, "/"+name)
			status := requireState(t, client, authcode.Deployed)
			require.Equal(t, "alice@acme.example", status.User)
			token := tokenOf(t, client)
			require.Equal(t, "alice@acme.example", token.User)
			require.ElementsMatch(t, scopes, token.Scopes)
			answer := askAbout(t, s, token)
			require.True(t, answer.Active)
			require.Equal(t, c.ID, answer.ClientID)
			require.Equal(t, "alice", answer.Subject)

			token = another(t, client, token)
			require.True(t, askAbout(t, s, token).Active)
			require.Equal(t, peer.Refreshes{Requests: 1, Granted: 1}, s.Refreshes(t, c.ID))
			oauthtest.AssertNoSecrets(t, []string{secret, token.AccessToken.Reveal()}, client, cfg, token, err, status)
		})
	}
}

// results takes what came of an authorization.
type results chan error

func (r results) done(_ http.ResponseWriter, _ *http.Request, err error) { r <- err }

func (r results) last(t testing.TB) error {
	t.Helper()
	select {
	case err := <-r:
		return err
	default: // the browser has been there already
		require.Fail(t, "there was no callback")
		return nil
	}
}

// What does not authorize leaves everything as it was.
func TestNotAuthorized(t *testing.T) {
	t.Parallel()
	a := startApp(t)
	web := peer.SecretClient("web", secret).ForUsers(a.callbacks("/deny", "/wrong-user", "/issuer", "/PKCE", "/stranger", "/replay")...)
	s := startServer(t, time.Minute, web)
	prepare := func(t *testing.T, path string, set func(*authcode.Config)) (*authcode.Client, results) {
		cfg := configFor(t, s, web)
		cfg.RedirectURL = a.URL + path + "/callback"
		if set != nil {
			set(cfg)
		}
		client, ended := newClient(t, cfg), make(results, 1)
		a.mux.Handle(path+"/authorize", client.AuthorizeHandler())
		a.mux.Handle(path+"/callback", client.CallbackHandler(ended.done))
		return client, ended
	}
	for name, test := range map[string]struct {
		login string
		deny  bool
		set   func(*authcode.Config)
		want  error
	}{
		"deny":       {login: "alice", deny: true, want: authcode.ErrDenied},
		"wrong-user": {login: "bob", want: authcode.ErrWrongUser},
		"issuer":     {login: "alice", set: func(c *authcode.Config) { c.Issuer = "https://another.example" }, want: authcode.ErrWrongIssuer},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client, ended := prepare(t, "/"+name, test.set)
			browser := peer.NewBrowser(t, test.login, s.Transport(t))
			browser.Deny = test.deny
			browser.Visit(t, a.URL+"/"+name+"/authorize")
			require.ErrorIs(t, ended.last(t), test.want)
			requireState(t, client, authcode.Unauthorized)

		})
	}
	t.Run("PKCE", func(t *testing.T) {
		t.Parallel()
		client, ended := prepare(t, "/PKCE", func(c *authcode.Config) { c.DisablePKCE = true })
		browse(t, s, "alice", a.URL+"/PKCE/authorize")
		var refused *outgrant.TokenError
		require.ErrorAs(t, ended.last(t), &refused)
		require.Equal(t, "invalid_request", refused.Code)
		require.Contains(t, refused.Description, "PKCE")
		requireState(t, client, authcode.Unauthorized)
	})
	t.Run("stranger", func(t *testing.T) {
		t.Parallel()
		client, ended := prepare(t, "/stranger", nil)
		stranger := peer.NewBrowser(t, "alice", s.Transport(t))
		stranger.StopAt = a.URL + "/stranger/callback"
		theirs := stranger.Visit(t, a.URL+"/stranger/authorize").URL.String()
		browse(t, s, "alice", theirs)
		require.ErrorIs(t, ended.last(t), authcode.ErrNoAttempt)
		requireState(t, client, authcode.Unauthorized)

		// It is not spent by that.
		stranger.StopAt = ""
		stranger.Visit(t, theirs)
		require.NoError(t, ended.last(t))
		requireState(t, client, authcode.Deployed)
	})
	t.Run("replay", func(t *testing.T) {
		t.Parallel()
		client, ended := prepare(t, "/replay", nil)
		browser := peer.NewBrowser(t, "alice", s.Transport(t))
		page := browser.Visit(t, a.URL+"/replay/authorize")
		require.NoError(t, ended.last(t))
		browser.Visit(t, page.URL.String())
		require.ErrorIs(t, ended.last(t), authcode.ErrNoAttempt, "its cookie is gone")
		requireState(t, client, authcode.Deployed)
		require.True(t, askAbout(t, s, tokenOf(t, client)).Active, "the code was not sent again, which would have revoked its tokens")
	})
}
