package odata

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"strings"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/internal/replay"
	"github.com/outgrant/outgrant/internal/secrettext"
)

// call is one request of a caller, with all that is sent for it.
type call struct {
	*core
	bearer outgrant.Transport // sends it with a token, by below
	ofCall
}

// ofCall is what of a call is not the same for the next.
type ofCall struct {
	callers *http.Request
	src     outgrant.TokenSource // nil: its user is not asked for yet
	key     sessionKey
	renewed bool        // the CSRF token, for an answer that required it
	last    http.Header // of the request that was sent last
	earlier []string    // secrets that were sent before, or set
}

// newCall returns a call, which may have been another: a read is to cost little more than its request. What it puts on
// requests is its own no longer.
func (c *core) newCall(callers *http.Request) *call {
	next, _ := c.calls.Get().(*call)
	if next == nil {
		next = &call{core: c}
		next.bearer = outgrant.Transport{Source: c.only, Base: (*below)(next), AllowInsecureHTTP: c.opts.AllowInsecureHTTP}
		if c.only == nil {
			next.bearer.SourceFor = next.source
		}
	}
	next.callers, next.src = callers, c.only
	next.key.scheme, next.key.host = callers.URL.Scheme, callers.URL.Host
	return next
}

// end gives the call away, unless the Base panicked.
func (c *call) end() {
	c.ofCall = ofCall{}
	c.calls.Put(c)
}

// source finds the user's source, where a token may go. The user is asked for once, the token for each time the request is sent.
func (c *call) source(req *http.Request) (outgrant.TokenSource, error) {
	if c.src != nil {
		return c.src, nil
	}
	user, src, err := c.find(c.callers)
	if err == nil && has(req.Header, "Cookie") {
		err = errors.New("the request has cookies, which may be another user's: take the Jar off the http.Client, and the Cookie header off the request")
	}
	if err != nil {
		return nil, fmt.Errorf("odata: %w", err)
	}
	c.src, c.key.user = src, user
	return src, nil
}

// below is the call as it is seen from below the bearer. What comes there is the bearer's own copy of a request, with its
// token: the header may be added to.
type below call

func (b *below) RoundTrip(req *http.Request) (*http.Response, error) {
	c := (*call)(b)
	if changes(c.callers.Method) && !c.opts.DisableCSRF && !has(req.Header, csrfHeader) {
		return c.change(req)
	}
	return c.send(req, "")
}

// send sends a request that has its token, with cookies and a CSRF token if there are any.
func (c *call) send(req *http.Request, csrf string) (*http.Response, error) {
	if s := c.session(); s != nil {
		if line := s.cookies.Header(req.URL); line != nil {
			if own, _ := put(req.Header, c.callers.Header, "Cookie", line); len(own) > 0 {
				req.Header["Cookie"] = []string{strings.Join(own, "; ") + "; " + line[0]}
			}
		}
	}
	if csrf != "" {
		req.Header[csrfHeader] = []string{csrf}
	}
	c.version.set(req.Header, c.callers.Header)
	if c.last != nil {
		c.earlier = append(c.earlier, secretsIn(c.last)...)
	}
	c.last = req.Header
	resp, err := c.opts.Base.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	if set := resp.Header["Set-Cookie"]; len(set) > 0 {
		cookies := resp.Cookies()
		for _, cookie := range cookies {
			if len(cookie.Value) >= secrettext.ShortestCookie {
				c.earlier = append(c.earlier, cookie.Value)
			}
		}
		c.begin().cookies.Keep(req.URL, cookies)
		withoutCookies(resp)
	}
	return resp, nil
}

// change sends a change with the session's CSRF token, and once more with another if that is required.
func (c *call) change(req *http.Request) (*http.Response, error) {
	s := c.begin()
	from, fetch := c.fetchCSRF(req, c.src, c.key)
	token, err := s.csrf(req.Context(), from, fetch, nil)
	if err != nil {
		replay.CloseBody(req)
		return nil, err
	}
	resp, err := c.send(req, token.value)
	if err != nil || !requires(resp) {
		return resp, err
	}
	if c.renewed || !replay.Possible(c.callers) {
		s.reject(token, from) // the next change is not to fail for the same reason
		return resp, nil
	}
	c.renewed = true
	next, err := s.csrf(req.Context(), from, fetch, token)
	if err != nil && req.Context().Err() != nil {
		_ = resp.Body.Close()
		return nil, err
	}
	if err != nil || next.value == "" {
		return resp, nil // the caller learns more from it
	}
	again := req.WithContext(req.Context())
	again.Header = maps.Clone(req.Header)
	delete(again.Header, "Cookie")
	if own := c.callers.Header["Cookie"]; len(own) > 0 {
		again.Header["Cookie"] = own
	}
	if again.Body, err = replay.Body(c.callers); err != nil {
		return resp, nil
	}
	_ = resp.Body.Close() // unread: it may never end
	resp, err = c.send(again, next.value)
	if err == nil && requires(resp) {
		s.reject(next, from)
	}
	return resp, err
}

// present makes the answer one to the caller's request.
func (c *call) present(resp *http.Response) {
	resp.Request = c.callers
	batch := c.callers.Method == http.MethodPost && strings.HasSuffix(c.callers.URL.Path, "/$batch")
	if batch || resp.StatusCode >= http.StatusBadRequest { // there may be errors inside
		quotes := secrettext.Quoting(append(c.earlier, secretsIn(c.last)...)...)
		resp.Request = c.callers.WithContext(context.WithValue(c.callers.Context(), contextKey{}, known{quotes}))
	}
}

// known is what only the transport knows about an answer with errors. It goes with the answer in the context of
// its request, as bodies are wrapped on their way up; the secrets are in a function, where fmt does not look.
type known struct{ quotes func(text string) bool }

type contextKey struct{}

// secretsIn returns what of a request's header no error may show, unless it is too short to be a secret.
func secretsIn(header http.Header) (all []string) {
	if _, credentials, _ := strings.Cut(header.Get("Authorization"), " "); credentials != "" {
		all = append(all, credentials)
	}
	for cookie := range strings.SplitSeq(strings.Join(header["Cookie"], "; "), "; ") {
		if _, value, _ := strings.Cut(cookie, "="); len(value) >= secrettext.ShortestCookie {
			all = append(all, value)
		}
	}
	if csrf := header.Get(csrfHeader); len(csrf) >= secrettext.ShortestCookie {
		all = append(all, csrf)
	}
	return all
}

// withoutCookies takes the cookies off an answer, whose header may be its sender's.
func withoutCookies(resp *http.Response) {
	if _, set := resp.Header["Set-Cookie"]; set {
		resp.Header = maps.Clone(resp.Header)
		delete(resp.Header, "Set-Cookie")
	}
}
