package odata

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/adapters"
	"github.com/outgrant/outgrant/internal/bounded"
	"github.com/outgrant/outgrant/internal/origin"
	"github.com/outgrant/outgrant/internal/replay"
)

// core is what a transport is made of.
type core struct {
	opts     Options // with defaults
	version  *version
	only     outgrant.TokenSource // nil: one for each user
	find     func(*http.Request) (string, outgrant.TokenSource, error)
	root     *url.URL // of ServiceURL, with a slash at the end; nil: told from each request
	csrfAt   *url.URL // where CSRF tokens are fetched, relative to the root
	sessions *bounded.Map[sessionKey, *session]
	begun    atomic.Bool                                         // there was a session at all
	latest   atomic.Pointer[bounded.Entry[sessionKey, *session]] // of the one source
	calls    sync.Pool                                           // of *call
}

func newTransport(adapter adapters.Adapter, src outgrant.TokenSource, opts *Options) (*Transport, error) {
	c := &core{version: &v2}
	if adapter == adapters.ODataV4 {
		c.version = &v4
	}
	if opts != nil {
		c.opts = *opts
	}
	if err := c.set(adapter, src); err != nil {
		return nil, fmt.Errorf("odata: %w", err)
	}
	name := string(adapter)
	if c.root != nil {
		name += " at " + c.root.Host
	}
	return &Transport{name: name, core: func() *core { return c }}, nil
}

// set checks the options and applies their defaults.
func (c *core) set(adapter adapters.Adapter, src outgrant.TokenSource) (err error) {
	switch {
	case c.opts.MaxSessions < 0 || c.opts.SessionIdleTime < 0 || c.opts.MaxRetryAfter < 0:
		return errors.New("MaxSessions, SessionIdleTime, MaxRetryAfter: must not be negative")
	case c.version != &v2 && (c.opts.Merge || c.opts.Tunnel):
		return errors.New("Merge and Tunnel are for V2: leave them away, V4 has PATCH")
	case c.opts.CSRFMethod != "" && c.opts.CSRFMethod != http.MethodGet && c.opts.CSRFMethod != http.MethodHead:
		return errors.New("CSRFMethod must be GET or HEAD")
	case c.opts.DisableCSRF && (c.opts.CSRFPath != "" || c.opts.CSRFMethod != ""):
		return errors.New("DisableCSRF beside CSRFPath or CSRFMethod: leave those away")
	}
	c.opts.CSRFMethod = cmp.Or(c.opts.CSRFMethod, http.MethodGet)
	most, idle := cmp.Or(c.opts.MaxSessions, 10_000), cmp.Or(c.opts.SessionIdleTime, 30*time.Minute)
	c.sessions = bounded.New[sessionKey, *session](most, idle, func(s **session) bool { return (*s).fetching() })
	if c.opts.Base == nil {
		c.opts.Base = http.DefaultTransport
	}
	c.only = src
	c.find, err = adapter.SourceFor(adapters.Sources{Source: src, Users: c.opts.Users, User: c.opts.User, AnyGrant: c.opts.AnyGrant})
	if err != nil {
		return err
	}
	return c.setURLs()
}

// setURLs reads ServiceURL and CSRFPath.
func (c *core) setURLs() (err error) {
	c.csrfAt, err = url.Parse(c.opts.CSRFPath)
	if err != nil || c.csrfAt.Scheme != "" || c.csrfAt.Host != "" || c.csrfAt.User != nil || c.csrfAt.Fragment != "" {
		return errors.New("CSRFPath must be a path, with or without a query: the server is that of the service")
	}
	if c.opts.ServiceURL == "" {
		return nil
	}
	u, err := url.Parse(c.opts.ServiceURL)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return errors.New("ServiceURL must be the root of a service, such as https://host/sap/opu/odata/sap/API_PRODUCT_SRV, without user, query and fragment")
	}
	if !c.opts.AllowInsecureHTTP && !origin.Secure(u) {
		return fmt.Errorf("ServiceURL: %w", outgrant.ErrInsecureURL)
	}
	c.root = u.JoinPath("/")
	return nil
}

func (c *core) roundTrip(req *http.Request) (*http.Response, error) {
	if req.URL == nil {
		replay.CloseBody(req)
		return nil, errors.New("odata: the request has no URL")
	}
	if origin.Left(req) {
		return c.sendBare(origin.Bare(req), req)
	}
	if c.root != nil && (c.root.Host != req.URL.Host || c.root.Scheme != req.URL.Scheme) && !origin.Same(c.root, req.URL) {
		return c.sendBare(req, req)
	}
	call := c.newCall(req)
	out := c.renamed(req)
	resp, err := call.bearer.RoundTrip(out)
	if err == nil && c.opts.MaxRetryAfter > 0 {
		resp, err = call.repeat(out, resp)
	}
	if err == nil {
		call.present(resp)
	}
	call.end()
	return resp, err
}

// sendBare sends a request that is given nothing, and keeps nothing of its answer.
func (c *core) sendBare(req, callers *http.Request) (*http.Response, error) {
	resp, err := c.opts.Base.RoundTrip(req)
	if err == nil {
		resp.Request = callers
		withoutCookies(resp)
	}
	return resp, err
}
