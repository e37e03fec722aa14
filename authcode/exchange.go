package authcode

import (
	"context"
	"net/url"
	"strings"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/internal/tokenclient"
)

// exchange gets the tokens for a code (RFC 6749 4.1.3) and stores them. issuer is the iss that came with the code: the
// configured one, if one is. It goes on if ctx ends: a browser that leaves must not cost what the user has just granted.
// Close waits for it.
func (c *Client) exchange(ctx context.Context, a *attempt, code outgrant.Secret, issuer string) error {
	if c.begin() { // else nobody waits for it
		defer c.running.Done()
	}
	ctx = context.WithoutCancel(ctx) // each request has its own timeout
	answer, err := c.token.Ask(ctx, c.codeRequest(a, code))
	var user string
	if err == nil {
		user, err = c.consenting(answer.IDToken, issuer)
	}
	if err != nil { // the refresh token is not revoked: that can end what the same user authorized for the client before
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, c.cache.FetchTimeout)
	defer cancel()
	return c.establish(ctx, answer, user)
}

func (c *Client) codeRequest(a *attempt, code outgrant.Secret) *tokenclient.Request {
	req := &tokenclient.Request{
		Form:    url.Values{"grant_type": {"authorization_code"}, "code": {code.Reveal()}, "redirect_uri": {a.Redirect}},
		Secrets: []outgrant.Secret{code},
	}
	if a.Verifier != "" {
		req.Form.Set("code_verifier", a.Verifier.Reveal())
		req.Secrets = append(req.Secrets, a.Verifier)
	}
	if scope := strings.Join(c.cfg.Scopes, " "); scope != "" {
		if c.cfg.ScopeInURL {
			req.Query = url.Values{"scope": {scope}}
		} else {
			req.Form.Set("scope", scope)
		}
	}
	return req
}

// consenting returns the user who consented, as far as that is known, and refuses another than the credential's.
func (c *Client) consenting(idToken outgrant.Secret, issuer string) (string, error) {
	if idToken == "" {
		return c.cfg.User, nil
	}
	t, err := parseIDToken(idToken)
	if err == nil {
		err = t.check(c.cfg.ClientID, issuer)
	}
	if err != nil {
		return "", c.failed(err)
	}
	user, err := t.user(c.cfg.User)
	if err != nil {
		return "", c.failed(err)
	}
	return user, nil
}
