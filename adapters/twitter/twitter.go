// Package twitter calls the X API v2 (Twitter): it sends posts and direct messages and searches.
//
// Use this when a flow posts to X or looks something up there, as SAP Cloud Integration's Twitter receiver does (Send Tweet,
// Search, Send Direct Message). A socialoauth.TwitterSource signs the requests. For the rest of the API, a [Transport] is an
// [http.RoundTripper]: give it to an [http.Client].
package twitter

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
	"github.com/outgrant/outgrant/internal/origin"
	"github.com/outgrant/outgrant/internal/replay"
	"github.com/outgrant/outgrant/internal/restcall"
)

// Options of a transport. The zero value, and nil, suit the X API.
type Options struct {
	// Base sends the requests. Default http.DefaultTransport.
	Base http.RoundTripper

	// AnyGrant takes a source of any grant, such as tokens of X's OAuth 2.0. Default false: socialoauth's, and sources that
	// are not ours.
	AnyGrant bool

	// BaseURL is where the API is, without the version. Requests are authorized there and nowhere else. Default
	// https://api.x.com.
	BaseURL string

	// AllowInsecureHTTP lets requests go over plain http to another machine. Default false.
	AllowInsecureHTTP bool
}

// Transport is an [http.RoundTripper] that authorizes requests to the X API, with the rules of [outgrant.Transport], and has
// typed calls. Requests to other servers go out as they are.
//
// A call follows no redirect, is not repeated, and ends with its context. Where X refuses it, its error is an [*Error], or a
// [*RateLimitError] if there were too many.
//
// A Transport is made by [New], and is safe for concurrent use.
type Transport struct {
	name string
	core func() *core // a function, where fmt does not look
}

type core struct {
	base  *url.URL
	inner outgrant.Transport
}

// New returns a transport that uses src. It copies opts, which may be nil.
func New(src outgrant.TokenSource, opts *Options) (*Transport, error) {
	if opts == nil {
		opts = &Options{}
	}
	if src == nil {
		return nil, errors.New("twitter: the source is nil")
	}
	if err := adapters.Twitter.Check(src, opts.AnyGrant); err != nil {
		return nil, fmt.Errorf("twitter: %w", err)
	}
	base, err := restcall.BaseURL(opts.BaseURL, "https://api.x.com")
	if err != nil {
		return nil, fmt.Errorf("twitter: BaseURL: %w", err)
	}
	if !opts.AllowInsecureHTTP && !origin.Secure(base) {
		return nil, fmt.Errorf("twitter: BaseURL: %s: %w", origin.Clean(base), outgrant.ErrInsecureURL)
	}
	c := &core{base, outgrant.Transport{Source: src, Base: restcall.Noting(opts.Base),
		Origins: []string{base.Scheme + "://" + base.Host}, AllowInsecureHTTP: opts.AllowInsecureHTTP}}
	return &Transport{base.Host, func() *core { return c }}, nil
}

var errEmpty = errors.New("twitter: the Transport is empty: make it by New")

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

func (t Transport) String() string { return fmt.Sprintf("twitter.Transport(%s)", t.name) }

// Format prints the type and the server, for every verb and flag.
func (t Transport) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, t.String()) }

// LogValue logs the type and the server.
func (t Transport) LogValue() slog.Value { return slog.StringValue(t.String()) }

// MarshalJSON encodes the type and the server.
func (t Transport) MarshalJSON() ([]byte, error) { return json.Marshal(t.String()) }
