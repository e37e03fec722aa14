package odata

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/internal/readahead"
)

const (
	csrfHeader  = "X-Csrf-Token"
	longestCSRF = 4096 // bytes; SAP's have 24
	csrfTimeout = 30 * time.Second
)

var errNoReturn = errors.New("odata: the Base ended its goroutine instead of returning")

func endedError(ctx context.Context) error {
	return fmt.Errorf("odata: the call ended while the CSRF token was fetched: %w", ctx.Err())
}

// requires reports whether an answer says that the CSRF token is missing or wrong.
func requires(resp *http.Response) bool {
	return resp.StatusCode == http.StatusForbidden && strings.EqualFold(resp.Header.Get(csrfHeader), "Required")
}

// fetchCSRF returns where the CSRF token for a change is fetched, and what does: on a context of its own and without a look
// at the change, which its caller may take back meanwhile.
func (c *core) fetchCSRF(change *http.Request, src outgrant.TokenSource, key sessionKey) (from string, fetch csrfFetch) {
	at, host := c.csrfURL(change.URL), change.Host
	from = at.String()
	return from, func() (*csrfToken, bool, error) {
		ctx, cancel := context.WithTimeout(context.Background(), csrfTimeout)
		defer cancel()
		req := (&http.Request{
			Method: c.opts.CSRFMethod, URL: at, Host: host, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
			Header: http.Header{csrfHeader: {"Fetch"}, "Accept": {"*/*"}},
		}).WithContext(ctx)
		fetch := c.newCall(req)
		defer fetch.end()
		fetch.src, fetch.key = src, key
		resp, err := fetch.bearer.RoundTrip(req)
		if err == nil && c.opts.MaxRetryAfter > 0 {
			resp, err = fetch.repeat(req, resp)
		}
		if err != nil {
			return nil, false, fmt.Errorf("odata: the CSRF token of %s could not be fetched: %w", at.Host, err)
		}
		fetch.present(resp)
		return csrfIn(resp, from)
	}
}

// csrfIn takes the token out of the answer to a fetch. keep is whether that is the session's from now on.
func csrfIn(resp *http.Response, from string) (token *csrfToken, keep bool, err error) {
	value, status := strings.TrimSpace(resp.Header.Get(csrfHeader)), resp.StatusCode
	if status == http.StatusTooManyRequests || status == http.StatusRequestTimeout || status >= http.StatusInternalServerError {
		err := ErrorOf(resp)
		_ = resp.Body.Close()
		return nil, false, fmt.Errorf("odata: the CSRF token could not be fetched, so the change was not sent: %w", err)
	}
	readahead.Drop(resp)
	switch {
	case strings.EqualFold(value, "Required"), strings.EqualFold(value, "Fetch"): // a refusal, an echo
		value = ""
	case len(value) > longestCSRF:
		return nil, false, fmt.Errorf("odata: %s gave a CSRF token of %d bytes, and at most %d are taken: check that ServiceURL and CSRFPath are the service's", resp.Request.URL.Host, len(value), longestCSRF)
	case strings.ContainsFunc(value, func(r rune) bool { return r <= ' ' || r > '~' }):
		return nil, false, fmt.Errorf("odata: %s gave a CSRF token that is none: check that ServiceURL and CSRFPath are the service's", resp.Request.URL.Host)
	}
	// After a 401 the next may have a token that is accepted.
	return &csrfToken{strings.Clone(value), from}, value != "" || status != http.StatusUnauthorized, nil
}

// csrfURL returns where the CSRF token for a change is fetched.
func (c *core) csrfURL(change *url.URL) *url.URL {
	root := c.root
	if root == nil {
		root = serviceRoot(change)
	}
	at := root.ResolveReference(c.csrfAt)
	if client := change.Query().Get("sap-client"); client != "" && at.RawQuery == "" { // sessions are the client's
		at.RawQuery = url.Values{"sap-client": {client}}.Encode()
	}
	return at
}

// serviceRoot tells the root of the service from the URL of a request to it. The path's escapes stay as they are.
func serviceRoot(u *url.URL) *url.URL {
	segments := strings.Split(u.EscapedPath(), "/")
	end := len(segments) - 1
	for i, s := range segments {
		if strings.Contains(s, "(") || strings.HasPrefix(s, "$") || strings.HasPrefix(strings.ToUpper(s), "%24") {
			end = i
			break
		}
	}
	root := &url.URL{Scheme: u.Scheme, Host: u.Host, RawPath: strings.Join(append(segments[:end:end], ""), "/")}
	if !strings.HasPrefix(root.RawPath, "/") {
		root.RawPath = "/" + root.RawPath
	}
	root.Path, _ = url.PathUnescape(root.RawPath) // EscapedPath is always right
	return root
}
