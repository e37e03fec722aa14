package authcode_test

import (
	"crypto/sha256"
	"encoding/base64"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/authcode"
	"github.com/outgrant/outgrant/oauthtest"
)

const (
	startURL    = "https://app.test/oauth/authorize"
	callbackURL = "https://app.test/oauth/callback"
	appSecret   = "sentinel-of-the-client"
)

// site is a host with the handlers of one client, and its provider; all of it in memory.
type site struct {
	t       testing.TB
	service *oauthtest.Server
	vault   authcode.Vault
	cfg     *authcode.Config
	client  *authcode.Client
	mux     *http.ServeMux // the host: replace what it serves before the first request

	mu     sync.Mutex
	events []outgrant.AuthorizationEvent
}

// newSite starts one. edit may change the configuration; nil: it need not be.
func newSite(t testing.TB, opts oauthtest.ServerOptions, edit func(*authcode.Config)) *site {
	t.Helper()
	s := newBareSite(t, opts, edit)
	s.mux.Handle("/oauth/authorize", s.client.AuthorizeHandler())
	s.mux.Handle("/oauth/callback", s.client.CallbackHandler(nil))
	return s
}

// newBareSite is newSite without the handlers.
func newBareSite(t testing.TB, opts oauthtest.ServerOptions, edit func(*authcode.Config)) *site {
	t.Helper()
	s := &site{t: t, vault: authcode.NewMemoryVault(), mux: http.NewServeMux()}
	opts.InMemory = true
	opts.Clients = []oauthtest.Client{{ID: "app", Secret: appSecret, RedirectURLs: []string{callbackURL}}}
	s.service = oauthtest.NewServer(&opts)
	t.Cleanup(s.service.Close)
	s.cfg = &authcode.Config{
		Name: "MAILBOX", AuthURL: s.service.AuthURL(), TokenURL: s.service.TokenURL(), RevocationURL: s.service.RevokeURL(),
		ClientID: "app", ClientSecret: appSecret, RedirectURL: callbackURL, Vault: s.vault, HTTPClient: s.service.Client(),
		MayAuthorize: func(*http.Request) error { return nil },
		Cache:        &outgrant.CacheOptions{Hooks: &outgrant.Hooks{AuthorizationChanged: s.note}},
	}
	if edit != nil {
		edit(s.cfg)
	}
	s.client = s.newClient()
	return s
}

// newClient makes another client of the site's configuration.
func (s *site) newClient() *authcode.Client {
	s.t.Helper()
	c, err := authcode.New(s.cfg)
	require.NoError(s.t, err)
	s.t.Cleanup(func() { _ = c.Close() })
	return c
}

func (s *site) note(e outgrant.AuthorizationEvent) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.events = append(s.events, e)
}

// changes are what the hooks told.
func (s *site) changes() (all []outgrant.AuthorizationChange) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.events {
		all = append(all, e.Change)
	}
	return all
}

// stored is what the vault has.
func (s *site) stored() authcode.Authorization {
	s.t.Helper()
	a, err := s.vault.Load(s.t.Context(), s.cfg.Name)
	require.NoError(s.t, err)
	return a
}

func (s *site) requireNothingStored() {
	s.t.Helper()
	require.Zero(s.t, s.stored().Authorized)
	_, err := s.client.Token(s.t.Context())
	require.ErrorIs(s.t, err, outgrant.ErrNotAuthorized)
}

// RoundTrip is the network.
func (s *site) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Host == "app.test" {
		return oauthtest.HandlerTransport(s.mux).RoundTrip(r)
	}
	return s.service.Client().Transport.RoundTrip(r)
}

// browser is one with cookies of its own.
type browser struct {
	t      testing.TB
	client *http.Client
}

func newBrowser(t testing.TB, network http.RoundTripper) *browser {
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	return &browser{t: t, client: &http.Client{Jar: jar, Transport: network}}
}

func (s *site) browser() *browser { return newBrowser(s.t, s) }

// view is what a browser shows in the end.
type view struct {
	url    *url.URL
	status int
	header http.Header
	body   string
}

// open goes to a URL and follows redirects. header has names and values in turn.
func (b *browser) open(target string, header ...string) view {
	b.t.Helper()
	return b.fetch(b.client, target, header...)
}

// stay is open without redirects.
func (b *browser) stay(target string, header ...string) view {
	b.t.Helper()
	c := *b.client
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return b.fetch(&c, target, header...)
}

func (b *browser) fetch(client *http.Client, target string, header ...string) view {
	b.t.Helper()
	req, err := http.NewRequestWithContext(b.t.Context(), http.MethodGet, target, nil)
	require.NoError(b.t, err)
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
		if header[i] == "Host" {
			req.Host = header[i+1]
		}
	}
	resp, err := client.Do(req)
	require.NoError(b.t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(b.t, err)
	return view{url: resp.Request.URL, status: resp.StatusCode, header: resp.Header, body: string(body)}
}

// consent starts an authorization and gives consent. It returns the callback that the provider sends the browser to.
func (b *browser) consent(target string) string {
	b.t.Helper()
	v := b.stay(b.begin(target))
	require.Equal(b.t, http.StatusFound, v.status, v.body)
	return v.header.Get("Location")
}

// begin starts an authorization and returns where the browser is sent.
func (b *browser) begin(target string) string {
	b.t.Helper()
	v := b.stay(target)
	require.Equal(b.t, http.StatusSeeOther, v.status, v.body)
	return v.header.Get("Location")
}

// attempts are the cookies of attempts that the browser sends to a URL.
func (b *browser) attempts(target string) (all []*http.Cookie) {
	u, err := url.Parse(target)
	require.NoError(b.t, err)
	return slices.DeleteFunc(b.client.Jar.Cookies(u), func(c *http.Cookie) bool { return !strings.HasPrefix(c.Name, "outgrant-") })
}

// with returns a URL with other query parameters; "" takes one away.
func with(target string, params ...string) string {
	u, _ := url.Parse(target)
	q := u.Query()
	for i := 0; i < len(params); i += 2 {
		if q.Set(params[i], params[i+1]); params[i+1] == "" {
			q.Del(params[i])
		}
	}
	u.RawQuery = q.Encode()
	return u.String()
}

func param(target, name string) string {
	u, _ := url.Parse(target)
	return u.Query().Get(name)
}

// requirePage checks the status of a page of ours, that it says all of it, and its headers.
func (v view) requirePage(t testing.TB, status int, says ...string) {
	t.Helper()
	require.Equal(t, status, v.status, v.body)
	require.Equal(t, "text/html; charset=utf-8", v.header.Get("Content-Type"))
	for _, text := range says {
		require.Contains(t, v.body, text)
	}
	requireSecure(t, v.header)
	_, style, found := strings.Cut(v.body, "<style>")
	require.True(t, found)
	style, _, _ = strings.Cut(style, "</style>")
	sum := sha256.Sum256([]byte(style))
	require.Contains(t, v.header.Get("Content-Security-Policy"), "style-src 'sha256-"+base64.StdEncoding.EncodeToString(sum[:])+"'", "the browser would not show the style")
}

func requireSecure(t testing.TB, h http.Header) {
	t.Helper()
	for name, want := range map[string]string{"Cache-Control": "no-store", "Referrer-Policy": "no-referrer", "X-Frame-Options": "DENY", "X-Content-Type-Options": "nosniff"} {
		require.Equal(t, want, h.Get(name), name)
	}
	for _, part := range []string{"default-src 'none'", "frame-ancestors 'none'"} {
		require.Contains(t, h.Get("Content-Security-Policy"), part)
	}
}
