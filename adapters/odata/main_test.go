package odata_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/adapters/odata"
	"github.com/outgrant/outgrant/internal/leakcheck"
	"github.com/outgrant/outgrant/oauthtest"
)

func TestMain(m *testing.M) { leakcheck.Main(m) }

const (
	host    = "gateway.test"
	server  = "https://" + host
	service = server + "/sap/opu/odata/sap/BOOKS"
)

// anybody has a token for everybody.
type anybody struct{}

func (anybody) ForUser(user string) outgrant.TokenSource {
	return outgrant.StaticToken(outgrant.Secret("bearer-of-" + user))
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

// seen is a request as it arrived.
type seen struct {
	method, url, host, body, bearer, cookie, csrf string
	header                                        http.Header
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
	r.all = append(r.all, seen{req.Method, req.RequestURI, req.Host, string(body),
		strings.TrimPrefix(req.Header.Get("Authorization"), "Bearer "), strings.Join(req.Header["Cookie"], "|"),
		strings.Join(req.Header["X-Csrf-Token"], "|"), req.Header})
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

// log tells what arrived, each as its method and CSRF token.
func (r *receiver) log() (all []string) {
	for _, s := range r.arrived() {
		all = append(all, strings.TrimSpace(s.method+" "+s.csrf))
	}
	return all
}

func (r *receiver) fetches() (n int) {
	for _, s := range r.arrived() {
		if s.csrf == "Fetch" {
			n++
		}
	}
	return n
}

// gateway is a receiver's handler that is as strict about CSRF as SAP Gateway: a token belongs to a session, and both to
// the bearer that they were given to.
type gateway struct {
	mu    sync.Mutex
	n     int
	token map[string]string // by session, with the bearer
	next  http.HandlerFunc  // what comes after; nil: 200
}

func (g *gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	bearer, csrf := r.Header.Get("Authorization"), r.Header.Get("X-Csrf-Token")
	session, _ := r.Cookie("SAP_SESSIONID_GWD_100")
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.token == nil {
		g.token = map[string]string{}
	}
	switch {
	case csrf == "Fetch":
		g.n++
		id, token := fmt.Sprintf("session-id-%d", g.n), fmt.Sprintf("csrf-token-%d", g.n)
		g.token[id+bearer] = token
		http.SetCookie(w, &http.Cookie{Name: "SAP_SESSIONID_GWD_100", Value: id, Path: "/"})
		http.SetCookie(w, &http.Cookie{Name: "sap-usercontext", Value: "sap-client=100", Path: "/"})
		w.Header().Set("X-Csrf-Token", token)
	case r.Method == http.MethodGet || r.Method == http.MethodHead:
	case session == nil || csrf == "" || g.token[session.Value+bearer] != csrf:
		w.Header().Set("X-Csrf-Token", "Required")
		w.WriteHeader(http.StatusForbidden)
		_, _ = io.WriteString(w, "CSRF token validation failed")
		return
	}
	if g.next != nil && csrf != "Fetch" {
		g.next(w, r)
	}
}

// forget ends all sessions.
func (g *gateway) forget() {
	g.mu.Lock()
	defer g.mu.Unlock()
	clear(g.token)
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

// newV2 returns a client of a receiver, with a technical client's token unless the options say otherwise.
func newV2(t testing.TB, base http.RoundTripper, opts odata.Options) *http.Client {
	t.Helper()
	opts.Base = base
	rt, err := odata.NewV2(technical(opts), &opts)
	require.NoError(t, err)
	return &http.Client{Transport: rt}
}

func newV4(t testing.TB, base http.RoundTripper, opts odata.Options) *http.Client {
	t.Helper()
	opts.Base = base
	rt, err := odata.NewV4(technical(opts), &opts)
	require.NoError(t, err)
	return &http.Client{Transport: rt}
}

func technical(opts odata.Options) outgrant.TokenSource {
	if opts.Users != nil {
		return nil
	}
	return outgrant.StaticToken("bearer-of-nobody")
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

func sample(t testing.TB, name string) string {
	t.Helper()
	b, err := os.ReadFile("testdata/" + name)
	require.NoError(t, err)
	return string(b)
}

type roundTripFunc func(*http.Request) (*http.Response, error)

func (f roundTripFunc) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

type closeSpy struct {
	io.Reader
	closed bool
}

func (c *closeSpy) Close() error { c.closed = true; return nil }
