package authserver_test

import (
	"net/http"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/internal/peers/peer"
	"github.com/outgrant/outgrant/oauthtest"
)

// XSUAA's client ids and secrets have characters that HTTP Basic must not carry as they are.
var secretClient = peer.SecretClient("sb-peers!t1|outgrant", "s3cr:et/+ %&=")

// roundTrip is a function as an [http.RoundTripper].
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

func TestClientSecret(t *testing.T) {
	t.Parallel()
	s := peer.StartAuthServer(t, peer.AuthServerOptions{Clients: []peer.Client{secretClient}})

	t.Run("basic", func(t *testing.T) {
		t.Parallel()
		cfg, sent := configFor(t, s, secretClient)
		cfg.ClientSecret = outgrant.Secret(secretClient.Secret)
		token, err := newSource(t, cfg).Token(t.Context())
		require.NoError(t, err)
		requireActive(t, s, secretClient, token)
		require.Len(t, sent.Requests(), 1)
		require.NotEmpty(t, sent.Requests()[0].Header.Get("Authorization"))
		require.Equal(t, url.Values{"grant_type": {"client_credentials"}}, sent.Requests()[0].Form)
	})
	t.Run("basic, and the server would notice a secret that is not form-urlencoded", func(t *testing.T) {
		t.Parallel()
		cfg, _ := configFor(t, s, secretClient)
		cfg.ClientSecret = outgrant.Secret(secretClient.Secret)
		base := cfg.HTTPClient.Transport
		cfg.HTTPClient.Transport = roundTrip(func(req *http.Request) (*http.Response, error) {
			req = req.Clone(req.Context())
			req.SetBasicAuth(secretClient.ID, secretClient.Secret)
			return base.RoundTrip(req)
		})
		_, err := newSource(t, cfg).Token(t.Context())
		requireRefused(t, err, http.StatusBadRequest, "invalid_request")
	})
	t.Run("post", func(t *testing.T) {
		t.Parallel()
		cfg, sent := configFor(t, s, secretClient)
		cfg.Auth, cfg.ClientSecret = outgrant.ClientSecretPost, outgrant.Secret(secretClient.Secret)
		token, err := newSource(t, cfg).Token(t.Context())
		require.NoError(t, err)
		requireActive(t, s, secretClient, token)
		require.Len(t, sent.Requests(), 1)
		require.Empty(t, sent.Requests()[0].Header.Get("Authorization"))
		require.Equal(t, secretClient.Secret, sent.Requests()[0].Form.Get("client_secret"))
	})
	for _, method := range []outgrant.AuthMethod{outgrant.ClientSecretBasic, outgrant.ClientSecretPost} {
		t.Run("wrong, by "+method.String(), func(t *testing.T) {
			t.Parallel()
			const wrong = "not/the secret+at&all%"
			cfg, _ := configFor(t, s, secretClient)
			cfg.Auth, cfg.ClientSecret = method, wrong
			source := newSource(t, cfg)
			_, err := source.Token(t.Context())
			refused := requireRefused(t, err, http.StatusUnauthorized, "invalid_client")
			require.Equal(t, s.TokenURL, refused.TokenURL)
			require.Equal(t, "PEER", refused.Credential)
			require.False(t, refused.Temporary())
			oauthtest.AssertNoSecrets(t, []string{wrong}, err, source, cfg, source.Health())
		})
	}
}
