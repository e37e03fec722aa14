package oauthtest_test

import (
	"io"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant/oauthtest"
)

func TestProtect(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, stranger := inMemory(t, oauthtest.ServerOptions{}), inMemory(t, oauthtest.ServerOptions{})
		var served int
		receiver := oauthtest.HandlerTransport(s.Protect(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			served++
			_, _ = io.WriteString(w, "hello")
		})))
		call := func(authorization ...string) (int, string) {
			t.Helper()
			before := served
			req, err := http.NewRequest("GET", "https://receiver.test/", nil)
			require.NoError(t, err)
			req.Header["Authorization"] = authorization
			resp, err := receiver.RoundTrip(req)
			require.NoError(t, err)
			require.Equal(t, resp.StatusCode == 200, served == before+1, "only requests that are authorized reach the receiver")
			require.Equal(t, resp.StatusCode != 200, resp.Header.Get("WWW-Authenticate") != "")
			return resp.StatusCode, resp.Header.Get("WWW-Authenticate")
		}
		refused := func(status int, challenge string, authorization ...string) {
			t.Helper()
			gotStatus, gotChallenge := call(authorization...)
			require.Equal(t, status, gotStatus)
			require.Equal(t, challenge, gotChallenge)
		}
		accepted := func(authorization ...string) {
			t.Helper()
			status, _ := call(authorization...)
			require.Equal(t, 200, status)
		}
		const none, invalidToken = `Bearer realm="oauthtest"`, `Bearer realm="oauthtest", error="invalid_token"`

		first := clientCredentials().granted(t, s)
		bearer := "Bearer " + first.text("access_token")
		accepted(bearer)
		accepted("bearer " + first.text("access_token"))
		refused(401, none)
		refused(401, none, "Basic "+base64Of("client-1:secret-1"))
		refused(401, none, first.text("access_token"))
		refused(400, `Bearer realm="oauthtest", error="invalid_request"`, bearer, bearer)
		refused(401, invalidToken, "Bearer")
		refused(401, invalidToken, "Bearer ")
		refused(401, invalidToken, "Bearer x")
		refused(401, invalidToken, bearer+"x")
		refused(401, invalidToken, "Bearer "+clientCredentials().granted(t, stranger).text("access_token"))

		time.Sleep(time.Hour - time.Nanosecond)
		accepted(bearer)
		time.Sleep(time.Nanosecond)
		refused(401, invalidToken, bearer)

		second := clientCredentials().granted(t, s)
		accepted("Bearer " + second.text("access_token"))
		require.True(t, live(s, second))
		s.Revoke()
		refused(401, invalidToken, "Bearer "+second.text("access_token"))
		require.False(t, live(s, second))
		third := clientCredentials().granted(t, s)
		accepted("Bearer " + third.text("access_token"))
		require.False(t, live(s, reply{}))
	})
}

func TestRevokeLeavesRefreshTokens(t *testing.T) {
	t.Parallel()
	s := inMemory(t, registeredOptions)
	first := authorized(t, s, "")
	s.Revoke()
	require.False(t, live(s, first))
	require.True(t, live(s, refresh(first).granted(t, s)))
}
