package soap_test

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/adapters/successfactors"
	"github.com/outgrant/outgrant/internal/peers/peer"
	"github.com/outgrant/outgrant/oauthtest"
)

func TestSOAP(t *testing.T) {
	t.Parallel()
	idp := peer.NewIdP(t, "idp", peer.RSAKey())
	s := peer.StartAuthServer(t, peer.AuthServerOptions{Clients: []peer.Client{client}, IdPs: []peer.IdP{idp}})
	receiver := peer.StartSOAPReceiver(t, s)
	prepare := func(t *testing.T) (caller, *peer.Recorder, outgrant.UserSource) {
		tokens := &peer.Recorder{Base: s.Transport(t)}
		users := newUsers(t, s, idp, tokens)
		return newCaller(t, users, s, receiver), tokens, users
	}

	t.Run("as each user", func(t *testing.T) {
		t.Parallel()
		c, tokens, _ := prepare(t)
		for range 2 {
			for _, user := range []string{"alice", "bob", "Jörg <ö&ü> 😀"} {
				c.requireCalledBy(t, user)
			}
		}
		require.Equal(t, []int{200, 200, 200, 200, 200, 200}, c.answers.take())
		require.Len(t, tokens.Requests(), 3)
	})
	t.Run("the token is revoked", func(t *testing.T) {
		t.Parallel()
		c, tokens, users := prepare(t)
		c.requireCalledBy(t, "alice")
		token, err := users.ForUser("alice").Token(t.Context())
		require.NoError(t, err)
		s.Revoke(t, client, token.AccessToken.Reveal())
		c.requireCalledBy(t, "alice")
		require.Equal(t, []int{200, 401, 200}, c.answers.take())
		require.Len(t, tokens.Requests(), 2)
	})
	t.Run("a fault", func(t *testing.T) {
		t.Parallel()
		c, tokens, users := prepare(t)
		resp, err := c.post(t, "alice", "DROP &lt;User&gt;")
		require.NoError(t, err)
		defer resp.Body.Close()
		require.Equal(t, http.StatusInternalServerError, resp.StatusCode)
		err = successfactors.ErrorOf(resp)
		fault, ok := errors.AsType[*successfactors.Fault](err)
		require.True(t, ok, "%v", err)
		require.Equal(t, successfactors.Fault{
			Host: resp.Request.URL.Host, StatusCode: 500, Code: "INVALID_SFQL", Message: "cannot read: DROP <User>", FaultCode: "soap:Client",
		}, *fault)
		text, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		require.Contains(t, string(text), "</soap:Envelope>", "the caller still reads all of it")
		require.Equal(t, []int{500}, c.answers.take())
		require.Len(t, tokens.Requests(), 1)
		token, err := users.ForUser("alice").Token(t.Context())
		require.NoError(t, err)
		oauthtest.AssertNoSecrets(t, []string{token.AccessToken.Reveal()}, fault, c.Transport)
	})
	t.Run("tokens that the receiver does not know", func(t *testing.T) {
		t.Parallel()
		elsewhere := peer.StartAuthServer(t, peer.AuthServerOptions{Clients: []peer.Client{client}, IdPs: []peer.IdP{idp}})
		users := newUsers(t, elsewhere, idp, elsewhere.Transport(t))
		c := newCaller(t, users, s, receiver)
		requireRefused(t, c)
		require.Equal(t, []int{401, 401}, c.answers.take(), "a new token is tried once")
	})
	t.Run("a token that nobody issued", func(t *testing.T) {
		t.Parallel()
		c := newCaller(t, static("never-valid-at-all"), s, receiver)
		requireRefused(t, c)
		require.Equal(t, []int{401}, c.answers.take(), "there is no other token to try")
	})
	t.Run("the token service refuses the user", func(t *testing.T) {
		t.Parallel()
		tokens := &peer.Recorder{Base: s.Transport(t)}
		users := newUsers(t, s, peer.NewIdP(t, "idp", peer.AnotherRSAKey()), tokens)
		c := newCaller(t, users, s, receiver)
		_, err := c.post(t, "alice", "SELECT id FROM User")
		refused, ok := errors.AsType[*outgrant.TokenError](err)
		require.True(t, ok, "%v", err)
		require.Equal(t, "invalid_grant", refused.Code)
		require.Empty(t, c.answers.take())
		oauthtest.AssertNoSecrets(t, []string{tokens.Requests()[0].Form.Get("assertion")}, err)
	})
	t.Run("no user", func(t *testing.T) {
		t.Parallel()
		c, tokens, _ := prepare(t)
		_, err := c.post(t, "", "SELECT id FROM User")
		require.ErrorIs(t, err, outgrant.ErrUserRequired)
		require.Empty(t, c.answers.take())
		require.Empty(t, tokens.Requests())
	})
}

// static is the one token of all users.
type static outgrant.Secret

func (s static) ForUser(string) outgrant.TokenSource { return outgrant.StaticToken(outgrant.Secret(s)) }

func requireRefused(t testing.TB, c caller) {
	t.Helper()
	resp, err := c.post(t, "alice", "SELECT id FROM User")
	require.NoError(t, err)
	defer resp.Body.Close()
	require.Equal(t, http.StatusUnauthorized, resp.StatusCode)
	fault, ok := errors.AsType[*successfactors.Fault](successfactors.ErrorOf(resp))
	require.True(t, ok)
	require.Equal(t, http.StatusUnauthorized, fault.StatusCode)
}

func TestSOAPExpiredToken(t *testing.T) {
	t.Parallel()
	idp := peer.NewIdP(t, "idp", peer.RSAKey())
	s := peer.StartAuthServer(t, peer.AuthServerOptions{Clients: []peer.Client{client}, IdPs: []peer.IdP{idp}, TokenLifetime: 4 * time.Second})
	receiver := peer.StartSOAPReceiver(t, s)

	t.Run("known", func(t *testing.T) {
		t.Parallel()
		tokens := &peer.Recorder{Base: s.Transport(t)}
		users := newUsers(t, s, idp, tokens)
		c := newCaller(t, users, s, receiver)
		c.requireCalledBy(t, "alice")
		token, err := users.ForUser("alice").Token(t.Context())
		require.NoError(t, err)
		<-time.After(time.Until(token.Expiry))
		c.requireCalledBy(t, "alice")
		require.Equal(t, []int{200, 200}, c.answers.take(), "the token was replaced before anybody saw it")
		require.Len(t, tokens.Requests(), 2)
	})
	// A token service, or a clock, that is wrong: the token ends long before it is said to.
	t.Run("unknown", func(t *testing.T) {
		t.Parallel()
		tokens := &peer.Recorder{Base: longer{s.Transport(t)}}
		users := newUsers(t, s, idp, tokens)
		c := newCaller(t, users, s, receiver)
		c.requireCalledBy(t, "alice")
		token, err := users.ForUser("alice").Token(t.Context())
		require.NoError(t, err)
		require.True(t, token.ValidAt(time.Now().Add(time.Hour)))
		<-time.After(5 * time.Second)
		c.requireCalledBy(t, "alice")
		require.Equal(t, []int{200, 401, 200}, c.answers.take())
		require.Len(t, tokens.Requests(), 2)
	})
}

// longer makes tokens of 4 seconds seem to last for two hours.
type longer struct{ base http.RoundTripper }

func (l longer) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := l.base.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	text = bytes.Replace(text, []byte(`"expires_in":4`), []byte(`"expires_in":7200`), 1)
	resp.Body, resp.ContentLength = io.NopCloser(bytes.NewReader(text)), int64(len(text))
	return resp, nil
}
