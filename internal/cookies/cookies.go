// Package cookies keeps the cookies of one user at one server, within bounds.
package cookies

import (
	"maps"
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
	kept map[[2]string]time.Time // what is in the jar, by name and path, and when it ends; a jar knows no bounds

	line atomic.Pointer[line] // the last one made; nil: none since something was kept
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
	return &Session{jar: jar, kept: map[[2]string]time.Time{}}
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
	for id, ends := range s.kept {
		if !ends.IsZero() && !ends.After(now) { // the jar knows, too
			continue
		}
		l.anyOne = l.anyOne && id[1] == "/"
		if !ends.IsZero() && (l.ends.IsZero() || ends.Before(l.ends)) {
			l.ends = ends
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

// Keep keeps what an answer from u sets. A session that is full takes no more.
func (s *Session) Keep(u *url.URL, set []*http.Cookie) {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.line.Store(nil)
	now := time.Now()
	maps.DeleteFunc(s.kept, func(_ [2]string, ends time.Time) bool { return !ends.IsZero() && !ends.After(now) })
	for _, c := range set {
		id, ends := [2]string{c.Name, c.Path}, c.Expires
		if c.MaxAge != 0 {
			ends = now.Add(time.Duration(c.MaxAge) * time.Second)
		}
		_, known := s.kept[id]
		if len(c.Name)+len(c.Value)+len(c.Path)+len(c.Domain) > longest || !known && len(s.kept) >= most {
			continue
		}
		if s.kept[id] = ends; !ends.IsZero() && !ends.After(now) { // it is taken back
			delete(s.kept, id)
		}
		s.jar.SetCookies(u, []*http.Cookie{c})
	}
}
