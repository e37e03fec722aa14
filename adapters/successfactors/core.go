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
)

// core is what a transport is made of.
type core struct {
	opts     Options // with defaults
	adapter  adapters.Adapter
	actFor   func(*http.Request) (who, outgrant.TokenSource, error)
	apiURL   *url.URL // without a slash at the end; nil: requests carry absolute URLs
	origins  []string // nil: any
	sessions *bounded.Map[sessionKey, *session]
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
	c.sessions = bounded.New[sessionKey, *session](most, idle, nil)
	if c.opts.Base == nil {
		c.opts.Base = http.DefaultTransport
	}
	if err := c.setUsers(users); err != nil {
		return err
	}
	if err := c.adapter.CheckUsers(users, c.opts.AnyGrant); err != nil {
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
	c.actFor = func(req *http.Request) (who, outgrant.TokenSource, error) {
		user, err := c.opts.User(req)
		switch {
		case err != nil:
			return who{}, nil, fmt.Errorf("the user of the request: %w", err)
		case user == "": // whatever the source makes of it: never the technical user
			return who{}, nil, outgrant.ErrUserRequired
		case len(user) > longestUser:
			return who{}, nil, fmt.Errorf("the user of the request: the name has %d bytes, and at most %d are taken", len(user), longestUser)
		}
		src, err := c.checked(users.ForUser(user))
		return who{user: user}, src, err
	}
	return nil
}

// longestUser bounds the names of users: what is longer is no name, and would be kept with its session.
const longestUser = 1024

func (c *core) setTechnicalUser(users outgrant.UserSource) error {
	technical, ok := users.(interface {
		ForTechnicalUser() outgrant.TokenSource
	})
	if !ok {
		return fmt.Errorf("TechnicalUser: a %T has no technical user (no method ForTechnicalUser)", users)
	}
	c.actFor = func(*http.Request) (who, outgrant.TokenSource, error) {
		src, err := c.checked(technical.ForTechnicalUser())
		return who{technical: true}, src, err
	}
	_, _, err := c.actFor(nil)
	return err
}

func (c *core) checked(src outgrant.TokenSource) (outgrant.TokenSource, error) {
	if src == nil {
		return nil, errors.New("the user source has no token source for this user")
	}
	return src, c.adapter.Check(src, c.opts.AnyGrant)
}

func (c *core) roundTrip(req *http.Request) (*http.Response, error) {
	out, err := c.resolved(req)
	if err != nil {
		closeBody(req)
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

func closeBody(req *http.Request) {
	if req.Body != nil {
		_ = req.Body.Close()
	}
}
