package authcode

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/outgrant/outgrant"
)

// refresh returns an access token that is news: the vault's, if somebody else has refreshed, or else a new one. It leaves
// when ctx ends; a request that was begun goes on, and its answer is stored.
func (c *Client) refresh(ctx context.Context, news func(*outgrant.Token) bool) (*outgrant.Token, error) {
	good := func(a Authorization) bool { return a.Token.ValidAt(time.Now()) && news(a.Token) }
	a, err := c.current(ctx, func(a Authorization) bool { return good(a) && time.Now().Before(c.window(a)) })
	// A token that wants to be refreshed is better than none, where nothing better is to be had.
	if err != nil && !good(a) {
		return nil, err
	}
	return a.Token, nil
}

// window is when a stored access token begins to want refreshing. It is what [outgrant.CachedSource] makes of the token
// when it is new; it would make more of one that it is given later.
func (c *Client) window(a Authorization) time.Time {
	life := a.Token.Expiry.Sub(a.TokenIssued)
	if a.Token.Expiry.IsZero() {
		if life = c.cache.AssumedLifetime; life <= 0 {
			return time.Now().Add(time.Hour) // never
		}
	}
	before := 5 * time.Minute
	if c.cache.RefreshBefore > 0 {
		before = c.cache.RefreshBefore
	}
	return a.TokenIssued.Add(life - min(before, life/2))
}

var (
	// errAgain: the vault has another authorization by now, so the call starts again.
	errAgain     = errors.New("the authorization is being replaced all the time")
	errClosed    = errors.New("the client is closed")
	errNotStored = errors.New("the refresh token that came last cannot be stored, and is not used before it is: make the store writable")
)

// current returns the authorization as it is stored, if that is enough, or as it is after a refresh. Beside an error it
// returns what is stored, if that is known and may be used.
func (c *Client) current(ctx context.Context, enough func(Authorization) bool) (a Authorization, err error) {
	for range 3 {
		if a, err = c.tryCurrent(ctx, enough); !errors.Is(err, errAgain) {
			return a, err
		}
	}
	return a, c.token.Fail(errAgain)
}

func (c *Client) tryCurrent(ctx context.Context, enough func(Authorization) bool) (Authorization, error) {
	if pending := c.notStored(); pending != nil {
		if enough(*pending) {
			return *pending, nil
		}
		return *pending, c.token.Fail(errNotStored)
	}
	// Without the lock first, which another process may hold for long: what it stored before may do.
	a, err := c.load(ctx)
	if err != nil || enough(a) {
		return a, err
	}
	lock, err := c.cfg.Vault.Lock(ctx, c.cfg.Name)
	if err != nil {
		return a, c.vaultError("cannot be locked for a refresh", err)
	}
	unlock := true
	defer func() {
		if unlock {
			_ = lock.Unlock() // nothing would be better if it were told
		}
	}()
	if a, err = c.load(ctx); err != nil || enough(a) {
		return a, err
	}
	if err := c.spendable(a, lock); err != nil {
		return a, err
	}
	if !c.begin() {
		return a, c.token.Fail(errClosed)
	}
	unlock = false
	r := &refreshing{client: c, lock: lock, before: a, done: make(chan outcome, 1)}
	go r.run()
	select {
	case o := <-r.done:
		if o.err != nil {
			return a, o.err
		}
		return o.authorization, nil
	case <-ctx.Done():
		return a, c.token.Fail(fmt.Errorf("the call ended before the token service answered: %w", ctx.Err()))
	}
}

// begin notes that a refresh or an exchange runs, unless the client is closed.
func (c *Client) begin() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closed {
		c.running.Add(1)
	}
	return !c.closed
}

// notStored returns the authorization that came and could not be stored yet, or nil.
func (c *Client) notStored() *Authorization { return c.pending.Load() }

// newest returns the authorization that came last, whosever it is: the vault's, but for one that is not stored yet.
func (c *Client) newest(ctx context.Context) (Authorization, error) {
	if pending := c.notStored(); pending != nil {
		return *pending, nil
	}
	a, err := c.cfg.Vault.Load(ctx, c.cfg.Name)
	if err != nil {
		return Authorization{}, c.vaultError("cannot be read", err)
	}
	return a, nil
}

// load returns what is stored, if it is this credential's.
func (c *Client) load(ctx context.Context) (Authorization, error) {
	a, err := c.cfg.Vault.Load(ctx, c.cfg.Name)
	if err != nil {
		return Authorization{}, c.vaultError("cannot be read", err)
	}
	if err := c.belongs(a); err != nil {
		return Authorization{}, err
	}
	a, _ = a.withExpiry(c.cfg.RefreshTokenExpiry) // it may have been changed since
	return a, nil
}

// belongs reports why an authorization is not this credential's.
func (c *Client) belongs(a Authorization) error {
	switch {
	case a.Authorized.IsZero():
		return c.notAuthorized("nobody has yet")
	case a.Binding != c.binding:
		return c.notAuthorized(changedSince)
	}
	return nil
}

// spendable reports why the refresh token cannot be used now.
func (c *Client) spendable(a Authorization, lock VaultLock) error {
	now := time.Now()
	if s := a.Status(now); s.State == Unauthorized {
		return c.notAuthorized(s.Reason)
	}
	if a.RefreshToken == "" {
		return c.notAuthorized("the provider gave no refresh token")
	}
	// The holder of a lock that can be lost may have lost it, and wait for its answer; this process too.
	if m := a.Mark; m != nil && m.Unknown == "" && lock.Lost() != nil && now.Before(m.Until) {
		err := c.token.Fail(fmt.Errorf("a refresh was begun on %s, and its answer may come yet", date(m.Started)))
		err.RetryAfter = m.Until.Sub(now)
		return err
	}
	return nil
}

func (c *Client) notAuthorized(reason string) error {
	return c.token.Fail(fmt.Errorf("%w (%s)", outgrant.ErrNotAuthorized, reason))
}

func (c *Client) vaultError(what string, err error) error {
	return c.token.Fail(fmt.Errorf("its store %s: %w", what, err))
}
