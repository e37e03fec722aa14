// Package facebook calls Facebook's Graph API: it reads posts, their comments, users and feeds.
//
// Use this when a flow looks something up at Facebook, as SAP Cloud Integration's Facebook receiver does (Get Posts, Get Post
// Comments, Get Users, Get Feeds). A socialoauth.FacebookSource authorizes the requests. For the rest of the API, a
// [Transport] is an [http.RoundTripper]: give it to an [http.Client].
package facebook

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/adapters"
	"github.com/outgrant/outgrant/internal/graphapi"
	"github.com/outgrant/outgrant/internal/origin"
	"github.com/outgrant/outgrant/internal/replay"
	"github.com/outgrant/outgrant/internal/restcall"
)

// GraphVersion is the version of the Graph API that is called.
const GraphVersion = graphapi.Version

// Options of a transport. The zero value, and nil, suit the Graph API.
type Options struct {
	// Base sends the requests. Default http.DefaultTransport.
	Base http.RoundTripper

	// AnyGrant takes a source of any grant. Default false: socialoauth's, and sources that are not ours.
	AnyGrant bool

	// BaseURL is where the API is, without the version. Requests are authorized there and nowhere else. Default
	// https://graph.facebook.com.
	BaseURL string

	// AllowInsecureHTTP lets requests go over plain http to another machine. Default false.
	AllowInsecureHTTP bool
}

// Transport is an [http.RoundTripper] that authorizes requests to the Graph API, with the rules of [outgrant.Transport], and
// has typed calls. Requests to other servers go out as they are.
//
// A call follows no redirect, is not repeated, and ends with its context. Where Graph refuses it, its error is an [*Error],
// or a [*RateLimitError] if there were too many.
//
// A Transport is made by [New], and is safe for concurrent use.
type Transport struct {
	name string
	core func() *core // a function, where fmt does not look
}

type core struct {
	base  *url.URL // with the version
	inner outgrant.Transport
}

// New returns a transport that uses src. It copies opts, which may be nil.
func New(src outgrant.TokenSource, opts *Options) (*Transport, error) {
	if opts == nil {
		opts = &Options{}
	}
	if src == nil {
		return nil, errors.New("facebook: the source is nil")
	}
	if err := adapters.Facebook.Check(src, opts.AnyGrant); err != nil {
		return nil, fmt.Errorf("facebook: %w", err)
	}
	base, err := restcall.BaseURL(opts.BaseURL, graphapi.URL)
	if err != nil {
		return nil, fmt.Errorf("facebook: BaseURL: %w", err)
	}
	if !opts.AllowInsecureHTTP && !origin.Secure(base) {
		return nil, fmt.Errorf("facebook: BaseURL: %s: %w", origin.Clean(base), outgrant.ErrInsecureURL)
	}
	c := &core{base.JoinPath(GraphVersion), outgrant.Transport{Source: src, Base: restcall.Noting(opts.Base, graphapi.Proof),
		Origins: []string{base.Scheme + "://" + base.Host}, AllowInsecureHTTP: opts.AllowInsecureHTTP}}
	return &Transport{base.Host, func() *core { return c }}, nil
}

var errEmpty = errors.New("facebook: the Transport is empty: make it by New")

// RoundTrip sends req, authorized, as described at [outgrant.Transport].
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	if t.core == nil {
		replay.CloseBody(req)
		return nil, errEmpty
	}
	return t.core().inner.RoundTrip(req)
}

// CloseIdleConnections passes the call on to Base.
func (t *Transport) CloseIdleConnections() {
	if t.core != nil {
		t.core().inner.CloseIdleConnections()
	}
}

func (t Transport) String() string { return fmt.Sprintf("facebook.Transport(%s)", t.name) }

// Format prints the type and the server, for every verb and flag.
func (t Transport) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, t.String()) }

// LogValue logs the type and the server.
func (t Transport) LogValue() slog.Value { return slog.StringValue(t.String()) }

// MarshalJSON encodes the type and the server.
func (t Transport) MarshalJSON() ([]byte, error) { return json.Marshal(t.String()) }
