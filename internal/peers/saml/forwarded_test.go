package saml_test

import (
	"bytes"
	"context"
	"crypto/elliptic"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/internal/peers/peer"
	"github.com/outgrant/outgrant/oauthtest"
	"github.com/outgrant/outgrant/samlbearer"
)

const more = "http://www.w3.org/2001/04/xmldsig-more#"

var client = peer.SAMLClient("forwarding", "the secret of forwarding")

// usersOf is the client for users whose assertions come from a source, and the record of its requests.
func usersOf(t testing.TB, s *peer.AuthServer, source samlbearer.AssertionSource) (*samlbearer.Client, *peer.Recorder) {
	t.Helper()
	recorder := &peer.Recorder{Base: s.Transport(t)}
	users, err := samlbearer.New(&samlbearer.Config{
		Target: samlbearer.BTPCloudFoundry(client.ID, outgrant.Secret(client.Secret)), TokenURL: s.TokenURL, ClientKey: client.ID,
		Assertions: source, HTTPClient: &http.Client{Transport: recorder},
	})
	require.NoError(t, err)
	return users, recorder
}

// received is an assertion source that checks nothing.
type received func(context.Context, string) ([]byte, error)

func (r received) Assertion(ctx context.Context, user string) ([]byte, error) { return r(ctx, user) }

// Assertions that the software of others made pass, and go out byte for byte; the token service takes them.
func TestForwarded(t *testing.T) {
	t.Parallel()
	rsa := peer.NewIdP(t, "rsa", peer.RSAKey())
	p256, p384 := peer.NewIdP(t, "p256", peer.ECKey(t, elliptic.P256())), peer.NewIdP(t, "p384", peer.ECKey(t, elliptic.P384()))
	p521 := peer.NewIdP(t, "p521", peer.ECKey(t, elliptic.P521()))
	s := peer.StartAuthServer(t, peer.AuthServerOptions{Clients: []peer.Client{client}, IdPs: []peer.IdP{rsa, p256, p384, p521}})
	script := peer.StartScript(t, "node", "saml/issue.mjs")

	for _, test := range []struct {
		name  string
		idp   peer.IdP
		issue issue
	}{
		{"npm saml", rsa, npmSAML(script, nil)},
		{"npm saml with a prefix", rsa, npmSAML(script, map[string]any{"signatureNamespacePrefix": "ds"})},
		{"npm saml in other terms", rsa, npmSAML(script, map[string]any{
			"typedAttributes": false, "includeAttributeNameFormat": false, "sessionIndex": "_session", "inResponseTo": "_request",
			"nameIdentifierFormat": "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress",
		})},
		{"xmlsec1 RSA-SHA256", rsa, xmlsec1Sign(t, more+"rsa-sha256", "http://www.w3.org/2001/04/xmlenc#sha256")},
		{"xmlsec1 RSA-SHA384", rsa, xmlsec1Sign(t, more+"rsa-sha384", more+"sha384")},
		{"xmlsec1 RSA-SHA512", rsa, xmlsec1Sign(t, more+"rsa-sha512", "http://www.w3.org/2001/04/xmlenc#sha512")},
		{"xmlsec1 ECDSA-SHA256 P-256", p256, xmlsec1Sign(t, more+"ecdsa-sha256", "http://www.w3.org/2001/04/xmlenc#sha256")},
		{"xmlsec1 ECDSA-SHA384 P-384", p384, xmlsec1Sign(t, more+"ecdsa-sha384", more+"sha384")},
		{"xmlsec1 ECDSA-SHA512 P-521", p521, xmlsec1Sign(t, more+"ecdsa-sha512", "http://www.w3.org/2001/04/xmlenc#sha512")},
	} {
		for _, user := range []string{"alice@example.com", `Jörg "J" <ö&ü> 'ß' ]]> 漢字 😀`} {
			t.Run(test.name+"/"+user, func(t *testing.T) {
				t.Parallel()
				assertion := test.issue(t, test.idp, user, s.Issuer, s.TokenURL)
				users, sent := usersOf(t, s, samlbearer.Forwarded{
					Received:     func(context.Context, string) ([]byte, error) { return assertion, nil },
					Certificates: []*x509.Certificate{test.idp.Certificate}, Issuer: test.idp.Issuer, Audience: s.Issuer,
				})
				token, err := users.ForUser(user).Token(t.Context())
				require.NoError(t, err, "%s", assertion)
				answer, err := s.Introspection().Ask(t.Context(), token.AccessToken.Reveal())
				require.NoError(t, err)
				require.True(t, answer.Active)
				require.Equal(t, user, answer.Subject)
				require.Len(t, sent.Requests(), 1)
				require.Equal(t, base64.RawURLEncoding.EncodeToString(assertion), sent.Requests()[0].Form.Get("assertion"))
			})
		}
	}
}

// What is spoiled, weak or meant for others goes nowhere; and the token service would not have taken it.
func TestForwardedRefused(t *testing.T) {
	t.Parallel()
	idp := peer.NewIdP(t, "idp", peer.RSAKey())
	another := peer.NewIdP(t, "idp", peer.AnotherRSAKey())
	s := peer.StartAuthServer(t, peer.AuthServerOptions{Clients: []peer.Client{client}, IdPs: []peer.IdP{idp}})
	script := peer.StartScript(t, "node", "saml/issue.mjs")
	npm := npmSAML(script, nil)
	spoiled := func(assertion []byte, old, by string) []byte {
		require.Equal(t, 1, bytes.Count(assertion, []byte(old)))
		return bytes.Replace(assertion, []byte(old), []byte(by), 1)
	}

	for _, test := range []struct {
		name      string
		assertion []byte
	}{
		{"another NameID", spoiled(npm(t, idp, "mallory", s.Issuer, s.TokenURL), ">mallory<", ">alice<")},
		{"another attribute value", spoiled(npm(t, idp, "alice", s.Issuer, s.TokenURL), ">users<", ">root<")},
		{"another key", npm(t, another, "alice", s.Issuer, s.TokenURL)},
		{"another audience", npm(t, idp, "alice", s.Issuer+"/another", s.TokenURL)},
		{"another recipient", npm(t, idp, "alice", s.Issuer, s.TokenURL+"/another")},
		{"expired", npmSAML(script, map[string]any{"lifetimeInSeconds": -600})(t, idp, "alice", s.Issuer, s.TokenURL)},
		{"SHA-1 in the signature", npmSAML(script, map[string]any{"signatureAlgorithm": "rsa-sha1"})(t, idp, "alice", s.Issuer, s.TokenURL)},
		{"SHA-1 in the digest", npmSAML(script, map[string]any{"digestAlgorithm": "sha1"})(t, idp, "alice", s.Issuer, s.TokenURL)},
		{"SHA-1 by xmlsec1", xmlsec1Sign(t, "http://www.w3.org/2000/09/xmldsig#rsa-sha1", "http://www.w3.org/2000/09/xmldsig#sha1")(t, idp, "alice", s.Issuer, s.TokenURL)},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			receive := func(context.Context, string) ([]byte, error) { return test.assertion, nil }
			users, sent := usersOf(t, s, samlbearer.Forwarded{
				Received: receive, Certificates: []*x509.Certificate{idp.Certificate}, Issuer: idp.Issuer, Audience: s.Issuer,
			})
			_, err := users.ForUser("alice").Token(t.Context())
			require.ErrorContains(t, err, "forwarded assertion:")
			require.Empty(t, sent.Requests())
			oauthtest.AssertNoSecrets(t, []string{string(test.assertion)}, err)

			users, _ = usersOf(t, s, received(receive))
			_, err = users.ForUser("alice").Token(t.Context())
			var refused *outgrant.TokenError
			require.True(t, errors.As(err, &refused), "%v", err)
			require.Equal(t, "invalid_grant", refused.Code)
		})
	}
	t.Run("another user", func(t *testing.T) {
		t.Parallel()
		assertion := npm(t, idp, "mallory", s.Issuer, s.TokenURL)
		users, sent := usersOf(t, s, samlbearer.Forwarded{
			Received:     func(context.Context, string) ([]byte, error) { return assertion, nil },
			Certificates: []*x509.Certificate{idp.Certificate}, Issuer: idp.Issuer, Audience: s.Issuer,
		})
		_, err := users.ForUser("alice").Token(t.Context())
		require.ErrorContains(t, err, "forwarded assertion:")
		require.Empty(t, sent.Requests())
	})
}
