// Package odata_test tests adapters/odata against SAP CAP, which checks the tokens by SAP's own validator and asks for CSRF
// tokens.
package odata_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/adapters/odata"
	"github.com/outgrant/outgrant/clientcredentials"
	"github.com/outgrant/outgrant/internal/leakcheck"
	"github.com/outgrant/outgrant/internal/peers/peer"
)

func TestMain(m *testing.M) { leakcheck.Main(m) }

const (
	resource = "urn:peers:bookshop"
	appName  = "bookshop"
)

var bookkeeper = scoped(peer.SecretClient("bookkeeper", "a secret"), "odata.read odata.write")

func scoped(c peer.Client, scope string) peer.Client {
	c.Scope = scope
	return c
}

func startAuthServer(t testing.TB, opts peer.AuthServerOptions) *peer.AuthServer {
	opts.Clients, opts.Scopes = []peer.Client{bookkeeper}, []string{"odata.read", "odata.write"}
	opts.Resources, opts.XSUAA = []string{resource}, map[string]string{resource: appName}
	return peer.StartAuthServer(t, opts)
}

// newSource gets tokens for the receiver.
func newSource(t testing.TB, s *peer.AuthServer, scopes ...string) *outgrant.CachedSource {
	t.Helper()
	src, err := clientcredentials.New(&clientcredentials.Config{
		Name: "BOOKSHOP", TokenURL: s.TokenURL, ClientID: bookkeeper.ID, ClientSecret: outgrant.Secret(bookkeeper.Secret),
		Resource: resource, Scopes: scopes, HTTPClient: &http.Client{Transport: s.Transport(t)},
	})
	require.NoError(t, err)
	return src
}

// version is a version of the protocol at the receiver.
type version struct {
	name, path string // the path of a service's root, without its name
	construct  func(outgrant.TokenSource, *odata.Options) (*odata.Transport, error)
}

var versions = []version{{"V4", "/odata/v4/", odata.NewV4}, {"V2", "/odata/v2/", odata.NewV2}}

// shop is a client of one of the receiver's services.
type shop struct {
	*http.Client
	root string
	sent *sent
}

func (v version) open(t testing.TB, src outgrant.TokenSource, receiver *peer.ODataReceiver, service string, opts odata.Options) shop {
	t.Helper()
	base := &http.Transport{}
	t.Cleanup(base.CloseIdleConnections)
	s := shop{root: receiver.URL + v.path + service + "/", sent: &sent{base: base}}
	opts.Base, opts.ServiceURL = s.sent, s.root
	transport, err := v.construct(src, &opts)
	require.NoError(t, err)
	s.Client = &http.Client{Transport: transport}
	return s
}

// do sends a request and returns the answer, whose body is read.
func (s shop) do(t testing.TB, method, path, body string, header ...string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, s.root+path, strings.NewReader(body))
	require.NoError(t, err)
	req.Header.Set("Accept", "application/json")
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := s.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	failed := odata.ErrorOf(resp)
	text, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	if failed != nil {
		t.Log(failed)
	}
	resp.Body = io.NopCloser(strings.NewReader(string(text)))
	return resp, string(text)
}

// stock returns a book's stock and its ETag.
func (s shop) stock(t testing.TB, id int) (stock int, etag string) {
	t.Helper()
	resp, text := s.do(t, "GET", fmt.Sprintf("Books(%d)", id), "")
	require.Equal(t, http.StatusOK, resp.StatusCode, text)
	var book struct {
		Stock int
		D     struct{ Stock int }
	}
	require.NoError(t, json.Unmarshal([]byte(text), &book))
	return book.Stock + book.D.Stock, resp.Header.Get("ETag")
}

// sent is an [http.RoundTripper] that counts the fetches of CSRF tokens.
type sent struct {
	base http.RoundTripper

	mu      sync.Mutex
	fetches int
	forget  bool // changes lose their cookies, as if the receiver had forgotten them
}

func (s *sent) RoundTrip(req *http.Request) (*http.Response, error) {
	s.mu.Lock()
	if req.Header.Get("X-Csrf-Token") == "Fetch" {
		s.fetches++
	} else if s.forget {
		req = req.Clone(req.Context())
		req.Header.Del("Cookie")
	}
	s.mu.Unlock()
	return s.base.RoundTrip(req)
}
