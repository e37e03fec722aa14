package oauthtest_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant/internal/leakcheck"
	"github.com/outgrant/outgrant/oauthtest"
)

func TestMain(m *testing.M) { leakcheck.Main(m) }

const formType = "application/x-www-form-urlencoded"

// wire is a token request built by hand.
type wire struct {
	method, query, body string
	header              http.Header
}

// tokenRequest is a well-formed request with a form of these parameters, name and value in turn.
func tokenRequest(params ...string) *wire {
	return &wire{method: "POST", body: form(params...), header: http.Header{"Content-Type": {formType}}}
}

// clientCredentials is a well-formed request of the client "client-1", whose secret is "secret-1".
func clientCredentials(params ...string) *wire {
	return tokenRequest(append([]string{"grant_type", "client_credentials"}, params...)...).as("client-1", "secret-1")
}

// as authenticates by HTTP Basic.
func (w *wire) as(id, secret string) *wire {
	return w.authorized("Basic " + base64.StdEncoding.EncodeToString([]byte(url.QueryEscape(id)+":"+url.QueryEscape(secret))))
}

func (w *wire) authorized(header string) *wire {
	w.header.Set("Authorization", header)
	return w
}

func form(params ...string) string {
	var pairs []string
	for i := 0; i < len(params); i += 2 {
		pairs = append(pairs, params[i]+"="+url.QueryEscape(params[i+1]))
	}
	return strings.Join(pairs, "&")
}

// reply is what came back.
type reply struct {
	status  int
	header  http.Header
	members map[string]any
}

func (r reply) text(member string) string {
	s, _ := r.members[member].(string)
	return s
}

// request makes the HTTP request.
func (w *wire) request(t testing.TB, s *oauthtest.Server) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), w.method, s.TokenURL(), strings.NewReader(w.body))
	require.NoError(t, err)
	req.URL.RawQuery, req.Header = w.query, w.header.Clone()
	return req
}

// do sends the request; the answer's body is read.
func (w *wire) do(t testing.TB, s *oauthtest.Server) (*http.Response, []byte, error) {
	t.Helper()
	client := *s.Client()
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	resp, err := client.Do(w.request(t, s))
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return resp, body, err
}

// send sends the request and reads an answer that must be JSON.
func (w *wire) send(t testing.TB, s *oauthtest.Server) reply {
	t.Helper()
	resp, body, err := w.do(t, s)
	require.NoError(t, err)
	resp.Body = io.NopCloser(bytes.NewReader(body))
	return decode(t, resp)
}

func decode(t testing.TB, resp *http.Response) reply {
	t.Helper()
	defer resp.Body.Close()
	r := reply{status: resp.StatusCode, header: resp.Header}
	require.NoError(t, json.NewDecoder(resp.Body).Decode(&r.members), "answer %d", resp.StatusCode)
	return r
}

// granted sends the request, which must succeed.
func (w *wire) granted(t testing.TB, s *oauthtest.Server) reply {
	t.Helper()
	r := w.send(t, s)
	require.Equal(t, 200, r.status, "%v", r.members)
	require.NotEmpty(t, r.text("access_token"))
	return r
}

// refused sends the request, which must fail with this status and error code, for the reason that why is a part of.
func (w *wire) refused(t testing.TB, s *oauthtest.Server, status int, code, why string) reply {
	t.Helper()
	r := w.send(t, s)
	require.Equal(t, code, r.text("error"), "%d %v", r.status, r.members)
	require.Equal(t, status, r.status)
	require.Contains(t, r.text("error_description"), why)
	require.NotContains(t, r.members, "access_token")
	return r
}

// inMemory is a server that serves without a network.
func inMemory(t testing.TB, opts oauthtest.ServerOptions) *oauthtest.Server {
	opts.InMemory = true
	s := oauthtest.NewServer(&opts)
	t.Cleanup(s.Close)
	return s
}

// onNetwork is a server that listens.
func onNetwork(t testing.TB, opts oauthtest.ServerOptions) *oauthtest.Server {
	s := oauthtest.NewServer(&opts)
	t.Cleanup(s.Close)
	return s
}

// both runs a test over the network and in memory.
func both(t *testing.T, opts oauthtest.ServerOptions, test func(t *testing.T, s *oauthtest.Server)) {
	t.Run("network", func(t *testing.T) { t.Parallel(); test(t, onNetwork(t, opts)) })
	t.Run("in memory", func(t *testing.T) { t.Parallel(); test(t, inMemory(t, opts)) })
}
