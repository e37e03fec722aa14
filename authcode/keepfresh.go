package authcode

import (
	"context"
	"time"
)

// Renew renews the refresh token if that is due, and returns when it will be due; zero: never, as things are. Where several
// processes call it, one renews. What is not due costs one look into the vault. It is also what makes another
// Config.RefreshTokenExpiry hold for the refresh token that is there.
func (c *Client) Renew(ctx context.Context) (due time.Time, err error) {
	now := time.Now()
	notDue := func(a Authorization) bool { return a.Due.IsZero() || now.Before(a.Due) }
	a, err := c.newest(ctx)
	if err != nil {
		return time.Time{}, err
	}
	if _, changed := a.withExpiry(c.cfg.RefreshTokenExpiry); changed && a.Binding == c.binding {
		if a, err = c.storeExpiry(ctx); err != nil {
			return time.Time{}, err
		}
	}
	if notDue(a) {
		return a.Due, nil
	}
	if s := a.Status(now); s.State == Unauthorized { // by this machine's clock, which may be wrong: nothing is stored
		return time.Time{}, c.notAuthorized(s.Reason)
	}
	if a, err = c.current(ctx, notDue); err != nil {
		return time.Time{}, err
	}
	return a.Due, nil
}

// storeExpiry stores when the refresh token ends and is due, by the configuration as it is now.
func (c *Client) storeExpiry(ctx context.Context) (Authorization, error) {
	lock, err := c.cfg.Vault.Lock(ctx, c.cfg.Name) // a refresh under way would lose its mark
	if err != nil {
		return Authorization{}, c.vaultError("cannot be locked", err)
	}
	defer func() { _ = lock.Unlock() }() // nothing would be better if it were told
	a, err := c.load(ctx)
	if err != nil {
		return Authorization{}, err
	}
	if a, err = c.cfg.Vault.Save(ctx, c.cfg.Name, a.RefreshToken, a); err != nil {
		return Authorization{}, c.vaultError("cannot be written", err)
	}
	return a, nil
}

const (
	// lookAgain is how often KeepFresh looks at least: another process may have authorized or renewed, and timers stop
	// while the machine sleeps.
	lookAgain = 10 * time.Minute
	// renewalPause is how long KeepFresh waits after a failure.
	renewalPause = time.Minute
)

// KeepFresh renews the refresh token whenever that is due, so that it does not end while nobody asks for access tokens. It
// runs until ctx ends and returns ctx.Err(): start it in a goroutine of its own. Failures are told by the hooks and by
// [Client.Status], and tried again. It does nothing for a refresh token that never ends.
func (c *Client) KeepFresh(ctx context.Context) error {
	for {
		pause := lookAgain
		due, err := c.Renew(ctx)
		if err != nil {
			pause = renewalPause
		} else if !due.IsZero() {
			pause = min(pause, max(time.Until(due), 0))
		}
		next := time.NewTimer(pause)
		select {
		case <-next.C:
		case <-ctx.Done():
			next.Stop()
			return ctx.Err()
		}
	}
}
