package oauthtest_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/oauthtest"
)

const jwtBearer = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

// asserted is a request that authenticates by an assertion.
func asserted(assertion string, params ...string) *wire {
	return tokenRequest(append([]string{"grant_type", "client_credentials", "client_assertion_type", jwtBearer, "client_assertion", assertion}, params...)...)
}

// goodClaims are the ones that the server takes.
func goodClaims(s *oauthtest.Server) map[string]any {
	now := time.Now().Unix()
	return map[string]any{"iss": "jwt", "sub": "jwt", "aud": s.TokenURL(), "jti": rand.Text(), "iat": now, "exp": now + 120}
}

func sign(t *testing.T, alg jose.SignatureAlgorithm, key any, claims map[string]any) string {
	t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: key}, (&jose.SignerOptions{}).WithType("JWT"))
	require.NoError(t, err)
	text, err := jwt.Signed(signer).Claims(claims).Serialize()
	require.NoError(t, err)
	return text
}

func ecKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	return key
}

func assertionServer(t *testing.T, key crypto.PublicKey) *oauthtest.Server {
	return inMemory(t, oauthtest.ServerOptions{Clients: []oauthtest.Client{
		{ID: "jwt", Auth: outgrant.PrivateKeyJWT, Key: key}, {ID: "client-1", Secret: "secret-1"},
		{ID: "unfinished", Auth: outgrant.PrivateKeyJWT}, {ID: "jwt-2", Auth: outgrant.PrivateKeyJWT, Key: key},
	}})
}

// TestClientAssertion breaks each rule about assertions once.
func TestClientAssertion(t *testing.T) {
	t.Parallel()
	set := func(name string, value any) func(map[string]any) { return func(c map[string]any) { c[name] = value } }
	for _, tc := range []struct {
		name string
		edit func(claims map[string]any)
		why  string // "": it is fine
	}{
		{"as it should be", func(map[string]any) {}, ""},
		{"aud is the issuer", set("aud", "https://token-service.test"), ""},
		{"aud is a list of one", set("aud", []string{"https://token-service.test/oauth/token"}), ""},
		{"nbf has come", set("nbf", time.Now().Unix()-1), ""},
		{"another iss", set("iss", "client-1"), "iss and sub"},
		{"no iss", set("iss", ""), "iss and sub"},
		{"another sub", set("sub", "client-1"), "iss and sub"},
		{"another aud", set("aud", "https://other.test/oauth/token"), "aud"},
		{"no aud", set("aud", []string{}), "aud"},
		{"aud is the authorization endpoint", set("aud", "https://token-service.test/oauth/authorize"), "aud"},
		{"aud names others too", set("aud", []string{"https://token-service.test/oauth/token", "https://other.test"}), "aud"},
		{"no jti", func(c map[string]any) { delete(c, "jti") }, "jti"},
		{"no exp", func(c map[string]any) { delete(c, "exp") }, "exp"},
		{"no iat", func(c map[string]any) { delete(c, "iat") }, "iat"},
		{"ended", set("exp", time.Now().Unix()-1), "has ended"},
		{"lives too long", set("exp", time.Now().Add(time.Hour).Unix()), "lives too long"},
		{"from the future", func(c map[string]any) {
			c["iat"], c["exp"] = time.Now().Add(5*time.Minute).Unix(), time.Now().Add(6*time.Minute).Unix()
		}, "future"},
		{"not yet", set("nbf", time.Now().Add(2*time.Minute).Unix()), "future"},
		{"exp is a text", set("exp", "tomorrow"), "claims cannot be read"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			key := ecKey(t)
			s := assertionServer(t, key.Public())
			claims := goodClaims(s)
			tc.edit(claims)
			// Signed by the right key. The client_id beside tells the client where sub does not.
			w := asserted(sign(t, jose.ES256, key, claims), "client_id", "jwt")
			anybody := inMemory(t, oauthtest.ServerOptions{})
			if tc.why == "" {
				w.granted(t, s)
				w.granted(t, anybody)
				return
			}
			w.refused(t, s, 401, "invalid_client", tc.why)
			w.refused(t, anybody, 401, "invalid_client", tc.why)
		})
	}
}

func TestClientAssertionSignature(t *testing.T) {
	t.Parallel()
	key := ecKey(t)
	s := assertionServer(t, key.Public())
	encode := base64.RawURLEncoding.EncodeToString
	good := sign(t, jose.ES256, key, goodClaims(s))
	asserted(good).granted(t, s) // sub tells the client

	asserted(sign(t, jose.ES256, ecKey(t), goodClaims(s))).refused(t, s, 401, "invalid_client", "signature is wrong")
	_, edKey, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	asserted(sign(t, jose.EdDSA, edKey, goodClaims(s))).refused(t, s, 401, "invalid_client", "signature is wrong")
	parts := strings.Split(good, ".")
	for name, tampered := range map[string]string{
		"another payload":  parts[0] + "." + encode([]byte(`{"iss":"jwt","sub":"jwt","jti":"x"}`)) + "." + parts[2],
		"alg none":         encode([]byte(`{"alg":"none"}`)) + "." + parts[1] + ".",
		"without it":       parts[0] + "." + parts[1] + ".",
		"not an assertion": "x",
	} {
		r := asserted(tampered, "client_id", "jwt").send(t, s)
		require.Equal(t, "invalid_client", r.text("error"), name)
		require.Equal(t, 401, r.status, name)
	}
	// HS256 with the public key as its secret, the classic confusion.
	public, err := key.PublicKey.Bytes()
	require.NoError(t, err)
	asserted(sign(t, jose.HS256, public, goodClaims(s)), "client_id", "jwt").refused(t, s, 401, "invalid_client", "cannot be read")
	asserted(sign(t, jose.HS256, public, goodClaims(s))).refused(t, s, 401, "invalid_client", "no client authentication")
	anybody := inMemory(t, oauthtest.ServerOptions{})
	asserted(sign(t, jose.HS256, public, goodClaims(anybody)), "client_id", "jwt").refused(t, anybody, 401, "invalid_client", "cannot be read")

	claims := goodClaims(s)
	claims["iss"], claims["sub"] = "unfinished", "unfinished"
	asserted(sign(t, jose.ES256, key, claims)).refused(t, s, 401, "invalid_client", "signature is wrong")
	claims["iss"], claims["sub"] = "client-1", "client-1"
	asserted(sign(t, jose.ES256, key, claims)).refused(t, s, 401, "invalid_client", "by client_secret_basic")
	asserted(sign(t, jose.ES256, key, goodClaims(s)), "client_id", "jwt-2").refused(t, s, 401, "invalid_client", "iss and sub")
}

// TestClientAssertionAtAnAlias: the audience stays the token URL.
func TestClientAssertionAtAnAlias(t *testing.T) {
	t.Parallel()
	key := ecKey(t)
	s := assertionServer(t, key.Public())
	alias := func(aud string) reply {
		claims := goodClaims(s)
		claims["aud"] = aud
		req := asserted(sign(t, jose.ES256, key, claims)).request(t, s)
		req.URL.Path += "/alias/a"
		resp, err := s.Client().Do(req)
		require.NoError(t, err)
		return decode(t, resp)
	}
	require.Equal(t, 200, alias(s.TokenURL()).status)
	require.Contains(t, alias(s.TokenURL()+"/alias/a").text("error_description"), "aud")
}

func TestClientAssertionType(t *testing.T) {
	t.Parallel()
	key := ecKey(t)
	s := assertionServer(t, key.Public())
	good := sign(t, jose.ES256, key, goodClaims(s))
	tokenRequest("grant_type", "client_credentials", "client_assertion", good).refused(t, s, 400, "invalid_request", "client_assertion_type")
	tokenRequest("grant_type", "client_credentials", "client_assertion", good, "client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:saml2-bearer").
		refused(t, s, 400, "invalid_request", "client_assertion_type")
	tokenRequest("grant_type", "client_credentials", "client_assertion_type", jwtBearer, "client_id", "jwt").refused(t, s, 401, "invalid_client", "cannot be read")
	asserted(good).granted(t, s)
}

func TestClientAssertionIsUsedOnce(t *testing.T) {
	t.Parallel()
	key := ecKey(t)
	s := assertionServer(t, key.Public())
	claims := goodClaims(s)
	first := sign(t, jose.ES256, key, claims)
	asserted(first).granted(t, s)
	asserted(first).refused(t, s, 401, "invalid_client", "used before")
	claims["exp"] = time.Now().Unix() + 60
	asserted(sign(t, jose.ES256, key, claims)).refused(t, s, 401, "invalid_client", "used before")
	claims["iss"], claims["sub"] = "jwt-2", "jwt-2"
	asserted(sign(t, jose.ES256, key, claims)).granted(t, s) // each issuer has its own jti
}

func TestClientAssertionEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		key := ecKey(t)
		s := assertionServer(t, key.Public())
		first, second := sign(t, jose.ES256, key, goodClaims(s)), sign(t, jose.ES256, key, goodClaims(s))
		time.Sleep(2*time.Minute - time.Nanosecond)
		asserted(first).granted(t, s)
		time.Sleep(time.Nanosecond)
		asserted(second).refused(t, s, 401, "invalid_client", "ended")
	})
}
