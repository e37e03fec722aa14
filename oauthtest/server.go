package oauthtest

import (
	"context"
	"crypto"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/outgrant/outgrant"
)

// ServerOptions describe a token service. The zero value suits most tests.
type ServerOptions struct {
	// Clients are the ones that are registered. Default nil: any client id is known and any secret right, but the
	// protocol is held all the same.
	Clients []Client

	// TokenLifetime is the life of access tokens. Default 1 hour.
	TokenLifetime time.Duration

	// RefreshTokenLifetime is the life of refresh tokens. Default 90 days.
	RefreshTokenLifetime time.Duration

	// Scopes are the ones that there are. Default nil: any.
	Scopes []string

	// User is who consents at AuthURL. Default "alice".
	User string

	// SAPDialect also takes what SAP's artifacts can send and RFC 6749 does not have: grant_type in the URL, and
	// a JSON body. Default false: refused.
	SAPDialect bool

	// TLS serves https, with a certificate that Client trusts; TLSClientAuth needs it. Default false: http on loopback.
	TLS bool

	// InMemory opens no port: only Client reaches the server. With it tests run inside a testing/synctest bubble,
	// whose virtual clock the server follows. Default false.
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
	RedirectURLs []string // default nil: any
}

func (c Client) String() string { return fmt.Sprintf("oauthtest.Client(%q)", c.ID) }

// Format prints the id, for every verb and flag.
func (c Client) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, c.String()) }

// LogValue logs the id.
func (c Client) LogValue() slog.Value { return slog.StringValue(c.String()) }

// MarshalJSON encodes the id.
func (c Client) MarshalJSON() ([]byte, error) { return json.Marshal(c.String()) }

// Server is a token service on this machine. It is safe for concurrent use.
type Server struct {
	opts    ServerOptions
	base    string // scheme://host:port
	http    *http.Server
	client  *http.Client
	closing chan struct{}
	served  chan struct{} // closed when the listener's goroutine has ended
	once    sync.Once

	mu       sync.Mutex
	handlers map[string]GrantHandler
	faults   []Fault
	requests []Request
	asked    int // token requests
	tokens   map[string]*issued
	latest   map[string]*issued // by client: for SameToken
	refresh  map[string]*refreshToken
	codes    map[string]*code
	jtis     map[string]bool
	serial   int
}

// NewServer starts a token service. opts may be nil. Close it when the test ends. It panics if it cannot listen.
func NewServer(opts *ServerOptions) *Server {
	s := &Server{
		closing: make(chan struct{}), served: make(chan struct{}),
		tokens: map[string]*issued{}, latest: map[string]*issued{}, refresh: map[string]*refreshToken{},
		codes: map[string]*code{}, jtis: map[string]bool{},
	}
	if opts != nil {
		s.opts = *opts
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
		s.http.TLSConfig, transport.TLSClientConfig, err = tlsConfigs()
		if err != nil {
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

// TokenURL is the token endpoint.
func (s *Server) TokenURL() string { return s.base + "/oauth/token" }

// AuthURL is the authorization endpoint: whoever comes there consents at once, as ServerOptions.User.
func (s *Server) AuthURL() string { return s.base + "/oauth/authorize" }

// Issuer is the server's identifier: the iss of its authorization responses (RFC 9207).
func (s *Server) Issuer() string { return s.base }

// Client returns a client that reaches the server, and trusts its certificate.
func (s *Server) Client() *http.Client { return s.client }

// Close stops the server, cuts its connections and waits until it has ended. Further calls do nothing.
func (s *Server) Close() {
	s.once.Do(func() {
		close(s.closing)
		if s.http != nil {
			_ = s.http.Close()
		}
		s.client.CloseIdleConnections()
	})
	<-s.served
}

// ServeHTTP serves the endpoints, for a server of your own.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/oauth/token":
		s.serveToken(w, r)
	case "/oauth/authorize":
		s.serveAuthorize(w, r)
	default:
		http.NotFound(w, r)
	}
}

// TokenRequests returns how many token requests have come in, refused ones and those lost to faults included.
func (s *Server) TokenRequests() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked
}

// Requests returns what has come in and was understood, in order: the latest thousand.
func (s *Server) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Request(nil), s.requests...)
}

const keptRequests = 1000

func (s *Server) record(r Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.requests) == keptRequests {
		s.requests = s.requests[1:]
	}
	s.requests = append(s.requests, r)
}

// Request is a token request as it came. Its header and its parameters hold the secrets that were sent; it prints
// without them.
type Request struct {
	Time      time.Time
	URL       *url.URL
	Header    http.Header
	Params    url.Values // of the body, and in the SAP dialect of the URL
	ClientID  string     // "" where the client was not told
	GrantType string
	Status    int // of the answer
}

func (r Request) String() string {
	return fmt.Sprintf("oauthtest.Request(%s of %q: %d)", r.GrantType, r.ClientID, r.Status)
}

// Format prints grant type, client and status, for every verb and flag.
func (r Request) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, r.String()) }

// LogValue logs grant type, client and status.
func (r Request) LogValue() slog.Value { return slog.StringValue(r.String()) }

// MarshalJSON encodes grant type, client and status.
func (r Request) MarshalJSON() ([]byte, error) { return json.Marshal(r.String()) }

// wait waits, as long as anybody waits for the answer.
func (s *Server) wait(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	case <-s.closing:
	}
}
