package oauthtest_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"math/big"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/oauthtest"
)

func base64Of(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

// TestClientAuthentication breaks each rule about how a client authenticates once.
func TestClientAuthentication(t *testing.T) {
	t.Parallel()
	grant := func(params ...string) *wire {
		return tokenRequest(append([]string{"grant_type", "client_credentials"}, params...)...)
	}
	s := inMemory(t, registeredOptions)
	for name, w := range map[string]*wire{
		"Basic":                       grant().as("client-1", "secret-1"),
		"Basic in other case":         grant().authorized("bAsIc " + base64Of("client-1:secret-1")),
		"Basic, form-urlencoded":      grant().as("od:d/+ %&=ü", "s3cr:et/+ %&=ü"),
		"Basic and the client_id too": grant("client_id", "client-1").as("client-1", "secret-1"),
		"in the body":                 grant("client_id", "post", "client_secret", "secret-2"),
	} {
		t.Run(name, func(t *testing.T) { w.granted(t, s) })
	}
	for _, tc := range []struct {
		name   string
		w      *wire
		status int
		code   string
		why    string
	}{
		{"none", grant(), 401, "invalid_client", "no client authentication"},
		{"a secret without client_id", grant("client_secret", "secret-2"), 401, "invalid_client", "no client authentication"},
		{"wrong secret", grant().as("client-1", "secret-2"), 401, "invalid_client", "secret is wrong"},
		{"the secret's beginning", grant().as("client-1", "secret"), 401, "invalid_client", "secret is wrong"},
		{"no secret", grant().as("client-1", ""), 401, "invalid_client", "secret is wrong"},
		{"wrong secret in the body", grant("client_id", "post", "client_secret", "x"), 401, "invalid_client", "secret is wrong"},
		{"unknown client", grant().as("client-9", "secret-1"), 401, "invalid_client", "not registered"},
		{"unknown client in the body", grant("client_id", "client-9", "client_secret", "secret-1"), 401, "invalid_client", "not registered"},
		{"Basic for a client of the body", grant().as("post", "secret-2"), 401, "invalid_client", "by client_secret_post, not by client_secret_basic"},
		{"body for a client of Basic", grant("client_id", "client-1", "client_secret", "secret-1"), 401, "invalid_client", "by client_secret_basic, not by client_secret_post"},
		{"client_id alone", grant("client_id", "client-1"), 401, "invalid_client", "not by none"},
		{"a secret of a public client", grant("client_id", "public", "client_secret", "x"), 401, "invalid_client", "by none"},
		{"public client", grant("client_id", "public"), 400, "unauthorized_client", "confidential clients"},
		{"Bearer", grant().authorized("Bearer " + base64Of("client-1:secret-1")), 400, "invalid_request", "not Basic"},
		{"Basic without credentials", grant().authorized("Basic"), 400, "invalid_request", "no colon"},
		{"Basic, not base64", grant().authorized("Basic client-1:secret-1"), 400, "invalid_request", "not base64"},
		{"Basic in base64url", grant().authorized("Basic " + base64.URLEncoding.EncodeToString([]byte("client-1:???>>>"))), 400, "invalid_request", "not base64"},
		{"Basic without a colon", grant().authorized("Basic " + base64Of("client-1")), 400, "invalid_request", "no colon"},
		{"Basic, not form-urlencoded", grant().authorized("Basic " + base64Of("od:d/+ %&=ü:s3cr:et/+ %&=ü")), 400, "invalid_request", "form-urlencoded"},
		{"Basic, a blank", grant().authorized("Basic " + base64Of("client-1:a b")), 400, "invalid_request", "form-urlencoded"},
		{"Basic, a lonely %", grant().authorized("Basic " + base64Of("client-1:100%")), 400, "invalid_request", "form-urlencoded"},
		{"Basic, a second colon", grant().authorized("Basic " + base64Of("client-1:a:b")), 400, "invalid_request", "form-urlencoded"},
		{"Basic and body", grant("client_id", "client-1", "client_secret", "secret-1").as("client-1", "secret-1"), 400, "invalid_request", "more than one"},
		{"Basic and assertion", grant("client_assertion", "x").as("client-1", "secret-1"), 400, "invalid_request", "more than one"},
		{"body and assertion", grant("client_id", "post", "client_secret", "secret-2", "client_assertion", "x"), 400, "invalid_request", "more than one"},
		{"another client_id than in Basic", grant("client_id", "post").as("client-1", "secret-1"), 400, "invalid_request", "differs"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := tc.w.refused(t, s, tc.status, tc.code, tc.why)
			require.Equal(t, tc.status == 401, r.header.Get("WWW-Authenticate") == `Basic realm="oauthtest"`, "RFC 6749 5.2")
		})
	}
	t.Run("two Authorization headers", func(t *testing.T) {
		w := clientCredentials()
		w.header.Add("Authorization", w.header.Get("Authorization"))
		w.refused(t, s, 400, "invalid_request", "more than one")
	})
}

// TestAnyClient: without a list of clients any id and secret is right, but the protocol is held.
func TestAnyClient(t *testing.T) {
	t.Parallel()
	s := inMemory(t, oauthtest.ServerOptions{})
	clientCredentials().as("whoever", "whatever").granted(t, s)
	tokenRequest("grant_type", "client_credentials", "client_id", "whoever", "client_secret", "whatever").granted(t, s)
	tokenRequest("grant_type", "client_credentials").refused(t, s, 401, "invalid_client", "no client authentication")
	tokenRequest("grant_type", "client_credentials", "client_id", "whoever").refused(t, s, 400, "unauthorized_client", "confidential")
	clientCredentials("client_secret", "x", "client_id", "client-1").refused(t, s, 400, "invalid_request", "more than one")
	clientCredentials().authorized("Basic "+base64Of("a b:c")).refused(t, s, 400, "invalid_request", "form-urlencoded")
	empty := inMemory(t, oauthtest.ServerOptions{Clients: []oauthtest.Client{}})
	clientCredentials().refused(t, empty, 401, "invalid_client", "not registered")
}

func TestOptionsAreCopied(t *testing.T) {
	t.Parallel()
	opts := oauthtest.ServerOptions{Clients: []oauthtest.Client{{ID: "client-1", Secret: "secret-1"}}}
	s := inMemory(t, opts)
	opts.Clients[0].Secret = "another"
	clientCredentials().granted(t, s)
}

func TestTLSClientAuth(t *testing.T) {
	t.Parallel()
	mine, others := clientCertificate(t), clientCertificate(t)
	opts := oauthtest.ServerOptions{TLS: true, Clients: []oauthtest.Client{
		{ID: "mtls", Auth: outgrant.TLSClientAuth, Certificate: mine.Leaf}, {ID: "client-1", Secret: "secret-1"},
		{ID: "unfinished", Auth: outgrant.TLSClientAuth},
	}}
	s := onNetwork(t, opts)
	with := func(certificate *tls.Certificate, w *wire) *wireOver {
		transport := s.Client().Transport.(*http.Transport).Clone()
		t.Cleanup(transport.CloseIdleConnections)
		if certificate != nil {
			transport.TLSClientConfig.Certificates = []tls.Certificate{*certificate}
		}
		return &wireOver{w, &http.Client{Transport: transport}}
	}
	ask := func(id string) *wire { return tokenRequest("grant_type", "client_credentials", "client_id", id) }

	require.Equal(t, "", with(mine, ask("mtls")).code(t, s))
	require.Equal(t, "", with(others, clientCredentials()).code(t, s), "a certificate does no harm to other methods")
	require.Equal(t, "", with(nil, clientCredentials()).code(t, s))
	require.Equal(t, "invalid_client: the certificate is not the registered one", with(others, ask("mtls")).code(t, s))
	require.Equal(t, "invalid_client: the certificate is not the registered one", with(mine, ask("unfinished")).code(t, s))
	require.Equal(t, "invalid_client: the client must authenticate by tls_client_auth, not by none", with(nil, ask("mtls")).code(t, s))
	require.Equal(t, "invalid_client: the client must authenticate by client_secret_basic, not by none", with(mine, ask("client-1")).code(t, s))
	require.Equal(t, "invalid_client: no client authentication", with(mine, tokenRequest("grant_type", "client_credentials")).code(t, s))
	require.Equal(t, "invalid_client: the client must authenticate by tls_client_auth, not by client_secret_post",
		with(mine, tokenRequest("grant_type", "client_credentials", "client_id", "mtls", "client_secret", "x")).code(t, s))

	anybody := onNetwork(t, oauthtest.ServerOptions{TLS: true})
	transport := anybody.Client().Transport.(*http.Transport).Clone()
	transport.TLSClientConfig.Certificates = []tls.Certificate{*mine}
	defer transport.CloseIdleConnections()
	require.Equal(t, "", (&wireOver{ask("whoever"), &http.Client{Transport: transport}}).code(t, anybody))

	_, err := http.Get(s.TokenURL())
	require.ErrorContains(t, err, "certificate", "only Client trusts the server")
}

func TestTLSDoesNotGoWithInMemory(t *testing.T) {
	t.Parallel()
	require.Panics(t, func() { oauthtest.NewServer(&oauthtest.ServerOptions{TLS: true, InMemory: true}) })
}

// wireOver is a request by a client of its own.
type wireOver struct {
	*wire
	client *http.Client
}

// code returns the error of the answer, or "".
func (w *wireOver) code(t *testing.T, s *oauthtest.Server) string {
	t.Helper()
	resp, err := w.client.Do(w.request(t, s))
	require.NoError(t, err)
	r := decode(t, resp)
	if r.status == 200 {
		require.NotEmpty(t, r.text("access_token"))
		return ""
	}
	return r.text("error") + ": " + r.text("error_description")
}

// clientCertificate makes a self-signed one.
func clientCertificate(t *testing.T) *tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "client"}, NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	leaf, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}
