package outgrant_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/oauthtest"
)

const bearer = "Bearer sentinel-token"

// receiver records the Authorization headers that it sees, by path.
type receiver struct {
	*httptest.Server
	mu   sync.Mutex
	seen []string
}

func newReceiver(t *testing.T, tls bool, h http.HandlerFunc) *receiver {
	t.Helper()
	r := &receiver{}
	handler := http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		r.mu.Lock()
		r.seen = append(r.seen, req.URL.Path+" "+req.Header.Get("Authorization"))
		r.mu.Unlock()
		h(w, req)
	})
	if tls {
		r.Server = httptest.NewTLSServer(handler)
	} else {
		r.Server = httptest.NewServer(handler)
	}
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) authorized() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]string(nil), r.seen...)
}

func ok(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") }

func redirectTo(url string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, url, http.StatusTemporaryRedirect) }
}

func TestTokenGoesNoFurtherThanTheOrigin(t *testing.T) {
	t.Parallel()
	// Each case is a chain of redirects by their origins: h is home (https), p another port, n another host name
	// for the home server, s home's port by another scheme.
	for name, c := range map[string]struct {
		chain string
		want  []string // in order, whether the token is there
	}{
		"no redirect":                       {"h", []string{"yes"}},
		"within the origin":                 {"hhh", []string{"yes", "yes", "yes"}},
		"to another port":                   {"hp", []string{"yes", "no"}},
		"to another host":                   {"hn", []string{"yes", "no"}},
		"to another scheme":                 {"hs", []string{"yes", "no"}},
		"two hops away":                     {"hpn", []string{"yes", "no", "no"}},
		"away after a hop at home":          {"hhp", []string{"yes", "yes", "no"}},
		"away and back home":                {"hph", []string{"yes", "no", "no"}},
		"away, home, and a hop within home": {"hphh", []string{"yes", "no", "no", "no"}},
		"another host and back":             {"hnh", []string{"yes", "no", "no"}},
		"another scheme and back":           {"hsh", []string{"yes", "no", "no"}},
		"two away and back":                 {"hpnh", []string{"yes", "no", "no", "no"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var mu sync.Mutex
			var got []string
			origins := map[byte]string{}
			step := func(w http.ResponseWriter, r *http.Request) {
				mu.Lock()
				defer mu.Unlock()
				has := map[bool]string{true: "yes", false: "no"}[r.Header.Get("Authorization") != ""]
				if got = append(got, has); len(got) < len(c.chain) {
					http.Redirect(w, r, fmt.Sprintf("%s/%d", origins[c.chain[len(got)]], len(got)), http.StatusFound)
				}
			}
			home, port, plain := newReceiver(t, true, step), newReceiver(t, true, step), newReceiver(t, false, step)
			_, homePort, _ := net.SplitHostPort(home.Listener.Addr().String())
			origins['h'], origins['p'], origins['s'] = home.URL, port.URL, plain.URL
			origins['n'] = "https://example.com:" + homePort // httptest's certificate is for it too
			base := home.Client().Transport.(*http.Transport).Clone()
			base.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
				return (&net.Dialer{}).DialContext(ctx, network, strings.Replace(addr, "example.com", "127.0.0.1", 1))
			}
			defer base.CloseIdleConnections()
			base.TLSClientConfig.InsecureSkipVerify = true
			client := &http.Client{Transport: &outgrant.Transport{Source: outgrant.StaticToken("sentinel-token"), Base: base}}
			resp, err := client.Get(home.URL)
			require.NoError(t, err)
			defer resp.Body.Close()
			require.Equal(t, c.want, got)
			for r := resp; r != nil && r.Request != nil; r = r.Request.Response {
				require.Empty(t, r.Request.Header.Get("Authorization"), "the caller sees no token")
			}
		})
	}
}

// untold drops what says which redirects led to a request.
type untold struct{ base http.RoundTripper }

func (u untold) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := u.base.RoundTrip(req)
	if resp != nil {
		resp.Request = nil
	}
	return resp, err
}

func TestNoTokenWhereTheChainCannotBeTold(t *testing.T) {
	t.Parallel()
	away := newReceiver(t, false, ok)
	home := newReceiver(t, false, redirectTo(away.URL))
	client := &http.Client{Transport: untold{&outgrant.Transport{Source: outgrant.StaticToken("sentinel-token")}}}
	resp, err := client.Get(home.URL)
	require.NoError(t, err)
	resp.Body.Close()
	require.Equal(t, []string{"/ " + bearer}, home.authorized())
	require.Equal(t, []string{"/ "}, away.authorized())
}

type closeSpy struct {
	io.Reader
	closed bool
}

func (c *closeSpy) Close() error { c.closed = true; return nil }

func TestPlainHTTPIsRefused(t *testing.T) {
	t.Parallel()
	sent := false
	base := roundTripFunc(func(req *http.Request) (*http.Response, error) {
		sent = true
		return &http.Response{StatusCode: 200, Body: http.NoBody}, nil
	})
	for url, refused := range map[string]bool{
		"http://receiver.example/?secret=sentinel-query": true,
		"http://localhost.example/":                      true,
		"http://10.0.0.1/":                               true,
		"http://0.0.0.0/":                                true,
		"ftp://receiver.example/":                        true,
		"https://receiver.example/":                      false,
		"http://localhost:8080/":                         false,
		"http://127.0.0.2/":                              false,
		"http://[::1]:80/":                               false,
	} {
		sent = false
		body := &closeSpy{Reader: strings.NewReader("x")}
		req, err := http.NewRequest(http.MethodPost, url, body)
		require.NoError(t, err)
		_, err = (&outgrant.Transport{Source: outgrant.StaticToken("sentinel-token"), Base: base}).RoundTrip(req)
		if refused {
			require.ErrorIs(t, err, outgrant.ErrInsecureURL, url)
			require.NotContains(t, err.Error(), "sentinel")
			require.True(t, body.closed, "bodies are closed on every path")
		} else {
			require.NoError(t, err, url)
		}
		require.NotEqual(t, refused, sent, url)
		_, err = (&outgrant.Transport{Source: outgrant.StaticToken("sentinel-token"), Base: base, AllowInsecureHTTP: true}).RoundTrip(req)
		require.NoError(t, err)
	}
}

type roundTripFunc func(*http.Request) (*http.Response, error)

func (f roundTripFunc) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

func TestOrigins(t *testing.T) {
	t.Parallel()
	var header string
	base := roundTripFunc(func(req *http.Request) (*http.Response, error) {
		header = req.Header.Get("Authorization")
		return &http.Response{StatusCode: 200, Body: http.NoBody}, nil
	})
	client := &http.Client{Transport: &outgrant.Transport{Source: outgrant.StaticToken("sentinel-token"), Base: base,
		Origins: []string{"https://API.example", "https://other.example:8443/"}}}
	for url, want := range map[string]string{
		"https://api.example/x": bearer, "https://api.example:443/": bearer, "https://other.example:8443/": bearer,
		"https://other.example/": "", "https://api.example.evil.example/": "", "http://api.example/": "", "https://api.example:444/": "",
	} {
		_, err := client.Get(url)
		require.NoError(t, err)
		require.Equal(t, want, header, url)
	}
	for _, bad := range []string{"api.example", "https://api.example/path", "https://u@api.example", ":", ""} {
		client.Transport.(*outgrant.Transport).Origins = []string{bad}
		_, err := client.Get("https://api.example/")
		require.ErrorContains(t, err, "Origins[0]", bad)
	}
}

func TestCallersRequestIsLeftAlone(t *testing.T) {
	t.Parallel()
	receiver := newReceiver(t, false, ok)
	req, err := http.NewRequest(http.MethodGet, receiver.URL, nil)
	require.NoError(t, err)
	req.Header.Set("X-Own", "1")
	resp, err := outgrant.NewClient(outgrant.StaticToken("sentinel-token")).Transport.RoundTrip(req)
	require.NoError(t, err)
	resp.Body.Close()
	require.Same(t, req, resp.Request)
	require.Equal(t, http.Header{"X-Own": {"1"}}, req.Header)
	req.Header["authorization"] = []string{"Basic of-the-caller"} // replaced in whatever spelling
	resp, err = outgrant.NewClient(outgrant.StaticToken("sentinel-token")).Transport.RoundTrip(req)
	require.NoError(t, err)
	resp.Body.Close()
	require.Equal(t, []string{"/ " + bearer, "/ " + bearer}, receiver.authorized())
}

func TestSourceFor(t *testing.T) {
	t.Parallel()
	receiver := newReceiver(t, false, ok)
	calls := 0
	client := &http.Client{Transport: &outgrant.Transport{
		Source: outgrant.StaticToken("not-this-one"),
		SourceFor: func(req *http.Request) (outgrant.TokenSource, error) {
			switch calls++; req.URL.Path {
			case "/fails":
				return nil, errors.New("no user")
			case "/nil":
				return nil, nil
			}
			return outgrant.StaticToken("of" + outgrant.Secret(strings.ReplaceAll(req.URL.Path, "/", "-"))), nil
		},
	}}
	resp, err := client.Get(receiver.URL + "/a")
	require.NoError(t, err)
	resp.Body.Close()
	require.Equal(t, []string{"/a Bearer of-a"}, receiver.authorized())
	require.Equal(t, 1, calls)
	_, err = client.Get(receiver.URL + "/fails")
	require.ErrorContains(t, err, "no user")
	_, err = client.Get(receiver.URL + "/nil")
	require.ErrorContains(t, err, "SourceFor")
	_, err = (&http.Client{Transport: &outgrant.Transport{}}).Get(receiver.URL)
	require.ErrorContains(t, err, "set Source")
	_, err = outgrant.NewClient(outgrant.TokenSourceFunc(func(context.Context) (*outgrant.Token, error) { return nil, nil })).Get(receiver.URL)
	require.ErrorContains(t, err, "neither a token nor an error")
	require.Len(t, receiver.authorized(), 1)
}

type signer struct{ oauthtest.Source }

func (s *signer) Authorize(_ context.Context, req *http.Request) error {
	if req.URL.Path == "/fails" {
		return errors.New("cannot sign")
	}
	req.Header.Set("Authorization", "OAuth signed")
	q := req.URL.Query()
	q.Set("proof", "1")
	req.URL.RawQuery = q.Encode()
	return nil
}

func TestAuthorizer(t *testing.T) {
	t.Parallel()
	receiver := newReceiver(t, false, func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(401) })
	src := &signer{}
	req, err := http.NewRequest(http.MethodPost, receiver.URL, strings.NewReader("x"))
	require.NoError(t, err)
	resp, err := outgrant.NewClient(src).Do(req)
	require.NoError(t, err)
	resp.Body.Close()
	require.Equal(t, []string{"/ OAuth signed"}, receiver.authorized(), "a refused signature is not repeated")
	require.Zero(t, src.Calls(), "Authorize is preferred to Token")
	require.Empty(t, req.Header)
	require.Empty(t, req.URL.RawQuery)
	body := &closeSpy{Reader: strings.NewReader("x")}
	_, err = outgrant.NewClient(src).Post(receiver.URL+"/fails", "", body)
	require.ErrorContains(t, err, "cannot sign")
	require.True(t, body.closed)
}

func TestBodyIsClosedWhenThereIsNoToken(t *testing.T) {
	t.Parallel()
	src := &oauthtest.Source{}
	src.Fail(errDown)
	body := &closeSpy{Reader: strings.NewReader("x")}
	_, err := outgrant.NewClient(src).Post("https://receiver.test", "", body)
	require.ErrorIs(t, err, errDown)
	require.True(t, body.closed)
}

func TestUpgradeIsPassedThrough(t *testing.T) {
	t.Parallel()
	receiver := newReceiver(t, false, func(w http.ResponseWriter, r *http.Request) {
		conn, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		_, _ = rw.WriteString("HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\n")
		_ = rw.Flush()
		line, _ := rw.ReadString('\n')
		_, _ = rw.WriteString("echo " + line)
		_ = rw.Flush()
	})
	req, err := http.NewRequest(http.MethodGet, receiver.URL, nil)
	require.NoError(t, err)
	req.Header.Set("Connection", "Upgrade")
	req.Header.Set("Upgrade", "echo")
	resp, err := outgrant.NewClient(outgrant.StaticToken("sentinel-token")).Do(req)
	require.NoError(t, err)
	require.Equal(t, http.StatusSwitchingProtocols, resp.StatusCode)
	conn, isConn := resp.Body.(io.ReadWriteCloser)
	require.True(t, isConn, "the body is the connection")
	defer conn.Close()
	_, err = io.WriteString(conn, "hello\n")
	require.NoError(t, err)
	line, err := bufio.NewReader(conn).ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "echo hello\n", line)
	require.Equal(t, []string{"/ " + bearer}, receiver.authorized())
}

type idleCloser struct {
	http.RoundTripper
	closed int
}

func (c *idleCloser) CloseIdleConnections() { c.closed++ }

func TestCloseIdleConnectionsIsPassedOn(t *testing.T) {
	t.Parallel()
	base := &idleCloser{}
	(&http.Client{Transport: &outgrant.Transport{Base: base}}).CloseIdleConnections()
	require.Equal(t, 1, base.closed)
	(&outgrant.Transport{Base: untold{}}).CloseIdleConnections()
}
