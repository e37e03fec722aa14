package successfactors

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/adapters"
	"github.com/outgrant/outgrant/internal/bounded"
	"github.com/outgrant/outgrant/internal/cookies"
	"github.com/outgrant/outgrant/internal/replay"
)

// core is what a transport is made of.
type core struct {
	opts     Options // with defaults
	adapter  adapters.Adapter
	actFor   func(*http.Request) (who, outgrant.TokenSource, error)
	apiURL   *url.URL // without a slash at the end; nil: requests carry absolute URLs
	origins  []string // nil: any
	sessions *bounded.Map[sessionKey, *cookies.Session]
}

// who a request acts for: a type, so that no user's name can be the technical user's.
type who struct {
	user      string
	technical bool
}

func newTransport(adapter adapters.Adapter, users outgrant.UserSource, opts *Options) (*Transport, error) {
	c := &core{adapter: adapter}
	if opts != nil {
		c.opts = *opts
	}
	if err := c.set(users); err != nil {
		return nil, fmt.Errorf("successfactors: %w", err)
	}
	name := string(adapter)
	if c.apiURL != nil {
		name += " at " + c.apiURL.Host
	}
	return &Transport{name: name, core: func() *core { return c }}, nil
}

// set checks the options and applies their defaults.
func (c *core) set(users outgrant.UserSource) error {
	if c.opts.MaxSessions < 0 || c.opts.SessionIdleTime < 0 {
		return errors.New("MaxSessions, SessionIdleTime: must not be negative")
	}
	most, idle := cmp.Or(c.opts.MaxSessions, 10_000), cmp.Or(c.opts.SessionIdleTime, 30*time.Minute)
	c.sessions = bounded.New[sessionKey, *cookies.Session](most, idle, nil)
	if c.opts.Base == nil {
		c.opts.Base = http.DefaultTransport
	}
	if err := c.setUsers(users); err != nil {
		return err
	}
	return c.setAPIURL()
}

// setUsers decides where tokens come from.
func (c *core) setUsers(users outgrant.UserSource) error {
	switch {
	case users == nil:
		return errors.New("the user source is nil")
	case c.opts.TechnicalUser && c.opts.User != nil:
		return errors.New("both User and TechnicalUser: set one of them")
	case c.opts.TechnicalUser:
		return c.setTechnicalUser(users)
	case c.opts.User == nil:
		return errors.New("no User: set it to a function that names whom a request acts for, or set TechnicalUser")
	}
	find, err := c.adapter.SourceFor(adapters.Sources{Users: users, User: c.opts.User, AnyGrant: c.opts.AnyGrant})
	c.actFor = func(req *http.Request) (who, outgrant.TokenSource, error) {
		user, src, err := find(req)
		return who{user: user}, src, err
	}
	return err
}

func (c *core) setTechnicalUser(users outgrant.UserSource) error {
	technical, ok := users.(interface {
		ForTechnicalUser() outgrant.TokenSource
	})
	if !ok {
		return fmt.Errorf("TechnicalUser: a %T has no technical user (no method ForTechnicalUser)", users)
	}
	c.actFor = func(*http.Request) (who, outgrant.TokenSource, error) {
		src := technical.ForTechnicalUser()
		if src == nil {
			return who{}, nil, errors.New("the user source has no token source for its technical user")
		}
		return who{technical: true}, src, c.adapter.Check(src, c.opts.AnyGrant)
	}
	if _, _, err := c.actFor(nil); err != nil {
		return err
	}
	return c.adapter.CheckUsers(users, c.opts.AnyGrant)
}

func (c *core) roundTrip(req *http.Request) (*http.Response, error) {
	out, err := c.resolved(req)
	if err != nil {
		replay.CloseBody(req)
		return nil, fmt.Errorf("successfactors: %w", err)
	}
	call := &call{core: c, callers: req}
	resp, err := call.send(out)
	if err == nil && c.opts.Repeat {
		resp, err = call.repeat(out, resp)
	}
	if err != nil {
		return nil, err
	}
	call.present(resp, out)
	return resp, nil
}
