package credstore_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/credstore"
	"github.com/outgrant/outgrant/credstore/driver"
	"github.com/outgrant/outgrant/credstore/memstore"
	"github.com/outgrant/outgrant/oauthtest"
)

const (
	clientSecret = "S3NTINEL-client-secret"
	callbackURL  = "http://127.0.0.1:8080/callback"
)

// place is where stores are tested: a token service in memory, and a backend that the stores of several processes share.
type place struct {
	*oauthtest.Server
	backend *sharedBackend
	keeper  credstore.Keeper

	mu      sync.Mutex
	events  []outgrant.AuthorizationEvent
	shown   []any                      // what could be printed or logged
	secrets []string                   // all tokens that went over the wire
	clients map[outgrant.Secret]string // by access token: the client that it was given to
	revoked []url.Values               // what came to the revocation endpoint
}

// inBubble runs a test in a place with a virtual clock. In the end nothing that was shown may have a secret in it.
func inBubble(t *testing.T, opts oauthtest.ServerOptions, test func(t *testing.T, p *place)) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newPlace(t, opts)
		test(t, p)
		p.assertNoSecrets(t)
	})
}

func newPlace(t testing.TB, opts oauthtest.ServerOptions) *place {
	t.Helper()
	opts.InMemory = true
	p := &place{Server: oauthtest.NewServer(&opts), backend: &sharedBackend{Store: memstore.New(), counts: map[string]int{}},
		keeper: newKeeper(t), secrets: []string{clientSecret}, clients: map[outgrant.Secret]string{}}
	t.Cleanup(p.Server.Close)
	return p
}

// open opens a store on the place's backend, as another process does. It is closed in the end.
func (p *place) open(t testing.TB, change ...func(*credstore.Options)) *credstore.Store {
	t.Helper()
	return p.openOn(t, p.backend, change...)
}

// openOn opens a store on a backend, with the place's token service. It is closed in the end.
func (p *place) openOn(t testing.TB, b driver.Store, change ...func(*credstore.Options)) *credstore.Store {
	t.Helper()
	s, err := credstore.Open(b, p.options(change...))
	require.NoError(t, err)
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// openDir opens a store in a folder, with the place's token service.
func (p *place) openDir(t testing.TB, dir string, change ...func(*credstore.Options)) *credstore.Store {
	t.Helper()
	o := p.options(change...)
	o.Keeper = nil
	s, err := credstore.OpenDir(dir, o)
	require.NoError(t, err)
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func (p *place) options(change ...func(*credstore.Options)) *credstore.Options {
	o := &credstore.Options{
		Keeper: p.keeper, HTTPClient: &http.Client{Transport: p},
		Hooks: &outgrant.Hooks{
			AuthorizationChanged: func(e outgrant.AuthorizationEvent) {
				p.mu.Lock()
				defer p.mu.Unlock()
				p.events = append(p.events, e)
				p.shown = append(p.shown, e, e.Err)
			},
			FetchDone: func(e outgrant.FetchEvent) { p.show(e, e.Err) },
		},
	}
	for _, change := range change {
		change(o)
	}
	return o
}

// RoundTrip is the network. It notes tokens and revocations. Receivers answer with the Authorization header that came.
func (p *place) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.URL.Host != strings.TrimPrefix(p.Issuer(), "https://") {
		if req.Body != nil {
			_ = req.Body.Close()
		}
		answer := httptest.NewRecorder()
		_, _ = answer.WriteString(req.Header.Get("Authorization"))
		resp := answer.Result()
		resp.Request = req
		return resp, nil
	}
	sent, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, err
	}
	form, err := url.ParseQuery(string(sent))
	if err != nil {
		return nil, err
	}
	if req.URL.Path == "/oauth/revoke" {
		p.mu.Lock()
		p.revoked = append(p.revoked, form)
		p.mu.Unlock()
	}
	req = req.Clone(req.Context())
	req.Body = io.NopCloser(bytes.NewReader(sent))
	resp, err := p.Client().Transport.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(resp.Body)
	var tokens struct {
		Access  string `json:"access_token"`
		Refresh string `json:"refresh_token"`
	}
	_ = json.Unmarshal(body, &tokens)
	p.mu.Lock()
	p.clients[outgrant.Secret(tokens.Access)] = form.Get("client_id")
	for _, token := range []string{tokens.Access, tokens.Refresh} {
		if token != "" && !slices.Contains(p.secrets, token) {
			p.secrets = append(p.secrets, token)
		}
	}
	p.mu.Unlock()
	resp.Body = io.NopCloser(io.MultiReader(bytes.NewReader(body), failing{err}))
	return resp, nil
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) {
	if f.err != nil {
		return 0, f.err
	}
	return 0, io.EOF
}

func (p *place) show(outputs ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.shown = append(p.shown, outputs...)
}

// assertNoSecrets searches what was shown for what went over the wire: for the first of it, as it takes a while.
func (p *place) assertNoSecrets(t testing.TB) {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	seen := map[string]bool{}
	outputs := slices.DeleteFunc(p.shown, func(o any) bool {
		text := fmt.Sprintf("%T %v", o, o)
		was := seen[text] || o == nil || len(seen) == 50
		seen[text] = true
		return was
	})
	oauthtest.AssertNoSecrets(t, p.secrets[:min(len(p.secrets), 8)], outputs...)
}

// changes are what the hooks told.
func (p *place) changes() (all []outgrant.AuthorizationChange) {
	synctest.Wait() // hooks are called after the callers have their token
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, e := range p.events {
		all = append(all, e.Change)
	}
	return all
}

// revocations are the tokens that were revoked, in order.
func (p *place) revocations() (all []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, form := range p.revoked {
		all = append(all, form.Get("token"))
	}
	return all
}

// requests are the token requests of a grant type.
func (p *place) requests(grantType string) (all []oauthtest.Request) {
	for _, r := range p.Requests() {
		if r.GrantType == grantType {
			all = append(all, r)
		}
	}
	return all
}

func (p *place) clientCredentials(name string, change ...func(*credstore.ClientCredentials)) *credstore.ClientCredentials {
	a := &credstore.ClientCredentials{Name: name, TokenServiceURL: p.TokenURL(), ClientID: "client-of-" + name, ClientSecret: clientSecret}
	for _, change := range change {
		change(a)
	}
	return a
}

func (p *place) authorizationCode(name string, change ...func(*credstore.AuthorizationCode)) *credstore.AuthorizationCode {
	a := &credstore.AuthorizationCode{Name: name, AuthorizationURL: p.AuthURL(), TokenServiceURL: p.TokenURL(), RevocationURL: p.RevokeURL(),
		ClientID: "client-of-" + name, ClientSecret: clientSecret, RedirectURL: callbackURL, Scope: "mail send", UserName: "ops@acme.example"}
	for _, change := range change {
		change(a)
	}
	return a
}

// authorized deploys an authorization code and has a user authorize it.
func (p *place) authorized(t testing.TB, s *credstore.Store, name string, change ...func(*credstore.AuthorizationCode)) {
	t.Helper()
	require.NoError(t, s.Deploy(t.Context(), p.authorizationCode(name, change...)))
	require.NoError(t, p.consent(t, s, s, name))
}

// consent leads a browser through an authorization that one process starts and another one ends.
func (p *place) consent(t testing.TB, starts, ends *credstore.Store, name string) error {
	v, err := p.start(t, starts, name)
	if err != nil {
		return err
	}
	return v.back(ends)
}

// visit is a browser that was at the provider.
type visit struct {
	place   *place
	cookies []*http.Cookie
	url     string // where the provider sent it
}

// begin starts an authorization and gives consent.
func (p *place) begin(t testing.TB, s *credstore.Store, name string) *visit {
	t.Helper()
	v, err := p.start(t, s, name)
	require.NoError(t, err)
	return v
}

func (p *place) start(t testing.TB, s *credstore.Store, name string) (*visit, error) {
	sent := start(s, name)
	if sent.Code != http.StatusSeeOther {
		return nil, fmt.Errorf("%d: %s", sent.Code, sent.Body)
	}
	asked, err := http.NewRequestWithContext(t.Context(), http.MethodGet, sent.Header().Get("Location"), nil)
	if err != nil {
		return nil, err
	}
	agreed, err := p.Client().Transport.RoundTrip(asked)
	if err != nil || agreed.StatusCode != http.StatusFound {
		return nil, fmt.Errorf("the provider answers %v, %w", agreed, err)
	}
	return &visit{p, sent.Result().Cookies(), agreed.Header.Get("Location")}, nil
}

// start opens the page that starts an authorization.
func start(s *credstore.Store, name string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, "http://127.0.0.1:8080/authorize?"+url.Values{"name": {name}}.Encode(), nil)
	r.RemoteAddr = "127.0.0.1:4711"
	w := httptest.NewRecorder()
	s.AuthorizeHandler().ServeHTTP(w, r)
	return w
}

// back brings the browser back to a process.
func (v *visit) back(s *credstore.Store) error {
	result := errors.New("the callback did not end")
	v.serve(s.CallbackHandler(func(_ http.ResponseWriter, _ *http.Request, err error) { result = err }))
	v.place.show(result)
	return result
}

func (v *visit) serve(h http.Handler) (page string) {
	r := httptest.NewRequest(http.MethodGet, v.url, nil)
	r.RemoteAddr = "127.0.0.1:4711"
	for _, cookie := range v.cookies {
		r.AddCookie(cookie)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Body.String()
}

// sourceOf returns the source of an artifact.
func sourceOf(t testing.TB, s *credstore.Store, name string) outgrant.TokenSource {
	t.Helper()
	src, err := s.TokenSource(t.Context(), name)
	require.NoError(t, err)
	return src
}

// tokenOf asks for an artifact's token, which the token service must know.
func (p *place) tokenOf(t testing.TB, s *credstore.Store, name string) outgrant.Secret {
	t.Helper()
	return p.token(t, sourceOf(t, s, name))
}

// clientOf returns the client that a source's token was given to.
func (p *place) clientOf(t testing.TB, src outgrant.TokenSource) string {
	t.Helper()
	token := p.token(t, src)
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.clients[token]
}

func (p *place) token(t testing.TB, src outgrant.TokenSource) outgrant.Secret {
	t.Helper()
	token, err := src.Token(t.Context())
	require.NoError(t, err)
	require.True(t, p.Live(token.AccessToken), "the token service does not know it any more")
	p.show(token)
	return token.AccessToken
}

// infoOf returns what there is to see of an artifact, which List must tell, too.
func (p *place) infoOf(t testing.TB, s *credstore.Store, name string) credstore.Info {
	t.Helper()
	info, err := s.Info(t.Context(), name)
	require.NoError(t, err)
	all, err := s.List(t.Context())
	require.NoError(t, err)
	i := slices.IndexFunc(all, func(i credstore.Info) bool { return i.Name == name })
	require.GreaterOrEqual(t, i, 0)
	require.Equal(t, all[i], info)
	p.show(info)
	return info
}

func (p *place) requireStatus(t testing.TB, s *credstore.Store, name, status string) {
	t.Helper()
	info := p.infoOf(t, s, name)
	require.Equal(t, status, info.Status, info.Reason)
}
