package authcode

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"

	"github.com/outgrant/outgrant/internal/origin"
)

// Authorize returns the handler that starts authorizations; see [Client.AuthorizeHandler].
func (h *Handlers) Authorize() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		secure(w.Header())
		switch {
		case r.Method != http.MethodGet:
			methodPage(w)
		case prefetched(r):
			w.WriteHeader(http.StatusServiceUnavailable) // the browser asks again when the link is followed
		default:
			h.start(w, r)
		}
	})
}

func (h *Handlers) start(w http.ResponseWriter, r *http.Request) {
	id, err := h.ID(r)
	if err != nil {
		startPage(w, http.StatusBadRequest, err)
		return
	}
	if err := h.mayAuthorize(r, id); err != nil {
		startPage(w, http.StatusForbidden, err)
		return
	}
	c, err := h.Client(r.Context(), id)
	if err != nil {
		startPage(w, http.StatusNotFound, err)
		return
	}
	if crossSite(r) {
		confirmPage(w, c)
		return
	}
	if to := h.otherLoopback(r, c); to != "" {
		w.Header().Set("Location", to)
		w.WriteHeader(http.StatusSeeOther)
		return
	}
	a, cookie, err := h.newAttempt(r, id, c)
	if err != nil {
		startPage(w, http.StatusInternalServerError, c.failed(err))
		return
	}
	for _, name := range surplus(r) {
		http.SetCookie(w, a.emptyCookie(name))
	}
	http.SetCookie(w, cookie)
	w.Header().Set("Location", c.authorizationURL(a))
	w.WriteHeader(http.StatusSeeOther)
}

func (h *Handlers) newAttempt(r *http.Request, id string, c *Client) (*attempt, *http.Cookie, error) {
	redirectURL := h.redirect(c)
	switch {
	case c.authURL == nil:
		return nil, nil, errNoAuthURL
	case redirectURL == "":
		return nil, nil, errNoRedirectURL
	}
	a := newAttempt(c, id, redirectURL, r)
	cookie, err := a.cookie(r.Context(), h.attempts())
	return a, cookie, err
}

// otherLoopback returns this page's address under the name that the redirect URL has for this machine, or "" if it is
// there, or the redirect URL is another machine's: cookies of 127.0.0.1 are not those of localhost.
func (h *Handlers) otherLoopback(r *http.Request, c *Client) string {
	u, err := url.Parse(h.redirect(c))
	if err != nil || u.Scheme != "http" || r.TLS != nil {
		return ""
	}
	name, port := r.Host, ""
	if host, p, err := net.SplitHostPort(r.Host); err == nil {
		name, port = host, p
	}
	name = strings.Trim(name, "[]")
	if !origin.Loopback(name) || !origin.Loopback(u.Hostname()) || strings.EqualFold(name, u.Hostname()) {
		return ""
	}
	host := u.Hostname()
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	if port != "" {
		host += ":" + port
	}
	asked := r.URL.RequestURI()
	if strings.HasPrefix(r.RequestURI, "/") { // what the browser sent: a prefix may have been stripped
		asked = r.RequestURI
	}
	return "http://" + host + "/" + strings.TrimLeft(asked, `/\`)
}

func (h *Handlers) mayAuthorize(r *http.Request, id string) error {
	if h.MayAuthorize == nil {
		return LoopbackOnly(r)
	}
	return h.MayAuthorize(r, id)
}

var (
	errNoAuthURL     = errors.New("AuthURL is not set: set it to the provider's authorization endpoint")
	errNoRedirectURL = errors.New("RedirectURL is not set: set it to the address of the callback, as it is registered at the provider")
)

// authorizationURL is where the user is asked (RFC 6749 4.1.1).
func (c *Client) authorizationURL(a *attempt) string {
	u := *c.authURL
	q := u.Query()
	q.Set("response_type", "code")
	q.Set("client_id", c.cfg.ClientID)
	q.Set("redirect_uri", a.Redirect)
	q.Set("state", a.State)
	if len(c.cfg.Scopes) > 0 {
		q.Set("scope", strings.Join(c.cfg.Scopes, " "))
	}
	if a.Verifier != "" {
		sum := sha256.Sum256([]byte(a.Verifier.Reveal()))
		q.Set("code_challenge", base64.RawURLEncoding.EncodeToString(sum[:]))
		q.Set("code_challenge_method", "S256")
	}
	u.RawQuery = q.Encode()
	return u.String()
}

// prefetched reports whether nobody has followed the link yet.
func prefetched(r *http.Request) bool {
	for _, name := range []string{"Sec-Purpose", "Purpose", "X-Moz"} {
		if strings.Contains(strings.ToLower(r.Header.Get(name)), "prefetch") {
			return true
		}
	}
	return false
}

// crossSite reports whether another site sent the browser here: it could make a user authorize what they never saw, with
// an account that it chose. What the user typed, and links of our own origin, are not.
func crossSite(r *http.Request) bool {
	switch r.Header.Get("Sec-Fetch-Site") {
	case "same-origin", "none":
		return false
	case "":
	default:
		return true
	}
	// A browser from before 2023, or none.
	from := r.Header.Get("Origin")
	if from == "" {
		from = r.Header.Get("Referer")
	}
	u, err := url.Parse(from)
	return from != "" && (err != nil || !strings.EqualFold(u.Host, r.Host))
}

var errLoopbackOnly = errors.New("only people at the machine itself may authorize here: open the page there, or have MayAuthorize decide who may")

// proxyHeaders are signs that a request comes from elsewhere although its connection does not.
var proxyHeaders = []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Port", "X-Forwarded-Server", "X-Real-Ip",
	"X-Client-Ip", "True-Client-Ip", "Cf-Connecting-Ip", "Via"}

// LoopbackOnly refuses requests that do not come from this machine, and those that a proxy on it has passed on, if it says
// so: the default of MayAuthorize. Not every proxy says so: behind one, set MayAuthorize.
func LoopbackOnly(r *http.Request) error {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	host := r.Host
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	// The host that the browser was told of, too: any name can be made to lead here (DNS rebinding).
	if err != nil || !peer.Addr().Unmap().IsLoopback() || !origin.Loopback(strings.Trim(host, "[]")) {
		return errLoopbackOnly
	}
	for _, name := range proxyHeaders {
		if _, there := r.Header[name]; there {
			return errLoopbackOnly
		}
	}
	return nil
}
