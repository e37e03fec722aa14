package peer

import (
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// Browser is a person at a browser. Where a page asks, the person signs in and consents.
type Browser struct {
	Login string // who
	Deny  bool   // cancel rather than sign in or consent

	// StopAt, if set, is the beginning of an address that the browser is not to open: it stays where it was sent there.
	StopAt string

	client *http.Client
}

// NewBrowser opens a browser without cookies.
func NewBrowser(tb testing.TB, login string, transport http.RoundTripper) *Browser {
	tb.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		tb.Fatal(err)
	}
	b := &Browser{Login: login}
	b.client = &http.Client{Transport: transport, Jar: jar, CheckRedirect: b.redirect}
	return b
}

// Page is where a browser ended.
type Page struct {
	URL    *url.URL // the address; with StopAt, the one that was not opened
	Status int      // with StopAt, that of the redirect
	Header http.Header
	Text   string
}

const mostSteps = 20 // redirects in a row, and pages

// Visit opens an address as if the person had typed it, and goes on to the first page that asks for nothing.
func (b *Browser) Visit(tb testing.TB, address string) *Page {
	tb.Helper()
	req, err := http.NewRequestWithContext(tb.Context(), http.MethodGet, address, nil)
	if err != nil {
		tb.Fatal(err)
	}
	site := "none"
	for range mostSteps {
		page := b.open(tb, req, site)
		if req = page.next(tb, b); req == nil {
			return page
		}
		site = "cross-site"
		if req.URL.Host == page.URL.Host {
			site = "same-origin"
		}
	}
	tb.Fatalf("%s leads to page after page", address)
	return nil
}

// open follows redirects to a page. Each request tells what brought it about, as browsers do (Fetch Metadata).
func (b *Browser) open(tb testing.TB, req *http.Request, site string) *Page {
	tb.Helper()
	for name, value := range map[string]string{"Accept": "text/html", "Sec-Fetch-Site": site, "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"} {
		req.Header.Set(name, value)
	}
	resp, err := b.client.Do(req)
	if err != nil {
		tb.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		tb.Fatal(err)
	}
	page := &Page{URL: resp.Request.URL, Status: resp.StatusCode, Header: resp.Header, Text: string(text)}
	if to, err := resp.Location(); err == nil {
		page.URL = to
	}
	return page
}

func (b *Browser) redirect(req *http.Request, via []*http.Request) error {
	if len(via) >= mostSteps || b.StopAt != "" && strings.HasPrefix(req.URL.String(), b.StopAt) {
		return http.ErrUseLastResponse
	}
	strange := func(r *http.Request) bool { return r.URL.Host != req.URL.Host }
	if req.Header.Get("Sec-Fetch-Site") == "same-origin" && slices.ContainsFunc(via, strange) {
		req.Header.Set("Sec-Fetch-Site", "cross-site")
	}
	return nil
}

var (
	form   = regexp.MustCompile(`(?s)<form\b([^>]*)>(.*?)</form>`)
	input  = regexp.MustCompile(`<input\b([^>]*)>`)
	member = regexp.MustCompile(`\b(action|name|type|value)="([^"]*)"`)
	cancel = regexp.MustCompile(`<a href="([^"]*)">[^<]*Cancel`)
)

// next is what the person does on the page; nil: read it.
func (p *Page) next(tb testing.TB, b *Browser) *http.Request {
	tb.Helper()
	found := form.FindStringSubmatch(p.Text)
	if found == nil {
		return nil
	}
	if b.Deny {
		link := cancel.FindStringSubmatch(p.Text)
		if link == nil {
			tb.Fatalf("nothing to cancel with on %s:\n%s", p.URL.Redacted(), p.Text)
		}
		return p.request(tb, http.MethodGet, html.UnescapeString(link[1]), "")
	}
	filled := url.Values{}
	for _, field := range input.FindAllStringSubmatch(found[2], -1) {
		of := members(field[1])
		switch of["type"] {
		case "text":
			filled.Set(of["name"], b.Login)
		case "password":
			filled.Set(of["name"], "any password")
		default:
			filled.Set(of["name"], of["value"])
		}
	}
	return p.request(tb, http.MethodPost, members(found[1])["action"], filled.Encode())
}

// members returns the attributes of an element that the browser knows.
func members(element string) map[string]string {
	all := map[string]string{}
	for _, m := range member.FindAllStringSubmatch(element, -1) {
		all[m[1]] = html.UnescapeString(m[2])
	}
	return all
}

func (p *Page) request(tb testing.TB, method, reference, body string) *http.Request {
	tb.Helper()
	to, err := p.URL.Parse(reference)
	if err != nil {
		tb.Fatal(err)
	}
	req, err := http.NewRequestWithContext(tb.Context(), method, to.String(), strings.NewReader(body))
	if err != nil {
		tb.Fatal(err)
	}
	if method == http.MethodPost {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	return req
}
