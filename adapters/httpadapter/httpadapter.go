// Package httpadapter calls HTTP receivers, with a technical client's tokens or as the user of each request.
//
// Use this when the receiver is a plain HTTP or REST service and the credential comes from configuration: it checks that
// the grant fits, and acts for users. Where neither matters, [outgrant.NewClient] does.
package httpadapter

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/adapters"
)

// Options of a transport. The zero value, and nil, suit most receivers.
type Options struct {
	// Base sends the requests. Default http.DefaultTransport.
	Base http.RoundTripper

	// AnyGrant takes a source of any grant. Default false: client credentials and SAML bearer, and sources that are not ours.
	AnyGrant bool

	// Users and User make each request act for its user, with the token that Users has for whom User names. They go
	// together, and in place of a source. Default nil.
	Users outgrant.UserSource
	User  func(*http.Request) (string, error)

	// Origins are the only ones that the token may go to. Default nil: wherever the request goes. See [outgrant.Transport].
	Origins []string

	// AllowInsecureHTTP lets tokens go over plain http to other machines. Default false.
	AllowInsecureHTTP bool
}

// Transport is an [http.RoundTripper] with the token rules of [outgrant.Transport]. It is safe for concurrent use.
type Transport struct{ inner outgrant.Transport }

// New returns a transport for HTTP receivers that uses the tokens of src, or of opts.Users. It copies opts, which may be nil.
func New(src outgrant.TokenSource, opts *Options) (*Transport, error) {
	if opts == nil {
		opts = &Options{}
	}
	t := &Transport{outgrant.Transport{Source: src, Base: opts.Base, Origins: slices.Clone(opts.Origins), AllowInsecureHTTP: opts.AllowInsecureHTTP}}
	find, err := adapters.HTTP.SourceFor(adapters.Sources{Source: src, Users: opts.Users, User: opts.User, AnyGrant: opts.AnyGrant})
	if err != nil {
		return nil, fmt.Errorf("httpadapter: %w", err)
	}
	if opts.Users != nil {
		t.inner.SourceFor = func(req *http.Request) (outgrant.TokenSource, error) {
			_, src, err := find(req)
			if err != nil {
				return nil, fmt.Errorf("httpadapter: %w", err)
			}
			return src, nil
		}
	}
	return t, nil
}

// RoundTrip sends req with a token, as described at [outgrant.Transport].
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	return t.inner.RoundTrip(req)
}

// CloseIdleConnections passes the call on to Base.
func (t *Transport) CloseIdleConnections() { t.inner.CloseIdleConnections() }

func (t Transport) String() string { return fmt.Sprintf("httpadapter.Transport(%v)", t.inner) }

// Format prints the type and its source's credential, for every verb and flag.
func (t Transport) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, t.String()) }

// LogValue logs the type and its source's credential.
func (t Transport) LogValue() slog.Value { return slog.StringValue(t.String()) }

// MarshalJSON encodes the type and its source's credential.
func (t Transport) MarshalJSON() ([]byte, error) { return json.Marshal(t.String()) }
