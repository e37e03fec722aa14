package authcode_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/authcode"
	"github.com/outgrant/outgrant/oauthtest"
)

// TestChangedMeanwhile: the user was asked about something else than what the credential is now.
func TestChangedMeanwhile(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*authcode.Config){
		"scopes":  func(c *authcode.Config) { c.Scopes = []string{"more"} },
		"user":    func(c *authcode.Config) { c.User = "somebody" },
		"service": func(c *authcode.Config) { c.TokenURL += "/alias/other" },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newBareSite(t, oauthtest.ServerOptions{}, nil)
			var mu sync.Mutex
			current := s.client
			h := &authcode.Handlers{
				ID: func(*http.Request) (string, error) { return "MAILBOX", nil },
				Client: func(context.Context, string) (*authcode.Client, error) {
					mu.Lock()
					defer mu.Unlock()
					return current, nil
				},
				MayAuthorize: func(*http.Request, string) error { return nil },
			}
			s.mux.Handle("/oauth/authorize", h.Authorize())
			s.mux.Handle("/oauth/callback", h.Callback(nil))
			b := s.browser()
			callback := b.consent(startURL)
			mu.Lock()
			change(s.cfg)
			current = s.newClient()
			mu.Unlock()
			b.open(callback).requirePage(t, http.StatusConflict, "The credential has changed", "Start again")
			require.Zero(t, s.service.TokenRequests())
			b.open(startURL).requirePage(t, http.StatusOK)
		})
	}
	t.Run("only the secret", func(t *testing.T) {
		t.Parallel()
		s := newSite(t, oauthtest.ServerOptions{}, nil)
		b := s.browser()
		callback := b.consent(startURL)
		s.cfg.ClientAuth = func(context.Context) (outgrant.ClientAuth, error) {
			return outgrant.ClientAuth{Secret: appSecret}, nil
		}
		// Another client of the same name takes its place.
		r := httptest.NewRequest("GET", callback, nil)
		r.AddCookie(b.attempts(callbackURL)[0])
		w := httptest.NewRecorder()
		s.newClient().CallbackHandler(nil).ServeHTTP(w, r)
		require.Equal(t, http.StatusOK, w.Code)
	})
	t.Run("another client's callback", func(t *testing.T) {
		t.Parallel()
		s := newSite(t, oauthtest.ServerOptions{}, nil)
		b := s.browser()
		callback := b.consent(startURL)
		s.cfg.Name = "OTHER"
		r := httptest.NewRequest("GET", callback, nil)
		r.AddCookie(b.attempts(callbackURL)[0])
		w := httptest.NewRecorder()
		s.newClient().CallbackHandler(nil).ServeHTTP(w, r)
		require.Equal(t, http.StatusBadGateway, w.Code)
		require.Contains(t, w.Body.String(), "OTHER")
		require.Zero(t, s.service.TokenRequests())
	})
}

// brokenVault cannot be written.
type brokenVault struct{ authcode.Vault }

func (brokenVault) Save(context.Context, string, outgrant.Secret, authcode.Authorization) (authcode.Authorization, error) {
	return authcode.Authorization{}, errors.New("disk full")
}

func TestNotStored(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, oauthtest.ServerOptions{}, func(c *authcode.Config) { c.Vault = brokenVault{c.Vault} })
		v := s.browser().open(startURL)
		v.requirePage(t, http.StatusBadGateway, "MAILBOX is not authorized", "disk full", "Start again")
		require.Equal(t, []outgrant.AuthorizationChange{outgrant.NotStored}, s.changes())
		s.service.Close()
	})
}
