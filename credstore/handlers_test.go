package credstore_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant/authcode"
	"github.com/outgrant/outgrant/credstore"
	"github.com/outgrant/outgrant/credstore/driver"
	"github.com/outgrant/outgrant/oauthtest"
)

// An authorization is started by one worker, ends at another one, and is used by a third.
func TestAuthorizationAcrossWorkers(t *testing.T) {
	t.Parallel()
	p := newPlace(t, oauthtest.ServerOptions{})
	dir := t.TempDir()
	a, b, c := p.openDir(t, dir), p.openDir(t, dir), p.openDir(t, dir)
	require.NoError(t, a.Deploy(t.Context(), p.authorizationCode("MAILBOX")))
	p.requireStatus(t, c, "MAILBOX", credstore.Unauthorized)
	v := p.begin(t, a, "MAILBOX")
	require.NoError(t, v.back(b))
	p.requireStatus(t, c, "MAILBOX", credstore.Deployed)
	p.tokenOf(t, c, "MAILBOX")
	for _, s := range []*credstore.Store{a, b, c} {
		err := v.back(s)
		require.ErrorIs(t, err, authcode.ErrUsed)
		require.Contains(t, v.serve(s.CallbackHandler(nil)), "came before")
	}
	require.Len(t, p.requests("authorization_code"), 1)
	p.requireStatus(t, a, "MAILBOX", credstore.Deployed)

	token, err := sourceOf(t, a, "MAILBOX").Token(t.Context())
	require.NoError(t, err)
	require.Equal(t, "ops@acme.example", token.User, "mail needs it")
	p.assertNoSecrets(t)
}

// However many workers a callback comes to at once, one takes it.
func TestCallbackCountsOnce(t *testing.T) {
	inBubble(t, oauthtest.ServerOptions{}, func(t *testing.T, p *place) {
		stores := []*credstore.Store{p.open(t), p.open(t), p.open(t)}
		require.NoError(t, stores[0].Deploy(t.Context(), p.authorizationCode("MAILBOX")))
		v := p.begin(t, stores[0], "MAILBOX")
		var all sync.WaitGroup
		errs := make([]error, 12)
		for i := range errs {
			all.Go(func() { errs[i] = v.back(stores[i%3]) })
		}
		all.Wait()
		taken := 0
		for _, err := range errs {
			if err == nil {
				taken++
			} else {
				require.ErrorIs(t, err, authcode.ErrUsed)
			}
		}
		require.Equal(t, 1, taken)
	})
}

// A used attempt is remembered until it would have ended, and then forgotten.
func TestAttemptsAreForgotten(t *testing.T) {
	inBubble(t, oauthtest.ServerOptions{}, func(t *testing.T, p *place) {
		s := p.open(t)
		require.NoError(t, s.Deploy(t.Context(), p.authorizationCode("MAILBOX")))
		known := func() (n int) {
			for _, err := range p.backend.List(t.Context(), "", "attempt") {
				require.NoError(t, err)
				n++
			}
			return n
		}
		for range 30 {
			require.NoError(t, p.consent(t, s, s, "MAILBOX"))
			time.Sleep(time.Minute)
		}
		require.LessOrEqual(t, known(), 11)
		require.GreaterOrEqual(t, known(), 9)
		time.Sleep(time.Hour)
		require.NoError(t, p.consent(t, s, s, "MAILBOX"))
		require.Equal(t, 1, known())

		late := p.begin(t, s, "MAILBOX")
		time.Sleep(11 * time.Minute)
		require.ErrorIs(t, late.back(s), authcode.ErrExpired)
	})
}

func TestCallbackOfAnArtifactThatHasChanged(t *testing.T) {
	for name, test := range map[string]struct {
		change func(context.Context, *place, *credstore.Store) error
		err    error
	}{
		"undeployed": {func(ctx context.Context, _ *place, s *credstore.Store) error { return s.Undeploy(ctx, "MAILBOX") }, credstore.ErrNotFound},
		"redeployed": {func(ctx context.Context, p *place, s *credstore.Store) error {
			return s.Deploy(ctx, p.authorizationCode("MAILBOX"))
		}, nil},
		"another description": {func(ctx context.Context, p *place, s *credstore.Store) error {
			return s.Deploy(ctx, p.authorizationCode("MAILBOX", func(a *credstore.AuthorizationCode) { a.Description = "another" }))
		}, nil},
		"another user": {func(ctx context.Context, p *place, s *credstore.Store) error {
			return s.Deploy(ctx, p.authorizationCode("MAILBOX", func(a *credstore.AuthorizationCode) { a.UserName = "another" }))
		}, authcode.ErrChanged},
		"another token service": {func(ctx context.Context, p *place, s *credstore.Store) error {
			return s.Deploy(ctx, p.authorizationCode("MAILBOX", func(a *credstore.AuthorizationCode) { a.TokenServiceURL += "/alias/another" }))
		}, authcode.ErrChanged},
		"another type": {func(ctx context.Context, p *place, s *credstore.Store) error {
			return s.Deploy(ctx, p.clientCredentials("MAILBOX"))
		}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, oauthtest.ServerOptions{}, func(t *testing.T, p *place) {
				s, other := p.open(t), p.open(t)
				require.NoError(t, s.Deploy(t.Context(), p.authorizationCode("MAILBOX")))
				v := p.begin(t, other, "MAILBOX")
				require.NoError(t, test.change(t.Context(), p, s))
				time.Sleep(time.Second)
				err := v.back(other)
				switch {
				case name == "another type":
					require.ErrorContains(t, err, "which no user authorizes")
				case test.err == nil:
					require.NoError(t, err)
				default:
					require.ErrorIs(t, err, test.err)
				}
				if err != nil {
					require.Empty(t, p.requests("authorization_code"), "the code went somewhere")
				}
				require.Equal(t, err != nil, grantOf(t, s, "MAILBOX").Authorized.IsZero())
			})
		})
	}
}

// Two tenants have the same name, and one redirect URL does for both.
func TestAuthorizationOfTenants(t *testing.T) {
	inBubble(t, oauthtest.ServerOptions{}, func(t *testing.T, p *place) {
		s, other := p.open(t), p.open(t)
		acme := s.Tenant("acme")
		for _, of := range []*credstore.Store{s, acme} {
			require.NoError(t, of.Deploy(t.Context(), p.authorizationCode("MAILBOX", func(a *credstore.AuthorizationCode) { a.RedirectURL = callbackURL })))
		}
		require.NoError(t, p.consent(t, acme, other, "MAILBOX"))
		p.requireStatus(t, acme, "MAILBOX", credstore.Deployed)
		p.requireStatus(t, s, "MAILBOX", credstore.Unauthorized)
		requireNotAuthorized(t, sourceOf(t, s, "MAILBOX"))
		require.NoError(t, p.consent(t, s, other.Tenant("elsewhere"), "MAILBOX"))
		time.Sleep(time.Second)
		require.NotEqual(t, p.tokenOf(t, acme, "MAILBOX"), p.tokenOf(t, s, "MAILBOX"))
		require.NoError(t, acme.Undeploy(t.Context(), "MAILBOX"))
		p.tokenOf(t, s, "MAILBOX")
	})
}

func TestMayAuthorize(t *testing.T) {
	inBubble(t, oauthtest.ServerOptions{}, func(t *testing.T, p *place) {
		var asked [][2]string
		allowed := errors.New("ask the administrator")
		s := p.open(t, func(o *credstore.Options) {
			o.MayAuthorize = func(r *http.Request, tenant, name string) error {
				asked = append(asked, [2]string{tenant, name})
				return allowed
			}
		})
		require.NoError(t, s.Tenant("acme").Deploy(t.Context(), p.authorizationCode("MAILBOX")))
		p.backend.count()
		w := start(s.Tenant("acme"), "MAILBOX")
		require.Equal(t, http.StatusForbidden, w.Code)
		require.Contains(t, w.Body.String(), "ask the administrator")
		require.Empty(t, p.backend.count(), "it tells nothing about what is there")
		require.Equal(t, http.StatusForbidden, start(s.Tenant("acme"), "NOPE").Code)
		require.Equal(t, [][2]string{{"acme", "MAILBOX"}, {"acme", "NOPE"}}, asked)
		allowed = nil
		require.NoError(t, p.consent(t, s.Tenant("acme"), s, "MAILBOX"))

		// By default, people at this machine.
		p.backend.inject(nil)
		r := httptest.NewRequest(http.MethodGet, "https://app.example/authorize?name=MAILBOX", nil)
		w = httptest.NewRecorder()
		p.open(t).AuthorizeHandler().ServeHTTP(w, r)
		require.Equal(t, http.StatusForbidden, w.Code)
	})
}

func TestAuthorizeHandlerRefuses(t *testing.T) {
	inBubble(t, oauthtest.ServerOptions{}, func(t *testing.T, p *place) {
		s := p.open(t)
		for name, a := range eachType(t, p) {
			require.NoError(t, s.Deploy(t.Context(), a))
			if name == "code" {
				continue
			}
			w := start(s, name)
			require.Equal(t, http.StatusNotFound, w.Code)
			require.NotContains(t, w.Body.String(), "S3NTINEL")
		}
		require.Contains(t, start(s, "").Body.String(), "say which credential: add ?name=NAME to the address")
		require.Contains(t, start(s, "NOPE").Body.String(), "there is no such artifact")
		require.Contains(t, start(s, "client").Body.String(), "which no user authorizes")

		require.NoError(t, s.Deploy(t.Context(), p.authorizationCode("code", func(a *credstore.AuthorizationCode) { a.RedirectURL = "" })))
		require.Contains(t, start(s, "code").Body.String(), "RedirectURL is not set")
	})
}

// Others than the store's own processes cannot make or change what is in the browser.
func TestCallbackOfAStranger(t *testing.T) {
	inBubble(t, oauthtest.ServerOptions{}, func(t *testing.T, p *place) {
		stranger := newPlace(t, oauthtest.ServerOptions{})
		s, elsewhere := p.open(t), stranger.open(t)
		for _, at := range []*credstore.Store{s, elsewhere} {
			require.NoError(t, at.Deploy(t.Context(), p.authorizationCode("MAILBOX")))
		}
		require.ErrorIs(t, p.begin(t, elsewhere, "MAILBOX").back(s), authcode.ErrNoAttempt)
		v := p.begin(t, s, "MAILBOX")
		whole := v.cookies[0].Value
		for i := 0; i < len(whole); i += 7 {
			changed := []byte(whole)
			changed[i] ^= 1
			v.cookies[0].Value = string(changed)
			require.Error(t, v.back(s))
		}
		v.cookies[0].Value = whole
		require.NoError(t, v.back(s), "that used nothing")
	})
}

// A callback that cannot be noted is not taken; when the backend is back the same one counts.
func TestCallbackWithoutABackend(t *testing.T) {
	inBubble(t, oauthtest.ServerOptions{}, func(t *testing.T, p *place) {
		s := p.open(t)
		require.NoError(t, s.Deploy(t.Context(), p.authorizationCode("MAILBOX")))
		v := p.begin(t, s, "MAILBOX")
		full := func(_ context.Context, op string, k driver.Key) error {
			if op == "put" {
				return errDisk
			}
			return nil
		}
		p.backend.inject(full)
		err := v.back(s)
		require.ErrorIs(t, err, errDisk)
		require.Empty(t, p.requests("authorization_code"))
		p.backend.inject(nil)
		require.NoError(t, v.back(s))

		// The backend fails when the code has been spent: it is tried again.
		v = p.begin(t, s, "MAILBOX")
		began := time.Now()
		p.backend.inject(func(ctx context.Context, op string, k driver.Key) error {
			if op == "put" && k.Kind == "grant" && time.Since(began) < 5*time.Second {
				return errDisk
			}
			return nil
		})
		require.NoError(t, v.back(s))
		p.requireStatus(t, s, "MAILBOX", credstore.Deployed)
		p.tokenOf(t, s, "MAILBOX")
	})
}

// A program that ends waits for a callback whose code is being spent.
func TestCloseDuringACallback(t *testing.T) {
	inBubble(t, oauthtest.ServerOptions{}, func(t *testing.T, p *place) {
		s, other := p.open(t), p.open(t)
		require.NoError(t, s.Deploy(t.Context(), p.authorizationCode("MAILBOX")))
		v := p.begin(t, s, "MAILBOX")
		p.Inject(oauthtest.Delay(time.Second))
		over := make(chan error, 1)
		go func() { over <- v.back(s) }()
		time.Sleep(time.Second / 2)
		require.NoError(t, s.Close())
		require.NoError(t, <-over)
		p.requireStatus(t, other, "MAILBOX", credstore.Deployed)
		p.tokenOf(t, other, "MAILBOX")
		v = p.begin(t, other, "MAILBOX")
		require.ErrorContains(t, v.back(s), "the store is closed")
		require.NoError(t, v.back(other), "that used nothing")
	})
}

// A program's own page tells which credential it is about.
func TestAttemptOf(t *testing.T) {
	inBubble(t, oauthtest.ServerOptions{}, func(t *testing.T, p *place) {
		s := p.open(t)
		for _, id := range []string{"", "acme"} {
			at := s.Tenant(id)
			require.NoError(t, at.Deploy(t.Context(), p.authorizationCode("MAILBOX")))
			var told []string
			done := s.CallbackHandler(func(_ http.ResponseWriter, r *http.Request, err error) {
				tenant, name := credstore.AttemptOf(r)
				told = append(told, tenant, name, fmt.Sprint(err == nil))
			})
			v := p.begin(t, at, "MAILBOX")
			v.serve(done)
			require.Equal(t, []string{id, "MAILBOX", "true"}, told)
			v.serve(done)
			require.Equal(t, []string{id, "MAILBOX", "false"}, told[3:], "a failure, too")
			done.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, callbackURL+"?state=made-up&code=x", nil))
			require.Equal(t, []string{"", "", "false"}, told[6:], "that cannot be told")
		}
		tenant, name := credstore.AttemptOf(httptest.NewRequest(http.MethodGet, callbackURL, nil))
		require.Equal(t, []string{"", ""}, []string{tenant, name})
	})
}
