package samlbearer

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/internal/tokenclient"
)

// exchange is what a user's tokens come from: an assertion is exchanged for each.
type exchange struct {
	client *Client
	user   string
}

// Token asks for a token, which may be the one that the token service has already.
func (e *exchange) Token(ctx context.Context) (*outgrant.Token, error) { return e.Refresh(ctx, nil) }

// Refresh asks for a new token, if one was rejected, where the token service would hand out the same one.
func (e *exchange) Refresh(ctx context.Context, rejected *outgrant.Token) (*outgrant.Token, error) {
	c := e.client
	if err := c.pause.check(); err != nil {
		return nil, err
	}
	xml, settle, err := c.assertions(ctx, e.user)
	if err == nil && len(xml) == 0 {
		err = errors.New("the assertion source returned neither an assertion nor an error")
	}
	if err != nil {
		c.pause.note(err) // of the token service that an assertion comes from
		return nil, c.failure(err)
	}
	answer, err := c.token.Ask(ctx, c.request(xml, rejected != nil))
	if settle != nil {
		settle(err)
	}
	if err != nil {
		c.pause.note(err)
		return nil, err
	}
	token := answer.Token
	token.User = e.user
	if token.Scopes == nil { // an answer without scope grants what was asked for (RFC 6749 5.1)
		token.Scopes = c.scopes
	}
	return token, nil
}

// request is the token request for an assertion (RFC 7522 2.1).
func (c *Client) request(assertion []byte, renew bool) *tokenclient.Request {
	sent := assertion
	if c.target.ResponseWrapper {
		sent = wrap(assertion)
	}
	encoded := c.target.Encoding.encode(sent)
	r := &tokenclient.Request{Secrets: []outgrant.Secret{outgrant.Secret(assertion), encoded}, Form: url.Values{
		"grant_type": {string(outgrant.SAMLBearer)},
		"assertion":  {encoded.Reveal()},
	}}
	if c.target.ClientIDInBody {
		r.Form.Set("client_id", c.clientKey)
	}
	if len(c.scopes) > 0 {
		r.Form.Set("scope", strings.Join(c.scopes, " "))
	}
	for name, value := range c.target.Fields {
		r.Form.Set(name, value)
	}
	if renew {
		for name, value := range c.target.RenewFields {
			r.Form.Set(name, value)
		}
	}
	return r
}

// Describe names the user too: what stands between the cache and the token service must not mix users up.
func (e *exchange) Describe() outgrant.Credential {
	c := e.client.Describe()
	c.User = e.user
	return c
}

// permanent is an error that lasts until somebody changes something; see [outgrant.TokenError.Temporary].
type permanent struct{ error }

func (p permanent) Permanent() bool { return true }
func (p permanent) Unwrap() error   { return p.error }

// pause is how long a token service that is busy wants to be left alone: by one user as by another.
type pause struct{ refusal atomic.Pointer[refusal] }

type refusal struct {
	until time.Time
	err   outgrant.TokenError
}

// longestPause bounds what a token service may ask for.
const longestPause = 5 * time.Minute

// note takes up the Retry-After of an answer.
func (p *pause) note(err error) {
	te, ok := errors.AsType[*outgrant.TokenError](err)
	if ok && te.RetryAfter > 0 && (te.StatusCode == http.StatusTooManyRequests || te.StatusCode == http.StatusServiceUnavailable) {
		p.refusal.Store(&refusal{time.Now().Add(min(te.RetryAfter, longestPause)), *te})
	}
}

// check returns the answer again while it holds.
func (p *pause) check() error {
	r := p.refusal.Load()
	if r == nil {
		return nil
	}
	left := time.Until(r.until)
	if left <= 0 {
		return nil
	}
	err := r.err
	err.RetryAfter = left
	return &err
}
