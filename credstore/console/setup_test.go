package console_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"html"
	"io"
	"iter"
	"mime/multipart"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/credstore"
	"github.com/outgrant/outgrant/credstore/console"
	"github.com/outgrant/outgrant/credstore/driver"
	"github.com/outgrant/outgrant/credstore/memstore"
	"github.com/outgrant/outgrant/oauthtest"
)

// secret is in all secrets that are deployed, and must be on no page.
const secret = "S3NTINEL"

// site is a program with a console, under /credentials/, and a token service.
type site struct {
	*oauthtest.Server
	store   *credstore.Store
	backend driver.Store
	url     string // of the console
	down    atomic.Bool
	keeps   atomic.Bool // what was authorized, although it is to be deleted

	mu     sync.Mutex
	events []string
}

// noKeeper keeps nothing secret, in tests.
type noKeeper struct{}

func (noKeeper) Encrypt(_ context.Context, b []byte) ([]byte, error) { return bytes.Clone(b), nil }
func (noKeeper) Decrypt(_ context.Context, b []byte) ([]byte, error) { return bytes.Clone(b), nil }

// backend can be down.
type backend struct {
	driver.Store
	down, keeps *atomic.Bool
}

var errDown = errors.New("the database is away")

func (b backend) Get(ctx context.Context, k driver.Key) (driver.Record, error) {
	if b.down.Load() {
		return driver.Record{}, errDown
	}
	return b.Store.Get(ctx, k)
}

func (b backend) Put(ctx context.Context, r driver.Record, ifVersion string) (string, error) {
	if b.down.Load() {
		return "", errDown
	}
	return b.Store.Put(ctx, r, ifVersion)
}

func (b backend) Delete(ctx context.Context, k driver.Key, ifVersion string) error {
	if b.down.Load() || k.Kind == "grant" && b.keeps.Load() {
		return errDown
	}
	return b.Store.Delete(ctx, k, ifVersion)
}

func (b backend) List(ctx context.Context, tenant, kind string) iter.Seq2[driver.Record, error] {
	if b.down.Load() {
		return func(yield func(driver.Record, error) bool) { yield(driver.Record{}, errDown) }
	}
	return b.Store.List(ctx, tenant, kind)
}

// newSite starts a site. opts may be nil.
func newSite(t testing.TB, opts *console.Options) *site {
	t.Helper()
	s := &site{Server: oauthtest.NewServer(nil)}
	t.Cleanup(s.Server.Close)
	server := httptest.NewUnstartedServer(nil)
	s.url = "http://" + server.Listener.Addr().String() + "/credentials/"
	var err error
	s.backend = memstore.New()
	s.store, err = credstore.Open(backend{s.backend, &s.down, &s.keeps}, &credstore.Options{
		Keeper: noKeeper{}, History: true, RedirectURL: s.url + "callback",
		Noted: func(_, name string, e credstore.Event) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.events = append(s.events, fmt.Sprintf("%s %s by %s", name, e.What, e.Who))
		},
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.store.Close()) })
	mux := http.NewServeMux()
	mux.Handle("/credentials/", console.New(s.store, opts))
	server.Config.Handler = mux
	server.Start()
	t.Cleanup(server.Close)
	return s
}

// serve has the browsers see another handler.
func (s *site) serve(t testing.TB, h http.Handler) {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	s.url = server.URL + "/"
}

// damage changes the record of an artifact, as a bad disk does.
func (s *site) damage(t testing.TB, name string) {
	t.Helper()
	r, err := s.backend.Get(t.Context(), driver.Key{Kind: "artifact", Name: name})
	require.NoError(t, err)
	r.Sealed[len(r.Sealed)-1] ^= 1
	_, err = s.backend.Put(t.Context(), r, r.Version)
	require.NoError(t, err)
}

// noted returns what has happened since the last time.
func (s *site) noted() (events []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	events, s.events = s.events, nil
	return events
}

func (s *site) deploy(t testing.TB, all ...credstore.Artifact) {
	t.Helper()
	for _, a := range all {
		require.NoError(t, s.store.Deploy(t.Context(), a))
	}
	s.noted()
}

func (s *site) clientCredentials(name string) *credstore.ClientCredentials {
	return &credstore.ClientCredentials{Name: name, TokenServiceURL: s.TokenURL(), ClientID: "client-of-" + name, ClientSecret: secret + "-client"}
}

func (s *site) authorizationCode(name string) *credstore.AuthorizationCode {
	return &credstore.AuthorizationCode{Name: name, AuthorizationURL: s.AuthURL(), TokenServiceURL: s.TokenURL(), RevocationURL: s.RevokeURL(),
		ClientID: "client-of-" + name, ClientSecret: secret + "-code", UserName: "ops@acme.example"}
}

// browser is one, with its cookies.
type browser struct {
	t    testing.TB
	site *site
	http *http.Client
}

func (s *site) browser(t testing.TB) *browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return &browser{t: t, site: s, http: &http.Client{Jar: jar, Transport: transport}}
}

// shown is a page that a browser shows.
type shown struct {
	status  int
	url     *url.URL
	header  http.Header
	text    string
	browser *browser
}

func (b *browser) do(r *http.Request) *shown {
	b.t.Helper()
	resp, err := b.http.Do(r)
	require.NoError(b.t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(b.t, err)
	page := &shown{resp.StatusCode, resp.Request.URL, resp.Header, string(body), b}
	oauthtest.AssertNoSecrets(b.t, []string{secret}, page.url.String(), page.header, page.text)
	return page
}

// get opens a page of the console.
func (b *browser) get(address string) *shown {
	b.t.Helper()
	u, err := url.Parse(b.site.url)
	require.NoError(b.t, err)
	u, err = u.Parse(address)
	require.NoError(b.t, err)
	r, err := http.NewRequestWithContext(b.t.Context(), http.MethodGet, u.String(), nil)
	require.NoError(b.t, err)
	return b.do(r)
}

// file is what is chosen in a form's file input.
type file string

// send fills in the form of a page, and sends it as a browser does.
func (p *shown) send(fields map[string]any, headers ...string) *shown {
	t := p.browser.t
	t.Helper()
	all := p.fields()
	files := map[string]file{}
	for name, value := range fields {
		switch value := value.(type) {
		case string:
			all.Set(name, value)
		case file:
			files[name] = value
		case nil:
			all.Del(name)
		}
	}
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	for name, values := range all {
		for _, value := range values {
			require.NoError(t, form.WriteField(name, value))
		}
	}
	for name, content := range files {
		part, err := form.CreateFormFile(name, "file")
		require.NoError(t, err)
		_, err = io.WriteString(part, string(content))
		require.NoError(t, err)
	}
	require.NoError(t, form.Close())
	target := p.url
	if m := regexp.MustCompile(`<form[^>]*method="post"[^>]*action="([^"]*)"`).FindStringSubmatch(p.text); m != nil {
		var err error
		target, err = p.url.Parse(html.UnescapeString(m[1]))
		require.NoError(t, err)
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, target.String(), &body)
	require.NoError(t, err)
	r.Header.Set("Content-Type", form.FormDataContentType())
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	return p.browser.do(r)
}

var (
	inputs    = regexp.MustCompile(`<input([^>]*)>`)
	selects   = regexp.MustCompile(`(?s)<select([^>]*)>(.*?)</select>`)
	selected  = regexp.MustCompile(`<option value="([^"]*)" selected`)
	textareas = regexp.MustCompile(`(?s)<textarea([^>]*)>(.*?)</textarea>`)
	attribute = regexp.MustCompile(`([a-z-]+)(?:="([^"]*)")?`)
)

// fields returns what the form of a page would send.
func (p *shown) fields() url.Values {
	all := url.Values{}
	of := func(text string) map[string]string {
		attributes := map[string]string{}
		for _, m := range attribute.FindAllStringSubmatch(text, -1) {
			attributes[m[1]] = html.UnescapeString(m[2])
		}
		return attributes
	}
	for _, m := range inputs.FindAllStringSubmatch(p.text, -1) {
		a := of(m[1])
		_, checked := a["checked"]
		switch a["type"] {
		case "file":
		case "checkbox":
			if checked {
				all.Add(a["name"], "on")
			}
		case "radio":
			if checked {
				all.Add(a["name"], a["value"])
			}
		default:
			if a["name"] != "" {
				all.Add(a["name"], a["value"])
			}
		}
	}
	for _, m := range selects.FindAllStringSubmatch(p.text, -1) {
		value := ""
		if chosen := selected.FindStringSubmatch(m[2]); chosen != nil {
			value = html.UnescapeString(chosen[1])
		}
		all.Add(of(m[1])["name"], value)
	}
	for _, m := range textareas.FindAllStringSubmatch(p.text, -1) {
		all.Add(of(m[1])["name"], html.UnescapeString(m[2]))
	}
	return all
}

func (p *shown) requireStatus(status int) *shown {
	p.browser.t.Helper()
	require.Equal(p.browser.t, status, p.status, p.words())
	return p
}

func (p *shown) has(texts ...string) *shown {
	p.browser.t.Helper()
	for _, text := range texts {
		require.Contains(p.browser.t, p.words(), text)
	}
	return p
}

func (p *shown) hasNot(texts ...string) *shown {
	p.browser.t.Helper()
	for _, text := range texts {
		require.NotContains(p.browser.t, p.words(), text)
	}
	return p
}

var tags = regexp.MustCompile(`(?s)<[^>]*>`)

// words is the text of a page as people read it.
func (p *shown) words() string {
	text := strings.ReplaceAll(p.text, "<wbr>", "")
	return strings.Join(strings.Fields(html.UnescapeString(tags.ReplaceAllString(text, " "))), " ")
}

func token(t testing.TB, s *credstore.Store, name string) (*outgrant.Token, error) {
	t.Helper()
	src, err := s.TokenSource(t.Context(), name)
	require.NoError(t, err)
	return src.Token(t.Context())
}

// eventually waits for what happens beside the call.
func eventually(t testing.TB, is func() bool) {
	t.Helper()
	require.Eventually(t, is, 10*time.Second, time.Millisecond)
}
