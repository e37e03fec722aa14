package oauthtest_test

import (
	"io"
	"net/http"
	"net/url"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant/oauthtest"
)

// TestFaultsThatAnswer tests the faults that answer instead of the server, which does not process the request.
func TestFaultsThatAnswer(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name   string
		fault  oauthtest.Fault
		status int
		header map[string]string
		body   string
	}{
		{"Status", oauthtest.Status(502), 502, nil, ""},
		{"Status 204", oauthtest.Status(204), 204, nil, ""},
		{"RetryAfter", oauthtest.RetryAfter(90 * time.Second), 429, map[string]string{"Retry-After": "90"}, ""},
		{"HTML503", oauthtest.HTML503(), 503, map[string]string{"Content-Type": "text/html; charset=utf-8"},
			"<html><body><h1>503 Service Unavailable</h1></body></html>"},
		{"Body", oauthtest.Body(418, "text/plain", "hello"), 418, map[string]string{"Content-Type": "text/plain"}, "hello"},
		{"Refuse", oauthtest.Refuse("invalid_grant", `no "grant"`), 400, map[string]string{"Cache-Control": "no-store"},
			`{"error":"invalid_grant","error_description":"no \"grant\""}`},
		{"Refuse the client", oauthtest.Refuse("invalid_client", "who?"), 401, map[string]string{"WWW-Authenticate": `Basic realm="oauthtest"`},
			`{"error":"invalid_client","error_description":"who?"}`},
		{"ErrorIn200", oauthtest.ErrorIn200("invalid_grant"), 200, map[string]string{"Content-Type": "application/json"}, `{"error":"invalid_grant"}`},
		{"Redirect307", oauthtest.Redirect307("https://elsewhere.test/token?x=1"), 307, map[string]string{"Location": "https://elsewhere.test/token?x=1"}, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			both(t, registeredOptions, func(t *testing.T, s *oauthtest.Server) {
				first := authorized(t, s, "")
				before := len(s.Requests())
				s.Inject(tc.fault)
				resp, body, err := refresh(first).do(t, s)
				require.NoError(t, err)
				require.Equal(t, tc.status, resp.StatusCode)
				require.Equal(t, tc.body, string(body))
				for name, value := range tc.header {
					require.Equal(t, value, resp.Header.Get(name))
				}
				require.Equal(t, tc.status, s.Requests()[before].Status)
				refresh(first).granted(t, s) // it was not processed, and the fault is over
			})
		})
	}
}

func TestLostRequest(t *testing.T) {
	t.Parallel()
	both(t, registeredOptions, func(t *testing.T, s *oauthtest.Server) {
		first := authorized(t, s, "")
		s.Inject(oauthtest.LostRequest())
		_, _, err := refresh(first).do(t, s)
		requireCut(t, err)
		require.Equal(t, 2, s.TokenRequests(), "it came in")
		require.Zero(t, s.Requests()[1].Status)
		refresh(first).granted(t, s)
	})
}

func requireCut(t *testing.T, err error) {
	t.Helper()
	var broken *url.Error
	require.ErrorAs(t, err, &broken)
	require.True(t, broken.Err == io.EOF || broken.Err == io.ErrUnexpectedEOF, "%v", err)
}

// TestLostAnswers tests the faults that process the request and do not tell: a refresh token is spent.
func TestLostAnswers(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name  string
		fault oauthtest.Fault
		check func(t *testing.T, resp *http.Response, body []byte, err error)
	}{
		{"LostResponse", oauthtest.LostResponse(), func(t *testing.T, _ *http.Response, _ []byte, err error) { requireCut(t, err) }},
		{"LostIn503", oauthtest.LostIn503(), func(t *testing.T, resp *http.Response, body []byte, err error) {
			require.NoError(t, err)
			require.Equal(t, 503, resp.StatusCode)
			require.Empty(t, body)
		}},
		{"Truncated", oauthtest.Truncated(), func(t *testing.T, resp *http.Response, body []byte, err error) {
			require.ErrorIs(t, err, io.ErrUnexpectedEOF)
			require.Equal(t, 200, resp.StatusCode)
			require.Equal(t, "application/json;charset=UTF-8", resp.Header.Get("Content-Type"))
			require.Equal(t, resp.ContentLength/2, int64(len(body)), "half of it arrives")
			require.Equal(t, byte('{'), body[0])
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			both(t, registeredOptions, func(t *testing.T, s *oauthtest.Server) {
				first := authorized(t, s, "")
				s.Inject(tc.fault)
				resp, body, err := refresh(first).read(t, s)
				tc.check(t, resp, body, err)
				refresh(first).refused(t, s, 400, "invalid_grant", "used before")
			})
		})
	}
}

// read is do for answers that break off: it returns what came.
func (w *wire) read(t testing.TB, s *oauthtest.Server) (*http.Response, []byte, error) {
	t.Helper()
	resp, err := s.Client().Do(w.request(t, s))
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return resp, body, err
}

func TestFaultsThatEditTheAnswer(t *testing.T) {
	t.Parallel()
	s := inMemory(t, oauthtest.ServerOptions{})
	for _, tc := range []struct {
		name   string
		fault  oauthtest.Fault
		member string
		want   any // nil: there is no such member, or it is null
	}{
		{"OddExpiresIn text", oauthtest.OddExpiresIn(`"3600"`), "expires_in", "3600"},
		{"OddExpiresIn fraction", oauthtest.OddExpiresIn(`3599.5`), "expires_in", 3599.5},
		{"OddExpiresIn negative", oauthtest.OddExpiresIn(`-1`), "expires_in", -1.0},
		{"OddExpiresIn huge", oauthtest.OddExpiresIn(`1e300`), "expires_in", 1e300},
		{"OddExpiresIn null", oauthtest.OddExpiresIn(`null`), "expires_in", nil},
		{"OddExpiresIn left out", oauthtest.OddExpiresIn(""), "expires_in", nil},
		{"TokenType", oauthtest.TokenType("DPoP"), "token_type", "DPoP"},
		{"TokenType left out", oauthtest.TokenType(""), "token_type", nil},
		{"Member", oauthtest.Member("instance_url", "https://a.test"), "instance_url", "https://a.test"},
		{"Member of many", oauthtest.Member("groups", []string{"a", "b"}), "groups", []any{"a", "b"}},
		{"Member replaced", oauthtest.Member("access_token", ""), "access_token", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s.Inject(tc.fault)
			r := clientCredentials().send(t, s)
			require.Equal(t, 200, r.status)
			require.Equal(t, tc.want, r.members[tc.member])
			again := clientCredentials().granted(t, s)
			require.Equal(t, 3600.0, again.members["expires_in"])
			require.Equal(t, "Bearer", again.members["token_type"])
			require.Len(t, again.members, 3)
		})
	}
	require.Panics(t, func() { oauthtest.OddExpiresIn("soon") })
	require.Panics(t, func() { oauthtest.Member("x", func() {}) })
}

func TestOddExpiresInLeftOut(t *testing.T) {
	t.Parallel()
	s := inMemory(t, oauthtest.ServerOptions{})
	s.Inject(oauthtest.OddExpiresIn(""), oauthtest.OddExpiresIn("null"), oauthtest.TokenType(""))
	require.NotContains(t, clientCredentials().granted(t, s).members, "expires_in")
	require.Contains(t, clientCredentials().granted(t, s).members, "expires_in")
	require.NotContains(t, clientCredentials().granted(t, s).members, "token_type")
}

func TestSameToken(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := inMemory(t, oauthtest.ServerOptions{})
		s.Inject(oauthtest.Lasting(oauthtest.SameToken()))
		first := clientCredentials().granted(t, s)
		time.Sleep(20*time.Minute + 500*time.Millisecond)
		same := clientCredentials().granted(t, s)
		require.Equal(t, first.text("access_token"), same.text("access_token"))
		require.Equal(t, 2399.0, same.members["expires_in"], "with the time that remains, in whole seconds")
		other := clientCredentials().as("client-2", "x").granted(t, s)
		require.NotEqual(t, first.text("access_token"), other.text("access_token"))
		time.Sleep(40 * time.Minute)
		next := clientCredentials().granted(t, s)
		require.NotEqual(t, first.text("access_token"), next.text("access_token"), "the first has ended")
		s.Revoke()
		require.NotEqual(t, next.text("access_token"), clientCredentials().granted(t, s).text("access_token"))
		s.ClearFaults()
		require.Equal(t, 3600.0, clientCredentials().granted(t, s).members["expires_in"])
	})
}

func TestFormAnswer(t *testing.T) {
	t.Parallel()
	both(t, oauthtest.ServerOptions{}, func(t *testing.T, s *oauthtest.Server) {
		const odd = "a&b=c+d %41 ü/\""
		s.Inject(oauthtest.Together(oauthtest.FormAnswer(), oauthtest.Member("odd", odd), oauthtest.Member("groups", []int{1, 2})))
		resp, body, err := clientCredentials("scope", "read write").do(t, s)
		require.NoError(t, err)
		require.Equal(t, 200, resp.StatusCode)
		require.Equal(t, formType, resp.Header.Get("Content-Type"))
		require.Equal(t, "no-store", resp.Header.Get("Cache-Control"))
		values, err := url.ParseQuery(string(body))
		require.NoError(t, err)
		require.Equal(t, odd, values.Get("odd"))
		require.Equal(t, "3600", values.Get("expires_in"))
		require.Equal(t, "read write", values.Get("scope"))
		require.Equal(t, "[1,2]", values.Get("groups"))
		require.NotEmpty(t, values.Get("access_token"))
		require.Len(t, values, 6)

		s.Inject(oauthtest.FormAnswer())
		_, body, err = clientCredentials("scope", "  ").do(t, s)
		require.NoError(t, err)
		require.Equal(t, "error=invalid_scope&error_description=the+scope+is+malformed", string(body))
	})
}

func TestDelay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := inMemory(t, oauthtest.ServerOptions{})
		s.Inject(oauthtest.Delay(30 * time.Second))
		start := time.Now()
		r := clientCredentials().granted(t, s)
		require.Equal(t, 30*time.Second, time.Since(start))
		require.Equal(t, start, s.Requests()[0].Time, "when it had come in")
		time.Sleep(time.Hour - time.Second)
		require.True(t, live(s, r), "its life begins when it is issued")
		start = time.Now()
		clientCredentials().granted(t, s)
		require.Zero(t, time.Since(start))
	})
}

// TestFaultOrder tests order, None, Times, Lasting and ClearFaults.
func TestFaultOrder(t *testing.T) {
	t.Parallel()
	s := inMemory(t, oauthtest.ServerOptions{})
	statuses := func(n int) (all []int) {
		for range n {
			resp, _, err := clientCredentials().do(t, s)
			require.NoError(t, err)
			all = append(all, resp.StatusCode)
		}
		return all
	}
	s.Inject(oauthtest.Status(500), oauthtest.None(), oauthtest.Status(502))
	s.Inject(oauthtest.Times(2, oauthtest.Status(503))...)
	require.Equal(t, []int{500, 200, 502, 503, 503, 200, 200}, statuses(7))

	s.Inject(oauthtest.Status(500), oauthtest.Lasting(oauthtest.Status(503)), oauthtest.Status(502))
	require.Equal(t, []int{500, 503, 503, 503}, statuses(4))
	s.ClearFaults()
	require.Equal(t, []int{200, 200}, statuses(2))
	s.Inject(oauthtest.Times(0, oauthtest.Status(503))...)
	require.Equal(t, []int{200}, statuses(1))
	s.Inject(oauthtest.Times(3, oauthtest.Status(503))...)
	require.Equal(t, []int{503}, statuses(1))
	s.ClearFaults()
	require.Equal(t, []int{200}, statuses(1))
	require.Equal(t, 16, s.TokenRequests())

	resp, err := s.Client().Get(s.AuthURL())
	require.NoError(t, err)
	require.Equal(t, 400, resp.StatusCode)
	s.Inject(oauthtest.Status(503))
	_, status := authorize(t, s, consent().Encode())
	require.Equal(t, 302, status, "faults happen with token requests only")
	require.Equal(t, []int{503}, statuses(1))
}

func TestTogether(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := inMemory(t, oauthtest.ServerOptions{})
		s.Inject(oauthtest.Together(oauthtest.Delay(time.Second), oauthtest.HTML503(), oauthtest.Delay(time.Minute), oauthtest.Status(502)))
		start := time.Now()
		resp, _, err := clientCredentials().do(t, s)
		require.NoError(t, err)
		require.Equal(t, 502, resp.StatusCode, "the later one answers")
		require.Equal(t, 61*time.Second, time.Since(start))

		s.Inject(oauthtest.Together(oauthtest.SameToken(), oauthtest.TokenType("mac"), oauthtest.OddExpiresIn("1"), oauthtest.Member("x", "y")),
			oauthtest.Together(oauthtest.Status(503), oauthtest.LostResponse()), oauthtest.Together(oauthtest.LostResponse(), oauthtest.Status(503)),
			oauthtest.Together(oauthtest.FormAnswer(), oauthtest.Truncated()))
		r := clientCredentials().granted(t, s)
		require.Equal(t, []any{"mac", 1.0, "y"}, []any{r.members["token_type"], r.members["expires_in"], r.members["x"]})
		_, _, err = clientCredentials().do(t, s)
		requireCut(t, err)
		resp, _, err = clientCredentials().do(t, s)
		require.NoError(t, err)
		require.Equal(t, 503, resp.StatusCode)
		resp, body, err := clientCredentials().read(t, s)
		require.ErrorIs(t, err, io.ErrUnexpectedEOF)
		require.Equal(t, formType, resp.Header.Get("Content-Type"))
		require.Contains(t, string(body), "access_token=")

		s.Inject(oauthtest.Together(oauthtest.Lasting(oauthtest.Delay(time.Second)), oauthtest.Member("x", "y")))
		for range 2 {
			require.Equal(t, "y", clientCredentials().granted(t, s).text("x"))
		}
		s.ClearFaults()
		s.Inject(oauthtest.Together())
		require.NotContains(t, clientCredentials().granted(t, s).members, "x")
	})
}
