// Package tokenclient is the one client of token endpoints: every grant asks its token service through it.
package tokenclient

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/internal/origin"
)

// Config describes a client of one token endpoint.
type Config struct {
	Name              string // the credential's
	Grant             outgrant.Grant
	TokenURL          string // may carry a query of its own
	ClientID          string
	Auth              func(context.Context) (outgrant.ClientAuth, error) // read at each request
	HTTPClient        *http.Client                                       // default: one on http.DefaultTransport
	AllowInsecureHTTP bool
	Timeout           time.Duration // of a request; default 30 s
	Hooks             *outgrant.Hooks

	// For errors without a member named error: the member that says what is wrong, and the codes by HTTP status.
	ErrorMember string
	ErrorCodes  map[int]string

	// For errors that are objects, with a number as their code: the codes by number.
	ObjectCodes map[int]string
}

// Client asks one token endpoint. It is safe for concurrent use.
type Client struct {
	cfg          Config
	url          *url.URL
	credential   outgrant.Credential
	http         *http.Client
	certificates CertificateTransports

	accepted atomic.Pointer[outgrant.ClientAuth] // what the token service last took
}

// Request is one token request. The client authentication is added to it.
type Request struct {
	Form    url.Values        // in the body
	Query   url.Values        // in the URL; replaces parameters of the same name there
	Header  http.Header       // more headers
	JSON    bool              // send Form as a JSON object; each name has one value then
	Secrets []outgrant.Secret // in the request, beside the client's own: kept out of errors

	// IssuedTokenType is what a token exchange asks for, if that is no access token: the answer's access_token is one of
	// this type then, and not meant for a header (RFC 8693 2.2.1).
	IssuedTokenType string
}

// New checks the URL. Its errors begin with the name of the field that is wrong.
func New(cfg Config) (*Client, error) {
	u, err := CheckURL("TokenURL", cfg.TokenURL, cfg.AllowInsecureHTTP)
	if err != nil {
		return nil, err
	}
	if strings.TrimSpace(cfg.ClientID) == "" {
		return nil, errors.New("ClientID: missing")
	}
	c := &Client{cfg: cfg, url: u, http: &http.Client{}}
	c.credential = outgrant.Credential{Name: cfg.Name, Grant: cfg.Grant, TokenURL: origin.Clean(u)}
	if cfg.HTTPClient != nil {
		*c.http = *cfg.HTTPClient
	}
	// Nobody can close the connections of these transports, so they do not stay long.
	c.certificates.Base, c.certificates.KeepIdle = c.http.Transport, 10*time.Second
	// A redirected token request would hand the client's secret to whoever is named there.
	c.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	if cfg.Timeout <= 0 {
		c.cfg.Timeout = 30 * time.Second
	}
	if cfg.Hooks == nil {
		c.cfg.Hooks = &outgrant.Hooks{}
	}
	return c, nil
}

// CheckURL parses the URL of a token service. Secrets go there, so it must be absolute and https, or http to
// this machine, and must not carry credentials of its own or a fragment.
func CheckURL(field, raw string, allowInsecureHTTP bool) (*url.URL, error) {
	if strings.TrimSpace(raw) == "" {
		return nil, fmt.Errorf("%s: missing", field)
	}
	u, err := url.Parse(raw)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%s: not a URL", field) // err holds the whole of it
	case u.Hostname() == "" || u.Opaque != "":
		return nil, fmt.Errorf("%s: must be absolute, such as https://acme.example/oauth/token", field)
	case u.User != nil:
		return nil, fmt.Errorf("%s: must not carry a user name or password: use the client id and secret", field)
	case u.Fragment != "" || strings.Contains(raw, "#"):
		return nil, fmt.Errorf("%s: must not have a fragment", field)
	case !validPort(u.Port()):
		return nil, fmt.Errorf("%s: there is no such port", field)
	case !validQuery(u.RawQuery):
		return nil, fmt.Errorf("%s: the query is malformed", field)
	case u.Scheme != "https" && u.Scheme != "http":
		return nil, fmt.Errorf("%s: scheme must be https", field)
	case !allowInsecureHTTP && !origin.Secure(u):
		return nil, fmt.Errorf("%s: %s: %w", field, origin.Clean(u), outgrant.ErrInsecureURL)
	}
	return u, nil
}

func validPort(port string) bool {
	_, err := strconv.ParseUint(port, 10, 16)
	return port == "" || err == nil
}

func validQuery(query string) bool {
	_, err := url.ParseQuery(query)
	return err == nil
}

// CheckScopes refuses what cannot be an element of a scope.
func CheckScopes(scopes []string) error {
	for _, s := range scopes {
		if s == "" || strings.ContainsAny(s, " \t\r\n\"\\") {
			return fmt.Errorf("Scopes: %q is not a scope; give each scope as an element of its own (RFC 6749 3.3)", s)
		}
	}
	return nil
}

// Describe returns the credential that the client asks for.
func (c *Client) Describe() outgrant.Credential { return c.credential }

// Ask sends a token request. Every error is a *outgrant.TokenError. Beside one there is an answer if the token service
// issued a refresh token with what cannot be used: it has that alone.
//
// If the client authentication is refused although it was accepted before a change, what was accepted then is
// tried once: a secret that is rotated here before the token service knows it costs a request, not an outage.
func (c *Client) Ask(ctx context.Context, req *Request) (*Answer, error) {
	return c.ask(ctx, c.url, req, c.read)
}

// reader reads the answer to a request that was sent at began.
type reader func(resp *http.Response, o *outgoing, began time.Time) (*Answer, error)

// ask is Ask at one of the token service's endpoints.
func (c *Client) ask(ctx context.Context, endpoint *url.URL, req *Request, read reader) (*Answer, error) {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()
	auth, err := c.cfg.Auth(ctx)
	if err == nil {
		err = CheckAuth(auth, time.Now())
	}
	if err != nil {
		return nil, c.Fail(unsent{fmt.Errorf("client authentication: %w", err)})
	}
	answer, err := c.askAs(ctx, endpoint, req, read, auth)
	if err == nil {
		c.accepted.Store(&auth)
		return answer, nil
	}
	last := c.accepted.Load()
	if last == nil || !clientRefused(err) || sameAuth(*last, auth) || CheckAuth(*last, time.Now()) != nil {
		return answer, err
	}
	again, errAgain := c.askAs(ctx, endpoint, req, read, *last)
	if clientRefused(errAgain) {
		c.accepted.Store(nil) // no longer
		return nil, err
	}
	return again, errAgain
}

// clientRefused reports whether the token service did not accept the client authentication: by its answer, or by a
// TLS alert about the certificate.
func clientRefused(err error) bool {
	if te, ok := errors.AsType[*outgrant.TokenError](err); ok && te.StatusCode != 0 {
		return te.Code == "invalid_client" || te.StatusCode == http.StatusUnauthorized
	}
	alert, ok := errors.AsType[*net.OpError](err)
	return ok && alert.Op == "remote error"
}

func (c *Client) askAs(ctx context.Context, endpoint *url.URL, req *Request, read reader, auth outgrant.ClientAuth) (*Answer, error) {
	sent := &outgoing{form: maps.Clone(req.Form), header: req.Header.Clone(), secrets: req.Secrets, issued: req.IssuedTokenType}
	if sent.form == nil {
		sent.form = url.Values{}
	}
	if sent.header == nil {
		sent.header = http.Header{}
	}
	if err := c.authenticate(sent, auth); err != nil {
		return nil, c.Fail(unsent{sent.scrub(err)})
	}
	httpReq, err := newRequest(ctx, endpoint, req, sent)
	if err != nil {
		return nil, c.Fail(unsent{sent.scrub(err)})
	}
	client, err := c.clientFor(auth)
	if err != nil {
		return nil, c.Fail(unsent{err})
	}
	began := time.Now()
	resp, err := client.Do(httpReq)
	if err != nil {
		return nil, c.Fail(sent.scrub(err))
	}
	defer resp.Body.Close()
	return read(resp, sent, began)
}

func newRequest(ctx context.Context, endpoint *url.URL, req *Request, sent *outgoing) (*http.Request, error) {
	u := *endpoint
	if len(req.Query) > 0 {
		q := u.Query()
		maps.Copy(q, req.Query)
		u.RawQuery = q.Encode()
	}
	if u.RawQuery != "" {
		sent.keep(outgrant.Secret(u.RawQuery))
	}
	contentType, body := "application/x-www-form-urlencoded", []byte(sent.form.Encode())
	if req.JSON {
		members := make(map[string]string, len(sent.form))
		for k, v := range sent.form {
			members[k] = v[0]
		}
		contentType = "application/json"
		var err error
		if body, err = json.Marshal(members); err != nil {
			return nil, err
		}
	}
	httpReq, err := http.NewRequestWithContext(ctx, http.MethodPost, u.String(), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	httpReq.Header = sent.header
	httpReq.Header.Set("Content-Type", contentType)
	httpReq.Header.Set("Accept", "application/json")
	return httpReq, nil
}

// Fail is an error without an answer.
func (c *Client) Fail(err error) *outgrant.TokenError {
	return &outgrant.TokenError{Grant: c.credential.Grant, Credential: c.credential.Name, TokenURL: c.credential.TokenURL, Err: err}
}
