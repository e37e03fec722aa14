package outgrant

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// flight is a fetch that callers share. Its fields are guarded by the mutex of its source.
type flight struct {
	*outcome
	timely   bool        // a token was served while it was under way
	overdue  bool        // callers got a failure, but it goes on and may bring a token yet
	patience *time.Timer // runs while there is a rejected token that is better than none
}

// outcome is what those who wait for a flight get.
type outcome struct {
	done  chan struct{} // closed when the rest is set
	token *Token        // this or an error
	err   error
	again bool // it began in time; since then the token has ended, and one fetch more is due
}

func newOutcome() *outcome { return &outcome{done: make(chan struct{})} }

// settle gives those who wait an outcome. Who comes later waits for the next.
func (f *flight) settle(token *Token, err error, again bool) {
	f.token, f.err, f.again = token, err, again
	close(f.done)
	f.outcome = newOutcome()
}

const (
	// returnTime is how long a source may take to return when its context has ended.
	returnTime = 500 * time.Millisecond
	// patience is how long callers wait at most for a fetch that is not the only hope: there is a rejected token that
	// is better than none, or the fetch began while the token was valid and another can begin now.
	patience = 2 * time.Second
)

// takeOff starts a flight. c.mu is held and none is under way.
func (c *CachedSource) takeOff(trigger context.Context, now instant) {
	st := c.state.Load()
	f := &flight{outcome: newOutcome(), timely: st.usable(now)}
	timeout := c.opts.FetchTimeout
	if f.timely { // when the token ends, a fetch that hangs must not be in the way of one that does not
		timeout = min(timeout, max(st.ends-now, patience))
		c.replace(st.busy())
	} else if st.rejected != nil {
		c.bePatient(f)
	}
	c.flight = f
	alarm := time.AfterFunc(timeout+returnTime, func() { c.giveUpOn(f, timeout) })
	event := FetchEvent{Credential: c.credential, Trigger: hiddenContext(func() context.Context { return trigger }), Background: f.timely}
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	go func() {
		defer cancel()
		defer alarm.Stop()
		c.fly(ctx, f, st.rejected, event)
	}()
}

// bePatient serves the rejected token if the flight brings no other soon. c.mu is held.
func (c *CachedSource) bePatient(f *flight) {
	if f.patience == nil {
		f.patience = time.AfterFunc(patience, func() { c.fallBackOn(f) })
	}
}

func (c *CachedSource) fallBackOn(f *flight) {
	c.mu.Lock()
	defer c.mu.Unlock()
	st := c.state.Load()
	if c.flight != f || st.token != nil || c.clock.now() >= st.reserve {
		return
	}
	next := st.fallBack()
	c.replace(next)
	f.timely = true
	f.settle(next.token, nil, false)
}

// giveUpOn gives callers a failure when the source ignores the end of its context. The flight goes on, and no other
// starts beside it; it may still bring a token.
func (c *CachedSource) giveUpOn(f *flight, timeout time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.flight == f { // else it has just landed
		f.overdue = true
		c.fail(f, c.tokenError(fmt.Errorf("no answer within %s: %w", timeout, context.DeadlineExceeded)))
	}
}

// fly fetches on a context of its own: no caller's end stops it, no caller's values reach the token service.
func (c *CachedSource) fly(ctx context.Context, f *flight, rejected *Token, event FetchEvent) {
	began := time.Now()
	var token *Token
	err := errNoReturn
	defer func() { // also after a panic and runtime.Goexit, so that nobody waits for ever
		c.land(f, token, err, &event)
		if hook := c.opts.Hooks.FetchDone; hook != nil {
			event.Duration = time.Since(began)
			hook(event)
		}
	}()
	if hook := c.opts.Hooks.FetchStart; hook != nil {
		hook(event)
	}
	token, err = c.fetch(ctx, rejected)
	// A receiver may have rejected meanwhile just what it brings.
	if lately := c.state.Load().rejected; err == nil && lately != nil && lately != rejected && lately.AccessToken == token.AccessToken {
		token, err = c.fetch(ctx, lately)
	}
}

func (c *CachedSource) fetch(ctx context.Context, rejected *Token) (token *Token, err error) {
	if r, ok := c.src.(Refresher); ok {
		token, err = checked(r.Refresh(ctx, rejected))
	} else {
		if i, ok := c.src.(Invalidator); ok && rejected != nil {
			i.Invalidate(rejected)
		}
		token, err = checked(c.src.Token(ctx))
	}
	if err == errNoToken {
		err = c.tokenError(err)
	}
	return token, err
}

// checked refuses what no source may return.
func checked(token *Token, err error) (*Token, error) {
	if err == nil && (token == nil || token.AccessToken == "") {
		return nil, errNoToken
	}
	return token, err
}

// land makes the outcome of a flight visible to callers and completes the event.
func (c *CachedSource) land(f *flight, token *Token, err error, event *FetchEvent) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.flight = nil
	if f.patience != nil {
		f.patience.Stop()
	}
	if err != nil {
		if f.overdue { // callers know already
			c.replace(c.state.Load().resume(c.clock.now()))
		} else {
			c.fail(f, err)
		}
		event.Err, event.NextAttempt = err, c.clock.time(c.state.Load().failure.retry)
		return
	}
	st := c.state.Load()
	event.Expiry, event.SameToken = token.Expiry, st.same(token)
	next := st.accept(token, c.life(token), c.opts.RefreshBefore, c.clock.now())
	c.replace(next)
	f.settle(next.token, nil, false)
}

// fail makes a failure the outcome of a flight. c.mu is held.
func (c *CachedSource) fail(f *flight, err error) {
	now := c.clock.now()
	next := c.state.Load().fail(err, f.timely, now)
	if c.flight == f {
		next.attention = next.ends // nothing can be done until it has landed
	}
	c.replace(next)
	if next.usable(now) {
		f.settle(next.token, nil, false)
	} else {
		f.settle(nil, err, !next.failing(now))
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
