package odata

import (
	"context"
	"strings"
	"sync"

	"github.com/outgrant/outgrant/internal/bounded"
	"github.com/outgrant/outgrant/internal/cookies"
)

// sessionKey says whose session at which server it is.
type sessionKey struct {
	user         string // "": of the one source
	scheme, host string // as the URL has them: in another spelling it is another session
}

// session is a user's session at a server. Its CSRF token is that of the whole server, as SAP Gateway has it, until a service
// refuses what another one gave: then that service has one of its own.
type session struct {
	cookies *cookies.Session

	mu     sync.Mutex
	shared csrfSlot
	own    map[string]*csrfSlot // by where the token is fetched
}

// mostOwn bounds how many services of a server have CSRF tokens of their own.
const mostOwn = 32

// csrfSlot is where a CSRF token is kept.
type csrfSlot struct {
	token  *csrfToken  // nil: not known
	flight *csrfFlight // nil: none under way
}

// session returns a session that has begun, or nil. Of one source there is mostly one session, which is found without a
// search.
func (c *call) session() *session {
	if !c.begun.Load() {
		return nil
	}
	if e := c.latest.Load(); e != nil && e.Key() == c.key && e.Use() {
		return e.Value
	}
	e := c.sessions.Get(c.key)
	if e == nil {
		return nil
	}
	if c.opts.Users == nil {
		c.latest.Store(e)
	}
	return e.Value
}

// begin returns the session, which begins now if it has not.
func (c *call) begin() *session {
	if s := c.session(); s != nil {
		return s
	}
	c.begun.Store(true)
	key := c.key
	key.user, key.host = strings.Clone(key.user), strings.Clone(key.host) // they may be parts of something big
	return c.sessions.GetOrAdd(key, func(e *bounded.Entry[sessionKey, *session]) {
		e.Value = &session{cookies: cookies.New()}
	}).Value
}

// fetching reports whether somebody waits for a CSRF token of the session.
func (s *session) fetching() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, slot := range s.own {
		if slot.flight != nil {
			return true
		}
	}
	return s.shared.flight != nil
}

// csrfToken is a session's token: a value that is its own, so that the same text fetched twice is two.
type csrfToken struct {
	value string // "": the service gives none
	from  string // where it was fetched
}

// csrfFlight is a fetch that callers share.
type csrfFlight struct {
	done  chan struct{} // closed when the rest is set
	token *csrfToken    // this or an error
	err   error
}

// csrfFetch fetches a token. keep is whether that is the session's from now on.
type csrfFetch func() (token *csrfToken, keep bool, err error)

// csrf returns the token for a service, which is fetched from there, unless it is the one that was rejected: then, or if
// there is none, one is fetched for all who ask meanwhile, and each of them leaves when its own context ends.
func (s *session) csrf(ctx context.Context, from string, fetch csrfFetch, rejected *csrfToken) (*csrfToken, error) {
	s.mu.Lock()
	slot := s.slot(from, rejected)
	if slot.token != nil && slot.token != rejected {
		defer s.mu.Unlock()
		return slot.token, nil
	}
	f := slot.flight
	if f == nil {
		f = &csrfFlight{done: make(chan struct{}), err: errNoReturn}
		slot.token, slot.flight = nil, f
		go s.fly(slot, f, fetch)
	}
	s.mu.Unlock()
	select {
	case <-f.done:
		return f.token, f.err
	case <-ctx.Done():
		return nil, endedError(ctx)
	}
}

// slot returns where a service's token is kept. s.mu is held.
func (s *session) slot(from string, rejected *csrfToken) *csrfSlot {
	if slot := s.own[from]; slot != nil {
		return slot
	}
	if rejected == nil || rejected.from == from {
		return &s.shared
	}
	if len(s.own) >= mostOwn || s.own == nil {
		s.own = map[string]*csrfSlot{}
	}
	s.own[from] = &csrfSlot{}
	return s.own[from]
}

// reject forgets a token that a service did not accept.
func (s *session) reject(token *csrfToken, from string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if slot := s.slot(from, token); slot.token == token {
		slot.token = nil
	}
}

func (s *session) fly(slot *csrfSlot, f *csrfFlight, fetch csrfFetch) {
	keep := false
	defer func() { // also after a panic and runtime.Goexit, so that nobody waits for ever
		s.mu.Lock()
		defer s.mu.Unlock()
		slot.flight = nil
		if keep {
			slot.token = f.token
		}
		close(f.done)
	}()
	f.token, keep, f.err = fetch()
}
