package successfactors_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/adapters/successfactors"
	"github.com/outgrant/outgrant/internal/leakcheck"
	"github.com/outgrant/outgrant/oauthtest"
)

func TestMain(m *testing.M) { leakcheck.Main(m) }

const server = "https://api4.successfactors.test"

// users is a mock of a user source: a map.
type users map[string]outgrant.TokenSource

func (u users) ForUser(user string) outgrant.TokenSource { return u[user] }

// technical has a technical user too.
type technical struct {
	users
	src outgrant.TokenSource
}

func (t technical) ForTechnicalUser() outgrant.TokenSource { return t.src }

// anybody has a token for everybody.
type anybody struct{}

func (anybody) ForUser(user string) outgrant.TokenSource {
	return outgrant.StaticToken(outgrant.Secret("token-of-" + user))
}

type described struct {
	outgrant.TokenSource
	grant outgrant.Grant
}

func (d described) Describe() outgrant.Credential { return outgrant.Credential{Grant: d.grant} }

func byHeader(r *http.Request) (string, error) {
	if r.Header.Get("X-User") == "broken" {
		return "", errors.New("no login")
	}
	return r.Header.Get("X-User"), nil
}

func alice(*http.Request) (string, error) { return "alice", nil }

// seen is a request as it arrived.
type seen struct {
	method, url, host, body, bearer, cookie string
	header                                  http.Header
}

// receiver answers without a network, and records what arrives.
type receiver struct {
	handler http.HandlerFunc
	mu      sync.Mutex
	all     []seen
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, _ := io.ReadAll(req.Body)
	r.mu.Lock()
	r.all = append(r.all, seen{req.Method, req.URL.String(), req.Host, string(body),
		strings.TrimPrefix(req.Header.Get("Authorization"), "Bearer "), strings.Join(req.Header["Cookie"], "|"), req.Header})
	r.mu.Unlock()
	r.handler(w, req)
}

func (r *receiver) RoundTrip(req *http.Request) (*http.Response, error) {
	return oauthtest.HandlerTransport(r).RoundTrip(req)
}

func (r *receiver) arrived() []seen {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]seen(nil), r.all...)
}

func (r *receiver) bearers() (all []string) {
	for _, s := range r.arrived() {
		all = append(all, s.bearer)
	}
	return all
}

// answers gives the answers in order, and the last one from then on.
func answers(handlers ...http.HandlerFunc) http.HandlerFunc {
	var mu sync.Mutex
	return func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		next := handlers[0]
		if len(handlers) > 1 {
			handlers = handlers[1:]
		}
		mu.Unlock()
		next(w, r)
	}
}

func says(status int, body string, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i+1 < len(header); i += 2 {
			w.Header().Add(header[i], header[i+1])
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

var fine = says(200, "fine")

// newOData returns a client of a receiver, for alice unless the options say otherwise.
func newOData(t testing.TB, src outgrant.UserSource, base http.RoundTripper, opts successfactors.Options) *http.Client {
	t.Helper()
	opts.Base = base
	if opts.User == nil && !opts.TechnicalUser {
		opts.User = alice
	}
	rt, err := successfactors.NewOData(src, &opts)
	require.NoError(t, err)
	return &http.Client{Transport: rt}
}

func newSOAP(t testing.TB, src outgrant.UserSource, base http.RoundTripper, opts successfactors.Options) *http.Client {
	t.Helper()
	opts.Base = base
	if opts.User == nil {
		opts.User = alice
	}
	rt, err := successfactors.NewSOAP(src, &opts)
	require.NoError(t, err)
	return &http.Client{Transport: rt}
}

func request(t testing.TB, method, url, user, body string) *http.Request {
	t.Helper()
	var content io.Reader
	if body != "" {
		content = strings.NewReader(body)
	}
	req, err := http.NewRequestWithContext(t.Context(), method, url, content)
	require.NoError(t, err)
	if user != "" {
		req.Header.Set("X-User", user)
	}
	return req
}

// read returns the answer's body, and closes it.
func read(t testing.TB, resp *http.Response) string {
	t.Helper()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	return string(body)
}

// fetch sends a request and returns status and body.
func fetch(t testing.TB, client *http.Client, req *http.Request) string {
	t.Helper()
	resp, err := client.Do(req)
	require.NoError(t, err)
	return fmt.Sprint(resp.StatusCode, " ", read(t, resp))
}

type closeSpy struct {
	io.Reader
	closed bool
}

func (c *closeSpy) Close() error { c.closed = true; return nil }
