package oauthtest

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/x509"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/outgrant/outgrant"
)

// ServerOptions describe a token service. The zero value suits most tests.
type ServerOptions struct {
	// Clients are the ones that are registered. Default nil: any client id is known and any secret, certificate and
	// key right, but the protocol is held all the same.
	Clients []Client

	// TokenLifetime is the life of access tokens. Default 1 hour.
	TokenLifetime time.Duration

	// RefreshTokenLifetime is the life of refresh tokens. Default 90 days.
	RefreshTokenLifetime time.Duration

	// KeepRefreshToken lets a refresh token be used again and again until it ends; a refresh brings no new one. Default
	// false: each is used once, a refresh brings its successor, and a second use ends the whole family.
	KeepRefreshToken bool

	// Scopes are the ones that there are. Default nil: any.
	Scopes []string

	// User is who consents at AuthURL. Default "alice".
	User string

	// SAPDialect also takes what SAP's artifacts can send: grant_type and scope in the URL, a JSON body, and an
	// authorization without PKCE. Default false: refused.
	SAPDialect bool

	// TLS serves https, with a certificate that Server.Client trusts; TLSClientAuth needs it. Default false: http on
	// loopback.
	TLS bool

	// InMemory opens no port: only Server.Client reaches the server. With it tests run inside a testing/synctest
	// bubble, whose virtual clock the server follows. It does not go with TLS. Default false.
	InMemory bool
}

// Client is a registered client. It prints its id.
type Client struct {
	ID     string
	Secret outgrant.Secret
	Auth   outgrant.AuthMethod // the one method that it must use; default ClientSecretBasic

	Key         crypto.PublicKey  // for PrivateKeyJWT
	Certificate *x509.Certificate // for TLSClientAuth: the leaf that it must present

	Grants       []string // by grant_type; default nil: all
	Scopes       []string // that it may have; default nil: all
	RedirectURLs []string // of http://127.0.0.1 and http://[::1] any port is right; default nil: any
}

// Server is a token service on this machine. It is safe for concurrent use. It prints its address.
type Server struct {
	opts    *ServerOptions
	base    string // scheme://host:port
	http    *http.Server
	client  *http.Client
	once    sync.Once
	closing chan struct{}
	served  chan struct{}  // closed when the listener's goroutine has ended
	running sync.WaitGroup // requests that are being served

	mu sync.Mutex
	*records
}

// records are what a server keeps, under its lock. They are behind a pointer, where fmt does not look when it prints
// what has a Server in an unexported field.
type records struct {
	handlers map[string]GrantHandler
	faults   []Fault // of token requests
	answers  []Fault // of authorizations
	requests []*Request
	asked    int // token requests
	tokens   map[string]*issued
	latest   map[string]*issued // by client and user: for SameToken
	refresh  map[string]*refreshToken
	codes    map[string]*code
	ended    map[string]bool // families of tokens that are revoked
	jtis     map[string]bool
	serial   int
	reuses   int
	idKey    *ecdsa.PrivateKey // signs ID tokens; made when it is needed
}

// NewServer starts a token service. opts may be nil; it is copied. Close the server when the test ends. NewServer
// panics if it cannot listen.
func NewServer(opts *ServerOptions) *Server {
	s := &Server{
		opts: &ServerOptions{}, closing: make(chan struct{}), served: make(chan struct{}),
		records: &records{
			tokens: map[string]*issued{}, latest: map[string]*issued{}, refresh: map[string]*refreshToken{},
			codes: map[string]*code{}, ended: map[string]bool{}, jtis: map[string]bool{},
		},
	}
	if opts != nil {
		*s.opts = *opts
		s.opts.Clients = slices.Clone(opts.Clients)
	}
	if s.opts.InMemory && s.opts.TLS {
		panic("oauthtest: NewServer: InMemory does not go with TLS")
	}
	if s.opts.TokenLifetime <= 0 {
		s.opts.TokenLifetime = time.Hour
	}
	if s.opts.RefreshTokenLifetime <= 0 {
		s.opts.RefreshTokenLifetime = 90 * 24 * time.Hour
	}
	if s.opts.User == "" {
		s.opts.User = "alice"
	}
	s.handlers = map[string]GrantHandler{
		"client_credentials": s.clientCredentials,
		"authorization_code": s.authorizationCode,
		"refresh_token":      s.refreshGrant,
	}
	if s.opts.InMemory {
		close(s.served)
		s.base, s.client = "https://token-service.test", &http.Client{Transport: HandlerTransport(s)}
		return s
	}
	if err := s.listen(); err != nil {
		panic("oauthtest: NewServer: " + err.Error())
	}
	return s
}

func (s *Server) listen() error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	s.http = &http.Server{Handler: s, ErrorLog: log.New(io.Discard, "", 0)}
	transport := &http.Transport{}
	s.base, s.client = "http://"+l.Addr().String(), &http.Client{Transport: transport}
	serve := s.http.Serve
	if s.opts.TLS {
		s.base = "https://" + l.Addr().String()
		if s.http.TLSConfig, transport.TLSClientConfig, err = tlsConfigs(); err != nil {
			return err
		}
		serve = func(l net.Listener) error { return s.http.ServeTLS(l, "", "") }
	}
	go func() {
		defer close(s.served)
		if err := serve(l); !errors.Is(err, http.ErrServerClosed) {
			panic("oauthtest: " + err.Error())
		}
	}()
	return nil
}

// TokenURL is the token endpoint. TokenURL() + "/alias/NAME" is one too, with any NAME that is one segment of a path: XSUAA
// has such addresses, and a [GrantHandler] sees which one was asked. Client assertions have TokenURL as their audience at
// either.
func (s *Server) TokenURL() string { return s.base + "/oauth/token" }

// AuthURL is the authorization endpoint: whoever comes there consents at once, as ServerOptions.User, unless a fault
// says otherwise: [Deny], [OtherIssuer].
func (s *Server) AuthURL() string { return s.base + "/oauth/authorize" }

// RevokeURL is the revocation endpoint (RFC 7009).
func (s *Server) RevokeURL() string { return s.base + "/oauth/revoke" }

// Issuer is the server's identifier: the iss of its authorization responses (RFC 9207) and of its ID tokens.
func (s *Server) Issuer() string { return s.base }

// Client returns a client that reaches the server, and trusts its certificate.
func (s *Server) Client() *http.Client { return s.client }

// Close stops the server, cuts its connections and waits until all requests have ended, those in a [GrantHandler]
// included; a [Delay] ends at once. From then on requests fail, in memory too. Further calls do nothing.
func (s *Server) Close() {
	s.once.Do(func() {
		s.mu.Lock()
		close(s.closing)
		s.mu.Unlock()
		if s.http != nil {
			_ = s.http.Close()
		}
		s.client.CloseIdleConnections()
	})
	<-s.served
	s.running.Wait()
}

// begin notes that a request is being served, unless the server is closed.
func (s *Server) begin() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-s.closing:
		return false
	default:
		s.running.Add(1)
		return true
	}
}

// ServeHTTP serves the endpoints, for a server of your own; the server's URLs stay what they are.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !s.begin() {
		panic(http.ErrAbortHandler)
	}
	defer s.running.Done()
	switch alias, isAlias := strings.CutPrefix(r.URL.Path, "/oauth/token/alias/"); {
	case r.URL.Path == "/oauth/token", isAlias && alias != "" && !strings.Contains(alias, "/"):
		s.serveToken(w, r)
	case r.URL.Path == "/oauth/authorize":
		s.serveAuthorize(w, r)
	case r.URL.Path == "/oauth/revoke":
		s.serveRevoke(w, r)
	default:
		http.NotFound(w, r)
	}
}

// wait waits, as long as anybody waits for the answer.
func (s *Server) wait(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	case <-s.closing:
		panic(http.ErrAbortHandler)
	}
}
