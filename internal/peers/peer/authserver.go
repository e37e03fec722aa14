package peer

import (
	"crypto/tls"
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"sync/atomic"
	"testing"
	"time"
)

// AuthServerOptions say what an [AuthServer] knows.
type AuthServerOptions struct {
	TokenLifetime time.Duration // whole seconds; default 1 minute
	Clients       []Client
	Scopes        []string
	Accounts      map[string]map[string]any // claims of users by their login; others have none
	Resources     []string                  // RFC 8707; their tokens are JWTs, all others are opaque
	XSUAA         map[string]string         // applications by resource; their tokens are as those of SAP's XSUAA
	PKI           *PKI                      // of the server and its clients; default a new one
	IdPs          []IdP                     // whose assertions the server takes (RFC 7522)
	SAMLAudience  string                    // of these assertions; default the server's Issuer
	SAMLResource  string                    // one of Resources, for which all tokens for assertions are; default none
}

// AuthServer is an oidc-provider in a process of its own, with TLS.
type AuthServer struct {
	Issuer        string
	AuthURL       string
	TokenURL      string
	RevocationURL string
	PKI           *PKI

	*process
	admin Client // introspects
	http  *http.Client
	asked atomic.Int64
}

// StartAuthServer starts the server and waits until it listens. It ends with the test.
func StartAuthServer(tb testing.TB, opts AuthServerOptions) *AuthServer {
	tb.Helper()
	s := &AuthServer{PKI: opts.PKI, admin: SecretClient("receiver", "the receiver's own secret")}
	if s.PKI == nil {
		s.PKI = NewPKI(tb)
	}
	if opts.TokenLifetime == 0 {
		opts.TokenLifetime = time.Minute
	}
	certificate := s.PKI.Server(tb)
	saml := map[string]any{"issuers": certificates(opts.IdPs)}
	if opts.SAMLAudience != "" {
		saml["audience"] = opts.SAMLAudience
	}
	if opts.SAMLResource != "" {
		saml["resource"] = opts.SAMLResource
	}
	s.process, s.Issuer = startNode(tb, "authserver", map[string]any{
		"ttl":       opts.TokenLifetime / time.Second,
		"clients":   append([]Client{s.admin}, opts.Clients...),
		"scopes":    append([]string{}, opts.Scopes...),
		"accounts":  opts.Accounts,
		"resources": append([]string{}, opts.Resources...),
		"xsuaa":     opts.XSUAA,
		"saml":      saml,
		"tls":       map[string]string{"key": KeyPEM(tb, certificate), "cert": ChainPEM(certificate), "ca": ChainPEM(s.PKI.Root)},
	})
	s.AuthURL, s.TokenURL, s.RevocationURL = s.Issuer+"/auth", s.Issuer+"/oauth/token", s.Issuer+"/token/revocation"
	s.http = &http.Client{Transport: s.Transport(tb)}
	return s
}

// Transport returns a transport that trusts the server and all others of its PKI. Its connections end with the test.
func (s *AuthServer) Transport(tb testing.TB) *http.Transport {
	t := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: s.PKI.Pool()}}
	tb.Cleanup(t.CloseIdleConnections)
	return t
}

// AwaitLog waits until the server has printed the text: the cause of a refusal, which its answer does not tell.
func (s *AuthServer) AwaitLog(tb testing.TB, text string) {
	tb.Helper()
	s.await(tb, regexp.MustCompile(regexp.QuoteMeta(text)), 5*time.Second)
}

// ReplaceSecret replaces the secret of a client.
func (s *AuthServer) ReplaceSecret(tb testing.TB, c Client) {
	tb.Helper()
	if err := json.NewEncoder(s.stdin).Encode(c); err != nil {
		tb.Fatal(err)
	}
	s.AwaitLog(tb, "SECRET "+c.ID)
}

// Introspection is how a receiver asks the server about a token.
func (s *AuthServer) Introspection() Introspection {
	return Introspection{URL: s.Issuer + "/token/introspection", ClientID: s.admin.ID, Secret: s.admin.Secret, HTTPClient: s.http}
}

// Revoke ends a token of the client, which has a secret.
func (s *AuthServer) Revoke(tb testing.TB, c Client, token string) {
	tb.Helper()
	form := url.Values{"token": {token}, "client_id": {c.ID}, "client_secret": {c.Secret}}
	resp, err := s.http.PostForm(s.RevocationURL, form)
	if err != nil {
		tb.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		tb.Fatalf("revocation: answer %s", resp.Status)
	}
}
