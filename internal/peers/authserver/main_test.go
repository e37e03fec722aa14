// Package authserver_test tests client credentials and SAML bearer assertions against oidc-provider, a strict token service.
package authserver_test

import (
	"errors"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/clientcredentials"
	"github.com/outgrant/outgrant/internal/leakcheck"
	"github.com/outgrant/outgrant/internal/peers/peer"
)

func TestMain(m *testing.M) { leakcheck.Main(m) }

// configFor is the configuration of a client, without what it authenticates with, and the record of its requests.
func configFor(t testing.TB, s *peer.AuthServer, c peer.Client) (*clientcredentials.Config, *peer.Recorder) {
	recorder := &peer.Recorder{Base: s.Transport(t)}
	return &clientcredentials.Config{
		Name: "PEER", TokenURL: s.TokenURL, ClientID: c.ID, HTTPClient: &http.Client{Transport: recorder},
	}, recorder
}

func newSource(t testing.TB, cfg *clientcredentials.Config) *outgrant.CachedSource {
	t.Helper()
	source, err := clientcredentials.New(cfg)
	require.NoError(t, err)
	return source
}

// another drops the source's token, if it is the last one, and returns the next.
func another(t testing.TB, source *outgrant.CachedSource, last *outgrant.Token) *outgrant.Token {
	t.Helper()
	source.Invalidate(last)
	next, err := source.Token(t.Context())
	require.NoError(t, err)
	if last != nil {
		require.NotEqual(t, last.AccessToken.Reveal(), next.AccessToken.Reveal(), "the same token came again")
	}
	return next
}

// requireRefused requires that the token service answered, and with what.
func requireRefused(t testing.TB, err error, status int, code string) *outgrant.TokenError {
	t.Helper()
	var refused *outgrant.TokenError
	require.True(t, errors.As(err, &refused), "%v", err)
	require.Equal(t, status, refused.StatusCode, "%v", err)
	require.Equal(t, code, refused.Code, "%v", err)
	return refused
}

// requireActive requires that the token service knows the token as one of the client's.
func requireActive(t testing.TB, s *peer.AuthServer, c peer.Client, token *outgrant.Token) *peer.Answer {
	t.Helper()
	answer, err := s.Introspection().Ask(t.Context(), token.AccessToken.Reveal())
	require.NoError(t, err)
	require.True(t, answer.Active)
	require.Equal(t, c.ID, answer.ClientID)
	return answer
}
