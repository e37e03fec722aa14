package odata

import (
	"maps"
	"net/http"
	"strings"
)

// version is a version of the protocol, in its headers.
type version struct {
	names [2]string // what the request is in, and what the answer may be in; canonical
	value []string  // of both; nobody may change it
}

var (
	v2 = version{[2]string{"Dataserviceversion", "Maxdataserviceversion"}, []string{"2.0"}}
	v4 = version{[2]string{"Odata-Version", "Odata-Maxversion"}, []string{"4.0"}}
)

// set sets the version where the caller's request does not say one.
func (v *version) set(header, callers http.Header) {
	for _, name := range v.names {
		if own, says := put(header, callers, name, v.value); says {
			header[name] = own
		}
	}
}

// put sets a value, and returns what the caller's header has in its place. That is looked for only if there was one at all:
// a look costs as much as setting the value, and a read is to cost little more than its request.
func put(header, callers http.Header, name string, value []string) (own []string, says bool) {
	before := len(header)
	header[name] = value
	if len(header) == before {
		own, says = callers[name]
	}
	return own, says
}

// changes reports whether a request with the method may change something. "" is GET.
func changes(method string) bool {
	switch method {
	case "", http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace:
		return false
	}
	return true
}

// renamed returns the request with the method that it goes out with: a copy, if that is another.
func (c *core) renamed(req *http.Request) *http.Request {
	if !c.opts.Merge && !c.opts.Tunnel || !changes(req.Method) || req.Method == http.MethodPost {
		return req
	}
	out := req.WithContext(req.Context())
	if c.opts.Merge && req.Method == http.MethodPatch {
		out.Method = "MERGE"
	}
	if c.opts.Tunnel {
		out.Header = maps.Clone(req.Header)
		if out.Header == nil {
			out.Header = http.Header{}
		}
		out.Header.Set("X-Http-Method", out.Method)
		out.Method = http.MethodPost
	}
	return out
}

// has reports whether a header has the name, which is canonical, in whatever spelling.
func has(header http.Header, name string) bool {
	if _, found := header[name]; found {
		return true
	}
	for n := range header {
		if len(n) == len(name) && strings.EqualFold(n, name) {
			return true
		}
	}
	return false
}
