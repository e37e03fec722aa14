package authserver_test

import (
	"context"
	"crypto"
	"crypto/elliptic"
	"encoding/base64"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/internal/peers/peer"
	"github.com/outgrant/outgrant/oauthtest"
	"github.com/outgrant/outgrant/samlbearer"
)

var samlClient = peer.SAMLClient("sb-saml!t1|outgrant", "s3cr:et/+ %&=")

// samlConfig is the configuration of samlClient for users of the identity provider, and the record of its requests.
func samlConfig(t testing.TB, s *peer.AuthServer, idp peer.IdP) (*samlbearer.Config, *peer.Recorder) {
	recorder := &peer.Recorder{Base: s.Transport(t)}
	return &samlbearer.Config{
		Name: "PEER", Target: samlbearer.BTPCloudFoundry(samlClient.ID, outgrant.Secret(samlClient.Secret)), TokenURL: s.TokenURL, ClientKey: samlClient.ID,
		Assertions: samlbearer.Signer{Key: idp.Key, Certificate: idp.Certificate, Issuer: idp.Issuer, Audience: s.Issuer},
		HTTPClient: &http.Client{Transport: recorder},
	}, recorder
}

func newUsers(t testing.TB, cfg *samlbearer.Config) *samlbearer.Client {
	t.Helper()
	users, err := samlbearer.New(cfg)
	require.NoError(t, err)
	return users
}

// tokenOf returns the token of a user, which must be one that the server knows as theirs.
func tokenOf(t testing.TB, s *peer.AuthServer, users *samlbearer.Client, user string) *outgrant.Token {
	t.Helper()
	token, err := users.ForUser(user).Token(t.Context())
	require.NoError(t, err)
	require.Equal(t, user, token.User)
	answer := requireActive(t, s, samlClient, token)
	require.Equal(t, user, answer.Subject)
	return token
}

func TestSAMLBearer(t *testing.T) {
	t.Parallel()
	rsa := peer.NewIdP(t, "rsa", peer.RSAKey())
	p256, p384 := peer.NewIdP(t, "p256", peer.ECKey(t, elliptic.P256())), peer.NewIdP(t, "p384", peer.ECKey(t, elliptic.P384()))
	p521 := peer.NewIdP(t, "p521", peer.ECKey(t, elliptic.P521()))
	s := peer.StartAuthServer(t, peer.AuthServerOptions{
		Clients: []peer.Client{samlClient}, IdPs: []peer.IdP{rsa, p256, p384, p521}, Scopes: []string{"read", "write"},
	})

	for _, test := range []struct {
		name string
		idp  peer.IdP
		hash crypto.Hash
	}{
		{"RSA-SHA256", rsa, crypto.SHA256}, {"RSA-SHA384", rsa, crypto.SHA384}, {"RSA-SHA512", rsa, crypto.SHA512},
		{"ECDSA-SHA256 P-256", p256, crypto.SHA256}, {"ECDSA-SHA384 P-384", p384, crypto.SHA384}, {"ECDSA-SHA512 P-521", p521, crypto.SHA512},
	} {
		for _, omit := range []bool{false, true} {
			t.Run(test.name+map[bool]string{false: "", true: " without certificate"}[omit], func(t *testing.T) {
				t.Parallel()
				cfg, _ := samlConfig(t, s, test.idp)
				signer := cfg.Assertions.(samlbearer.Signer)
				signer.Hash, signer.OmitCertificate = test.hash, omit
				signer.Attributes = map[string][]string{"Groups": {"admins", "users"}, "odd": {"a\r\n\t\"'<&>]]> äöü 😀"}}
				cfg.Assertions = signer
				tokenOf(t, s, newUsers(t, cfg), "alice@example.com")
			})
		}
	}
	t.Run("odd characters in the user", func(t *testing.T) {
		t.Parallel()
		cfg, _ := samlConfig(t, s, rsa)
		users := newUsers(t, cfg)
		// Not U+0085 and U+2028: xmldom takes them for ends of lines, which they are in XML 1.1 alone.
		for _, user := range []string{"a\tb\rc\nd\r\ne", ` "a" 'b' `, "&amp; <i> ]]>", "ÄÖÜß 漢字 😀", "a|b"} {
			tokenOf(t, s, users, user)
		}
	})
	t.Run("scopes", func(t *testing.T) {
		t.Parallel()
		cfg, sent := samlConfig(t, s, rsa)
		cfg.Scopes = []string{"read", "write"}
		token := tokenOf(t, s, newUsers(t, cfg), "alice")
		require.Equal(t, cfg.Scopes, token.Scopes)
		require.Equal(t, "read write", sent.Requests()[0].Form.Get("scope"))
		require.Equal(t, "read write", requireActive(t, s, samlClient, token).Scope)
	})
	t.Run("one token for each user", func(t *testing.T) {
		t.Parallel()
		cfg, sent := samlConfig(t, s, rsa)
		users := newUsers(t, cfg)
		alice, bob := tokenOf(t, s, users, "alice"), tokenOf(t, s, users, "bob")
		require.NotEqual(t, alice.AccessToken.Reveal(), bob.AccessToken.Reveal())
		require.Len(t, sent.Requests(), 2)
		require.Same(t, alice, tokenOf(t, s, users, "alice"))
		require.Same(t, bob, tokenOf(t, s, users, "bob"))
		require.Len(t, sent.Requests(), 2)
	})
	t.Run("the technical user", func(t *testing.T) {
		t.Parallel()
		cfg, _ := samlConfig(t, s, rsa)
		token, err := newUsers(t, cfg).ForTechnicalUser().Token(t.Context())
		require.NoError(t, err)
		require.Equal(t, "rsa", requireActive(t, s, samlClient, token).Subject)
	})
	t.Run("a server with an entity id of its own", func(t *testing.T) {
		t.Parallel()
		const entityID = "subaccount.example-saml2"
		s := peer.StartAuthServer(t, peer.AuthServerOptions{Clients: []peer.Client{samlClient}, IdPs: []peer.IdP{rsa}, SAMLAudience: entityID})
		cfg, sent := samlConfig(t, s, rsa)
		requireAssertionRefused(t, cfg, sent, 400, "invalid_grant")
		signer := cfg.Assertions.(samlbearer.Signer)
		signer.Audience = entityID
		cfg.Assertions = signer
		tokenOf(t, s, newUsers(t, cfg), "alice")
	})
	t.Run("no user", func(t *testing.T) {
		t.Parallel()
		cfg, sent := samlConfig(t, s, rsa)
		_, err := newUsers(t, cfg).ForUser("").Token(t.Context())
		require.ErrorIs(t, err, outgrant.ErrUserRequired)
		require.Empty(t, sent.Requests())
	})
}

func TestSAMLBearerRefused(t *testing.T) {
	t.Parallel()
	idp := peer.NewIdP(t, "idp", peer.RSAKey())
	another := peer.NewIdP(t, "idp", peer.AnotherRSAKey())
	unknown := peer.NewIdP(t, "unknown", peer.AnotherRSAKey())
	s := peer.StartAuthServer(t, peer.AuthServerOptions{Clients: []peer.Client{samlClient}, IdPs: []peer.IdP{idp}, Scopes: []string{"read"}})

	for _, test := range []struct {
		name   string
		change func(*samlbearer.Config, *samlbearer.Signer)
		status int
		code   string
		cause  string // as the server logs it
	}{
		{"another audience", func(_ *samlbearer.Config, s *samlbearer.Signer) { s.Audience += "/another" }, 400, "invalid_grant", "Audience: not this server"},
		{"another recipient", func(_ *samlbearer.Config, s *samlbearer.Signer) { s.Recipient = "https://another.example/oauth/token" }, 400, "invalid_grant", "SubjectConfirmation: none for this recipient"},
		{"another key", func(_ *samlbearer.Config, s *samlbearer.Signer) {
			s.Key, s.Certificate = another.Key, another.Certificate
		}, 400, "invalid_grant", "signature value is wrong"},
		{"another key, no certificate", func(_ *samlbearer.Config, s *samlbearer.Signer) {
			s.Key, s.Certificate, s.OmitCertificate = another.Key, nil, true
		}, 400, "invalid_grant", "signature value is wrong"},
		{"an unknown issuer", func(_ *samlbearer.Config, s *samlbearer.Signer) {
			s.Issuer, s.Key, s.Certificate = unknown.Issuer, unknown.Key, unknown.Certificate
		}, 400, "invalid_grant", "Issuer: unknown"},
		{"standard base64", func(c *samlbearer.Config, s *samlbearer.Signer) {
			c.Target.Encoding = samlbearer.Base64
			s.Attributes = map[string][]string{"odd": {"???>>>~~~"}}
		}, 400, "invalid_grant", "not base64url"},
		{"a response", func(c *samlbearer.Config, _ *samlbearer.Signer) { c.Target.ResponseWrapper = true }, 400, "invalid_grant", "the root is no assertion"},
		{"an unknown scope", func(c *samlbearer.Config, _ *samlbearer.Signer) { c.Scopes = []string{"admin"} }, 400, "invalid_scope", "not a scope of this server"},
		{"a wrong secret", func(c *samlbearer.Config, _ *samlbearer.Signer) { c.Target.Password = "not/the secret+at&all%" }, 401, "invalid_client", "invalid secret"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			cfg, sent := samlConfig(t, s, idp)
			signer := cfg.Assertions.(samlbearer.Signer)
			test.change(cfg, &signer)
			cfg.Assertions = signer
			requireAssertionRefused(t, cfg, sent, test.status, test.code)
			s.AwaitLog(t, test.cause)
		})
	}
	t.Run("expired", func(t *testing.T) {
		t.Parallel()
		cfg, sent := samlConfig(t, s, idp)
		signer := cfg.Assertions.(samlbearer.Signer)
		signer.Recipient = s.TokenURL
		var old []byte
		synctest.Test(t, func(t *testing.T) { // in the year 2000
			var err error
			old, err = signer.Assertion(t.Context(), "alice")
			require.NoError(t, err)
		})
		cfg.Assertions = assertions(func(context.Context, string) ([]byte, error) { return old, nil })
		requireAssertionRefused(t, cfg, sent, 400, "invalid_grant")
		s.AwaitLog(t, "Conditions: no longer valid")
	})
	t.Run("replayed", func(t *testing.T) {
		t.Parallel()
		cfg, sent := samlConfig(t, s, idp)
		signer := cfg.Assertions.(samlbearer.Signer)
		signer.Recipient = s.TokenURL
		once, err := signer.Assertion(t.Context(), "alice")
		require.NoError(t, err)
		cfg.Assertions = assertions(func(context.Context, string) ([]byte, error) { return once, nil })
		tokenOf(t, s, newUsers(t, cfg), "alice")
		requireAssertionRefused(t, cfg, sent, 400, "invalid_grant")
		s.AwaitLog(t, "ID: replayed")
	})
}

// assertions is a function as a [samlbearer.AssertionSource].
type assertions func(context.Context, string) ([]byte, error)

func (f assertions) Assertion(ctx context.Context, user string) ([]byte, error) { return f(ctx, user) }

// requireAssertionRefused requires that a new client is refused, by an error that tells nothing of the assertion.
func requireAssertionRefused(t testing.TB, cfg *samlbearer.Config, sent *peer.Recorder, status int, code string) {
	t.Helper()
	users := newUsers(t, cfg)
	_, err := users.ForUser("alice").Token(t.Context())
	refused := requireRefused(t, err, status, code)
	require.Equal(t, outgrant.SAMLBearer, refused.Grant)
	require.Equal(t, "PEER", refused.Credential)
	require.False(t, refused.Temporary())

	requests := sent.Requests()
	require.NotEmpty(t, requests)
	encoded := requests[len(requests)-1].Form.Get("assertion")
	require.NotEmpty(t, encoded)
	encoding := base64.RawURLEncoding
	if cfg.Target.Encoding == samlbearer.Base64 {
		encoding = base64.StdEncoding
	}
	xml, cannot := encoding.DecodeString(encoded)
	require.NoError(t, cannot)
	oauthtest.AssertNoSecrets(t, []string{encoded, string(xml), cfg.Target.Password.Reveal()}, err, users, cfg)
}

// A token ends, and a fresh assertion renews it: the server would refuse the last one.
func TestSAMLBearerRenewal(t *testing.T) {
	t.Parallel()
	idp := peer.NewIdP(t, "idp", peer.RSAKey())
	s := peer.StartAuthServer(t, peer.AuthServerOptions{Clients: []peer.Client{samlClient}, IdPs: []peer.IdP{idp}, TokenLifetime: 4 * time.Second})
	cfg, sent := samlConfig(t, s, idp)
	users := newUsers(t, cfg)

	alice, bob := tokenOf(t, s, users, "alice"), tokenOf(t, s, users, "bob")
	<-time.After(time.Until(bob.Expiry))
	require.Eventually(t, func() bool { // the two clocks differ by up to a second
		answer, err := s.Introspection().Ask(t.Context(), bob.AccessToken.Reveal())
		return err == nil && !answer.Active
	}, 5*time.Second, 100*time.Millisecond)
	renewed := tokenOf(t, s, users, "alice")
	require.NotEqual(t, alice.AccessToken.Reveal(), renewed.AccessToken.Reveal())
	require.Len(t, sent.Requests(), 3, "bob is asked for when he calls again")
	require.NotEqual(t, bob.AccessToken.Reveal(), tokenOf(t, s, users, "bob").AccessToken.Reveal())
	require.Len(t, sent.Requests(), 4)
	seen := map[string]bool{}
	for _, r := range sent.Requests() {
		require.False(t, seen[r.Form.Get("assertion")], "an assertion was sent twice")
		seen[r.Form.Get("assertion")] = true
	}
}
