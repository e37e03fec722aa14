package oauthtest_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/oauthtest"
)

// TestNothingPrintsASecret prints every exported type that reaches a secret, in every way.
func TestNothingPrintsASecret(t *testing.T) {
	t.Parallel()
	const secret = "sentinel"
	opts := oauthtest.ServerOptions{InMemory: true, Clients: []oauthtest.Client{{ID: "client-1", Secret: secret}, {ID: "public", Auth: outgrant.None}}}
	s := oauthtest.NewServer(&opts)
	t.Cleanup(s.Close)
	var asked *oauthtest.GrantRequest
	granted := &oauthtest.Granted{User: "bob", Scopes: []string{"read"}, Extra: map[string]any{"id_token": secret}, RefreshToken: true}
	s.Handle(customGrant, func(r *oauthtest.GrantRequest) (*oauthtest.Granted, error) {
		asked = r
		return granted, nil
	})
	fault := oauthtest.Together(oauthtest.Member("id_token", secret), oauthtest.OddExpiresIn(`"sentinel"`))
	deny := oauthtest.Together(oauthtest.Deny("access_denied", secret), oauthtest.OtherIssuer(secret))
	s.Inject(oauthtest.None(), fault, fault)
	code := newCode(t, s, consent())
	consented := exchange(code).granted(t, s)
	w := custom("assertion", secret).as("client-1", secret)
	w.query = "x-key=" + secret
	w.header.Set("X-Key", secret)
	r := w.granted(t, s)
	require.Equal(t, secret, r.text("id_token"))
	broken := custom("client_secret", secret).refused(t, s, 400, "invalid_request", "")

	src := &oauthtest.Source{Script: []oauthtest.Step{{Token: &outgrant.Token{AccessToken: secret}}}}
	token, err := src.Token(t.Context())
	require.NoError(t, err)
	src.Invalidate(token)
	requests := s.Requests()
	require.Len(t, requests, 3)
	secrets := []string{secret, code, consented.text("access_token"), consented.text("refresh_token"), r.text("access_token"), r.text("refresh_token")}
	oauthtest.AssertNoSecrets(t, secrets, s, opts, &opts, opts.Clients[0], &opts.Clients[0], opts.Clients, requests, requests[1], &requests[1],
		requests[2], *asked, asked, *granted, granted, src, src.Script, src.Script[0], &src.Script[0], fault, &fault, oauthtest.Times(2, fault), deny, &deny,
		s.Client(), *s.Client(), s.Client().Transport, broken.members,
		struct{ S *oauthtest.Server }{s}, struct{ s *oauthtest.Server }{s}, &struct{ s *oauthtest.Source }{src},
		struct{ c *http.Client }{s.Client()}, map[string]any{"source": src, "request": requests[1]},
		&oauthtest.Error{Code: "invalid_grant"}, fmt.Errorf("outer: %w", errors.Join(&oauthtest.Error{Code: "invalid_client"})))

	for want, v := range map[string]any{
		"oauthtest.Server(https://token-service.test)":         s,
		`oauthtest.Client("client-1")`:                         opts.Clients[0],
		`oauthtest.Request(urn:acme:grant of "client-1": 200)`: requests[1],
		`oauthtest.Request(urn:acme:grant of "": 400)`:         requests[2],
		`oauthtest.GrantRequest(urn:acme:grant of "client-1")`: asked,
		`oauthtest.Granted("bob", scopes ["read"])`:            granted,
		"oauthtest.Source(1 calls)":                            src,
	} {
		require.Equal(t, want, fmt.Sprintf("%+v", v))
		require.Implements(t, (*fmt.Formatter)(nil), v)
		require.Implements(t, (*fmt.Stringer)(nil), v)
		require.Implements(t, (*slog.LogValuer)(nil), v)
		require.Implements(t, (*json.Marshaler)(nil), v)
	}
}
