// Package successfactors calls the OData V2 and SOAP APIs of SAP SuccessFactors, as the user of each request or as a
// technical user.
//
// Use this when you call SuccessFactors with SAML bearer tokens: besides the token it keeps an HTTP session for each
// user, knows how SuccessFactors says that a token has ended, makes its errors typed ([ErrorOf]) and repeats, if you
// want, what SAP Cloud Integration repeats. A *samlbearer.Client supplies the tokens, or in tests any other
// [outgrant.UserSource].
//
// # Sessions
//
// SuccessFactors keeps the first user of an HTTP session, whatever the token of a later request says. So a [Transport]
// keeps the cookies itself, apart for each user and server, and takes Set-Cookie off the answers. A Jar on the
// [http.Client] must not be used: it would carry one user's session into the requests of another. With this transport
// there is nothing for it to keep.
package successfactors

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

// Options of a transport. User or TechnicalUser is required.
type Options struct {
	// Base sends the requests. Default http.DefaultTransport.
	Base http.RoundTripper

	// AnyGrant takes sources of any grant. Default false: SAML bearer, and sources that are not ours.
	AnyGrant bool

	// User names whom a request acts for, in at most 1,024 bytes. It is called once for each request that is given a token,
	// and for each such redirect, with the redirect's own request. An empty name is refused with
	// [outgrant.ErrUserRequired]. Required, unless TechnicalUser is set.
	User func(*http.Request) (string, error)

	// TechnicalUser acts as the credential's technical user in all requests. The users must have the method
	// ForTechnicalUser() outgrant.TokenSource, as *samlbearer.Client does. It excludes User: it is never what is used
	// where there is no user. Default false.
	TechnicalUser bool

	// BaseURL is the API server's, such as https://api4.successfactors.com, with or without the path of the API
	// (/odata/v2 or /sfapi/v1/soap). A request with a relative URL, such as "User?$top=1", "/odata/v2/User" or, for SOAP,
	// "", goes below that path, and only to that server do tokens and cookies go at all. Default "": requests carry
	// absolute URLs, and the token goes where they go.
	BaseURL string

	// Repeat sends a request that SuccessFactors could not serve once more, after a pause, as SAP Cloud Integration
	// does:
	//   - a query that was answered 429, 502, 503 or 504: every 3 minutes, at most 5 times;
	//   - a change that was answered 412 or 429: once, after a minute;
	//   - an OData upsert also if one of the results in its answer says 412 or 429: once, after a minute, as a whole.
	//
	// A query is a GET or HEAD, and in SOAP the operations query, queryMore, isValidSession, describe... and list...;
	// a $batch is a change, of which only the answer's own status counts. A longer Retry-After is waited for, up to an
	// hour. What has a body is repeated only if it can be read again (GetBody, called after the pause). Each repeat asks
	// for the token anew.
	//
	// The pauses end with the request's context, with an error that matches its Err. If its deadline or Retry-After
	// leave no room for the pause, the caller gets the answer at once. The answer to an upsert is read ahead, up to
	// 1 MiB; a bigger one is passed on as it is. Default false.
	Repeat bool

	// Gzip asks for compressed answers and decompresses them, whatever Base does. It leaves alone a request with an
	// Accept-Encoding of its own. Default false: what Base does, and [http.Transport] does the same.
	Gzip bool

	// AllowInsecureHTTP lets tokens go over plain http to other machines. Default false.
	AllowInsecureHTTP bool

	// MaxSessions bounds how many sessions are kept; beyond it, one that has not been used for a while is forgotten. A
	// session begins with the first cookie.
	// Default 10,000.
	MaxSessions int

	// SessionIdleTime is how long a session is kept without use, up to half of it longer. Default 30 minutes.
	SessionIdleTime time.Duration
}

// Transport is an [http.RoundTripper] with the token rules of [outgrant.Transport].
//
// Besides a 401, an error with the code LGN0022 (the access token has expired or was rejected) means that the token is
// invalidated, and the request is repeated once with a new one; so do LGN0006 and LGN0007, which SuccessFactors has for
// the same. These come with statuses such as 403 or 500, which the caller sees if the new token is refused, too. They are
// looked for wherever an error says its code or its message, in OData, SOAP or a header. A message that quotes one from
// elsewhere costs a repeat, too.
//
// Of an answer with an error status other than 401, up to 64 KiB are read ahead, for 5 seconds at most. The body of any
// other answer is not touched, but for what Repeat says.
//
// Once redirects have left the server of the caller's request, the caller's own Cookie and Authorization headers stay
// behind, too.
//
// A Transport is made by [NewOData] or [NewSOAP], and is safe for concurrent use.
type Transport struct {
	name string
	core func() *core // a function, where fmt does not look
}

// NewOData returns a transport for the OData V2 API. It copies opts.
func NewOData(users outgrant.UserSource, opts *Options) (*Transport, error) {
	return newTransport(adapters.SuccessFactorsOData, users, opts)
}

// NewSOAP returns a transport for the SOAP API (SFAPI). It copies opts.
func NewSOAP(users outgrant.UserSource, opts *Options) (*Transport, error) {
	return newTransport(adapters.SuccessFactorsSOAP, users, opts)
}

// RoundTrip sends req with a token and the session's cookies, as described at [Transport]. The request in the answer has
// neither: it is the caller's own, or for errors and relative URLs a copy of it with the full URL.
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	if t.core == nil {
		replay.CloseBody(req)
		return nil, errors.New("successfactors: the Transport is empty: make it by NewOData or NewSOAP")
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

func (t Transport) String() string { return fmt.Sprintf("successfactors.Transport(%s)", t.name) }

// Format prints the type, the API and the server, for every verb and flag.
func (t Transport) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, t.String()) }

// LogValue logs the type, the API and the server.
func (t Transport) LogValue() slog.Value { return slog.StringValue(t.String()) }

// MarshalJSON encodes the type, the API and the server.
func (t Transport) MarshalJSON() ([]byte, error) { return json.Marshal(t.String()) }
