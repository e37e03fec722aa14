package authcode

import (
	"context"
	"fmt"
	"net/url"

	"github.com/outgrant/outgrant"
)

// Revoke revokes the stored refresh token at Config.RevocationURL (RFC 7009), and with it what the user authorized; at
// some providers that is all that the user ever authorized for the client. It is for a credential that is not used any
// more: the vault is left as it is, and access tokens live on until they end. Where there is no RevocationURL, or nothing
// to revoke, or what the user authorized was another client id or other URLs, it does nothing.
func (c *Client) Revoke(ctx context.Context) error {
	if c.cfg.RevocationURL == "" {
		return nil
	}
	a, err := c.newest(ctx)
	if err != nil {
		return err
	}
	if a.RefreshToken == "" || a.Binding != c.binding { // another credential's is not sent here
		return nil
	}
	err = c.revoke(ctx, a.RefreshToken)
	c.tell(outgrant.Revoked, err)
	return err
}

// revoke revokes a refresh token; there is a RevocationURL.
func (c *Client) revoke(ctx context.Context, token outgrant.Secret) error {
	endpoint, err := url.Parse(c.cfg.RevocationURL)
	if err == nil {
		err = c.token.Revoke(ctx, endpoint, token)
	}
	if err != nil {
		return fmt.Errorf("authcode: the refresh token could not be revoked: %w", err)
	}
	return nil
}
