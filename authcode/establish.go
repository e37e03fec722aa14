package authcode

import (
	"context"
	"errors"
	"time"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/internal/tokenclient"
)

// establish stores what a user's consent gave, in place of whatever was there. A store that fails is tried again until ctx
// ends: the code is spent, and nobody else has what it gave.
func (c *Client) establish(ctx context.Context, answer *tokenclient.Answer, user string) error {
	now := time.Now().Round(0)
	next := Authorization{Binding: c.binding, User: user, Token: c.tokenOf(answer, user), TokenIssued: now, Authorized: now}
	c.setRefreshToken(&next, answer.RefreshToken, toldLife(answer), now)
	for pause := 50 * time.Millisecond; ; pause = min(2*pause, time.Second) {
		stored, err := c.replace(ctx, next)
		if err == nil && stored {
			c.pending.Store(nil) // of the authorization before
			c.reset()
			c.tell(outgrant.Authorized, nil)
			return nil
		}
		retry := time.NewTimer(pause)
		select {
		case <-retry.C:
		case <-ctx.Done():
			retry.Stop()
			if err == nil {
				err = ctx.Err()
			}
			err = c.vaultError("cannot be written, so the authorization is lost: make it writable and authorize again", err)
			c.tell(outgrant.NotStored, err)
			return err
		}
	}
}

// replace stores next in place of what is there, and reports false if that has changed at the same moment.
func (c *Client) replace(ctx context.Context, next Authorization) (bool, error) {
	last, err := c.cfg.Vault.Load(ctx, c.cfg.Name)
	if errors.Is(err, ErrUnreadable) {
		last, err = Authorization{}, nil
	}
	if err != nil {
		return false, err
	}
	known := next.User != "" && last.User == next.User && last.Binding == next.Binding
	if next.RefreshToken == "" && known && last.Status(time.Now()).State != Unauthorized {
		// The same user once more, and a provider that gives a refresh token at the first consent only.
		next.RefreshToken, next.RefreshIssued, next.RefreshExpires = last.RefreshToken, last.RefreshIssued, last.RefreshExpires
		next.Fixed, next.Due, next.Refreshed, next.Mark = last.Fixed, last.Due, last.Refreshed, last.Mark
	}
	winner, err := c.cfg.Vault.Save(ctx, c.cfg.Name, last.RefreshToken, next)
	if err != nil {
		return false, err
	}
	return winner.RefreshToken == next.RefreshToken && winner.Authorized.Equal(next.Authorized), nil
}
