// Package odata calls OData V2 and V4 services, such as those of SAP Gateway and CAP, with a technical client's tokens or as
// the user of each request.
//
// Use this when the receiver is an OData service: besides the token it keeps sessions and CSRF tokens for each user, says
// the version of the protocol, makes the service's errors typed ([ErrorOf], and [BatchErrors] for those inside a $batch)
// and reads collections page by page ([Pages]). All of it works through a plain [http.Client].
//
// # Sessions
//
// A session and its CSRF token belong to one user. So a [Transport] keeps the cookies itself, apart for each user and
// server, and takes Set-Cookie off the answers. A Jar on the [http.Client] must not be used: it would carry one user's
// session into the requests of another. With this transport there is nothing for it to keep, and where requests act for
// users, one that comes with a Cookie header, as a jar that was filled elsewhere makes it, is refused.
package odata

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/adapters"
	"github.com/outgrant/outgrant/internal/replay"
)

// Options of a transport. The zero value, and nil, suit most receivers.
type Options struct {
	// Base sends the requests. Default http.DefaultTransport.
	Base http.RoundTripper

	// AnyGrant takes a source of any grant. Default false: client credentials, for V2 also SAML bearer, and sources that
	// are not ours.
	AnyGrant bool

	// Users and User make each request act for its user, with the token that Users has for whom User names, in at most
	// 1,024 bytes. They go together, and in place of a source. Default nil.
	Users outgrant.UserSource
	User  func(*http.Request) (string, error)

	// ServiceURL is the root of the service, such as https://host/sap/opu/odata/sap/API_PRODUCT_SRV. CSRF tokens are
	// fetched there, and only to its origin do tokens and cookies go at all. Default "": the token goes where requests go,
	// and CSRF tokens are fetched from what a request's URL tells to be the root: its path up to the first segment with a
	// parenthesis or with a $ at its beginning, or else without its last segment.
	ServiceURL string

	// CSRFPath is where CSRF tokens are fetched instead: a path with or without a query, relative to the root of the
	// service unless it begins with a slash. Default "".
	CSRFPath string

	// CSRFMethod is the method of that request: GET or HEAD. Default GET, which every service answers.
	CSRFMethod string

	// DisableCSRF sends changes without fetching a CSRF token, for a service that asks for none. Default false.
	DisableCSRF bool

	// Merge sends a PATCH as a MERGE, which is what V2 calls it. V2 only. Default false.
	Merge bool

	// Tunnel sends what is neither GET, HEAD nor POST as a POST with the method in X-HTTP-Method, for services and proxies
	// that know no other methods. V2 only. Default false.
	Tunnel bool

	// MaxRetryAfter makes the transport wait and repeat a request that is answered 429 or 503 with a Retry-After of at most
	// this, up to 3 times: a GET, HEAD, OPTIONS, PUT or DELETE, if its body can be read again. The wait ends with the
	// request's context, with an error that matches its Err; if its deadline leaves no room for it, the caller gets the
	// answer at once. Default 0: the caller gets all answers.
	MaxRetryAfter time.Duration

	// AllowInsecureHTTP lets tokens go over plain http to other machines. Default false.
	AllowInsecureHTTP bool

	// MaxSessions bounds how many sessions are kept; beyond it, one that has not been used for a while is forgotten. A
	// session begins with the first cookie or change. Default 10,000.
	MaxSessions int

	// SessionIdleTime is how long a session is kept without use, up to half of it longer. Default 30 minutes.
	SessionIdleTime time.Duration
}

// Transport is an [http.RoundTripper] with the token rules of [outgrant.Transport].
//
// A request that is not a GET, HEAD, OPTIONS or TRACE (a change; $batch is one) carries the CSRF token of its user's
// session. The first change fetches it, all that come meanwhile wait for the same fetch, each until its context ends, and
// the fetch has 30 seconds of its own. If the service gives none, changes go out without one. If it cannot be asked or is
// not available (408, 429 or 5xx), the change fails and is not sent. A change that is answered 403 with "x-csrf-token: Required"
// is sent once more with a new CSRF token, if its body can be read again (GetBody); otherwise the caller gets the 403, and
// the next change fetches a new CSRF token. Services of one server share a token as long as they take it. A request that
// has an X-CSRF-Token header of its own is left to its caller.
//
// The headers DataServiceVersion and MaxDataServiceVersion (V2) or OData-Version and OData-MaxVersion (V4) are set, to 2.0
// or 4.0, where a request has none.
//
// Once redirects have left the server of the caller's request, no request of that chain carries token, cookies or CSRF
// token, and the caller's own Cookie, Authorization and X-CSRF-Token headers stay behind, too.
//
// A Transport is made by [NewV2] or [NewV4], and is safe for concurrent use.
type Transport struct {
	name string
	core func() *core // a function, where fmt does not look
}

// NewV2 returns a transport for OData V2 that uses the tokens of src, or of opts.Users. It copies opts, which may be nil.
func NewV2(src outgrant.TokenSource, opts *Options) (*Transport, error) {
	return newTransport(adapters.ODataV2, src, opts)
}

// NewV4 returns a transport for OData V4 that uses the tokens of src, or of opts.Users. It copies opts, which may be nil.
func NewV4(src outgrant.TokenSource, opts *Options) (*Transport, error) {
	return newTransport(adapters.ODataV4, src, opts)
}

// RoundTrip sends req as described at [Transport]. The request in the answer is the caller's own, or for errors and a
// $batch a copy of it: what was put on it on its way is not there.
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	if t.core == nil {
		replay.CloseBody(req)
		return nil, errors.New("odata: the Transport is empty: make it by NewV2 or NewV4")
	}
	return t.core().roundTrip(req)
}

// CloseIdleConnections passes the call on to Base.
func (t *Transport) CloseIdleConnections() {
	if t.core == nil {
		return
	}
	if c, ok := t.core().opts.Base.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

func (t Transport) String() string { return fmt.Sprintf("odata.Transport(%s)", t.name) }

// Format prints the type, the version and the server, for every verb and flag.
func (t Transport) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, t.String()) }

// LogValue logs the type, the version and the server.
func (t Transport) LogValue() slog.Value { return slog.StringValue(t.String()) }

// MarshalJSON encodes the type, the version and the server.
func (t Transport) MarshalJSON() ([]byte, error) { return json.Marshal(t.String()) }
