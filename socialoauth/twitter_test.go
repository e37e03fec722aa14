package socialoauth_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/oauthtest"
	"github.com/outgrant/outgrant/socialoauth"
)

func twitterKeys() socialoauth.TwitterKeys {
	return socialoauth.TwitterKeys{ConsumerKey: "consumer-key", ConsumerSecret: "consumer-secret", AccessToken: "access-token",
		AccessTokenSecret: "access-token-secret", Name: "X_POSTS"}
}

// echo answers with what arrived, whose it is told by the provider.
var echo = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	fmt.Fprintf(w, "%s %s %s", r.Method, r.URL.RequestURI(), body)
})

func send(t testing.TB, client *http.Client, req *http.Request) (int, string) {
	t.Helper()
	resp, err := client.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp.StatusCode, string(body)
}

func newRequest(t testing.TB, method, address string, body io.Reader, header ...string) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, address, body)
	require.NoError(t, err)
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	return req
}

// TestTwitterThroughTransport sends what is signed to a strict provider.
func TestTwitterThroughTransport(t *testing.T) {
	t.Parallel()
	for name, method := range map[string]socialoauth.SignatureMethod{"SHA-1": socialoauth.HMACSHA1, "SHA-256": socialoauth.HMACSHA256} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			provider := oauthtest.NewOAuth1(nil)
			keys := twitterKeys()
			keys.Method = method
			client := &http.Client{Transport: &outgrant.Transport{Source: socialoauth.Twitter(keys), Base: oauthtest.HandlerTransport(provider.Protect(echo))}}
			for _, c := range []struct{ method, path, kind, body string }{
				{"GET", "/2/users/me", "", ""},
				{"GET", "/2/x?a=2&a=1&b=&%C3%A9=%20%2B+", "", ""},
				{"POST", "/2/tweets?x=y", "application/json", `{"text":"not signed & = %"}`},
				{"POST", "/1.1/update?a=1", formType, "status=Hello+Ladies+%2B+Gentlemen&a=2&a="},
				{"POST", "/1.1/update", formType + "; charset=UTF-8", "a=%E2%82%AC"},
				{"POST", "/1.1/update", "Application/X-WWW-Form-Urlencoded", "a=b"},
				{"GET", "/odd;path/%2F/é?x", formType, "a=b"},
				{"DELETE", "/2/tweets/1", "", ""},
				{"patch", "/in/lower/case", "", ""},
			} {
				status, body := send(t, client, newRequest(t, c.method, "https://api.x.test"+c.path, strings.NewReader(c.body), "Content-Type", c.kind))
				require.Equal(t, 200, status, "%v %v", c, provider.Refusals())
				require.True(t, strings.HasSuffix(body, c.body))
			}
			require.Empty(t, provider.Refusals())
			require.Equal(t, 9, provider.Accepted())
		})
	}
}

// TestTwitterOverTheNetwork is about what net/http makes of host, port and path.
func TestTwitterOverTheNetwork(t *testing.T) {
	t.Parallel()
	provider := oauthtest.NewOAuth1(nil)
	address := serve(t, provider.Protect(echo))
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	client := &http.Client{Transport: &outgrant.Transport{Source: socialoauth.Twitter(twitterKeys()), Base: transport}}
	for _, path := range []string{"", "?a=b", "/a b/%2f?q=a+b%20c", "/é//x/../y;z=1?", "/*'()!@:$&=,"} {
		status, _ := send(t, client, newRequest(t, "GET", address+path, nil))
		require.Equal(t, 200, status, "%q %v", path, provider.Refusals())
	}
	chunked := io.MultiReader(strings.NewReader("a=1&"), strings.NewReader("b=2")) // of unknown length
	status, body := send(t, client, newRequest(t, "POST", address+"/", chunked, "Content-Type", formType))
	require.Equal(t, 200, status)
	require.Equal(t, "POST / a=1&b=2", body)
	req := newRequest(t, "GET", address+"/", nil)
	req.Host = "API.x.test"
	status, _ = send(t, client, req)
	require.Equal(t, 200, status, "the Host header is signed: %v", provider.Refusals())
}

// TestFreshStamps: no nonce comes twice, and the timestamp is that of the moment.
func TestFreshStamps(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		src := socialoauth.Twitter(twitterKeys())
		nonces := map[string]bool{}
		for range 1000 {
			req := newRequest(t, "GET", "https://api.x.test/", nil)
			require.NoError(t, src.Authorize(t.Context(), req))
			nonce := headerParam(t, req, "oauth_nonce")
			require.Regexp(t, "^[A-Za-z0-9]{20,}$", nonce)
			require.False(t, nonces[nonce])
			nonces[nonce] = true
			require.Equal(t, fmt.Sprint(time.Now().Unix()), headerParam(t, req, "oauth_timestamp"))
			time.Sleep(time.Second)
		}
	})
}

// TestFormIsReplayable: what was read to be signed can be read again, and again.
func TestFormIsReplayable(t *testing.T) {
	t.Parallel()
	spy := &closeSpy{Reader: strings.NewReader("a=1&b=2")}
	req := newRequest(t, "POST", "https://api.x.test/", spy, "Content-Type", formType)
	require.Nil(t, req.GetBody)
	require.NoError(t, socialoauth.Twitter(twitterKeys()).Authorize(t.Context(), req))
	require.True(t, spy.closed)
	require.EqualValues(t, 7, req.ContentLength)
	for range 3 {
		body, err := io.ReadAll(req.Body)
		require.NoError(t, err)
		require.Equal(t, "a=1&b=2", string(body))
		req.Body, err = req.GetBody()
		require.NoError(t, err)
	}
	other := &closeSpy{Reader: strings.NewReader("{}")}
	req = newRequest(t, "POST", "https://api.x.test/", other, "Content-Type", "application/json")
	require.NoError(t, socialoauth.Twitter(twitterKeys()).Authorize(t.Context(), req))
	require.Same(t, other, req.Body, "another body stays unread")
	require.False(t, other.closed)
}

type closeSpy struct {
	io.Reader
	closed bool
}

func (c *closeSpy) Close() error { c.closed = true; return nil }

func TestCannotBeSigned(t *testing.T) {
	t.Parallel()
	src := socialoauth.Twitter(twitterKeys())
	broken := errors.New("broken")
	for name, c := range map[string]struct {
		change func(*http.Request)
		want   string
	}{
		"malformed query":    {func(r *http.Request) { r.URL.RawQuery = "a=100%" }, "the query is malformed"},
		"malformed escape":   {func(r *http.Request) { r.URL.RawQuery = "a=%zz&b" }, "the query is malformed"},
		"malformed form":     {func(r *http.Request) { r.Body = io.NopCloser(strings.NewReader("a=%2")) }, "the form is malformed"},
		"a nonce of its own": {func(r *http.Request) { r.URL.RawQuery = "oauth_nonce=1" }, "oauth_nonce"},
		"hidden":             {func(r *http.Request) { r.URL.RawQuery = "oauth%5Ftoken=1" }, "oauth_token"},
		"in the form":        {func(r *http.Request) { r.Body = io.NopCloser(strings.NewReader("oauth_signature=1")) }, "oauth_signature"},
		"opaque":             {func(r *http.Request) { r.URL.Opaque = "//x/y" }, "not opaque"},
		"relative":           {func(r *http.Request) { r.URL, r.Host = &url.URL{Path: "/x"}, "" }, "absolute"},
		"no URL":             {func(r *http.Request) { r.URL = nil }, "no URL"},
		"host of letters":    {func(r *http.Request) { r.Host = "bücher.test" }, "Punycode"},
		"a zone":             {func(r *http.Request) { r.URL.Host, r.Host = "[fe80::1%eth0]", "" }, "zone"},
		"compressed":         {func(r *http.Request) { r.Header.Set("Content-Encoding", "gzip") }, "Content-Encoding"},
		"huge":               {func(r *http.Request) { r.Body = io.NopCloser(io.LimitReader(letters{}, 11<<20)) }, "10 MiB"},
		"another length":     {func(r *http.Request) { r.ContentLength = 5 }, "ContentLength says 5"},
		"broken body":        {func(r *http.Request) { r.Body = io.NopCloser(io.MultiReader(strings.NewReader("a="), failing{broken})) }, "the body: broken"},
	} {
		req := newRequest(t, "POST", "https://api.x.test/", io.MultiReader(strings.NewReader("a=b")), "Content-Type", formType)
		c.change(req)
		err := src.Authorize(t.Context(), req)
		require.ErrorContains(t, err, c.want, name)
		require.ErrorContains(t, err, `"X_POSTS"`, name)
		require.Empty(t, req.Header.Get("Authorization"), name)
		te, ok := errors.AsType[*outgrant.TokenError](err)
		require.True(t, ok, name)
		require.Equal(t, name == "broken body", te.Temporary(), name)
		if name == "broken body" {
			require.ErrorIs(t, err, broken)
		}
	}
}

// TestFormsOfAnyParameters are signed: receivers take them for forms, whatever follows the type.
func TestFormsOfAnyParameters(t *testing.T) {
	t.Parallel()
	provider := oauthtest.NewOAuth1(nil)
	client := &http.Client{Transport: &outgrant.Transport{Source: socialoauth.Twitter(twitterKeys()), Base: oauthtest.HandlerTransport(provider.Protect(echo))}}
	for _, kind := range []string{formType + ";charset=UTF-8", "Application/X-WWW-Form-URLEncoded ; a", formType + "; charset=a; charset=b", formType + ";"} {
		status, _ := send(t, client, newRequest(t, "POST", "https://api.x.test/", strings.NewReader("a=b"), "Content-Type", kind))
		require.Equal(t, 200, status, "%s: %v", kind, provider.Refusals())
	}
}

// TestOneAuthorizationHeader goes out, however the caller has spelled one.
func TestOneAuthorizationHeader(t *testing.T) {
	t.Parallel()
	facebook, err := socialoauth.Facebook(socialoauth.FacebookKeys{ApplicationID: "1", ApplicationSecret: "s", AccessToken: "t"})
	require.NoError(t, err)
	for _, src := range []outgrant.Authorizer{socialoauth.Twitter(twitterKeys()), facebook} {
		req := newRequest(t, "GET", "https://api.x.test/", nil)
		req.Header["authorization"] = []string{"Basic callers"}
		require.NoError(t, src.Authorize(t.Context(), req))
		require.Len(t, req.Header, 1)
		require.Len(t, req.Header.Values("Authorization"), 1)
	}
}

type letters struct{}

func (letters) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'a'
	}
	return len(p), nil
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// TestBlockingBodyEndsWithTheContext: a caller's deadline is honoured while a form is read.
func TestBlockingBodyEndsWithTheContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		body, never := io.Pipe()
		defer never.Close()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		req := newRequest(t, "POST", "https://api.x.test/", body, "Content-Type", formType)
		began := time.Now()
		require.ErrorIs(t, socialoauth.Twitter(twitterKeys()).Authorize(ctx, req), context.DeadlineExceeded)
		require.Equal(t, time.Second, time.Since(began))
		require.ErrorIs(t, socialoauth.Twitter(twitterKeys()).Authorize(ctx, newRequest(t, "GET", "https://api.x.test/", nil)), context.DeadlineExceeded)
	})
}

func TestTwitterHasNoToken(t *testing.T) {
	t.Parallel()
	src := socialoauth.Twitter(twitterKeys())
	_, err := src.Token(t.Context())
	require.ErrorIs(t, err, outgrant.ErrUnsupportedGrant)
	te, ok := errors.AsType[*outgrant.TokenError](err)
	require.True(t, ok)
	require.False(t, te.Temporary())
	require.Equal(t, outgrant.Social, outgrant.GrantOf(src))
	require.Equal(t, "X_POSTS", src.Describe().Name)
	require.Implements(t, (*outgrant.Authorizer)(nil), src)
}

// TestConcurrentRequests share a source.
func TestConcurrentRequests(t *testing.T) {
	t.Parallel()
	provider := oauthtest.NewOAuth1(nil)
	client := &http.Client{Transport: &outgrant.Transport{Source: socialoauth.Twitter(twitterKeys()), Base: oauthtest.HandlerTransport(provider.Protect(echo))}}
	var all sync.WaitGroup
	for i := range 50 {
		all.Go(func() {
			req, _ := http.NewRequest("POST", "https://api.x.test/", strings.NewReader(fmt.Sprint("i=", i)))
			req.Header.Set("Content-Type", formType)
			if resp, err := client.Do(req); err == nil {
				resp.Body.Close()
			}
		})
	}
	all.Wait()
	require.Equal(t, 50, provider.Accepted(), provider.Refusals())
}
