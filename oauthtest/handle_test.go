package oauthtest_test

import (
	"errors"
	"fmt"
	"net/url"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant/oauthtest"
)

const customGrant = "urn:acme:grant"

// custom is a request of the client "client-1" for the custom grant.
func custom(params ...string) *wire {
	return tokenRequest(append([]string{"grant_type", customGrant}, params...)...).as("client-1", "secret-1")
}

func TestHandle(t *testing.T) {
	t.Parallel()
	s := inMemory(t, registeredOptions)
	custom().refused(t, s, 400, "unsupported_grant_type", customGrant)
	var seen *oauthtest.GrantRequest
	s.Handle(customGrant, func(r *oauthtest.GrantRequest) (*oauthtest.Granted, error) {
		seen = r
		return &oauthtest.Granted{User: "bob", Lifetime: 90 * time.Second, Extra: map[string]any{"instance_url": "https://a.test", "n": 1,
			"access_token": "not this", "token_type": "nor this", "expires_in": "nor this", "scope": "but this"}}, nil
	})
	r := custom("assertion", "a&b=c").granted(t, s)
	require.Equal(t, "client-1", seen.Client.ID)
	require.Equal(t, url.Values{"grant_type": {customGrant}, "assertion": {"a&b=c"}}, seen.Params)
	require.Nil(t, seen.Scopes)
	require.True(t, live(s, r))
	require.Equal(t, "Bearer", r.text("token_type"))
	require.Equal(t, 90.0, r.members["expires_in"])
	require.Equal(t, "https://a.test", r.text("instance_url"))
	require.Equal(t, 1.0, r.members["n"])
	require.Equal(t, "but this", r.text("scope"))

	r = custom("scope", "read write").granted(t, s)
	require.Equal(t, []string{"read", "write"}, seen.Scopes)
	require.Equal(t, "read write", r.text("scope"), "the default is what was asked for")

	seen = nil
	custom("scope", "other").refused(t, s, 400, "invalid_scope", "other")
	custom("resource", "api").refused(t, s, 400, "invalid_target", "absolute")
	custom().as("client-1", "wrong").refused(t, s, 401, "invalid_client", "secret")
	custom().as("reader", "secret-3").refused(t, s, 400, "unauthorized_client", customGrant)
	require.Nil(t, seen, "handlers are asked only what is well-formed and allowed")
}

func TestHandleReplacesAGrant(t *testing.T) {
	t.Parallel()
	s := inMemory(t, oauthtest.ServerOptions{})
	s.Handle("client_credentials", func(*oauthtest.GrantRequest) (*oauthtest.Granted, error) {
		return nil, &oauthtest.Error{Code: "access_denied"}
	})
	clientCredentials().refused(t, s, 400, "access_denied", "")
}

func TestHandleErrors(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name    string
		granted *oauthtest.Granted
		err     error
		status  int
		code    string
		why     string
	}{
		{"Error", nil, &oauthtest.Error{Code: "invalid_grant", Description: "no"}, 400, "invalid_grant", "no"},
		{"Error with a status", nil, &oauthtest.Error{Status: 403, Code: "access_denied", Description: "no"}, 403, "access_denied", "no"},
		{"Error with a status that is none", nil, &oauthtest.Error{Status: 200, Code: "access_denied"}, 400, "access_denied", ""},
		{"Error about the client", nil, &oauthtest.Error{Code: "invalid_client"}, 401, "invalid_client", ""},
		{"Error that is wrapped", nil, fmt.Errorf("outer: %w", &oauthtest.Error{Code: "invalid_grant", Description: "inner"}), 400, "invalid_grant", "inner"},
		{"another error", nil, errors.New("the disk is full"), 500, "server_error", "the disk is full"},
		{"Error with Members that have no JSON form", nil, &oauthtest.Error{Members: map[string]any{"x": func() {}}}, 500, "server_error", "Members cannot be encoded"},
		{"nothing", nil, nil, 500, "server_error", "neither a grant nor an error"},
		{"Extra that has no JSON form", &oauthtest.Granted{Extra: map[string]any{"x": func() {}}}, nil, 500, "server_error", "cannot be encoded"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			s := inMemory(t, registeredOptions)
			s.Handle(customGrant, func(*oauthtest.GrantRequest) (*oauthtest.Granted, error) { return tc.granted, tc.err })
			custom().refused(t, s, tc.status, tc.code, tc.why)
		})
	}
	require.Equal(t, "invalid_grant: no", (&oauthtest.Error{Code: "invalid_grant", Description: "no"}).Error())
}

// TestHandleErrorInAnotherShape answers as a service that knows nothing of RFC 6749 5.2.
func TestHandleErrorInAnotherShape(t *testing.T) {
	t.Parallel()
	s := inMemory(t, registeredOptions)
	always := &oauthtest.Error{Status: 403, Code: "invalid_grant", Description: "no", Members: map[string]any{"errorMessage": "no", "expires_in": 1}}
	s.Handle(customGrant, func(*oauthtest.GrantRequest) (*oauthtest.Granted, error) { return nil, always })
	s.Inject(oauthtest.OddExpiresIn(""))
	for _, want := range []map[string]any{{"errorMessage": "no"}, {"errorMessage": "no", "expires_in": 1.0}} { // the fault's answer is its own
		r := custom().send(t, s)
		require.Equal(t, 403, r.status)
		require.Equal(t, want, r.members)
	}
	always.Status, always.Members = 0, map[string]any{}
	r := custom().send(t, s)
	require.Equal(t, 400, r.status)
	require.Empty(t, r.members)
}

// TestAlias asks at the addresses that XSUAA has.
func TestAlias(t *testing.T) {
	t.Parallel()
	both(t, registeredOptions, func(t *testing.T, s *oauthtest.Server) {
		asked := make(chan string, 1)
		s.Handle(customGrant, func(r *oauthtest.GrantRequest) (*oauthtest.Granted, error) {
			asked <- r.URL
			return &oauthtest.Granted{}, nil
		})
		for path, want := range map[string]string{
			"": "", "?x=1": "", "/alias/acme.aws-live-eu10": "/alias/acme.aws-live-eu10", "/alias/a%20b?x=1": "/alias/a%20b",
			"/alias": "404", "/alias/": "404", "/alias/a/b": "404", "/alias/a%2Fb": "404", "/other/a": "404",
		} {
			req := custom().request(t, s)
			u, err := url.Parse(s.TokenURL() + path)
			require.NoError(t, err)
			req.URL = u
			resp, err := s.Client().Do(req)
			require.NoError(t, err)
			if want == "404" {
				require.NoError(t, resp.Body.Close())
				require.Equal(t, 404, resp.StatusCode, path)
				continue
			}
			require.Equal(t, 200, resp.StatusCode, path)
			require.NotEmpty(t, decode(t, resp).text("access_token"))
			require.Equal(t, s.TokenURL()+want, <-asked)
		}
	})
}

func TestHandleMayKeepWhatItGrants(t *testing.T) {
	t.Parallel()
	s := inMemory(t, registeredOptions)
	always := &oauthtest.Granted{RefreshToken: true}
	s.Handle(customGrant, func(*oauthtest.GrantRequest) (*oauthtest.Granted, error) { return always, nil })
	require.Equal(t, "read", custom("scope", "read").granted(t, s).text("scope"))
	require.Equal(t, "write", custom("scope", "write").granted(t, s).text("scope"))
	require.Nil(t, always.Scopes)
}

func TestHandleRefreshToken(t *testing.T) {
	t.Parallel()
	s := inMemory(t, registeredOptions)
	s.Handle(customGrant, func(*oauthtest.GrantRequest) (*oauthtest.Granted, error) {
		return &oauthtest.Granted{User: "bob", RefreshToken: true, Scopes: []string{"read"}}, nil
	})
	first, other := custom().granted(t, s), custom().granted(t, s)
	again := func(r reply) *wire {
		return tokenRequest("grant_type", "refresh_token", "refresh_token", r.text("refresh_token")).as("client-1", "secret-1")
	}
	second := again(first).granted(t, s)
	require.Equal(t, "read", second.text("scope"))
	again(first).refused(t, s, 400, "invalid_grant", "family")
	require.False(t, live(s, first))
	require.False(t, live(s, second))
	require.True(t, live(s, other))
	again(other).granted(t, s)
}

func TestHandleSameToken(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := inMemory(t, registeredOptions)
		s.Handle(customGrant, func(r *oauthtest.GrantRequest) (*oauthtest.Granted, error) {
			return &oauthtest.Granted{User: r.Params.Get("user"), SameToken: true}, nil
		})
		first := custom("user", "bob").granted(t, s)
		time.Sleep(10 * time.Minute)
		same, others := custom("user", "bob").granted(t, s), custom("user", "carol").granted(t, s)
		require.Equal(t, first.text("access_token"), same.text("access_token"))
		require.Equal(t, 3000.0, same.members["expires_in"])
		require.NotEqual(t, first.text("access_token"), others.text("access_token"), "each user has their own")
		time.Sleep(50 * time.Minute)
		require.NotEqual(t, first.text("access_token"), custom("user", "bob").granted(t, s).text("access_token"))
	})
}
