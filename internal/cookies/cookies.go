// Package cookies keeps the cookies of one user at one server, within bounds.
package cookies

import (
	"maps"
	"math"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// What a server can make a session keep: what RFC 6265 6.1 asks of a browser.
const (
	most    = 50
	longest = 4096
)

// Session is a user's cookies at a server. It is safe for concurrent use.
type Session struct {
	jar *cookiejar.Jar

	mu   sync.Mutex
	kept map[id]cookie // what is in the jar, which knows no bounds
	sets uint64        // how many there were

	line atomic.Pointer[line] // the last one made; nil: none since something was kept
}

// id is what a cookie is replaced by.
type id struct{ name, path string }

// cookie is what is known of one in the jar.
type cookie struct {
	set   *http.Cookie
	by    *url.URL
	since uint64    // its place in the order of sets
	ends  time.Time // zero: it does not
}

// line is a header as it was made for a path.
type line struct {
	path   string
	anyOne bool      // the header is the same for all paths
	header []string  // one line, or none
	ends   time.Time // zero: when something is kept
}

// New returns a session without cookies.
func New() *Session {
	jar, _ := cookiejar.New(nil) // without options it does not fail
	return &Session{jar: jar, kept: map[id]cookie{}}
}

// For returns what a request to u is to carry.
func (s *Session) For(u *url.URL) []*http.Cookie { return s.jar.Cookies(u) }

// Header returns what a request to u is to carry, as the values of its Cookie header: one, or nil. They must not be changed.
func (s *Session) Header(u *url.URL) []string {
	if l := s.line.Load(); l != nil && (l.anyOne || l.path == u.Path) && (l.ends.IsZero() || time.Now().Before(l.ends)) {
		return l.header
	}
	s.mu.Lock() // nothing is kept meanwhile
	defer s.mu.Unlock()
	l := &line{path: strings.Clone(u.Path), anyOne: true}
	now := time.Now()
	for id, c := range s.kept {
		if c.ended(now) { // the jar knows, too
			continue
		}
		l.anyOne = l.anyOne && id.path == "/"
		if !c.ends.IsZero() && (l.ends.IsZero() || c.ends.Before(l.ends)) {
			l.ends = c.ends
		}
	}
	var text strings.Builder
	for i, c := range s.jar.Cookies(u) {
		if i > 0 {
			text.WriteString("; ")
		}
		text.WriteString(c.String())
	}
	if text.Len() > 0 {
		l.header = []string{text.String()}
	}
	s.line.Store(l)
	return l.header
}

// Keep keeps what an answer from u sets. In a session that is full, the cookie goes that was set the longest ago.
func (s *Session) Keep(u *url.URL, set []*http.Cookie) {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.line.Store(nil)
	now := time.Now()
	maps.DeleteFunc(s.kept, func(_ id, c cookie) bool { return c.ended(now) })
	for _, c := range set {
		if len(c.Name)+len(c.Value)+len(c.Path)+len(c.Domain) <= longest {
			s.keep(u, c, now)
		}
	}
}

func (s *Session) keep(u *url.URL, set *http.Cookie, now time.Time) {
	s.sets++
	c := cookie{set: set, by: &url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}, since: s.sets, ends: set.Expires}
	if set.MaxAge != 0 {
		c.ends = now.Add(time.Duration(min(set.MaxAge, math.MaxInt32)) * time.Second)
	}
	id := id{set.Name, set.Path}
	if !strings.HasPrefix(id.path, "/") { // RFC 6265 5.1.4
		id.path = u.Path[:max(strings.LastIndex(u.Path, "/"), 0)]
	}
	delete(s.kept, id)
	s.jar.SetCookies(u, []*http.Cookie{set})
	if c.ended(now) { // it is taken back
		return
	}
	if len(s.kept) >= most {
		s.forgetOldest()
	}
	s.kept[id] = c
}

// forgetOldest takes a cookie out of the jar by setting it once more, as one that has ended.
func (s *Session) forgetOldest() {
	var oldest id
	for id, c := range s.kept {
		if last, some := s.kept[oldest]; !some || c.since < last.since {
			oldest = id
		}
	}
	c := s.kept[oldest]
	delete(s.kept, oldest)
	ended := *c.set
	ended.MaxAge = -1
	s.jar.SetCookies(c.by, []*http.Cookie{&ended})
}

func (c cookie) ended(now time.Time) bool { return !c.ends.IsZero() && !c.ends.After(now) }
