package mail

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/adapters"
)

// Transport is an [http.RoundTripper] for HTTP mail APIs, with the token rules of [outgrant.Transport]. It is safe for
// concurrent use.
type Transport struct{ inner outgrant.Transport }

// NewTransport returns a transport for HTTP mail APIs, such as Microsoft Graph and the Gmail API. It copies opts, which may be
// nil.
func NewTransport(src outgrant.TokenSource, opts *Options) (*Transport, error) {
	if opts == nil {
		opts = &Options{}
	}
	if _, err := adapters.Mail.SourceFor(adapters.Sources{Source: src, AnyGrant: opts.AnyGrant}); err != nil {
		return nil, fmt.Errorf("mail: %w", err)
	}
	return &Transport{outgrant.Transport{Source: src, Base: opts.Base, AllowInsecureHTTP: opts.AllowPlaintext}}, nil
}

// RoundTrip sends req with a token, as described at [outgrant.Transport].
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	return t.inner.RoundTrip(req)
}

// CloseIdleConnections passes the call on to Base.
func (t *Transport) CloseIdleConnections() { t.inner.CloseIdleConnections() }

func (t Transport) String() string { return fmt.Sprintf("mail.Transport(%v)", t.inner) }

// Format prints the type and its source's credential, for every verb and flag.
func (t Transport) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, t.String()) }

// LogValue logs the type and its source's credential.
func (t Transport) LogValue() slog.Value { return slog.StringValue(t.String()) }

// MarshalJSON encodes the type and its source's credential.
func (t Transport) MarshalJSON() ([]byte, error) { return json.Marshal(t.String()) }
