package authcode_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/authcode"
	"github.com/outgrant/outgrant/oauthtest"
)

// onLoopback is a client of a provider that listens.
func onLoopback(t *testing.T, opts oauthtest.ServerOptions, redirectURL string) (*oauthtest.Server, *authcode.Client) {
	t.Helper()
	s := oauthtest.NewServer(&opts)
	t.Cleanup(s.Close)
	return s, commandLineClient(t, s, redirectURL, s.Client())
}

func commandLineClient(t *testing.T, s *oauthtest.Server, redirectURL string, httpClient *http.Client) *authcode.Client {
	t.Helper()
	c, err := authcode.New(&authcode.Config{
		Name: "CLI", AuthURL: s.AuthURL(), TokenURL: s.TokenURL(), ClientID: "cli", Auth: outgrant.None, RedirectURL: redirectURL,
		Vault: authcode.NewMemoryVault(), HTTPClient: httpClient,
		// For a web page, and not asked here.
		MayAuthorize: func(*http.Request) error { return errors.New("MayAuthorize was asked") },
	})
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// realBrowser is one that goes over the network.
func realBrowser(t *testing.T) *browser {
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return &browser{t: t, client: &http.Client{Jar: jar, Transport: transport}}
}

func freePort(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	require.NoError(t, err)
	return port
}

func needIPv6(t *testing.T) {
	l, err := net.Listen("tcp6", "[::1]:0")
	if err != nil {
		t.Skip("there is no IPv6 here")
	}
	l.Close()
}

func TestAuthorizeLoopback(t *testing.T) {
	t.Parallel()
	port := freePort(t)
	for _, tc := range []struct {
		name, redirect, want string // want is how the redirect_uri begins
		path                 string
	}{
		{"default", "", "http://127.0.0.1:", "/"},
		{"any port", "http://127.0.0.1/cb", "http://127.0.0.1:", "/cb"},
		{"port 0", "http://127.0.0.1:0/a/b", "http://127.0.0.1:", "/a/b"},
		{"a port", "http://127.0.0.1:" + port + "/cb?x=1", "http://127.0.0.1:" + port + "/cb?x=1", "/cb"},
		{"no path", "http://127.0.0.1", "http://127.0.0.1:", ""},
		{"IPv6", "http://[::1]/cb", "http://[::1]:", "/cb"},
		{"localhost", "http://localhost/cb", "http://localhost:", "/cb"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if tc.name == "IPv6" {
				needIPv6(t)
			}
			s, c := onLoopback(t, oauthtest.ServerOptions{}, tc.redirect)
			b := realBrowser(t)
			var last view
			err := c.AuthorizeLoopback(t.Context(), func(target string) error {
				u, err := url.Parse(target)
				require.NoError(t, err)
				require.NotEqual(t, "0", u.Port())
				if tc.name == "localhost" {
					requireListening(t, "127.0.0.1:"+u.Port())
					if l, err := net.Listen("tcp6", "[::1]:0"); err == nil {
						l.Close()
						requireListening(t, "[::1]:"+u.Port())
					}
				}
				last = b.open(target, "Sec-Fetch-Site", "none")
				return nil
			})
			require.NoError(t, err)
			last.requirePage(t, http.StatusOK, "CLI is authorized")
			redirect := s.Requests()[0].Params.Get("redirect_uri")
			require.True(t, strings.HasPrefix(redirect, tc.want), redirect)
			u, err := url.Parse(redirect)
			require.NoError(t, err)
			require.Equal(t, tc.path, u.Path)
			_, err = c.Token(t.Context())
			require.NoError(t, err)
			_, err = net.DialTimeout("tcp", u.Host, time.Second)
			require.Error(t, err, "nobody listens any more")
		})
	}
}

func requireListening(t *testing.T, address string) {
	t.Helper()
	conn, err := net.DialTimeout("tcp", address, time.Second)
	require.NoError(t, err)
	conn.Close()
}

// TestLoopbackGoesOn: what is not the user's decision does not end it.
func TestLoopbackGoesOn(t *testing.T) {
	t.Parallel()
	s, c := onLoopback(t, oauthtest.ServerOptions{}, "http://127.0.0.1/cb")
	b, stranger := realBrowser(t), realBrowser(t)
	err := c.AuthorizeLoopback(t.Context(), func(target string) error {
		u, err := url.Parse(target)
		require.NoError(t, err)
		base := "http://" + u.Host
		for _, path := range []string{"/", "/favicon.ico", "/cb/", "/authorize", u.Path + "x", strings.ToLower(u.Path)} {
			require.Equal(t, http.StatusNotFound, stranger.open(base+path).status, path)
		}
		for _, query := range []string{"", "?code=x", "?code=x&state=AAAAAAAAAAAAAAAAAAAAAAAAAA", "?error=access_denied", "?error=access_denied&state=x"} {
			stranger.open(base+"/cb"+query).requirePage(t, http.StatusBadRequest)
		}
		stranger.open(target, "Host", "evil.test").requirePage(t, http.StatusForbidden)
		stranger.open(target, "Sec-Fetch-Site", "cross-site").requirePage(t, http.StatusForbidden)
		resp, err := b.client.Post(base+"/cb", "text/plain", nil)
		require.NoError(t, err)
		resp.Body.Close()
		require.Equal(t, http.StatusMethodNotAllowed, resp.StatusCode)

		callback := b.consent(target)
		stranger.open(callback).requirePage(t, http.StatusBadRequest)
		require.Zero(t, s.TokenRequests())
		b.open(callback).requirePage(t, http.StatusOK)
		return nil
	})
	require.NoError(t, err)
}

// TestLoopbackIsDecidedOnce: what comes after the user's decision is not looked at.
func TestLoopbackIsDecidedOnce(t *testing.T) {
	t.Parallel()
	s, c := onLoopback(t, oauthtest.ServerOptions{}, "")
	b := realBrowser(t)
	require.NoError(t, c.AuthorizeLoopback(t.Context(), func(target string) error {
		first, second := b.consent(target), b.consent(target)
		b.open(second).requirePage(t, http.StatusOK)
		require.Equal(t, http.StatusNotFound, b.open(first).status)
		return nil
	}))
	require.Equal(t, 1, s.TokenRequests())
}

// TestLoopbackEnds: each decision of the user, and each other end.
func TestLoopbackEnds(t *testing.T) {
	t.Parallel()
	t.Run("denied", func(t *testing.T) {
		t.Parallel()
		s, c := onLoopback(t, oauthtest.ServerOptions{}, "")
		s.Inject(oauthtest.Deny("access_denied", "no"))
		err := c.AuthorizeLoopback(t.Context(), func(target string) error {
			v := realBrowser(t).open(target)
			v.requirePage(t, http.StatusForbidden, "Consent was not given")
			require.NotContains(t, v.body, "Start again", "nobody serves it")
			return nil
		})
		require.ErrorIs(t, err, authcode.ErrDenied)
	})
	t.Run("refused", func(t *testing.T) {
		t.Parallel()
		s, c := onLoopback(t, oauthtest.ServerOptions{}, "")
		s.Inject(oauthtest.Refuse("invalid_client", "who?"))
		err := c.AuthorizeLoopback(t.Context(), func(target string) error {
			realBrowser(t).open(target).requirePage(t, http.StatusBadGateway, "invalid_client")
			return nil
		})
		var te *outgrant.TokenError
		require.ErrorAs(t, err, &te)
		require.Equal(t, "invalid_client", te.Code)
	})
	t.Run("the context", func(t *testing.T) {
		t.Parallel()
		_, c := onLoopback(t, oauthtest.ServerOptions{}, "")
		ctx, cancel := context.WithCancel(t.Context())
		err := c.AuthorizeLoopback(ctx, func(string) error { cancel(); return nil })
		require.ErrorIs(t, err, context.Canceled)
		require.ErrorContains(t, err, `"CLI": nobody authorized it`)
		require.ErrorIs(t, c.AuthorizeLoopback(ctx, func(string) error { t.Error("opened"); return nil }), context.Canceled)
	})
	t.Run("the context, while the code is exchanged", func(t *testing.T) {
		t.Parallel()
		s, _ := onLoopback(t, oauthtest.ServerOptions{}, "")
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		arrived := make(chan struct{})
		var idle net.Conn // as browsers open them in advance
		c := commandLineClient(t, s, "", &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
			close(arrived)
			_, _ = idle.Read(make([]byte, 1)) // until the server has been closed
			return s.Client().Transport.RoundTrip(r)
		})})
		finished := make(chan struct{})
		err := c.AuthorizeLoopback(ctx, func(target string) error {
			b := realBrowser(t)
			callback := b.consent(target)
			u, err := url.Parse(callback)
			require.NoError(t, err)
			idle, err = net.Dial("tcp", u.Host)
			require.NoError(t, err)
			t.Cleanup(func() { idle.Close() })
			go func() {
				defer close(finished)
				if resp, err := b.client.Get(callback); err == nil {
					_, _ = io.Copy(io.Discard, resp.Body)
					resp.Body.Close()
				}
			}()
			<-arrived
			cancel()
			return nil
		})
		require.NoError(t, err, "the user has authorized it")
		<-finished
		_, err = c.Token(t.Context())
		require.NoError(t, err)
	})
	t.Run("no browser", func(t *testing.T) {
		t.Parallel()
		_, c := onLoopback(t, oauthtest.ServerOptions{}, "")
		var target string
		err := c.AuthorizeLoopback(t.Context(), func(u string) error { target = u; return errors.New("no display") })
		require.ErrorContains(t, err, `authcode: "CLI": AuthorizeLoopback: the browser could not be opened: no display`)
		_, err = http.Get(target)
		require.Error(t, err)
	})
}

func TestLoopbackCannotBegin(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	never := func(string) error { t.Error("opened"); return nil }
	for redirect, says := range map[string]string{
		"https://127.0.0.1/cb":                      "RedirectURL: must begin with",
		"https://app.test/cb":                       "RedirectURL: must begin with",
		"http://" + taken.Addr().String() + "/cb":   "RedirectURL: cannot listen",
		"http://localhost:" + portOf(taken) + "/cb": "RedirectURL: cannot listen",
	} {
		_, c := onLoopback(t, oauthtest.ServerOptions{}, redirect)
		require.ErrorContains(t, c.AuthorizeLoopback(t.Context(), never), says, redirect)
	}
	_, c := onLoopback(t, oauthtest.ServerOptions{}, "")
	require.ErrorContains(t, c.AuthorizeLoopback(t.Context(), nil), "open is missing")
	c, err = authcode.New(&authcode.Config{Name: "CLI", TokenURL: "https://token.test/", ClientID: "cli", Auth: outgrant.None, Vault: authcode.NewMemoryVault()})
	require.NoError(t, err)
	require.ErrorContains(t, c.AuthorizeLoopback(t.Context(), never), "AuthURL is not set")
}

// TestLocalhostIsOurs: nobody else listens at the port on the other address of localhost.
func TestLocalhostIsOurs(t *testing.T) {
	t.Parallel()
	needIPv6(t)
	other, err := net.Listen("tcp6", "[::1]:0")
	require.NoError(t, err)
	defer other.Close()
	_, c := onLoopback(t, oauthtest.ServerOptions{}, "http://localhost:"+portOf(other)+"/cb")
	err = c.AuthorizeLoopback(t.Context(), func(string) error { t.Error("opened"); return nil })
	require.ErrorContains(t, err, "cannot listen")
	l, err := net.Listen("tcp4", "127.0.0.1:"+portOf(other))
	require.NoError(t, err, "what was listened at is free again")
	l.Close()
}

func portOf(l net.Listener) string {
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}
