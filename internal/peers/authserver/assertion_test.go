package authserver_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"io"
	"net/http"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/internal/peers/peer"
)

func TestPrivateKeyJWT(t *testing.T) {
	t.Parallel()
	keys := peer.SigningKeys(t)
	clients := map[string]peer.Client{}
	var all []peer.Client
	for algorithm, key := range keys {
		clients[algorithm] = peer.KeyClient("key-"+algorithm, algorithm, "k1", key.Public())
		all = append(all, clients[algorithm])
	}
	s := peer.StartAuthServer(t, peer.AuthServerOptions{Clients: all})

	for algorithm, key := range keys {
		t.Run(algorithm, func(t *testing.T) {
			t.Parallel()
			cfg, sent := configFor(t, s, clients[algorithm])
			cfg.Auth, cfg.Key, cfg.KeyID, cfg.Algorithm = outgrant.PrivateKeyJWT, key, "k1", algorithm
			source := newSource(t, cfg)
			var token *outgrant.Token
			for range 5 {
				token = another(t, source, token)
				requireActive(t, s, clients[algorithm], token)
			}
			seen := map[string]bool{}
			for _, r := range sent.Requests() {
				claims := claimsOf(t, r.Form.Get("client_assertion"), jose.SignatureAlgorithm(algorithm), key.Public())
				require.Equal(t, jwt.Audience{s.TokenURL}, claims.Audience)
				require.False(t, seen[claims.ID], "jti %s came twice", claims.ID)
				seen[claims.ID] = true
			}
			require.Len(t, seen, 5, "one assertion for each request")
		})
	}
	t.Run("the issuer as the audience", func(t *testing.T) {
		t.Parallel()
		cfg, _ := configFor(t, s, clients["ES256"])
		cfg.Auth, cfg.Key, cfg.AssertionAudience = outgrant.PrivateKeyJWT, keys["ES256"], s.Issuer
		_, err := newSource(t, cfg).Token(t.Context())
		require.NoError(t, err)
	})
	t.Run("another audience", func(t *testing.T) {
		t.Parallel()
		cfg, _ := configFor(t, s, clients["ES256"])
		cfg.Auth, cfg.Key, cfg.AssertionAudience = outgrant.PrivateKeyJWT, keys["ES256"], "https://another.example"
		_, err := newSource(t, cfg).Token(t.Context())
		requireRefused(t, err, http.StatusUnauthorized, "invalid_client")
		s.AwaitLog(t, "audience (aud) must equal")
	})
	t.Run("another key", func(t *testing.T) {
		t.Parallel()
		stranger, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		require.NoError(t, err)
		cfg, _ := configFor(t, s, clients["ES256"])
		cfg.Auth, cfg.Key = outgrant.PrivateKeyJWT, stranger
		_, err = newSource(t, cfg).Token(t.Context())
		requireRefused(t, err, http.StatusUnauthorized, "invalid_client")
		s.AwaitLog(t, "key-ES256 invalid_client - signature verification failed")
	})
	t.Run("PS256, and the server would notice another salt", func(t *testing.T) {
		t.Parallel()
		cfg, _ := configFor(t, s, clients["PS256"])
		cfg.Auth, cfg.Key, cfg.Algorithm = outgrant.PrivateKeyJWT, longSalt{keys["PS256"]}, "PS256"
		_, err := newSource(t, cfg).Token(t.Context())
		requireRefused(t, err, http.StatusUnauthorized, "invalid_client")
		s.AwaitLog(t, "key-PS256 invalid_client - signature verification failed")
	})
	t.Run("replayed", func(t *testing.T) {
		t.Parallel()
		cfg, sent := configFor(t, s, clients["RS256"])
		cfg.Auth, cfg.Key = outgrant.PrivateKeyJWT, keys["RS256"]
		_, err := newSource(t, cfg).Token(t.Context())
		require.NoError(t, err)
		require.Len(t, sent.Requests(), 1)

		client := &http.Client{Transport: s.Transport(t)}
		resp, err := client.PostForm(s.TokenURL, sent.Requests()[0].Form)
		require.NoError(t, err)
		defer resp.Body.Close()
		var answer struct{ Error string }
		require.NoError(t, json.NewDecoder(resp.Body).Decode(&answer))
		require.Equal(t, http.StatusUnauthorized, resp.StatusCode)
		require.Equal(t, "invalid_client", answer.Error)
		s.AwaitLog(t, "client assertion tokens must only be used once")
	})
	t.Run("each retry has an assertion of its own", func(t *testing.T) {
		t.Parallel()
		cfg, sent := configFor(t, s, clients["RS256"])
		good := outgrant.ClientAuth{Method: outgrant.PrivateKeyJWT, Key: keys["RS256"]}
		current := good
		cfg.ClientAuth = func(context.Context) (outgrant.ClientAuth, error) { return current, nil }
		source := newSource(t, cfg)
		token := another(t, source, nil)

		stranger, err := rsa.GenerateKey(rand.Reader, 2048)
		require.NoError(t, err)
		current.Key = stranger // not yet known to the server: refused, then the known key is tried
		token = another(t, source, token)
		requireActive(t, s, clients["RS256"], token)
		require.Len(t, sent.Requests(), 3)
	})
}

// longSalt makes PSS signatures whose salt is as long as fits, as crypto/rsa does unless it is told otherwise.
type longSalt struct{ key crypto.Signer }

func (s longSalt) Public() crypto.PublicKey { return s.key.Public() }

func (s longSalt) Sign(random io.Reader, digest []byte, _ crypto.SignerOpts) ([]byte, error) {
	return s.key.Sign(random, digest, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthAuto, Hash: crypto.SHA256})
}

// claimsOf verifies a JWT and returns its claims.
func claimsOf(t testing.TB, text string, algorithm jose.SignatureAlgorithm, key any) jwt.Claims {
	t.Helper()
	token, err := jwt.ParseSigned(text, []jose.SignatureAlgorithm{algorithm})
	require.NoError(t, err)
	var claims jwt.Claims
	require.NoError(t, token.Claims(key, &claims))
	return claims
}
