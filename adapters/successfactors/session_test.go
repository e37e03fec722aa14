package successfactors_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/adapters/successfactors"
	"github.com/outgrant/outgrant/oauthtest"
)

// sessions gives each request without a session one of its bearer's.
func sessions(w http.ResponseWriter, r *http.Request) {
	if _, err := r.Cookie("JSESSIONID"); err != nil {
		http.SetCookie(w, &http.Cookie{Name: "JSESSIONID", Value: "session-of-" + strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer token-of-"), Path: "/"})
	}
	fine(w, r)
}

// TestUsersNeverShareASession sends for many users at once, by one transport and one client, which has a jar against
// all advice.
func TestUsersNeverShareASession(t *testing.T) {
	t.Parallel()
	r := &receiver{handler: sessions}
	client := newOData(t, anybody{}, r, successfactors.Options{User: byHeader})
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	client.Jar = jar
	const nUsers, rounds = 40, 15
	for round := range rounds {
		var wg sync.WaitGroup
		for n := range nUsers {
			req := request(t, "GET", server+"/odata/v2/User", fmt.Sprintf("user%d", n), "")
			wg.Go(func() {
				resp, err := client.Do(req)
				if err != nil {
					t.Error(err)
					return
				}
				if resp.Header.Get("Set-Cookie") != "" || len(resp.Cookies()) > 0 || resp.Request.Header.Get("Cookie") != "" || req.Header.Get("Cookie") != "" {
					t.Error("the caller sees a cookie")
				}
			})
		}
		wg.Wait()
		for _, s := range r.arrived()[round*nUsers:] {
			user := s.header.Get("X-User")
			require.Equal(t, "token-of-"+user, s.bearer)
			if round == 0 {
				require.Empty(t, s.cookie)
			} else {
				require.Equal(t, "JSESSIONID=session-of-"+user, s.cookie)
			}
		}
	}
	require.Len(t, r.arrived(), nUsers*rounds)
	require.Empty(t, jar.Cookies(request(t, "GET", server+"/odata/v2/User", "", "").URL), "there is nothing for a jar")
}

func TestSessionsAreApartByServer(t *testing.T) {
	t.Parallel()
	r := &receiver{handler: func(w http.ResponseWriter, r *http.Request) {
		http.SetCookie(w, &http.Cookie{Name: "s", Value: "of-" + strings.ReplaceAll(r.Host, ":", "-")})
	}}
	client := newOData(t, anybody{}, r, successfactors.Options{})
	for range 2 {
		for _, at := range []string{"https://a.test", "https://b.test", "https://a.test:8443", "http://localhost"} {
			fetch(t, client, request(t, "GET", at, "", ""))
		}
	}
	var got []string
	for _, s := range r.arrived() {
		got = append(got, s.cookie)
	}
	require.Equal(t, []string{"", "", "", "", "s=of-a.test", "s=of-b.test", "s=of-a.test-8443", "s=of-localhost"}, got)
}

func TestCallersOwnCookiesStay(t *testing.T) {
	t.Parallel()
	r := &receiver{handler: sessions}
	client := newOData(t, anybody{}, r, successfactors.Options{})
	for range 2 {
		req := request(t, "GET", server, "", "")
		req.Header["Cookie"] = []string{"own=1", "route=2"}
		fetch(t, client, req)
		require.Equal(t, []string{"own=1", "route=2"}, req.Header["Cookie"], "the caller's request is left alone")
	}
	require.Equal(t, "own=1; route=2", r.arrived()[0].cookie)
	require.Equal(t, "own=1; route=2; JSESSIONID=session-of-alice", r.arrived()[1].cookie)
}

// TestSessionsAreBounded has a server that wants to fill the memory. What it has set last stays.
func TestSessionsAreBounded(t *testing.T) {
	t.Parallel()
	n := 0
	r := &receiver{handler: func(w http.ResponseWriter, r *http.Request) {
		for range 70 {
			n++
			http.SetCookie(w, &http.Cookie{Name: fmt.Sprintf("c%d", n), Value: "x"})
		}
		http.SetCookie(w, &http.Cookie{Name: "long", Value: strings.Repeat("x", 5000)})
	}}
	client := newOData(t, anybody{}, r, successfactors.Options{})
	for range 20 {
		fetch(t, client, request(t, "GET", server, "", ""))
		last := r.arrived()[len(r.arrived())-1]
		require.LessOrEqual(t, strings.Count(last.cookie, "="), 50)
		require.NotContains(t, last.cookie, "long")
		require.True(t, n == 70 || strings.HasSuffix(last.cookie, fmt.Sprintf("c%d=x", n-70)), last.cookie)
	}
}

// TestCookies sets cookies at /odata/v2/User and tells what a request carries.
func TestCookies(t *testing.T) {
	t.Parallel()
	const home = "/odata/v2/User"
	for name, c := range map[string]struct {
		set   []string
		later time.Duration
		path  string
		want  string
	}{
		"without a path":           {[]string{"a=1"}, 0, "/odata/v2/Photo", "a=1"},
		"without, elsewhere":       {[]string{"a=1"}, 0, "/sfapi/v1/soap", ""},
		"without, above":           {[]string{"a=1"}, 0, "/odata", ""},
		"with a path":              {[]string{"a=1; Path=/sfapi"}, 0, "/sfapi/v1/soap", "a=1"},
		"with this path":           {[]string{"a=1; Path=/sfapi"}, 0, "/sfapi", "a=1"},
		"with half a name":         {[]string{"a=1; Path=/odata/v"}, 0, home, ""},
		"with a slash at the end":  {[]string{"a=1; Path=/odata/"}, 0, home, "a=1"},
		"with a path that is none": {[]string{"a=1; Path=odata"}, 0, home, "a=1"},
		"of the root":              {[]string{"a=1; Path=/"}, 0, "", "a=1"},
		"of two paths":             {[]string{"a=1; Path=/", "a=2; Path=/odata"}, 0, home, "a=2; a=1"},
		"set again":                {[]string{"a=1", "b=2", "a=3"}, 0, home, "a=3; b=2"},
		"deleted":                  {[]string{"a=1", "b=2", "a=; Max-Age=0"}, 0, home, "b=2"},
		"deleted by a date":        {[]string{"a=1", "a=; Expires=Thu, 01 Jan 1970 00:00:00 GMT"}, 0, home, ""},
		"of another path":          {[]string{"a=1", "a=; Path=/; Max-Age=0"}, 0, home, "a=1"},
		"for a time":               {[]string{"a=1; Max-Age=60", "b=2"}, 59 * time.Second, home, "a=1; b=2"},
		"for less":                 {[]string{"a=1; Max-Age=60", "b=2"}, time.Minute, home, "b=2"},
		"quoted":                   {[]string{`a="1 2"`}, 0, home, `a="1 2"`},
		"with attributes":          {[]string{"a=1; Domain=.successfactors.test; Secure; HttpOnly; SameSite=None"}, 0, home, "a=1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				set := fine
				for _, cookie := range c.set {
					next := set
					set = func(w http.ResponseWriter, r *http.Request) {
						w.Header()["Set-Cookie"] = append([]string{cookie}, w.Header()["Set-Cookie"]...)
						next(w, r)
					}
				}
				r := &receiver{handler: answers(set, fine)}
				client := newOData(t, anybody{}, r, successfactors.Options{})
				fetch(t, client, request(t, "GET", server+home, "", ""))
				time.Sleep(c.later)
				fetch(t, client, request(t, "GET", server+c.path, "", ""))
				require.Equal(t, c.want, r.arrived()[1].cookie)
			})
		})
	}
}

// TestCookiesThatComeAndGo do not fill a session: names that were deleted, and such as have ended.
func TestCookiesThatComeAndGo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := 0
		r := &receiver{handler: func(w http.ResponseWriter, r *http.Request) {
			n++
			http.SetCookie(w, &http.Cookie{Name: fmt.Sprint("deleted", n-1), MaxAge: -1})
			http.SetCookie(w, &http.Cookie{Name: fmt.Sprint("short", n), Value: "x", MaxAge: 1})
			http.SetCookie(w, &http.Cookie{Name: fmt.Sprint("deleted", n), Value: "x"})
			sessions(w, r)
		}}
		client := newOData(t, anybody{}, r, successfactors.Options{})
		for range 120 {
			fetch(t, client, request(t, "GET", server, "", ""))
			time.Sleep(time.Second)
		}
		require.Equal(t, "JSESSIONID=session-of-alice; deleted119=x", r.arrived()[119].cookie)
	})
}

// TestSessionsBeginWithACookie has users without a token, and such as are never given a session.
func TestSessionsBeginWithACookie(t *testing.T) {
	t.Parallel()
	src := users{"alice": outgrant.StaticToken("token-of-alice")}
	r := &receiver{handler: func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-User") == "alice" {
			sessions(w, r)
		}
	}}
	client := newOData(t, src, r, successfactors.Options{User: byHeader, MaxSessions: 10})
	fetch(t, client, request(t, "GET", server, "alice", ""))
	for n := range 100 {
		failing, quiet := fmt.Sprint("failing", n), fmt.Sprint("quiet", n)
		src[failing] = &oauthtest.Source{Script: []oauthtest.Step{{Err: io.ErrUnexpectedEOF}}}
		src[quiet] = outgrant.StaticToken("token")
		_, err := client.Do(request(t, "GET", server, failing, ""))
		require.ErrorIs(t, err, io.ErrUnexpectedEOF)
		fetch(t, client, request(t, "GET", server, quiet, ""))
	}
	fetch(t, client, request(t, "GET", server, "alice", ""))
	require.Equal(t, "JSESSIONID=session-of-alice", r.arrived()[101].cookie)
}

// TestSessionsKeepTheNameAlone has names that are part of something big.
func TestSessionsKeepTheNameAlone(t *testing.T) {
	r := &receiver{handler: func(w http.ResponseWriter, _ *http.Request) { http.SetCookie(w, &http.Cookie{Name: "s", Value: "x"}) }}
	var user string
	client := newOData(t, anybody{}, roundTripFunc(oauthtest.HandlerTransport(r.handler).RoundTrip),
		successfactors.Options{User: func(*http.Request) (string, error) { return user, nil }})
	live := func() uint64 {
		var stats runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&stats)
		return stats.HeapAlloc
	}
	before := live()
	for n := range 64 {
		user = (fmt.Sprint("user", n, " ") + strings.Repeat("x", 1<<20))[:8]
		fetch(t, client, request(t, "GET", server, "", ""))
	}
	require.Less(t, live(), before+32<<20)
	runtime.KeepAlive(client)
}

func TestSessionsAreForgotten(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := &receiver{handler: sessions}
		client := newOData(t, anybody{}, r, successfactors.Options{User: byHeader, MaxSessions: 2, SessionIdleTime: time.Minute})
		cookieOf := func(user string) string {
			fetch(t, client, request(t, "GET", server, user, ""))
			return r.arrived()[len(r.arrived())-1].cookie
		}
		require.Empty(t, cookieOf("a"))
		require.NotEmpty(t, cookieOf("a"))
		time.Sleep(55 * time.Second)
		require.NotEmpty(t, cookieOf("a"), "in use")
		time.Sleep(2 * time.Minute)
		require.Empty(t, cookieOf("a"), "idle")
		cookieOf("b")
		cookieOf("c")
		kept := 0
		for _, user := range []string{"a", "b", "c"} {
			if cookieOf(user) != "" {
				kept++
			}
		}
		require.Less(t, kept, 3, "there are two")
	})
}

// TestTechnicalUsersSession uses the same server as user and as technical user: names cannot collide, as they are apart
// by transport and by type.
func TestTechnicalUsersSession(t *testing.T) {
	t.Parallel()
	r := &receiver{handler: sessions}
	both := technical{users{"": outgrant.StaticToken("token-of-x")}, outgrant.StaticToken("token-of-technical")}
	client := newOData(t, both, r, successfactors.Options{TechnicalUser: true})
	for range 2 {
		fetch(t, client, request(t, "GET", server, "", ""))
	}
	require.Equal(t, "JSESSIONID=session-of-technical", r.arrived()[1].cookie)
	client = newOData(t, both, r, successfactors.Options{User: byHeader})
	_, err := client.Do(request(t, "GET", server, "", ""))
	require.ErrorIs(t, err, outgrant.ErrUserRequired)
}
