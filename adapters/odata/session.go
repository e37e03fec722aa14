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

// session is a user's session at a server. There is one CSRF token for it.
type session struct {
	cookies *cookies.Session

	mu     sync.Mutex
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

// fetching reports whether somebody waits for the session's CSRF token.
func (s *session) fetching() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.flight != nil
}

// csrfToken is a session's token: a value that is its own, so that the same text fetched twice is two.
type csrfToken struct{ value string } // "": the service gives none

// csrfFlight is a fetch that callers share.
type csrfFlight struct {
	done  chan struct{} // closed when the rest is set
	token *csrfToken    // this or an error
	err   error
}

// csrfFetch fetches a token. keep is whether that is the session's from now on.
type csrfFetch func() (token *csrfToken, keep bool, err error)

// csrf returns the session's token, unless it is the one that was rejected: then, or if there is none, one is
// fetched for all who ask meanwhile, and each of them leaves when its own context ends.
func (s *session) csrf(ctx context.Context, prepare func() csrfFetch, rejected *csrfToken) (*csrfToken, error) {
	s.mu.Lock()
	if s.token != nil && s.token != rejected {
		defer s.mu.Unlock()
		return s.token, nil
	}
	f := s.flight
	if f == nil {
		f = &csrfFlight{done: make(chan struct{}), err: errNoReturn}
		s.token, s.flight = nil, f
		go s.fly(f, prepare())
	}
	s.mu.Unlock()
	select {
	case <-f.done:
		return f.token, f.err
	case <-ctx.Done():
		return nil, endedError(ctx)
	}
}

// reject forgets a token that was not accepted, unless there is another already.
func (s *session) reject(token *csrfToken) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.token == token {
		s.token = nil
	}
}

func (s *session) fly(f *csrfFlight, fetch csrfFetch) {
	keep := false
	defer func() { // also after a panic and runtime.Goexit, so that nobody waits for ever
		s.mu.Lock()
		defer s.mu.Unlock()
		s.flight = nil
		if keep {
			s.token = f.token
		}
		close(f.done)
	}()
	f.token, keep, f.err = fetch()
}
