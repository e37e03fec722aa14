package oauthtest_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant/oauthtest"
)

// revocation sends a request to the revocation endpoint and returns the status and the body.
func revocation(t *testing.T, s *oauthtest.Server, w *wire) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), w.method, s.RevokeURL(), strings.NewReader(w.body))
	require.NoError(t, err)
	req.URL.RawQuery, req.Header = w.query, w.header.Clone()
	resp, err := s.Client().Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp.StatusCode, string(body)
}

// revoked revokes a token of the client "public", which must succeed.
func revoked(t *testing.T, s *oauthtest.Server, token string, params ...string) {
	t.Helper()
	status, body := revocation(t, s, tokenRequest(append([]string{"client_id", "public", "token", token}, params...)...))
	require.Equal(t, 200, status, body)
	require.Empty(t, body)
}

func TestRevocation(t *testing.T) {
	t.Parallel()
	both(t, registeredOptions, func(t *testing.T, s *oauthtest.Server) {
		first, other := authorized(t, s, ""), authorized(t, s, "")
		second := refresh(first).granted(t, s)
		revoked(t, s, second.text("refresh_token"), "token_type_hint", "refresh_token")
		require.False(t, live(s, first))
		require.False(t, live(s, second))
		refresh(second).refused(t, s, 400, "invalid_grant", "revoked")
		require.Zero(t, s.Reuses(), "it was not used before")
		require.True(t, live(s, other), "another authorization has nothing to do with it")

		revoked(t, s, other.text("access_token"), "token_type_hint", "something else")
		require.False(t, live(s, other))
		refresh(other).granted(t, s) // an access token goes alone

		revoked(t, s, second.text("refresh_token")) // again
		revoked(t, s, "unknown")
		require.Equal(t, 4, s.TokenRequests()-1, "revocations are no token requests")
	})
}

func TestRevocationRefusals(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name   string
		make   func(token string) *wire
		status int
		code   string
	}{
		{"no client", func(token string) *wire { return tokenRequest("token", token) }, 401, "invalid_client"},
		{"wrong secret", func(token string) *wire { return tokenRequest("token", token).as("client-1", "wrong") }, 401, "invalid_client"},
		{"another client", func(token string) *wire { return tokenRequest("token", token).as("client-1", "secret-1") }, 400, "invalid_grant"},
		{"no token", func(string) *wire { return tokenRequest("client_id", "public") }, 400, "invalid_request"},
		{"two tokens", func(token string) *wire { return tokenRequest("client_id", "public", "token", token, "token", token) }, 400, "invalid_request"},
		{"token in the URL", func(token string) *wire {
			w := tokenRequest("client_id", "public", "token", token)
			w.query = "token=" + token
			return w
		}, 400, "invalid_request"},
		{"JSON", func(token string) *wire {
			return &wire{method: "POST", body: `{"client_id":"public","token":"` + token + `"}`, header: http.Header{"Content-Type": {"application/json"}}}
		}, 400, "invalid_request"},
		{"GET", func(token string) *wire {
			return &wire{method: "GET", query: "client_id=public&token=" + token, header: http.Header{}}
		}, 405, "invalid_request"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			s := inMemory(t, registeredOptions)
			first := authorized(t, s, "")
			for _, kind := range []string{"refresh_token", "access_token"} {
				status, body := revocation(t, s, tc.make(first.text(kind)))
				require.Equal(t, tc.status, status)
				require.Contains(t, body, `"error":"`+tc.code+`"`)
			}
			require.True(t, live(s, first))
			refresh(first).granted(t, s)
		})
	}
}
