package authcode_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/authcode"
	"github.com/outgrant/outgrant/oauthtest"
)

// TestSecretsAreNowhere looks for what an authorization has in it, wherever something of it is shown.
func TestSecretsAreNowhere(t *testing.T) {
	t.Parallel()
	s := newBareSite(t, oauthtest.ServerOptions{User: "ops@acme.example"}, func(c *authcode.Config) { c.Scopes = []string{"openid", "email"} })
	var shown []any
	keep := func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			h.ServeHTTP(w, r)
			header := w.Header().Clone()
			if r.URL.Path == "/oauth/authorize" {
				header.Del("Location") // the state is for the provider
			}
			shown = append(shown, header, r.Context())
		})
	}
	s.mux.Handle("/oauth/authorize", keep(s.client.AuthorizeHandler()))
	s.mux.Handle("/oauth/callback", keep(s.client.CallbackHandler(func(w http.ResponseWriter, r *http.Request, err error) {
		shown = append(shown, err, r.Context())
		id, c := authcode.AttemptOf(r)
		shown = append(shown, id, c)
	})))
	b := s.browser()
	first := b.consent(startURL)
	b.open(first)
	second := b.consent(startURL)
	s.service.Inject(oauthtest.Refuse("invalid_grant", "the code "+param(second, "code")))
	b.open(second)
	require.Len(t, shown, 16)
	a := s.stored()
	secrets := secretsOf(first, second)
	for _, r := range s.service.Requests() {
		secrets = append(secrets, r.Params.Get("code_verifier"), r.Params.Get("code"))
	}
	secrets = append(secrets, a.RefreshToken.Reveal(), a.Token.AccessToken.Reveal())
	require.Len(t, secrets, 11)
	for _, e := range s.events {
		shown = append(shown, e)
	}
	shown = append(shown, s.client, *s.cfg, s.cfg, a, &a, authcode.Handlers{}, outgrant.AuthorizationEvent{})
	oauthtest.AssertNoSecrets(t, secrets, shown...)
}
