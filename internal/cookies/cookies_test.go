package cookies_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant/internal/cookies"
)

func at(path string) *url.URL { return &url.URL{Scheme: "https", Host: "a.test", Path: path} }

// header returns the value of the Cookie header, which must be what For makes of the same.
func header(t *testing.T, s *cookies.Session, path string) string {
	t.Helper()
	var want []string
	for _, c := range s.For(at(path)) {
		want = append(want, c.String())
	}
	got := strings.Join(s.Header(at(path)), "|")
	require.Equal(t, strings.Join(want, "; "), got)
	return got
}

// TestHeader asks for headers that were made before, while the cookies change.
func TestHeader(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := cookies.New()
		require.Nil(t, s.Header(at("/")))
		s.Keep(at("/a/b"), []*http.Cookie{{Name: "root", Value: "1", Path: "/"}})
		for _, path := range []string{"/a/b", "/", "/c"} {
			require.Equal(t, "root=1", header(t, s, path))
		}
		s.Keep(at("/a/b"), []*http.Cookie{{Name: "deep", Value: "2", Path: "/a"}, {Name: "none", Value: "3"}})
		for range 2 {
			require.Equal(t, "deep=2; none=3; root=1", header(t, s, "/a/x"))
			require.Equal(t, "root=1", header(t, s, "/c"), "another path")
		}
		s.Keep(at("/a/b"), []*http.Cookie{{Name: "short", Value: "4", Path: "/", MaxAge: 10}})
		require.Contains(t, header(t, s, "/c"), "short=4")
		time.Sleep(9 * time.Second)
		require.Contains(t, header(t, s, "/c"), "short=4")
		time.Sleep(time.Second)
		require.Equal(t, "root=1", header(t, s, "/c"), "it has ended")
		s.Keep(at("/a/b"), []*http.Cookie{{Name: "root", Path: "/", MaxAge: -1}})
		require.Empty(t, header(t, s, "/c"), "it was deleted")
	})
}

func TestHeaderOfManyAtOnce(t *testing.T) {
	t.Parallel()
	s := cookies.New()
	var wg sync.WaitGroup
	for n := range 8 {
		wg.Go(func() {
			for i := range 200 {
				s.Keep(at("/"), []*http.Cookie{{Name: fmt.Sprint("c", n), Value: fmt.Sprint(i), Path: "/"}})
				if got := strings.Join(s.Header(at("/")), ""); !strings.Contains(got, fmt.Sprintf("c%d=%d", n, i)) {
					t.Error("an old header:", got)
				}
			}
		})
	}
	wg.Wait()
}

func TestBounds(t *testing.T) {
	t.Parallel()
	s := cookies.New()
	for n := range 70 {
		s.Keep(at("/deep/er/"), []*http.Cookie{{Name: fmt.Sprint("c", n), Value: "x", Path: []string{"/", "", "/deep"}[n%3]}, {Name: "long", Value: strings.Repeat("x", 5000), Path: "/"}})
		s.Keep(at("/"), []*http.Cookie{{Name: "renewed", Value: "x", Path: "/"}, {Name: "gone", Path: "/", MaxAge: -1}})
	}
	got := header(t, s, "/deep/er/")
	require.Equal(t, 50, strings.Count(got, "="))
	require.NotContains(t, got, "long")
	require.Contains(t, got, "renewed")
	require.Contains(t, got, "c69=")
	require.Contains(t, got, "c21=")
	require.NotContains(t, got, "c20=", "the oldest goes")
}

// TestBoundsOfOneName: the same name in many folders is many cookies.
func TestBoundsOfOneName(t *testing.T) {
	t.Parallel()
	s := cookies.New()
	for n := range 70 {
		s.Keep(at(fmt.Sprintf("/%d/x", n)), []*http.Cookie{{Name: "c", Value: "x"}})
	}
	require.Empty(t, header(t, s, "/19/x"))
	require.Equal(t, "c=x", header(t, s, "/20/x"))
	require.Equal(t, "c=x", header(t, s, "/69/x"))
}

// TestEndedMakesRoom: what has ended goes before what is the oldest.
func TestEndedMakesRoom(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := cookies.New()
		s.Keep(at("/"), []*http.Cookie{{Name: "oldest", Value: "x", Path: "/"}})
		for n := range 49 {
			s.Keep(at("/"), []*http.Cookie{{Name: fmt.Sprint("c", n), Value: "x", Path: "/", MaxAge: 1}})
		}
		time.Sleep(time.Second)
		s.Keep(at("/"), []*http.Cookie{{Name: "new", Value: "x", Path: "/"}})
		require.Equal(t, "oldest=x; new=x", header(t, s, "/"))
	})
}

// TestHeaderIsMadeOnce also where cookies were taken back or have ended.
func TestHeaderIsMadeOnce(t *testing.T) {
	s := cookies.New()
	s.Keep(at("/"), []*http.Cookie{{Name: "session", Value: "1", Path: "/"}, {Name: "other", Value: "2", Path: "/", MaxAge: 1000},
		{Name: "gone", Path: "/", MaxAge: -1}, {Name: "ended", Path: "/", Expires: time.Now().Add(-time.Hour)}})
	u := at("/a")
	require.Equal(t, []string{"session=1; other=2"}, s.Header(u))
	require.Zero(t, testing.AllocsPerRun(100, func() { s.Header(u) }))
}
