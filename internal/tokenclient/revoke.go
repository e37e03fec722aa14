package tokenclient

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"time"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/internal/origin"
)

// Revoke revokes a refresh token at a revocation endpoint (RFC 7009), authenticated as at the token endpoint. Every error
// is a *outgrant.TokenError, whose TokenURL is that endpoint. A token that is not valid any more is no error.
func (c *Client) Revoke(ctx context.Context, endpoint *url.URL, refreshToken outgrant.Secret) error {
	req := &Request{
		Form:    url.Values{"token": {refreshToken.Reveal()}, "token_type_hint": {"refresh_token"}},
		Secrets: []outgrant.Secret{refreshToken},
	}
	_, err := c.ask(ctx, endpoint, req, c.readRevoked)
	if te, ok := errors.AsType[*outgrant.TokenError](err); ok {
		te.TokenURL = origin.Clean(endpoint)
	}
	return err
}

// readRevoked reads the answer of a revocation endpoint: a success has a body of no meaning (RFC 7009 2.2).
func (c *Client) readRevoked(resp *http.Response, o *outgoing, began time.Time) (*Answer, error) {
	if resp.StatusCode >= 200 && resp.StatusCode < 300 {
		return nil, nil
	}
	return c.read(resp, o, began)
}
