package authcode_test

import (
	"errors"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/authcode"
	"github.com/outgrant/outgrant/oauthtest"
)

func TestRevoke(t *testing.T) {
	t.Parallel()
	s := newSite(t, oauthtest.ServerOptions{}, nil)
	require.NoError(t, s.client.Revoke(t.Context()), "there is nothing to revoke")
	s.browser().open(startURL).requirePage(t, http.StatusOK)
	token, err := s.client.Token(t.Context())
	require.NoError(t, err)
	require.NoError(t, s.client.Revoke(t.Context()))
	require.False(t, s.service.Live(token.AccessToken))
	require.Equal(t, []outgrant.AuthorizationChange{outgrant.Authorized, outgrant.Revoked}, s.changes())
	require.NoError(t, s.client.Revoke(t.Context()), "what is revoked can be revoked again (RFC 7009 2.2)")
	require.NotEmpty(t, s.stored().RefreshToken, "the vault is left as it is")
}

func TestRevokeFails(t *testing.T) {
	t.Parallel()
	s := newSite(t, oauthtest.ServerOptions{}, nil)
	s.browser().open(startURL).requirePage(t, http.StatusOK)
	token := s.stored().RefreshToken.Reveal()
	for name, tc := range map[string]struct {
		answer roundTripper
		says   string
	}{
		"away":    {func(*http.Request) (*http.Response, error) { return nil, errors.New("cannot connect, says " + token) }, "not shown"},
		"refused": {answer(503, "{}"), "answer 503"},
		"quoted":  {answer(400, `{"error":"invalid_request","error_description":"no such token: `+token+`"}`), "invalid_request ((not shown"},
	} {
		t.Run(name, func(t *testing.T) {
			own := *s.cfg
			own.HTTPClient = &http.Client{Transport: tc.answer}
			var told []outgrant.AuthorizationEvent
			own.Cache = &outgrant.CacheOptions{Hooks: &outgrant.Hooks{AuthorizationChanged: func(e outgrant.AuthorizationEvent) { told = append(told, e) }}}
			c, err := authcode.New(&own)
			require.NoError(t, err)
			err = c.Revoke(t.Context())
			require.ErrorContains(t, err, "authcode: the refresh token could not be revoked")
			require.ErrorContains(t, err, tc.says)
			require.ErrorContains(t, err, "MAILBOX")
			require.Len(t, told, 1)
			require.Equal(t, outgrant.Revoked, told[0].Change)
			require.Equal(t, err, told[0].Err)
			oauthtest.AssertNoSecrets(t, []string{token, appSecret}, err, told[0])
		})
	}
}

func answer(status int, body string) roundTripper {
	return func(r *http.Request) (*http.Response, error) {
		return oauthtest.HandlerTransport(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			_, _ = w.Write([]byte(body))
		})).RoundTrip(r)
	}
}

// TestRevokeSendsNothingElsewhere: a refresh token goes to nobody but the one who gave it.
func TestRevokeSendsNothingElsewhere(t *testing.T) {
	t.Parallel()
	s := newSite(t, oauthtest.ServerOptions{}, nil)
	s.browser().open(startURL).requirePage(t, http.StatusOK)
	for name, edit := range map[string]func(*authcode.Config){
		"no address":     func(c *authcode.Config) { c.RevocationURL = "" },
		"another client": func(c *authcode.Config) { c.ClientID = "other" },
		"another service": func(c *authcode.Config) {
			c.TokenURL, c.RevocationURL = "https://evil.test/token", "https://evil.test/revoke"
		},
	} {
		own := *s.cfg
		own.HTTPClient = &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
			t.Errorf("%s: asked %s", name, r.URL)
			return nil, errors.New("no")
		})}
		edit(&own)
		c, err := authcode.New(&own)
		require.NoError(t, err)
		require.NoError(t, c.Revoke(t.Context()))
	}
	require.Equal(t, []outgrant.AuthorizationChange{outgrant.Authorized}, s.changes())
}
