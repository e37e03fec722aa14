package authserver_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/internal/peers/peer"
)

func TestReceiver(t *testing.T) {
	t.Parallel()
	// The server counts whole seconds, so a token ends up to one before the server says: that is well after its refresh.
	s := peer.StartAuthServer(t, peer.AuthServerOptions{Clients: []peer.Client{secretClient}, TokenLifetime: 4 * time.Second})
	prepare := func(t *testing.T) (*http.Client, *outgrant.CachedSource, *peer.Recorder, *peer.Receiver) {
		cfg, sent := configFor(t, s, secretClient)
		cfg.ClientSecret = outgrant.Secret(secretClient.Secret)
		source := newSource(t, cfg)
		client := &http.Client{Transport: &outgrant.Transport{Source: source, Base: s.Transport(t)}}
		return client, source, sent, peer.StartReceiver(t, s.Introspection(), s.PKI)
	}

	t.Run("busy while tokens end", func(t *testing.T) {
		t.Parallel()
		client, source, _, receiver := prepare(t)
		seen := map[string]bool{}
		for len(seen) < 4 {
			require.Equal(t, http.StatusOK, get(t, client, receiver.URL))
			token, err := source.Token(t.Context())
			require.NoError(t, err)
			seen[token.AccessToken.Reveal()] = true
		}
		require.Zero(t, receiver.Refused.Load(), "no token was used after its end")
		t.Logf("%d calls, all accepted at once", receiver.Accepted.Load())
	})
	t.Run("idle while a token ends", func(t *testing.T) {
		t.Parallel()
		client, source, sent, receiver := prepare(t)
		require.Equal(t, http.StatusOK, get(t, client, receiver.URL))
		token, err := source.Token(t.Context())
		require.NoError(t, err)
		<-time.After(time.Until(token.Expiry))
		require.Equal(t, http.StatusOK, get(t, client, receiver.URL))
		require.Zero(t, receiver.Refused.Load())
		require.Len(t, sent.Requests(), 2)
	})
	t.Run("the token is revoked", func(t *testing.T) {
		t.Parallel()
		client, source, sent, receiver := prepare(t)
		require.Equal(t, http.StatusOK, get(t, client, receiver.URL))
		token, err := source.Token(t.Context())
		require.NoError(t, err)
		s.Revoke(t, secretClient, token.AccessToken.Reveal())
		require.Equal(t, http.StatusOK, get(t, client, receiver.URL))
		require.EqualValues(t, 1, receiver.Refused.Load())
		require.Len(t, sent.Requests(), 2)
	})
}
