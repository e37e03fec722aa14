// Package origin compares and checks URLs that credentials may be sent to.
package origin

import (
	"maps"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
)

// Same reports whether two URLs have the same origin: scheme, host and port.
func Same(a, b *url.URL) bool {
	return a != nil && b != nil && strings.EqualFold(a.Scheme, b.Scheme) &&
		strings.EqualFold(a.Hostname(), b.Hostname()) && port(a) == port(b)
}

// Left reports whether redirects led req away from the origin of the caller's own request: all in the chain, back to that,
// must be of one origin. If it cannot be told, they did.
func Left(req *http.Request) bool {
	for r := req.Response; r != nil; r = r.Request.Response {
		if r.Request == nil || !Same(r.Request.URL, req.URL) {
			return true
		}
	}
	return false
}

// Bare returns a copy of req without the caller's own credentials, for a request that was led away. An [http.Client] takes
// some off, by the host alone, and not from a request whose URL had none.
func Bare(req *http.Request) *http.Request {
	out := req.WithContext(req.Context())
	out.Header = maps.Clone(req.Header)
	for _, name := range []string{"Authorization", "Cookie", "X-Csrf-Token"} {
		out.Header.Del(name)
	}
	return out
}

func port(u *url.URL) string {
	if p := u.Port(); p != "" {
		return p
	}
	switch strings.ToLower(u.Scheme) {
	case "https":
		return "443"
	case "http":
		return "80"
	}
	return ""
}

// Secure reports whether a credential may be sent to u: over https, or over http to this machine.
func Secure(u *url.URL) bool {
	switch strings.ToLower(u.Scheme) {
	case "https":
		return true
	case "http":
		return Loopback(u.Hostname())
	}
	return false
}

// Loopback reports whether a host name, without port, is this machine's own.
func Loopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}

// Clean returns the URL without userinfo, query and fragment, as errors and events may show it.
func Clean(u *url.URL) string {
	c := url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}
	return c.String()
}

// Host returns a URL's host for messages, and nothing of a URL that cannot be read.
func Host(raw string) string {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" {
		return "an unreadable URL"
	}
	return u.Host
}
