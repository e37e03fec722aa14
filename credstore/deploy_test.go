package credstore_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/credstore"
	"github.com/outgrant/outgrant/credstore/driver"
	"github.com/outgrant/outgrant/oauthtest"
)

// An edited authorization code keeps what its user authorized, unless that was given for something else: then the refresh
// token is revoked, once, by the client that it was given to, and never sent anywhere else.
func TestRedeployKeepsTheAuthorizationOrEndsIt(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*credstore.AuthorizationCode)
		kept   bool
	}{
		"nothing":           {func(*credstore.AuthorizationCode) {}, true},
		"description":       {func(a *credstore.AuthorizationCode) { a.Description = "another" }, true},
		"client secret":     {func(a *credstore.AuthorizationCode) { a.ClientSecret = "S3NTINEL-another" }, true},
		"send as":           {func(a *credstore.AuthorizationCode) { a.SendAs = credstore.InHeader }, true},
		"redirect URL":      {func(a *credstore.AuthorizationCode) { a.RedirectURL = "https://app.example/callback" }, true},
		"PKCE":              {func(a *credstore.AuthorizationCode) { a.DisablePKCE = true }, true},
		"expiry":            {func(a *credstore.AuthorizationCode) { a.RefreshTokenExpiryDays = 30 }, true},
		"scope on refresh":  {func(a *credstore.AuthorizationCode) { a.ScopeOnRefresh = true }, true},
		"scope in URL":      {func(a *credstore.AuthorizationCode) { a.ScopeInURL = true }, true},
		"issuer":            {func(a *credstore.AuthorizationCode) { a.Issuer = "https://another.example" }, true},
		"order of scopes":   {func(a *credstore.AuthorizationCode) { a.Scope = "send  mail" }, true},
		"client id":         {func(a *credstore.AuthorizationCode) { a.ClientID = "another" }, false},
		"authorization URL": {func(a *credstore.AuthorizationCode) { a.AuthorizationURL += "?prompt=consent" }, false},
		"token service URL": {func(a *credstore.AuthorizationCode) { a.TokenServiceURL += "/alias/another" }, false},
		"no revocation URL": {func(a *credstore.AuthorizationCode) { a.RevocationURL = "" }, false},
		"user":              {func(a *credstore.AuthorizationCode) { a.UserName = "another@acme.example" }, false},
		"no user":           {func(a *credstore.AuthorizationCode) { a.UserName = "" }, false},
		"scope added":       {func(a *credstore.AuthorizationCode) { a.Scope += " more" }, false},
		"scope taken away":  {func(a *credstore.AuthorizationCode) { a.Scope = "mail" }, false},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, oauthtest.ServerOptions{}, func(t *testing.T, p *place) {
				s, other := p.open(t), p.open(t)
				p.authorized(t, s, "MAILBOX")
				src, there := sourceOf(t, s, "MAILBOX"), sourceOf(t, other, "MAILBOX")
				had := p.token(t, src)
				require.Equal(t, had, p.token(t, there), "it comes from the store")
				first := grantOf(t, s, "MAILBOX").RefreshToken.Reveal()

				require.NoError(t, s.Deploy(t.Context(), p.authorizationCode("MAILBOX", test.change)))
				if test.kept {
					require.Equal(t, had, p.token(t, src))
					p.requireStatus(t, s, "MAILBOX", credstore.Deployed)
					require.Empty(t, p.revocations())
					time.Sleep(59 * time.Minute)
					p.token(t, src)
					p.token(t, there)
					require.Len(t, p.requests("refresh_token"), 1)
					require.Zero(t, p.Reuses())
					return
				}
				requireNotAuthorized(t, src)
				time.Sleep(time.Second)
				requireNotAuthorized(t, there)
				p.requireStatus(t, s, "MAILBOX", credstore.Unauthorized)
				require.Equal(t, []string{first}, p.revocations())
				require.Equal(t, "client-of-MAILBOX", p.revoked[0].Get("client_id"))
				require.Equal(t, []outgrant.AuthorizationChange{outgrant.Authorized, outgrant.Revoked}, p.changes())
				require.Zero(t, grantOf(t, s, "MAILBOX").Authorized)
				time.Sleep(24 * time.Hour)
				requireNotAuthorized(t, src)
				require.Empty(t, p.requests("refresh_token"), "it was sent somewhere")

				require.NoError(t, p.consent(t, s, s, "MAILBOX"))
				p.token(t, src)
				time.Sleep(time.Second)
				p.token(t, there)
				p.requireStatus(t, other, "MAILBOX", credstore.Deployed)
				require.Len(t, p.revocations(), 1)
			})
		})
	}
}

func requireNotAuthorized(t testing.TB, src outgrant.TokenSource) {
	t.Helper()
	_, err := src.Token(t.Context())
	require.ErrorIs(t, err, outgrant.ErrNotAuthorized)
}

// Scopes that the provider always needs are no difference.
func TestRedeployOfMicrosoft365(t *testing.T) {
	inBubble(t, oauthtest.ServerOptions{}, func(t *testing.T, p *place) {
		s := p.open(t)
		for _, scope := range []string{"mail", "offline_access mail", "mail offline_access"} {
			require.NoError(t, s.Deploy(t.Context(), p.authorizationCode("MAILBOX", func(a *credstore.AuthorizationCode) {
				a.Provider, a.Scope = credstore.Microsoft365, scope
			})))
			if scope == "mail" {
				require.NoError(t, p.consent(t, s, s, "MAILBOX"))
			}
			p.tokenOf(t, s, "MAILBOX")
			p.requireStatus(t, s, "MAILBOX", credstore.Deployed)
		}
		require.Empty(t, p.revocations())
	})
}

// The client's key comes from a key pair, which may be deployed later.
func TestAuthorizationCodeWithAKeyPair(t *testing.T) {
	inBubble(t, oauthtest.ServerOptions{}, func(t *testing.T, p *place) {
		s := p.open(t)
		withKey := func(a *credstore.AuthorizationCode) {
			a.ClientSecret, a.SendAs, a.KeyPairAlias = "", credstore.WithPrivateKeyJWT, "keys"
		}
		require.NoError(t, s.Deploy(t.Context(), p.authorizationCode("MAILBOX", withKey)))
		require.Contains(t, start(s, "MAILBOX").Body.String(), "is not deployed")
		require.NoError(t, s.Deploy(t.Context(), &credstore.KeyPair{Name: "keys", PEM: pemOf(t, "signing")}))
		require.NoError(t, p.consent(t, s, s, "MAILBOX"))
		p.tokenOf(t, s, "MAILBOX")
		require.NoError(t, s.Deploy(t.Context(), p.authorizationCode("MAILBOX", withKey)))
		p.tokenOf(t, s, "MAILBOX")
		p.requireStatus(t, s, "MAILBOX", credstore.Deployed)
		require.NoError(t, s.Undeploy(t.Context(), "MAILBOX"))
		require.Len(t, p.revocations(), 1)
	})
}

func TestUndeployEndsTheAuthorization(t *testing.T) {
	inBubble(t, oauthtest.ServerOptions{}, func(t *testing.T, p *place) {
		s, other := p.open(t), p.open(t)
		p.authorized(t, s, "MAILBOX")
		there := sourceOf(t, other, "MAILBOX")
		had := p.token(t, there)
		refresh := grantOf(t, s, "MAILBOX").RefreshToken.Reveal()
		require.NoError(t, s.Undeploy(t.Context(), "MAILBOX"))
		require.Equal(t, []string{refresh}, p.revocations())
		require.False(t, p.Live(had))
		time.Sleep(time.Second)
		require.ErrorIs(t, errOf(there.Token(t.Context())), credstore.ErrNotFound)

		require.NoError(t, s.Deploy(t.Context(), p.authorizationCode("MAILBOX")))
		p.requireStatus(t, s, "MAILBOX", credstore.Unauthorized)
		time.Sleep(time.Second)
		requireNotAuthorized(t, there)
		require.Empty(t, p.requests("refresh_token"))
	})
}

// It is told that a refresh token may live on at its provider, and that does not keep it here.
func TestUndeployWhereItCannotBeRevoked(t *testing.T) {
	inBubble(t, oauthtest.ServerOptions{}, func(t *testing.T, p *place) {
		broken := func(o *credstore.Options) {
			o.HTTPClient = &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
				if strings.HasSuffix(r.URL.Path, "/revoke") {
					<-r.Context().Done()
					return nil, r.Context().Err()
				}
				return p.RoundTrip(r)
			})}
		}
		s := p.open(t, broken)
		p.authorized(t, s, "MAILBOX")
		p.authorized(t, s, "ANOTHER")
		began := time.Now()
		require.NoError(t, s.Undeploy(t.Context(), "MAILBOX"))
		require.Equal(t, 10*time.Second, time.Since(began))
		require.Equal(t, []outgrant.AuthorizationChange{outgrant.Authorized, outgrant.Authorized, outgrant.Revoked}, p.changes())
		require.ErrorContains(t, p.events[2].Err, "the refresh token could not be revoked")
		require.Zero(t, grantOf(t, s, "MAILBOX").Authorized)
		require.ErrorIs(t, errOf(s.Info(t.Context(), "MAILBOX")), credstore.ErrNotFound)

		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began = time.Now()
		_ = s.Undeploy(ctx, "ANOTHER")
		require.Equal(t, time.Second, time.Since(began), "the caller's deadline")
	})
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// A refresh that is under way when its authorization is ended must not bring it back, nor leave its successor behind.
func TestUndeployDuringARefresh(t *testing.T) {
	for name, end := range map[string]func(*testing.T, *place, *credstore.Store) error{
		"undeployed": func(t *testing.T, _ *place, s *credstore.Store) error { return s.Undeploy(t.Context(), "MAILBOX") },
		"redeployed for another user": func(t *testing.T, p *place, s *credstore.Store) error {
			return s.Deploy(t.Context(), p.authorizationCode("MAILBOX", func(a *credstore.AuthorizationCode) { a.UserName = "another" }))
		},
	} {
		for _, when := range []time.Duration{0, 500 * time.Millisecond, 999 * time.Millisecond, time.Second, 1001 * time.Millisecond} {
			t.Run(name+" after "+when.String(), func(t *testing.T) {
				inBubble(t, oauthtest.ServerOptions{}, func(t *testing.T, p *place) {
					s, other := p.open(t), p.open(t)
					p.authorized(t, s, "MAILBOX")
					time.Sleep(61 * time.Minute)
					p.Inject(oauthtest.Delay(time.Second))
					src := sourceOf(t, other, "MAILBOX")
					failed := make(chan error, 1)
					go func() { failed <- errOf(src.Token(t.Context())) }()
					time.Sleep(when)
					require.NoError(t, end(t, p, s))
					<-failed
					time.Sleep(time.Minute)
					require.Zero(t, grantOf(t, s, "MAILBOX").Authorized)
					require.Error(t, errOf(src.Token(t.Context())))
					revoked := p.revocations()
					require.NotEmpty(t, revoked)
					for _, r := range p.requests("refresh_token") {
						require.NotEqual(t, "another", r.Params.Get("client_id"))
					}
					for _, token := range p.secrets {
						require.False(t, p.Live(outgrant.Secret(token)), "something lives on")
					}
				})
			})
		}
	}
}

// A refresh of another process is stored while the authorization is ended.
func TestUndeployAndAWriteAtOnce(t *testing.T) {
	inBubble(t, oauthtest.ServerOptions{}, func(t *testing.T, p *place) {
		s, other := p.open(t), p.open(t)
		p.authorized(t, s, "MAILBOX")
		wrote := false
		p.backend.inject(func(ctx context.Context, op string, k driver.Key) error {
			if op == "delete" && k.Kind == "grant" && !wrote {
				wrote = true
				a, err := other.Vault().Load(ctx, "MAILBOX")
				require.NoError(t, err)
				spent := a.RefreshToken
				a.RefreshToken = "the next"
				_, err = other.Vault().Save(ctx, "MAILBOX", spent, a)
				require.NoError(t, err)
			}
			return nil
		})
		require.NoError(t, s.Undeploy(t.Context(), "MAILBOX"))
		require.True(t, wrote)
		require.Zero(t, grantOf(t, s, "MAILBOX").Authorized)
		require.Equal(t, []string{"the next"}, p.revocations(), "the refresh token that came last")
	})
}

// A user consents while the credential is being undeployed: that must not count for one that is deployed later.
func TestUndeployDuringACallback(t *testing.T) {
	inBubble(t, oauthtest.ServerOptions{}, func(t *testing.T, p *place) {
		s, other := p.open(t), p.open(t)
		require.NoError(t, s.Deploy(t.Context(), p.authorizationCode("MAILBOX")))
		v := p.begin(t, other, "MAILBOX")
		p.Inject(oauthtest.Delay(time.Second))
		over := make(chan error, 1)
		go func() { over <- v.back(other) }()
		time.Sleep(time.Second / 2)
		require.NoError(t, s.Undeploy(t.Context(), "MAILBOX"))
		<-over
		require.NoError(t, s.Deploy(t.Context(), p.authorizationCode("MAILBOX")))
		p.requireStatus(t, s, "MAILBOX", credstore.Unauthorized)
		requireNotAuthorized(t, sourceOf(t, s, "MAILBOX"))
		require.Len(t, p.revocations(), 1)
	})
}

// What is huge is refused, and what is as large as it may be comes back.
func TestDeployOfSomethingLarge(t *testing.T) {
	inBubble(t, oauthtest.ServerOptions{}, func(t *testing.T, p *place) {
		s := p.open(t)
		with := func(n, length int) credstore.Artifact {
			attributes := map[string]string{}
			for i := range n {
				attributes[artifactName(i)] = strings.Repeat("\u65e5", length)
			}
			return tasks(func(a *credstore.SAMLBearerAssertion) { a.Attributes = attributes })[0]
		}
		require.Error(t, s.Deploy(t.Context(), with(100_000, 1)))
		require.Error(t, s.Deploy(t.Context(), with(1, 1_000_000)))
		require.ErrorIs(t, errOf(s.Info(t.Context(), "SF_TASKS")), credstore.ErrNotFound)
		for _, a := range []credstore.Artifact{
			with(100, 1000), credstore.SecureParameter{Name: "large", Description: strings.Repeat("\u65e5", 1024), Value: outgrant.Secret(strings.Repeat("\x01", 4096))},
		} {
			require.NoError(t, s.Deploy(t.Context(), a))
			back, err := s.Artifact(t.Context(), a.ArtifactName())
			require.NoError(t, err)
			want, err := credstore.WithoutSecrets(a)
			require.NoError(t, err)
			require.Equal(t, want, back)
		}
	})
}
