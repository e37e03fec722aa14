package oauthtest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// IDTokenKey is the public key that the server's ID tokens are verified with, by ES256. A code whose scope has openid is
// answered with one. It names ServerOptions.User in sub; with the scope profile in preferred_username, too; with the scope
// email in email, too, if there is an @ in it.
func (s *Server) IDTokenKey() crypto.PublicKey {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.signingKey().Public()
}

// signingKey is the key of ID tokens. s.mu is held.
func (s *Server) signingKey() *ecdsa.PrivateKey {
	if s.idKey == nil {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			panic("oauthtest: " + err.Error()) // the random source never fails
		}
		s.idKey = key
	}
	return s.idKey
}

const idTokenLife = 10 * time.Minute

// idToken makes the ID token for a code (OpenID Connect Core 2). s.mu is held.
func (s *Server) idToken(c *code) (string, error) {
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: s.signingKey()}, (&jose.SignerOptions{}).WithType("JWT"))
	if err != nil {
		return "", err
	}
	now := time.Now()
	claims := map[string]any{
		"iss": s.Issuer(), "sub": s.opts.User, "aud": c.client,
		"iat": jwt.NewNumericDate(now), "exp": jwt.NewNumericDate(now.Add(idTokenLife)),
	}
	if c.nonce != "" {
		claims["nonce"] = c.nonce
	}
	if slices.Contains(c.scopes, "profile") {
		claims["preferred_username"] = s.opts.User
	}
	if slices.Contains(c.scopes, "email") && strings.Contains(s.opts.User, "@") {
		claims["email"], claims["email_verified"] = s.opts.User, true
	}
	return jwt.Signed(signer).Claims(claims).Serialize()
}
