package successfactors

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/outgrant/outgrant/internal/bounded"
	"github.com/outgrant/outgrant/internal/cookies"
)

// sessionKey says whose session at which server it is.
type sessionKey struct {
	who
	scheme, host string // the host with its port, as the URL has it
}

// session returns a session that has begun, or nil.
func (c *call) session() *cookies.Session {
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
	c.sessions.GetOrAdd(key, func(e *bounded.Entry[sessionKey, *cookies.Session]) { e.Value = cookies.New() }).Value.Keep(at, set)
}
