// Package restcall makes JSON calls for adapters and reads what is answered, without letting a secret out.
package restcall

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/outgrant/outgrant/internal/origin"
	"github.com/outgrant/outgrant/internal/withheld"
)

// largestAnswer bounds what is read of an answer.
const largestAnswer = 8 << 20

// Answer is what came back. A redirect is one, too: calls follow none.
type Answer struct {
	Host    string
	Status  int
	Header  http.Header
	Body    []byte
	Secrets withheld.Secrets // that the request carried: texts of the answer are shown through them
}

// Do sends a call through a transport that authorizes it, with Noting below that. body is encoded as JSON; nil is none. An
// answer that is no success counts without its body if that breaks off or is too large. Errors tell the URL without the query.
func Do(ctx context.Context, transport http.RoundTripper, method string, u *url.URL, body any) (*Answer, error) {
	var secrets withheld.Secrets
	req, err := newRequest(context.WithValue(ctx, noteKey{}, &secrets), method, u, body)
	if err != nil {
		return nil, err
	}
	client := http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(req)
	if err != nil {
		return nil, failed(method, u, secrets.Error(err))
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, largestAnswer+1))
	answer := &Answer{Host: u.Host, Status: resp.StatusCode, Header: resp.Header, Secrets: secrets}
	switch {
	case ctx.Err() == nil && !answer.OK() && (err != nil || len(text) > largestAnswer):
		return answer, nil // its status and header say enough
	case err != nil:
		return nil, failed(method, u, fmt.Errorf("the answer broke off: %w", secrets.Error(err)))
	case len(text) > largestAnswer:
		return nil, failed(method, u, errors.New("the answer is larger than 8 MiB"))
	}
	answer.Body = bytes.TrimPrefix(text, []byte("\ufeff"))
	return answer, nil
}

func failed(method string, u *url.URL, err error) error {
	return fmt.Errorf("%s %s: %w", method, origin.Clean(u), err)
}

func newRequest(ctx context.Context, method string, u *url.URL, body any) (*http.Request, error) {
	var content io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		content = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(ctx, method, u.String(), content)
	if err != nil {
		return nil, errors.New("the URL cannot be used") // err holds the whole of it
	}
	req.Header.Set("Accept", "application/json")
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	return req, nil
}

// OK reports whether the answer is a success.
func (a *Answer) OK() bool { return a.Status >= 200 && a.Status < 300 }

// Decode reads the answer's JSON. Its error does not quote the answer.
func (a *Answer) Decode(into any) error {
	if err := json.Unmarshal(a.Body, into); err != nil {
		return fmt.Errorf("%s answered %d with what is not the JSON of this call", a.Host, a.Status)
	}
	return nil
}

type noteKey struct{}

// Noting returns a transport that notes for Do which secrets a request carries: in its Authorization header, and in these
// query parameters.
func Noting(base http.RoundTripper, query ...string) http.RoundTripper {
	if base == nil {
		base = http.DefaultTransport
	}
	return noting{base, query}
}

type noting struct {
	base  http.RoundTripper
	query []string
}

func (n noting) RoundTrip(req *http.Request) (*http.Response, error) {
	if note, ok := req.Context().Value(noteKey{}).(*withheld.Secrets); ok {
		*note = append(*note, withheld.OfRequest(req, n.query...)...)
	}
	return n.base.RoundTrip(req)
}

func (n noting) CloseIdleConnections() {
	if c, ok := n.base.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

// BaseURL returns the URL of a service: raw, or byDefault if that is "". It has neither query nor user, and no slash at its end.
func BaseURL(raw, byDefault string) (*url.URL, error) {
	base, err := url.Parse(strings.TrimRight(cmp.Or(raw, byDefault), "/"))
	if err != nil || base.Host == "" || base.User != nil || base.RawQuery != "" || base.Fragment != "" || (base.Scheme != "https" && base.Scheme != "http") {
		return nil, fmt.Errorf("must be like %s", byDefault)
	}
	return base, nil
}
