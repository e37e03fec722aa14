package odata_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/adapters/odata"
	"github.com/outgrant/outgrant/oauthtest"
)

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	src := outgrant.StaticToken("access")
	of := func(g outgrant.Grant) outgrant.TokenSource { return described{src, g} }
	social := struct {
		anybody
		described
	}{described: described{src, outgrant.Social}}
	for name, c := range map[string]struct {
		src  outgrant.TokenSource
		opts odata.Options
		want string
	}{
		"nothing":              {nil, odata.Options{}, "source is nil"},
		"users without user":   {nil, odata.Options{Users: anybody{}}, "go together"},
		"source and users":     {src, odata.Options{Users: anybody{}, User: byHeader}, "leave the source nil"},
		"another grant":        {of(outgrant.AuthorizationCode), odata.Options{}, "not authorization_code"},
		"users of another":     {nil, odata.Options{Users: social, User: byHeader}, "not social"},
		"negative sessions":    {src, odata.Options{MaxSessions: -1}, "must not be negative"},
		"negative time":        {src, odata.Options{SessionIdleTime: -1}, "must not be negative"},
		"negative wait":        {src, odata.Options{MaxRetryAfter: -1}, "must not be negative"},
		"no URL":               {src, odata.Options{ServiceURL: "gateway/odata"}, "ServiceURL must be"},
		"a URL with a query":   {src, odata.Options{ServiceURL: server + "?a=b"}, "ServiceURL must be"},
		"a URL with a user":    {src, odata.Options{ServiceURL: "https://u:p@h"}, "ServiceURL must be"},
		"an insecure URL":      {src, odata.Options{ServiceURL: "http://gateway.test"}, "ServiceURL: "},
		"another server":       {src, odata.Options{CSRFPath: "https://evil.test/"}, "CSRFPath must be"},
		"another server's":     {src, odata.Options{CSRFPath: "//evil.test/"}, "CSRFPath must be"},
		"a method":             {src, odata.Options{CSRFMethod: "POST"}, "GET or HEAD"},
		"CSRF off and a place": {src, odata.Options{DisableCSRF: true, CSRFPath: "/x"}, "leave those away"},
	} {
		for _, construct := range []func(outgrant.TokenSource, *odata.Options) (*odata.Transport, error){odata.NewV2, odata.NewV4} {
			rt, err := construct(c.src, &c.opts)
			require.ErrorContains(t, err, c.want, name)
			require.ErrorContains(t, err, "odata: ", name)
			require.NotContains(t, err.Error(), "p@", name)
			require.Nil(t, rt)
		}
	}
	for _, opts := range []odata.Options{{Merge: true}, {Tunnel: true}} {
		_, err := odata.NewV4(src, &opts)
		require.ErrorContains(t, err, "V4 has PATCH")
		_, err = odata.NewV2(src, &opts)
		require.NoError(t, err)
	}
	_, err := odata.NewV4(of(outgrant.SAMLBearer), nil)
	require.ErrorIs(t, err, outgrant.ErrUnsupportedGrant)
	_, err = odata.NewV2(of(outgrant.SAMLBearer), nil)
	require.NoError(t, err)
	_, err = odata.NewV4(of(outgrant.SAMLBearer), &odata.Options{AnyGrant: true})
	require.NoError(t, err)
}

func TestVersionHeaders(t *testing.T) {
	t.Parallel()
	r := &receiver{handler: fine}
	for _, method := range []string{"GET", "POST"} {
		fetch(t, newV2(t, r, odata.Options{}), request(t, method, service+"/Books", "", ""))
		fetch(t, newV4(t, r, odata.Options{}), request(t, method, service+"/Books", "", ""))
	}
	for i, s := range r.arrived() { // with the fetches
		v2 := i == 0 || i == 2 || i == 3
		require.Equal(t, v2, s.header.Get("DataServiceVersion") == "2.0" && s.header.Get("MaxDataServiceVersion") == "2.0", i)
		require.Equal(t, !v2, s.header.Get("OData-Version") == "4.0" && s.header.Get("OData-MaxVersion") == "4.0", i)
	}
	req := request(t, "GET", service+"/Books", "", "")
	req.Header.Set("OData-Version", "4.01")
	req.Header.Set("OData-MaxVersion", "4.01")
	fetch(t, newV4(t, r, odata.Options{}), req)
	last := r.arrived()[len(r.arrived())-1].header
	require.Equal(t, []string{"4.01"}, last["Odata-Version"])
	require.Equal(t, []string{"4.01"}, last["Odata-Maxversion"])
}

func TestMergeAndTunnel(t *testing.T) {
	t.Parallel()
	both := odata.Options{Merge: true, Tunnel: true}
	for _, c := range []struct {
		opts         odata.Options
		method, want string
	}{
		{odata.Options{}, "PATCH", "PATCH"}, {odata.Options{}, "MERGE", "MERGE"},
		{odata.Options{Merge: true}, "PATCH", "MERGE"}, {odata.Options{Merge: true}, "PUT", "PUT"}, {odata.Options{Merge: true}, "GET", "GET"},
		{odata.Options{Tunnel: true}, "PATCH", "POST PATCH"}, {odata.Options{Tunnel: true}, "DELETE", "POST DELETE"},
		{odata.Options{Tunnel: true}, "POST", "POST"}, {odata.Options{Tunnel: true}, "HEAD", "HEAD"},
		{both, "PATCH", "POST MERGE"}, {both, "MERGE", "POST MERGE"}, {both, "PUT", "POST PUT"},
	} {
		g := &gateway{next: fine}
		r := &receiver{handler: g.ServeHTTP}
		client := newV2(t, r, c.opts)
		for range 2 { // the second time the session has ended
			req := request(t, c.method, service+"/Books(1)", "", "{}")
			req.Header.Set("If-Match", "*")
			before := maps.Clone(req.Header)
			resp, err := client.Do(req)
			require.NoError(t, err)
			require.Equal(t, 200, resp.StatusCode)
			require.Same(t, req, resp.Request)
			require.Equal(t, c.method, req.Method)
			require.Equal(t, before, req.Header, "the caller's request is left alone")
			g.forget()
		}
		last := r.arrived()[len(r.arrived())-1]
		require.Equal(t, c.want, strings.TrimSpace(last.method+" "+last.header.Get("X-HTTP-Method")), c)
		require.Equal(t, "*", last.header.Get("If-Match"))
		require.Equal(t, "{}", last.body)
	}
}

// TestUsersNeverShare sends for many users at once, by one transport and one client, which has a jar against all advice.
func TestUsersNeverShare(t *testing.T) {
	t.Parallel()
	g := &gateway{next: func(w http.ResponseWriter, r *http.Request) {
		http.SetCookie(w, &http.Cookie{Name: "route", Value: "route-of-" + r.Header.Get("X-User"), Path: "/"})
	}}
	r := &receiver{handler: g.ServeHTTP}
	client := newV2(t, r, odata.Options{Users: anybody{}, User: byHeader})
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	client.Jar = jar
	const nUsers, rounds = 30, 12
	for round := range rounds {
		if round == rounds/2 {
			g.forget()
		}
		var wg sync.WaitGroup
		for n := range nUsers {
			method := []string{"POST", "GET"}[(n+round)%2]
			req := request(t, method, service+"/Books", fmt.Sprintf("user%d", n), "")
			wg.Go(func() {
				resp, err := client.Do(req)
				if err != nil {
					t.Error(err)
					return
				}
				if resp.StatusCode != 200 || len(resp.Cookies()) > 0 || req.Header.Get("Cookie")+req.Header.Get("X-Csrf-Token")+req.Header.Get("Authorization") != "" {
					t.Error("the caller sees what is not the caller's", resp.StatusCode)
				}
			})
		}
		wg.Wait()
	}
	owner := map[string]string{} // of each cookie's value and each CSRF token: the bearer
	writes := 0
	for _, s := range r.arrived() {
		if user := s.header.Get("X-User"); user != "" {
			require.Equal(t, "bearer-of-"+user, s.bearer)
			if strings.Contains(s.cookie, "route=") {
				require.Contains(t, s.cookie, "route=route-of-"+user)
			}
		}
		if s.csrf == "Fetch" {
			continue
		}
		for _, secret := range []string{s.csrf, sessionIn(s.cookie)} {
			if of, known := owner[secret]; known {
				require.Equal(t, of, s.bearer, "%s is another's", secret)
			} else if secret != "" {
				owner[secret] = s.bearer
			}
		}
		if s.method == "POST" {
			writes++
		}
	}
	require.GreaterOrEqual(t, writes, nUsers*rounds/2)
	require.GreaterOrEqual(t, len(owner), 2*2*nUsers, "two sessions for each, with a token each")
	require.Empty(t, jar.Cookies(request(t, "GET", service, "", "").URL), "there is nothing for a jar")
}

func sessionIn(cookies string) string {
	_, after, _ := strings.Cut(cookies, "SAP_SESSIONID_GWD_100=")
	value, _, _ := strings.Cut(after, ";")
	return value
}

// TestForeignCookiesAreRefused has a jar that was filled elsewhere.
func TestForeignCookiesAreRefused(t *testing.T) {
	t.Parallel()
	r := &receiver{handler: fine}
	client := newV2(t, r, odata.Options{Users: anybody{}, User: byHeader})
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	jar.SetCookies(&url.URL{Scheme: "https", Host: host}, []*http.Cookie{{Name: "SAP_SESSIONID_GWD_100", Value: "of-somebody-else"}})
	client.Jar = jar
	_, err = client.Do(request(t, "GET", service, "alice", ""))
	require.ErrorContains(t, err, "take the Jar off the http.Client")
	require.NotContains(t, err.Error(), "of-somebody-else")
	require.Empty(t, r.log())
}

func TestUsersRefused(t *testing.T) {
	t.Parallel()
	r := &receiver{handler: fine}
	client := newV2(t, r, odata.Options{Users: anybody{}, User: byHeader})
	_, err := client.Do(request(t, "GET", service, "", ""))
	require.ErrorIs(t, err, outgrant.ErrUserRequired)
	_, err = client.Do(request(t, "POST", service, "broken", "x"))
	require.ErrorContains(t, err, "odata: the user of the request: no login")
	_, err = client.Do(request(t, "GET", service, strings.Repeat("x", 1025), ""))
	require.ErrorContains(t, err, "at most 1024")
	require.Empty(t, r.log())
}

// TestRedirects leave home and come back: nothing is attached, also not the caller's own.
func TestRedirects(t *testing.T) {
	t.Parallel()
	g := &gateway{}
	r := &receiver{}
	r.handler = func(w http.ResponseWriter, req *http.Request) {
		switch {
		case req.Host == "evil.test":
			http.SetCookie(w, &http.Cookie{Name: "planted", Value: "by-evil"})
			http.Redirect(w, req, service+"/back", http.StatusTemporaryRedirect)
		case strings.HasSuffix(req.URL.Path, "/away"):
			http.SetCookie(w, &http.Cookie{Name: "home", Value: "is-home", Path: "/"})
			http.Redirect(w, req, "https://evil.test/", http.StatusTemporaryRedirect)
		case strings.HasSuffix(req.URL.Path, "/within"):
			http.Redirect(w, req, service+"/Books", http.StatusTemporaryRedirect)
		default:
			g.ServeHTTP(w, req)
		}
	}
	client := newV4(t, r, odata.Options{})
	require.Equal(t, "200 ", fetch(t, client, request(t, "POST", service+"/Books", "", "{}")))
	req := request(t, "POST", service+"/away", "", "{}")
	req.Header.Set("X-Csrf-Token", "own")
	req.Header.Set("Cookie", "own=1")
	require.Equal(t, "403 CSRF token validation failed", fetch(t, client, req), "back home, without anything")
	all := r.arrived()
	require.Equal(t, "bearer-of-nobody", all[2].bearer)
	for _, s := range all[3:] {
		require.Empty(t, s.bearer+s.cookie+s.csrf, s.url)
	}
	require.Len(t, all, 5, "no fetch for it")

	require.Equal(t, "200 ", fetch(t, client, request(t, "POST", service+"/within", "", "{}")))
	last := r.arrived()[6]
	require.Equal(t, "bearer-of-nobody", last.bearer)
	require.Equal(t, "csrf-token-1", last.csrf)
	require.Contains(t, last.cookie, "home=is-home")
	require.NotContains(t, last.cookie, "planted")
}

// TestServiceURLBinds sends to other origins: what it is given belongs to the service.
func TestServiceURLBinds(t *testing.T) {
	t.Parallel()
	r := &receiver{handler: says(200, "fine", "Set-Cookie", "planted=by-another; Path=/")}
	client := newV4(t, r, odata.Options{ServiceURL: service})
	for _, other := range []string{"https://gateway.test:8443/", "http://gateway.test/", "https://evil.test/", "https://sub.gateway.test/"} {
		resp, err := client.Do(request(t, "POST", other, "", "{}"))
		require.NoError(t, err)
		require.Empty(t, resp.Cookies())
		last := r.arrived()[len(r.arrived())-1]
		require.Empty(t, last.bearer+last.cookie+last.csrf, other)
		require.Empty(t, last.header.Get("OData-Version"))
	}
	require.Len(t, r.log(), 4)
	fetch(t, client, request(t, "GET", "https://GATEWAY.test:443/sap", "", ""))
	require.Equal(t, "bearer-of-nobody", r.arrived()[4].bearer)
}

// TestOriginsAreApart has one transport for several servers: sessions and CSRF tokens stay where they come from.
func TestOriginsAreApart(t *testing.T) {
	t.Parallel()
	r := &receiver{handler: func(w http.ResponseWriter, r *http.Request) {
		at := strings.NewReplacer(".", "-", ":", "-").Replace(r.Host)
		if r.Header.Get("X-Csrf-Token") == "Fetch" {
			http.SetCookie(w, &http.Cookie{Name: "s", Value: "of-" + at})
			w.Header().Set("X-Csrf-Token", "csrf-of-"+at)
		}
	}}
	client := newV4(t, r, odata.Options{})
	var got []string
	for _, at := range []string{"https://a.test", "https://b.test", "https://a.test:8443", "http://localhost"} {
		fetch(t, client, request(t, "POST", at, "", ""))
		last := r.arrived()[len(r.arrived())-1]
		got = append(got, last.cookie+" "+last.csrf)
	}
	require.Equal(t, []string{"s=of-a-test csrf-of-a-test", "s=of-b-test csrf-of-b-test", "s=of-a-test-8443 csrf-of-a-test-8443", "s=of-localhost csrf-of-localhost"}, got)
	_, err := client.Do(request(t, "POST", "http://a.test", "", "x"))
	require.ErrorIs(t, err, outgrant.ErrInsecureURL)
	require.Len(t, r.log(), 8)
}

// TestSessionsAreBounded has more users than sessions.
func TestSessionsAreBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := &receiver{handler: (&gateway{}).ServeHTTP}
		client := newV4(t, r, odata.Options{Users: anybody{}, User: byHeader, MaxSessions: 2, SessionIdleTime: time.Minute})
		for n := range 10 {
			require.Equal(t, "200 ", fetch(t, client, request(t, "POST", service+"/Books", fmt.Sprint("user", n), "")))
		}
		require.Equal(t, 10, r.fetches())
		require.Equal(t, "200 ", fetch(t, client, request(t, "POST", service+"/Books", "user9", "")))
		require.Equal(t, 10, r.fetches())
		time.Sleep(2 * time.Minute)
		require.Equal(t, "200 ", fetch(t, client, request(t, "POST", service+"/Books", "user9", "")))
		require.Equal(t, 11, r.fetches(), "forgotten")
		time.Sleep(2 * time.Minute) // so that the timer ends
	})
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		method string
		body   io.Reader
		first  []http.HandlerFunc
		limit  time.Duration
		want   string
		after  time.Duration
	}{
		"a read":                  {"GET", nil, []http.HandlerFunc{says(429, "", "Retry-After", "5"), says(503, "", "Retry-After", "7")}, 0, "200 fine", 12 * time.Second},
		"a PUT":                   {"PUT", strings.NewReader("body"), []http.HandlerFunc{says(503, "", "Retry-After", "5")}, 0, "200 fine", 5 * time.Second},
		"not a POST":              {"POST", strings.NewReader("body"), []http.HandlerFunc{says(503, "no", "Retry-After", "5")}, 0, "503 no", 0},
		"not a PATCH":             {"PATCH", strings.NewReader("body"), []http.HandlerFunc{says(429, "no", "Retry-After", "5")}, 0, "429 no", 0},
		"no body to repeat":       {"PUT", io.MultiReader(strings.NewReader("body")), []http.HandlerFunc{says(503, "no", "Retry-After", "5")}, 0, "503 no", 0},
		"it does not say":         {"GET", nil, []http.HandlerFunc{says(503, "no")}, 0, "503 no", 0},
		"too long":                {"GET", nil, []http.HandlerFunc{says(503, "no", "Retry-After", "61")}, 0, "503 no", 0},
		"another status":          {"GET", nil, []http.HandlerFunc{says(502, "no", "Retry-After", "5")}, 0, "502 no", 0},
		"for ever":                {"GET", nil, []http.HandlerFunc{says(503, "1", "Retry-After", "5"), says(503, "2", "Retry-After", "5"), says(503, "3", "Retry-After", "5"), says(503, "4", "Retry-After", "5")}, 0, "503 4", 15 * time.Second},
		"no room before the end":  {"GET", nil, []http.HandlerFunc{says(503, "no", "Retry-After", "5")}, 4 * time.Second, "503 no", 0},
		"some room, then no more": {"GET", nil, []http.HandlerFunc{says(503, "no", "Retry-After", "5")}, 6 * time.Second, "200 fine", 5 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := &receiver{handler: answers(append(c.first, fine)...)}
				client := newV4(t, r, odata.Options{MaxRetryAfter: time.Minute, DisableCSRF: true})
				ctx := t.Context()
				if c.limit > 0 {
					limited, cancel := context.WithTimeout(ctx, c.limit)
					defer cancel()
					ctx = limited
				}
				req, err := http.NewRequestWithContext(ctx, c.method, service, c.body)
				require.NoError(t, err)
				start := time.Now()
				require.Equal(t, c.want, fetch(t, client, req))
				require.Equal(t, c.after, time.Since(start))
				for _, s := range r.arrived() {
					require.Equal(t, "bearer-of-nobody", s.bearer)
					if c.body != nil {
						require.Equal(t, "body", s.body)
					}
				}
			})
		})
	}
	r := &receiver{handler: says(503, "no", "Retry-After", "1")}
	require.Equal(t, "503 no", fetch(t, newV4(t, r, odata.Options{}), request(t, "GET", service, "", "")), "not by default")
}

func TestRetryEndsWithContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := &receiver{handler: says(503, "no", "Retry-After", "50")}
		client := newV4(t, r, odata.Options{MaxRetryAfter: time.Minute})
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(10*time.Second, cancel)
		start := time.Now()
		_, err := client.Do(request(t, "GET", service, "", "").WithContext(ctx))
		require.ErrorIs(t, err, context.Canceled)
		require.ErrorContains(t, err, "answered 503")
		require.Equal(t, 10*time.Second, time.Since(start))
	})
}

func TestEmptyTransport(t *testing.T) {
	t.Parallel()
	body := &closeSpy{Reader: strings.NewReader("x")}
	req, _ := http.NewRequest("POST", service, body)
	var empty odata.Transport
	empty.CloseIdleConnections()
	_, err := empty.RoundTrip(req)
	require.ErrorContains(t, err, "NewV2 or NewV4")
	require.True(t, body.closed)
	rt, err := odata.NewV4(outgrant.StaticToken("x"), nil)
	require.NoError(t, err)
	_, err = rt.RoundTrip(&http.Request{})
	require.ErrorContains(t, err, "no URL")
}

func TestTransportPrintsNoSecrets(t *testing.T) {
	t.Parallel()
	r := &receiver{handler: (&gateway{}).ServeHTTP}
	rt, err := odata.NewV4(outgrant.StaticToken("sentinel-bearer"), &odata.Options{Base: r, ServiceURL: service})
	require.NoError(t, err)
	fetch(t, &http.Client{Transport: rt}, request(t, "POST", service+"/Books", "", ""))
	text, err := json.Marshal(rt)
	require.NoError(t, err)
	require.Equal(t, `"odata.Transport(OData V4 at gateway.test)"`, string(text))
	oauthtest.AssertNoSecrets(t, []string{"sentinel-bearer", "csrf-token-1", "session-id-1"}, rt, *rt, slog.AnyValue(rt), string(text),
		fmt.Sprintf("%+v %#v %s %d", rt, *rt, rt, *rt))
}

type idleSpy struct {
	http.RoundTripper
	closed bool
}

func (s *idleSpy) CloseIdleConnections() { s.closed = true }

func TestCloseIdleConnections(t *testing.T) {
	t.Parallel()
	spy := &idleSpy{}
	newV4(t, spy, odata.Options{}).CloseIdleConnections()
	require.True(t, spy.closed)
}
