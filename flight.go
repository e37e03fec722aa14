package outgrant

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// flight is a fetch that callers share.
type flight struct {
	done       chan struct{}   // closed with the outcome
	ctx        context.Context // its own
	cancel     context.CancelFunc
	trigger    context.Context // of the call that started it, for hooks
	background bool            // a valid token was there at the start
	refused    Secret          // rejected by a receiver meanwhile
	overdue    bool            // the outcome is a failure, but it goes on and may bring a token yet
	token      *Token          // the outcome: this or an error
	err        error
}

// returnTime is how long a source may take to return when its context has ended.
const returnTime = 500 * time.Millisecond

// reservePatience is how long callers wait for another token while there is a rejected one that is better than none.
const reservePatience = 2 * time.Second

// takeOff starts a flight. c.mu is held and none is under way.
func (c *CachedSource) takeOff(trigger context.Context, now instant) {
	st := c.state.Load()
	f := &flight{done: make(chan struct{}), trigger: trigger, background: st.usable(now)}
	timeout := c.opts.FetchTimeout
	if f.background { // when the token ends, a fetch that hangs must not be in the way of one that does not
		timeout = min(timeout, max(st.ends-now, time.Second))
		c.replace(st.busy())
	}
	patience := timeout + returnTime
	if !f.background && st.rejected != nil && now < st.reserve {
		patience = min(patience, reservePatience)
	}
	f.ctx, f.cancel = context.WithTimeout(context.Background(), timeout)
	c.flight = f
	alarm := time.AfterFunc(patience, func() { c.giveUpOn(f, patience) })
	go c.fly(f, st.rejected, alarm)
}

// giveUpOn gives callers an outcome when the source has given none for too long. The flight goes on, and no other
// starts beside it; it may still bring a token.
func (c *CachedSource) giveUpOn(f *flight, patience time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.flight != f {
		return // it has just landed
	}
	f.overdue = true
	c.fail(f, c.tokenError(fmt.Errorf("no answer within %s: %w", patience, context.DeadlineExceeded)))
	close(f.done)
}

// fly fetches on a context of its own: no caller's end stops it, no caller's values reach the token service.
func (c *CachedSource) fly(f *flight, rejected *Token, alarm *time.Timer) {
	began := time.Now()
	event := FetchEvent{Credential: c.credential, Trigger: hiddenContext(func() context.Context { return f.trigger }), Background: f.background}
	var token *Token
	err := errNoReturn
	defer func() { // also after a panic and runtime.Goexit, so that nobody waits for ever
		alarm.Stop()
		c.land(f, token, err, &event)
		f.cancel()
		if hook := c.opts.Hooks.FetchDone; hook != nil {
			event.Duration = time.Since(began)
			hook(event)
		}
	}()
	if hook := c.opts.Hooks.FetchStart; hook != nil {
		hook(event)
	}
	token, err = c.fetch(f.ctx, rejected)
	if err == nil && c.wasRefused(f, token) {
		token, err = c.fetch(f.ctx, token)
	}
}

func (c *CachedSource) fetch(ctx context.Context, rejected *Token) (token *Token, err error) {
	if r, ok := c.src.(Refresher); ok {
		token, err = r.Refresh(ctx, rejected)
	} else {
		if i, ok := c.src.(Invalidator); ok && rejected != nil {
			i.Invalidate(rejected)
		}
		token, err = c.src.Token(ctx)
	}
	if err == nil && (token == nil || token.AccessToken == "") {
		return nil, c.tokenError(errNoToken)
	}
	return token, err
}

// wasRefused reports whether a receiver rejected the token while the flight that brings it was under way.
func (c *CachedSource) wasRefused(f *flight, token *Token) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return f.refused == token.AccessToken
}

// land makes the outcome of a flight visible to callers and completes the event.
func (c *CachedSource) land(f *flight, token *Token, err error, event *FetchEvent) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.flight = nil
	if err == nil {
		st := c.state.Load()
		event.Expiry, event.SameToken = token.Expiry, st.same(token)
		next := st.accept(token, c.life(token), c.opts.RefreshBefore, c.clock.now())
		c.replace(next)
		if !f.overdue {
			f.token = next.token
			close(f.done)
		}
		return
	}
	if !f.overdue { // else it is counted already
		c.fail(f, err)
		close(f.done)
	}
	event.Err, event.NextAttempt = err, c.clock.time(c.state.Load().failure.retry)
}

// fail makes a failure the outcome of a flight. c.mu is held.
func (c *CachedSource) fail(f *flight, err error) {
	now := c.clock.now()
	next := c.state.Load().fail(err, f.background, now)
	c.replace(next)
	if f.err = err; next.usable(now) {
		f.token, f.err = next.token, nil
	}
}

// life is how long a token that has just come will live; never: as long as it is not rejected.
func (c *CachedSource) life(token *Token) time.Duration {
	life := c.opts.AssumedLifetime
	if !token.Expiry.IsZero() {
		life = c.clock.until(token.Expiry)
	} else if life <= 0 {
		return never
	}
	if life > longestLife {
		return never
	}
	return life
}

var (
	errNoReturn = errors.New("outgrant: the token source ended its goroutine instead of returning")
	errNoToken  = errors.New("outgrant: the token source returned neither a token nor an error")
)
