package clientcredentials_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/clientcredentials"
	"github.com/outgrant/outgrant/internal/leakcheck"
	"github.com/outgrant/outgrant/oauthtest"
)

func TestMain(m *testing.M) { leakcheck.Main(m) }

const oddSecret = "s3cr:et/+ %&=ü"

// TestEveryWayToAuthenticate gets tokens from the strict token service, which has one client for each method.
func TestEveryWayToAuthenticate(t *testing.T) {
	t.Parallel()
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	ecKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	certificate := selfSigned(t, time.Now().Add(-time.Hour), time.Now().Add(365*24*time.Hour))
	server := oauthtest.NewServer(&oauthtest.ServerOptions{TLS: true, Clients: []oauthtest.Client{
		{ID: "basic id/+", Secret: oddSecret},
		{ID: "post", Secret: oddSecret, Auth: outgrant.ClientSecretPost},
		{ID: "rsa", Key: rsaKey.Public(), Auth: outgrant.PrivateKeyJWT},
		{ID: "ec", Key: ecKey.Public(), Auth: outgrant.PrivateKeyJWT},
		{ID: "tls", Certificate: certificate.Leaf, Auth: outgrant.TLSClientAuth},
	}})
	defer server.Close()
	for name, cfg := range map[string]clientcredentials.Config{
		"basic":       {ClientID: "basic id/+", ClientSecret: oddSecret},
		"post":        {ClientID: "post", ClientSecret: oddSecret, Auth: outgrant.ClientSecretPost},
		"RS256":       {ClientID: "rsa", Key: rsaKey, Auth: outgrant.PrivateKeyJWT},
		"PS256":       {ClientID: "rsa", Key: rsaKey, Auth: outgrant.PrivateKeyJWT, Algorithm: "PS256", KeyID: "k"},
		"ES256":       {ClientID: "ec", Key: ecKey, Auth: outgrant.PrivateKeyJWT},
		"to issuer":   {ClientID: "ec", Key: ecKey, Auth: outgrant.PrivateKeyJWT, AssertionAudience: server.Issuer()},
		"certificate": {ClientID: "tls", Certificate: certificate, Auth: outgrant.TLSClientAuth},
	} {
		t.Run(name, func(t *testing.T) {
			cfg.TokenURL, cfg.HTTPClient, cfg.Scopes = server.TokenURL(), server.Client(), []string{"read", "write"}
			source, err := clientcredentials.New(&cfg)
			require.NoError(t, err)
			for range 3 { // an assertion is used once
				token, err := source.Token(t.Context())
				require.NoError(t, err)
				require.True(t, server.Live(token.AccessToken))
				require.Equal(t, []string{"read", "write"}, token.Scopes)
				source.Invalidate(token)
			}
		})
	}
}

// TestSAPDialect sends what only SAP's artifacts send; the strict token service refuses it.
func TestSAPDialect(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*clientcredentials.Config){
		"grant type in URL": func(c *clientcredentials.Config) { c.GrantTypeInURL = true },
		"JSON body":         func(c *clientcredentials.Config) { c.JSONBody, c.Auth = true, outgrant.ClientSecretPost },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, dialect := range []bool{true, false} {
				server := oauthtest.NewServer(&oauthtest.ServerOptions{InMemory: true, SAPDialect: dialect})
				cfg := config(server)
				change(cfg)
				source, err := clientcredentials.New(cfg)
				require.NoError(t, err)
				_, err = source.Token(t.Context())
				if dialect {
					require.NoError(t, err)
				} else {
					require.ErrorContains(t, err, "invalid_request")
				}
			}
		})
	}
}

func config(server *oauthtest.Server) *clientcredentials.Config {
	return &clientcredentials.Config{Name: "CRED", TokenURL: server.TokenURL(), ClientID: "id", ClientSecret: "secret", HTTPClient: server.Client()}
}

func TestParametersGoToTheirPlaces(t *testing.T) {
	t.Parallel()
	server := oauthtest.NewServer(&oauthtest.ServerOptions{InMemory: true})
	cfg := config(server)
	cfg.TokenURL += "?sap-client=100&tenant=theirs"
	cfg.Scopes, cfg.Resource, cfg.Audience = []string{"a", "b"}, "urn:receiver", "aud"
	cfg.Params = []clientcredentials.Param{
		{Key: "assertion_hint", Value: "ü &=", In: clientcredentials.InBody},
		{Key: "x-tenant", Value: "t1", In: clientcredentials.InHeader},
		{Key: "x-tenant", Value: "t2", In: clientcredentials.InHeader},
		{Key: "tenant", Value: "ours", In: clientcredentials.InURL},
	}
	source, err := clientcredentials.New(cfg)
	require.NoError(t, err)
	cfg.Params[0].Value, cfg.Scopes[0] = "changed", "changed" // New has copied them
	_, err = source.Token(t.Context())
	require.NoError(t, err)
	sent := server.Requests()[0]
	require.Equal(t, "a b", sent.Params.Get("scope"))
	require.Equal(t, "urn:receiver", sent.Params.Get("resource"))
	require.Equal(t, "aud", sent.Params.Get("audience"))
	require.Equal(t, "ü &=", sent.Params.Get("assertion_hint"))
	require.Equal(t, []string{"t1", "t2"}, sent.Header.Values("X-Tenant"))
	require.Equal(t, "sap-client=100&tenant=ours", sent.URL.RawQuery)
}

func TestNewNamesTheFieldThatIsWrong(t *testing.T) {
	t.Parallel()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	hour := time.Hour
	certificate := selfSigned(t, time.Now().Add(-hour), time.Now().Add(hour))
	other := selfSigned(t, time.Now().Add(-hour), time.Now().Add(hour))
	params := func(p ...clientcredentials.Param) func(*clientcredentials.Config) {
		return func(c *clientcredentials.Config) { c.Params = p }
	}
	p := func(key, value string) clientcredentials.Param {
		return clientcredentials.Param{Key: key, Value: value}
	}
	withCertificate := func(cert *tls.Certificate) func(*clientcredentials.Config) {
		return func(c *clientcredentials.Config) {
			c.ClientSecret, c.Auth, c.Certificate = "", outgrant.TLSClientAuth, cert
		}
	}
	many := make([]clientcredentials.Param, 21)
	for i := range many {
		many[i] = p("k", strings.Repeat("v", i+1))
	}
	for name, c := range map[string]struct {
		change func(*clientcredentials.Config)
		want   string
	}{
		"empty":                  {func(c *clientcredentials.Config) { *c = clientcredentials.Config{} }, "TokenURL: missing"},
		"relative URL":           {func(c *clientcredentials.Config) { c.TokenURL = "/oauth/token" }, "TokenURL: must be absolute"},
		"http":                   {func(c *clientcredentials.Config) { c.TokenURL = "http://token.example/" }, "TokenURL: http://token.example/: insecure"},
		"userinfo":               {func(c *clientcredentials.Config) { c.TokenURL = "https://u:p@token.example/" }, "TokenURL: must not carry"},
		"fragment":               {func(c *clientcredentials.Config) { c.TokenURL += "#x" }, "TokenURL: must not have a fragment"},
		"no client id":           {func(c *clientcredentials.Config) { c.ClientID = "" }, "ClientID: missing"},
		"no secret":              {func(c *clientcredentials.Config) { c.ClientSecret = "" }, "ClientSecret: missing"},
		"printed secret":         {func(c *clientcredentials.Config) { c.ClientSecret = "[redacted]" }, "ClientSecret: is the printed form"},
		"unknown method":         {func(c *clientcredentials.Config) { c.Auth = 77 }, "Auth: unknown"},
		"secret and certificate": {func(c *clientcredentials.Config) { c.Certificate = certificate }, "Certificate: must not be set"},
		"certificate and secret": {func(c *clientcredentials.Config) { c.Certificate, c.Auth = certificate, outgrant.TLSClientAuth }, "ClientSecret: must not be set"},
		"no certificate":         {withCertificate(nil), "Certificate: missing"},
		"no key":                 {func(c *clientcredentials.Config) { c.ClientSecret, c.Auth = "", outgrant.PrivateKeyJWT }, "Key: missing"},
		"secret and key":         {func(c *clientcredentials.Config) { c.Key = key }, "Key: must not be set"},
		"wrong algorithm": {func(c *clientcredentials.Config) {
			c.ClientSecret, c.Auth, c.Key, c.Algorithm = "", outgrant.PrivateKeyJWT, key, "HS256"
		}, "Algorithm: "},
		"empty certificate":  {withCertificate(&tls.Certificate{}), "Certificate: "},
		"foreign key":        {withCertificate(&tls.Certificate{Certificate: certificate.Certificate, PrivateKey: other.PrivateKey}), "Certificate: "},
		"no private key":     {withCertificate(&tls.Certificate{Certificate: certificate.Certificate}), "Certificate: "},
		"ended certificate":  {withCertificate(selfSigned(t, time.Now().Add(-2*hour), time.Now().Add(-hour))), "ended on"},
		"future certificate": {withCertificate(selfSigned(t, time.Now().Add(hour), time.Now().Add(2*hour))), "not valid before"},
		"odd transport with a certificate": {func(c *clientcredentials.Config) {
			withCertificate(certificate)(c)
			c.HTTPClient = &http.Client{Transport: &outgrant.Transport{}}
		}, "HTTPClient: "},
		"transport that dials TLS itself": {func(c *clientcredentials.Config) {
			withCertificate(certificate)(c)
			c.HTTPClient = &http.Client{Transport: &http.Transport{DialTLSContext: (&tls.Dialer{}).DialContext}}
		}, "HTTPClient: "},
		"scope with a blank":    {func(c *clientcredentials.Config) { c.Scopes = []string{"a b"} }, "Scopes: "},
		"empty scope":           {func(c *clientcredentials.Config) { c.Scopes = []string{""} }, "Scopes: "},
		"21 params":             {params(many...), "Params: 21"},
		"blank key":             {params(p(" ", "v")), "Params[0]: Key: blank"},
		"blank value":           {params(p("k", "v"), p("k", "\t")), "Params[1]: Value: blank"},
		"long key":              {params(p(strings.Repeat("ü", 1025), "v")), "Key: 1025 characters"},
		"long value":            {params(p("k", strings.Repeat("ü", 1025))), "Value: 1025 characters"},
		"not UTF-8":             {params(p("k", "\xff")), "not UTF-8"},
		"printed value":         {params(p("k", "[redacted]")), "printed form"},
		"twice":                 {params(p("k", "v"), p("k", "v")), "come twice"},
		"client_id":             {params(p("client_id", "v")), "set by the grant itself"},
		"client_secret":         {params(p("client_secret", "v")), "set by the grant itself"},
		"grant_type":            {params(p("grant_type", "v")), "set by the grant itself"},
		"unknown place":         {params(clientcredentials.Param{Key: "k", Value: "v", In: 9}), "unknown place"},
		"not a header name":     {params(clientcredentials.Param{Key: "a b", Value: "v", In: clientcredentials.InHeader}), "not a header name"},
		"header injection":      {params(clientcredentials.Param{Key: "a", Value: "v\r\nb: c", In: clientcredentials.InHeader}), "control characters"},
		"our header":            {params(clientcredentials.Param{Key: "authorization", Value: "v", In: clientcredentials.InHeader}), "Authorization"},
		"scope twice":           {func(c *clientcredentials.Config) { c.Scopes = []string{"a"}; params(p("scope", "b"))(c) }, "field of that name"},
		"JSON with a key twice": {func(c *clientcredentials.Config) { c.JSONBody = true; params(p("k", "a"), p("k", "b"))(c) }, "JSON body cannot hold"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := &clientcredentials.Config{TokenURL: "https://token.example/oauth/token", ClientID: "id", ClientSecret: "secret"}
			_, err := clientcredentials.New(cfg)
			require.NoError(t, err)
			c.change(cfg)
			_, err = clientcredentials.New(cfg)
			require.ErrorContains(t, err, "clientcredentials: ")
			require.ErrorContains(t, err, c.want)
		})
	}
	_, err = clientcredentials.New(nil)
	require.ErrorContains(t, err, "nil")
	cfg := &clientcredentials.Config{TokenURL: "https://token.example/", ClientID: "id", ClientSecret: "secret", Params: many[:20]}
	cfg.Params[19] = p(strings.Repeat("ü", 1024), strings.Repeat("ü", 1024))
	_, err = clientcredentials.New(cfg)
	require.NoError(t, err, "as much as is allowed")
}

func TestClientAuthFollowsARotatedSecretAndCertificate(t *testing.T) {
	t.Parallel()
	first := selfSigned(t, time.Now().Add(-time.Hour), time.Now().Add(time.Hour))
	second := selfSigned(t, time.Now().Add(-time.Hour), time.Now().Add(time.Hour))
	var mu sync.Mutex
	var presented []*x509.Certificate
	service := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		presented = append(presented, append(r.TLS.PeerCertificates, nil)[0])
		mu.Unlock()
		_, _ = io.WriteString(w, `{"access_token":"access-`+rand.Text()+`"}`)
	}))
	// The list of issuers fits neither certificate: they must be presented all the same.
	service.TLS = &tls.Config{ClientAuth: tls.RequestClientCert, ClientCAs: x509.NewCertPool()}
	service.StartTLS()
	defer service.Close()
	var current outgrant.ClientAuth
	source, err := clientcredentials.New(&clientcredentials.Config{TokenURL: service.URL, ClientID: "id", HTTPClient: service.Client(),
		ClientSecret: "not used",
		ClientAuth:   func(context.Context) (outgrant.ClientAuth, error) { return current, nil }})
	require.NoError(t, err)
	for _, current = range []outgrant.ClientAuth{
		{Method: outgrant.TLSClientAuth, Certificate: first}, {Method: outgrant.TLSClientAuth, Certificate: second}, {Secret: "secret"},
		{Method: outgrant.TLSClientAuth, Certificate: first},
	} {
		token, err := source.Token(t.Context())
		require.NoError(t, err)
		source.Invalidate(token)
	}
	require.Equal(t, []*x509.Certificate{first.Leaf, second.Leaf, nil, first.Leaf}, presented)
}

func TestClientAuthIsChecked(t *testing.T) {
	t.Parallel()
	for want, auth := range map[string]func(context.Context) (outgrant.ClientAuth, error){
		"ClientSecret: missing": func(context.Context) (outgrant.ClientAuth, error) { return outgrant.ClientAuth{}, nil },
		"vault is sealed": func(context.Context) (outgrant.ClientAuth, error) {
			return outgrant.ClientAuth{}, errors.New("vault is sealed")
		},
	} {
		source, err := clientcredentials.New(&clientcredentials.Config{Name: "CRED", TokenURL: "https://token.example/", ClientID: "id", ClientAuth: auth})
		require.NoError(t, err)
		_, err = source.Token(t.Context())
		require.ErrorContains(t, err, want)
		require.ErrorContains(t, err, `"CRED"`)
	}
}

func TestCertificateThatEndsSoonIsReported(t *testing.T) {
	t.Parallel()
	server := oauthtest.NewServer(&oauthtest.ServerOptions{TLS: true})
	defer server.Close()
	for days, want := range map[int]int{365: 0, 3: 1} {
		var events []outgrant.CertificateEvent
		certificate := selfSigned(t, time.Now().Add(-60*24*time.Hour), time.Now().Add(time.Duration(days)*24*time.Hour))
		cfg := &clientcredentials.Config{Name: "CRED", TokenURL: server.TokenURL(), ClientID: "id", HTTPClient: server.Client(), Auth: outgrant.TLSClientAuth, Certificate: certificate}
		cfg.Cache = &outgrant.CacheOptions{Hooks: &outgrant.Hooks{CertificateEnding: func(e outgrant.CertificateEvent) { events = append(events, e) }}}
		source, err := clientcredentials.New(cfg)
		require.NoError(t, err)
		_, err = source.Token(t.Context())
		require.NoError(t, err)
		require.Len(t, events, want)
		for _, e := range events {
			require.Equal(t, "CRED", e.Name)
			require.Equal(t, certificate.Leaf.NotAfter, e.NotAfter)
		}
	}
}

func TestGrantedScopes(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		scope any
		want  []string
	}{"fewer than asked for": {"a", []string{"a"}}, "not said": {nil, []string{"a", "b"}}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := oauthtest.NewServer(&oauthtest.ServerOptions{InMemory: true})
			server.Inject(oauthtest.Member("scope", c.scope))
			cfg := config(server)
			cfg.Scopes = []string{"a", "b"}
			source, err := clientcredentials.New(cfg)
			require.NoError(t, err)
			token, err := source.Token(t.Context())
			require.NoError(t, err)
			require.Equal(t, c.want, token.Scopes)
		})
	}
}

func TestSourceSaysWhatItIs(t *testing.T) {
	t.Parallel()
	server := oauthtest.NewServer(&oauthtest.ServerOptions{InMemory: true})
	source, err := clientcredentials.New(config(server))
	require.NoError(t, err)
	require.Equal(t, outgrant.ClientCredentials, outgrant.GrantOf(source))
	require.Equal(t, outgrant.Credential{Name: "CRED", Grant: outgrant.ClientCredentials, TokenURL: server.TokenURL()}, source.Describe())
}

func TestWrongSecretIsNotHammered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := oauthtest.NewServer(&oauthtest.ServerOptions{InMemory: true, Clients: []oauthtest.Client{{ID: "id", Secret: "right"}}})
		source, err := clientcredentials.New(config(server))
		require.NoError(t, err)
		for range 1000 {
			_, err := source.Token(t.Context())
			require.ErrorContains(t, err, "invalid_client")
			time.Sleep(time.Millisecond)
		}
		require.LessOrEqual(t, server.TokenRequests(), 3)
	})
}

// TestNothingPrintsASecret walks the types of this package, and a client made of them.
func TestNothingPrintsASecret(t *testing.T) {
	t.Parallel()
	certificate := selfSigned(t, time.Now().Add(-time.Hour), time.Now().Add(time.Hour))
	private := certificate.PrivateKey.(*ecdsa.PrivateKey)
	raw, err := private.Bytes()
	require.NoError(t, err)
	d := new(big.Int).SetBytes(raw).String()
	cfg := clientcredentials.Config{Name: "CRED", TokenURL: "https://token.example/?x=sentinel-query", ClientID: "id", ClientSecret: "sentinel-secret",
		Params: []clientcredentials.Param{{Key: "password", Value: "sentinel-param"}}}
	source, err := clientcredentials.New(&cfg)
	require.NoError(t, err)
	withKey := clientcredentials.Config{TokenURL: "https://token.example/", ClientID: "id", Auth: outgrant.PrivateKeyJWT, Key: crypto.Signer(private)}
	withCertificate := clientcredentials.Config{TokenURL: "https://token.example/", ClientID: "id", Auth: outgrant.TLSClientAuth, Certificate: certificate}
	keySource, err := clientcredentials.New(&withKey)
	require.NoError(t, err)
	certificateSource, err := clientcredentials.New(&withCertificate)
	require.NoError(t, err)
	client := outgrant.NewClient(source)
	holder := struct {
		source, keySource, certificateSource *outgrant.CachedSource
		client                               *http.Client
	}{source, keySource, certificateSource, client}
	oauthtest.AssertNoSecrets(t, []string{"sentinel", d, string(raw)}, cfg, &cfg, cfg.Params, cfg.Params[0], withKey, withCertificate,
		source, keySource, certificateSource, client, *client, holder, &holder)
}
