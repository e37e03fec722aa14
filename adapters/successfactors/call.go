package successfactors

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/adapters"
	"github.com/outgrant/outgrant/internal/origin"
	"github.com/outgrant/outgrant/internal/secrettext"
)

// call is one request of a caller, with all that is sent for it.
type call struct {
	*core
	callers *http.Request
	src     outgrant.TokenSource // nil: the request is given neither token nor cookies
	key     sessionKey
	secrets []string // tokens and cookies that were sent or set
	status  int      // of the latest answer, as it came
}

// send sends the request with a token, and once more with another if the first is refused.
//
// The bearer's transport does that for a 401. So a refusal with any other status goes up to it as a 401 (below), and
// gets its own status back here if it is what the caller is to see.
func (c *call) send(req *http.Request) (*http.Response, error) {
	bearer := outgrant.Transport{
		SourceFor: c.source, Base: below{c}, Origins: c.origins, AllowInsecureHTTP: c.opts.AllowInsecureHTTP,
	}
	resp, err := bearer.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	resp.StatusCode = c.status
	return resp, nil
}

// source is called where a token may go. The user is asked for once, the token for each time the request is sent.
func (c *call) source(req *http.Request) (outgrant.TokenSource, error) {
	if c.src != nil {
		return c.src, nil
	}
	user, src, err := c.actFor(c.callers)
	if err != nil {
		return nil, fmt.Errorf("successfactors: %w", err)
	}
	c.src, c.key = src, sessionKey{user, strings.ToLower(req.URL.Scheme), strings.ToLower(req.URL.Host)}
	return src, nil
}

// below is the call as it is seen from below the bearer: it sends requests that have their token.
type below struct{ *call }

func (c below) RoundTrip(req *http.Request) (*http.Response, error) {
	out, unzip := req, false
	switch {
	case c.src != nil:
		out, unzip = c.outgoing(req)
	case origin.Left(req):
		out = origin.Bare(req)
	}
	resp, err := c.opts.Base.RoundTrip(out)
	if err != nil {
		return nil, err
	}
	resp.Request, c.status = req, resp.StatusCode
	set := resp.Cookies()
	resp.Header = maps.Clone(resp.Header)
	resp.Header.Del("Set-Cookie")
	if c.src == nil {
		return resp, nil
	}
	c.keep(req.URL, set)
	for _, cookie := range set {
		c.hide(cookie.Value, secrettext.ShortestCookie)
	}
	if unzip {
		decompress(resp)
	}
	// A 401 says all by itself: its body may never come.
	if resp.StatusCode >= http.StatusBadRequest && resp.StatusCode != http.StatusUnauthorized && problemOf(resp).refusal != "" {
		resp.StatusCode = http.StatusUnauthorized
	}
	return resp, nil
}

// outgoing returns a copy of the request with the session's cookies. unzip is whether it asks for a compressed answer
// that the caller does not know of.
func (c below) outgoing(req *http.Request) (out *http.Request, unzip bool) {
	out = req.WithContext(req.Context())
	out.Header = maps.Clone(req.Header)
	cookies := slices.Clone(out.Header["Cookie"]) // the caller's own
	if session := c.session(); session != nil {
		for _, cookie := range session.For(req.URL) {
			cookies = append(cookies, cookie.String())
			c.hide(cookie.Value, secrettext.ShortestCookie)
		}
	}
	if len(cookies) > 0 {
		out.Header.Set("Cookie", strings.Join(cookies, "; "))
	}
	_, credentials, _ := strings.Cut(out.Header.Get("Authorization"), " ")
	c.hide(credentials, secrettext.Shortest)
	unzip = c.opts.Gzip && req.Method != http.MethodHead && req.Header.Get("Accept-Encoding") == "" && req.Header.Get("Range") == ""
	if unzip {
		out.Header.Set("Accept-Encoding", "gzip")
	}
	return out, unzip
}

// hide notes a secret that no error may show, unless it is too short to be one.
func (c *call) hide(secret string, shortest int) {
	if len(secret) >= shortest && !slices.Contains(c.secrets, secret) {
		c.secrets = append(c.secrets, secret)
	}
}

// present makes the answer one to the caller's request. out is that request with its full URL.
func (c *call) present(resp *http.Response, out *http.Request) {
	if c.src != nil && resp.StatusCode >= http.StatusBadRequest {
		out = out.WithContext(context.WithValue(out.Context(), contextKey{}, known{
			soap: c.adapter == adapters.SuccessFactorsSOAP, quotes: secrettext.Quoting(c.secrets...),
		}))
	}
	resp.Request = out
	// A client would resolve it by the relative URL that it knows.
	if location := resp.Header.Get("Location"); location != "" && c.callers.URL.Host == "" {
		if u, err := out.URL.Parse(location); err == nil {
			resp.Header.Set("Location", u.String())
		}
	}
}

// known is what only the transport knows about an answer that is an error. It goes with the answer in the context of
// its request, as bodies are wrapped on their way up; the secrets are in a function, where fmt does not look.
type known struct {
	soap   bool
	quotes func(text string) bool
}

type contextKey struct{}
