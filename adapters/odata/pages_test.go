package odata_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant/adapters/odata"
	"github.com/outgrant/outgrant/oauthtest"
)

type book struct {
	ID    int
	Title string
}

// bookPages reads all pages until an error.
func bookPages(ctx context.Context, client *http.Client, first string) (pages []odata.Page[book], err error) {
	for page, err := range odata.Pages[book](ctx, client, first) {
		if err != nil {
			return pages, err
		}
		pages = append(pages, page)
	}
	return pages, nil
}

func TestPages(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		bodies []string
		want   []odata.Page[book]
		urls   []string
	}{
		"V2": {[]string{sample(t, "pages/v2.json"), `{"d":{"results":[{"ID":3}],"__next":"https://gateway.test:443/x?$skiptoken=3#f"}}`, sample(t, "pages/v2-array.json")},
			[]odata.Page[book]{{Items: []book{{1, "A"}, {2, "B"}}, Count: 12}, {Items: []book{{3, ""}}, Count: -1}, {Items: []book{{1, ""}}, Count: -1}},
			[]string{"/sap/opu/odata/sap/BOOKS/Books?$top=9", "/sap/opu/odata/sap/BOOKS/Books?$skiptoken=2", "/x?$skiptoken=3"}},
		"V4": {[]string{sample(t, "pages/v4.json"), sample(t, "pages/v401.json")},
			[]odata.Page[book]{{Items: []book{{1, "A"}}, Count: 12}, {Items: []book{}, Count: 12, DeltaLink: "Books?$deltatoken=1"}},
			[]string{"/sap/opu/odata/sap/BOOKS/Books?$top=9", "/sap/opu/odata/sap/BOOKS/Books?$skiptoken=1"}},
		"V4.01":                  {[]string{`{"value":[],"@nextLink":"/b"}`, `{"value":[]}`}, []odata.Page[book]{{Items: []book{}, Count: -1}, {Items: []book{}, Count: -1}}, []string{"/sap/opu/odata/sap/BOOKS/Books?$top=9", "/b"}},
		"with a byte order mark": {[]string{"\ufeff" + `{"value":[]}`}, []odata.Page[book]{{Items: []book{}, Count: -1}}, []string{"/sap/opu/odata/sap/BOOKS/Books?$top=9"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var handlers []http.HandlerFunc
			for _, body := range c.bodies {
				handlers = append(handlers, says(200, body))
			}
			r := &receiver{handler: answers(handlers...)}
			client := newV4(t, r, odata.Options{})
			pages, err := bookPages(t.Context(), client, service+"/Books?$top=9")
			require.NoError(t, err)
			require.Equal(t, c.want, pages)
			var urls []string
			for _, s := range r.arrived() {
				urls = append(urls, s.url)
				require.Equal(t, "bearer-of-nobody", s.bearer)
				require.Equal(t, "application/json", s.header.Get("Accept"))
			}
			require.Equal(t, c.urls, urls)
		})
	}
}

func TestPagesRefuse(t *testing.T) {
	t.Parallel()
	next := func(link string) http.HandlerFunc {
		return says(200, fmt.Sprintf(`{"value":[{"ID":1}],"@odata.nextLink":%q}`, link))
	}
	for name, c := range map[string]struct {
		handler http.HandlerFunc
		pages   int
		want    string
	}{
		"another host":                  {next("https://evil.test/Books?secret=sentinel"), 1, "at another origin (https://evil.test), where the token must not go"},
		"another host, without scheme":  {says(200, sample(t, "pages/elsewhere.json")), 1, "https://evil.test"},
		"another port":                  {next("https://gateway.test:8443/Books"), 1, "https://gateway.test:8443"},
		"another scheme":                {next("http://gateway.test/Books"), 1, "http://gateway.test"},
		"a host that looks like it":     {next("https://gateway.test@evil.test/"), 1, "https://evil.test"},
		"no scheme of the web":          {next("file:///etc/passwd"), 1, "another origin"},
		"backslashes":                   {next(`https:\\evil.test\`), 1, "another origin"},
		"itself":                        {next("/sap/opu/odata/sap/BOOKS/Books"), 1, "was there already"},
		"itself by name":                {next(service + "/Books#x"), 1, "was there already"},
		"a circle":                      {answers(next("/a"), next("/b"), next("/a")), 3, "was there already"},
		"no URL":                        {next("http://[::1"), 0, "cannot be read"},
		"an error":                      {says(400, sample(t, "errors/v4.json")), 0, "answered 400 ASSERT_RANGE"},
		"an error later":                {answers(next("/a"), says(503, "")), 1, "answered 503"},
		"nothing":                       {says(204, ""), 0, "answered 204"},
		"a page of HTML":                {says(200, sample(t, "errors/page.html"), "Content-Type", "application/json"), 0, "not a collection in JSON"},
		"an entity":                     {says(200, sample(t, "pages/entity.json")), 0, "not a collection in JSON"},
		"values that are none":          {says(200, `{"value":{"ID":1}}`), 0, "not a collection in JSON"},
		"null":                          {says(200, `{"value":null}`), 0, "not a collection in JSON"},
		"other types":                   {says(200, `{"value":[{"ID":"one"}]}`), 0, "could not be decoded"},
		"a link of another type":        {says(200, `{"value":[],"@odata.nextLink":7}`), 0, "not a collection in JSON"},
		"deep nesting":                  {says(200, `{"value":[`+strings.Repeat("[", 20_000)), 0, "not a collection in JSON"},
		"a redirect and a link of them": {answers(says(302, "", "Location", "https://evil.test/p"), next("p2")), 1, "https://evil.test"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := &receiver{handler: c.handler}
			pages, err := bookPages(t.Context(), newV4(t, r, odata.Options{}), service+"/Books")
			require.ErrorContains(t, err, c.want)
			require.ErrorContains(t, err, "odata: ")
			require.NotContains(t, err.Error(), "sentinel")
			require.Len(t, pages, c.pages)
			for _, s := range r.arrived() {
				require.True(t, s.host == host || s.bearer == "" && strings.HasPrefix(s.url, "/p"), s.host)
			}
		})
	}
	_, err := bookPages(t.Context(), nil, service)
	require.ErrorContains(t, err, "the client is nil")
	_, err = bookPages(t.Context(), http.DefaultClient, "http://[::1?sentinel")
	require.ErrorContains(t, err, "cannot be read")
	require.NotContains(t, err.Error(), "sentinel")
}

func TestPagesTooBig(t *testing.T) {
	t.Parallel()
	base := roundTripFunc(func(req *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 200, Request: req, Body: io.NopCloser(zeroes{})}, nil
	})
	_, err := bookPages(t.Context(), newV4(t, base, odata.Options{}), service)
	require.ErrorContains(t, err, "more than 64 MiB")
}

// TestPagesEnd with the context, and where their reader ends.
func TestPagesEnd(t *testing.T) {
	t.Parallel()
	n := 0
	r := &receiver{handler: func(w http.ResponseWriter, _ *http.Request) {
		n++
		fmt.Fprintf(w, `{"value":[{"ID":%d}],"@odata.nextLink":"Books?secret=sentinel&$skiptoken=%d"}`, n, n) // there is always one more
	}}
	client := newV4(t, r, odata.Options{})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	got := 0
	for page, err := range odata.Pages[json.RawMessage](ctx, client, service+"/Books?secret=sentinel") {
		if err != nil {
			require.ErrorIs(t, err, context.Canceled)
			require.NotContains(t, err.Error(), "sentinel")
			break
		}
		if got++; got == 3 {
			require.Equal(t, `{"ID":3}`, string(page.Items[0]))
			cancel()
		}
	}
	require.Equal(t, 3, got)
	require.Len(t, r.log(), 3)
	pages := odata.Pages[book](t.Context(), client, service+"/Books")
	for range 2 { // each range begins anew
		for range pages {
			break
		}
	}
	require.Equal(t, "/sap/opu/odata/sap/BOOKS/Books", r.arrived()[3].url)
	require.Equal(t, "/sap/opu/odata/sap/BOOKS/Books", r.arrived()[4].url)
	require.Len(t, r.log(), 5)
}

func TestPagesErrorIsTyped(t *testing.T) {
	t.Parallel()
	r := &receiver{handler: says(400, sample(t, "errors/v4.json"))}
	_, err := bookPages(t.Context(), newV4(t, r, odata.Options{}), service)
	e, ok := errors.AsType[*odata.Error](err)
	require.True(t, ok)
	require.Equal(t, "stock", e.Target)
}

// FuzzPages has each page say what the fuzzer wants: it must end, and never call another server.
func FuzzPages(f *testing.F) {
	seeds(f, "pages")
	f.Fuzz(func(t *testing.T, body string) {
		n := 0
		handler := oauthtest.HandlerTransport(says(200, body))
		client := newV4(t, roundTripFunc(func(req *http.Request) (*http.Response, error) {
			if n++; req.URL.Hostname() != host || req.URL.Scheme != "https" {
				t.Errorf("%q", req.URL)
			}
			return handler.RoundTrip(req)
		}), odata.Options{})
		for _, err := range odata.Pages[json.RawMessage](t.Context(), client, service+"/Books") {
			if err != nil || n > 50 { // a link that grows
				break
			}
		}
	})
}

// TestPagesRelativeToContext has links as CAP writes them: relative to the context, which is not where the page is.
func TestPagesRelativeToContext(t *testing.T) {
	t.Parallel()
	const at = "/odata/v4/catalog/Authors(1)/books"
	for context, want := range map[string]string{
		"../$metadata#Books":                                at,
		server + "/odata/v4/catalog/$metadata#Books":        at,
		"$metadata#Books":                                   "/odata/v4/catalog/Authors(1)/Authors(1)/books",
		"https://internal.test/odata/v4/catalog/$metadata#": "/odata/v4/catalog/Authors(1)/Authors(1)/books", // as if there were none
		":": "/odata/v4/catalog/Authors(1)/Authors(1)/books",
	} {
		for _, prefix := range []string{"@odata.", "@"} {
			r := &receiver{handler: answers(says(200, fmt.Sprintf(`{%q:%q,"value":[],%q:"Authors(1)/books?$skiptoken=2"}`, prefix+"context", context, prefix+"nextLink")), says(200, `{"value":[]}`))}
			_, err := bookPages(t.Context(), newV4(t, r, odata.Options{}), server+at)
			require.NoError(t, err, context)
			require.Len(t, r.arrived(), 2)
			require.Equal(t, want+"?$skiptoken=2", r.arrived()[1].url, context)
		}
	}
}
