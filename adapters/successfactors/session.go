package successfactors

import (
	"maps"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/outgrant/outgrant/internal/bounded"
)

// sessionKey says whose session at which server it is.
type sessionKey struct {
	who
	scheme, host string // the host with its port, as the URL has it
}

// session returns a session that has begun, or nil.
func (c *call) session() *session {
	if e := c.sessions.Get(c.key); e != nil {
		return e.Value
	}
	return nil
}

// keep keeps the cookies that an answer sets. Sessions begin here: users who are never set one cost nothing.
func (c *call) keep(at *url.URL, set []*http.Cookie) {
	if len(set) == 0 {
		return
	}
	key := c.key
	key.user = strings.Clone(key.user) // it may be part of something big
	c.sessions.GetOrAdd(key, func(e *bounded.Entry[sessionKey, *session]) { e.Value = newSession() }).Value.keep(at, set)
}

// What a server can make a session keep: what RFC 6265 6.1 asks of a browser.
const (
	mostCookies   = 50
	longestCookie = 4096
)

// session is a user's cookies at a server.
type session struct {
	jar *cookiejar.Jar

	mu   sync.Mutex
	kept map[[2]string]time.Time // what is in the jar, by name and path, and when it ends; a jar knows no bounds
}

func newSession() *session {
	jar, _ := cookiejar.New(nil) // without options it does not fail
	return &session{jar: jar, kept: map[[2]string]time.Time{}}
}

// cookies returns what a request to u is to carry.
func (s *session) cookies(u *url.URL) []*http.Cookie { return s.jar.Cookies(u) }

// keep keeps what an answer from u sets. A session that is full takes no more.
func (s *session) keep(u *url.URL, set []*http.Cookie) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	maps.DeleteFunc(s.kept, func(_ [2]string, ends time.Time) bool { return !ends.IsZero() && !ends.After(now) })
	for _, c := range set {
		id, ends := [2]string{c.Name, c.Path}, c.Expires
		if c.MaxAge != 0 {
			ends = now.Add(time.Duration(c.MaxAge) * time.Second)
		}
		_, known := s.kept[id]
		if len(c.Name)+len(c.Value)+len(c.Path)+len(c.Domain) > longestCookie || !known && len(s.kept) >= mostCookies {
			continue
		}
		s.kept[id] = ends
		s.jar.SetCookies(u, []*http.Cookie{c})
	}
}
