package outgrant

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"

	"github.com/outgrant/outgrant/internal/origin"
)

// Transport is an [http.RoundTripper] that puts an access token on requests.
//
// The token goes to the origin (scheme, host and port) of the caller's own request. When an [http.Client]
// follows a redirect to another origin, nothing is attached there, nor anywhere later in that chain, not even
// back home: a stranger chose that URL. A request to plain http on another machine is refused with
// [ErrInsecureURL].
//
// On a 401 the token is invalidated, and the request is repeated once if there is another token and the body, if
// any, can be read again (GetBody); otherwise the caller gets the 401. The request that the caller sees, in the
// response too, never carries the token.
//
// A Transport is safe for concurrent use if its fields are not changed.
type Transport struct {
	// Source supplies the tokens. Default none: an error, unless SourceFor is set.
	Source TokenSource

	// SourceFor, if set, overrides Source: it is called once for each request, and for each redirect that is
	// given a token. Default nil.
	SourceFor func(*http.Request) (TokenSource, error)

	// Base sends the requests. Default http.DefaultTransport.
	Base http.RoundTripper

	// Origins are the only ones that the token may go to, such as "https://api.example" or
	// "http://localhost:8080". Requests to others go out without it. Default nil: wherever the caller's own
	// request goes.
	Origins []string

	// AllowInsecureHTTP lets tokens go over plain http to other machines. Default false.
	AllowInsecureHTTP bool
}

// NewClient returns a client whose requests carry the tokens of src. It has no Timeout: give requests a context.
func NewClient(src TokenSource) *http.Client {
	return &http.Client{Transport: &Transport{Source: src}}
}

// RoundTrip sends req with a token, as described at [Transport].
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	attach, err := t.mayAttach(req)
	if err != nil {
		closeBody(req)
		return nil, err
	}
	if !attach {
		return t.base().RoundTrip(req)
	}
	src, err := t.sourceFor(req)
	if err != nil {
		closeBody(req)
		return nil, err
	}
	if a, ok := src.(Authorizer); ok {
		return t.sendAuthorized(req, a)
	}
	token, err := checked(src.Token(req.Context()))
	if err != nil {
		closeBody(req)
		return nil, err
	}
	resp, err := t.send(req, token, req.Body)
	if err != nil || resp.StatusCode != http.StatusUnauthorized {
		return resp, err
	}
	return t.repeat(req, resp, src, token)
}

// repeat answers a 401: with the answer to the same request with another token, or with the 401.
func (t *Transport) repeat(req *http.Request, refused *http.Response, src TokenSource, token *Token) (*http.Response, error) {
	if i, ok := src.(Invalidator); ok {
		i.Invalidate(token)
	}
	hasBody := req.Body != nil && req.Body != http.NoBody
	if hasBody && req.GetBody == nil {
		return refused, nil
	}
	next, err := checked(src.Token(req.Context()))
	if err != nil || next.AccessToken == token.AccessToken {
		return refused, nil
	}
	body := req.Body
	if hasBody {
		if body, err = req.GetBody(); err != nil {
			return refused, nil
		}
	}
	_ = refused.Body.Close() // unread: it may never end
	return t.send(req, next, body)
}

func (t *Transport) sendAuthorized(req *http.Request, a Authorizer) (*http.Response, error) {
	out := req.Clone(req.Context())
	if out.Header == nil {
		out.Header = http.Header{}
	}
	if err := a.Authorize(req.Context(), out); err != nil {
		closeBody(req)
		return nil, err
	}
	return t.sendFor(req, out)
}

// send sends a copy of req with the token. The copy and its header's value are one allocation, the map is two.
func (t *Transport) send(req *http.Request, token *Token, body io.ReadCloser) (*http.Response, error) {
	var out struct {
		http.Request
		authorization [1]string
	}
	out.Request = *req
	out.Body = body
	out.Header = make(http.Header, len(req.Header)+1)
	for k, v := range req.Header {
		if !strings.EqualFold(k, "Authorization") {
			out.Header[k] = v
		}
	}
	out.authorization[0] = token.authorization()
	out.Header["Authorization"] = out.authorization[:]
	return t.sendFor(req, &out.Request)
}

// sendFor sends out; the answer is one to the caller's own request, in which there is no token.
func (t *Transport) sendFor(callers, out *http.Request) (*http.Response, error) {
	resp, err := t.base().RoundTrip(out)
	if resp != nil {
		resp.Request = callers
	}
	return resp, err
}

func (t *Transport) sourceFor(req *http.Request) (TokenSource, error) {
	src := t.Source
	if t.SourceFor != nil {
		var err error
		if src, err = t.SourceFor(req); err != nil {
			return nil, err
		}
	}
	if src == nil {
		return nil, errors.New("outgrant: Transport: no token source: set Source, or return one from SourceFor")
	}
	return src, nil
}

// mayAttach reports whether req may carry the token; an error says that it must not be sent at all.
func (t *Transport) mayAttach(req *http.Request) (bool, error) {
	if req.URL == nil {
		return false, errors.New("outgrant: Transport: the request has no URL")
	}
	if origin.Left(req) {
		return false, nil
	}
	if t.Origins != nil {
		listed, err := t.listed(req.URL)
		if !listed || err != nil {
			return false, err
		}
	}
	if !t.AllowInsecureHTTP && !origin.Secure(req.URL) {
		return false, fmt.Errorf("outgrant: no token for a request to %s: %w", origin.Clean(req.URL), ErrInsecureURL)
	}
	return true, nil
}

func (t *Transport) listed(u *url.URL) (bool, error) {
	for i, o := range t.Origins {
		allowed, err := url.Parse(o)
		if err != nil || allowed.Host == "" || strings.Trim(allowed.Path, "/") != "" || allowed.RawQuery != "" || allowed.User != nil {
			return false, fmt.Errorf("outgrant: Transport: Origins[%d] must be scheme://host or scheme://host:port", i)
		}
		if origin.Same(allowed, u) {
			return true, nil
		}
	}
	return false, nil
}

func (t *Transport) base() http.RoundTripper {
	if t.Base != nil {
		return t.Base
	}
	return http.DefaultTransport
}

// CloseIdleConnections passes the call on to Base.
func (t *Transport) CloseIdleConnections() {
	if c, ok := t.base().(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

func closeBody(req *http.Request) {
	if req.Body != nil {
		_ = req.Body.Close()
	}
}

// Format prints the type and its source's credential, for every verb and flag.
func (t Transport) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, t.text()) }

// LogValue logs the type and its source's credential.
func (t Transport) LogValue() slog.Value { return slog.StringValue(t.text()) }

// MarshalJSON encodes the type and its source's credential.
func (t Transport) MarshalJSON() ([]byte, error) { return json.Marshal(t.text()) }

func (t Transport) text() string { return "outgrant.Transport(" + describe(t.Source).text() + ")" }
