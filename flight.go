package outgrant

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// flight is a fetch that callers share.
type flight struct {
	done       chan struct{}
	ctx        context.Context // its own: ended by FetchTimeout, and when it is done
	cancel     context.CancelFunc
	trigger    context.Context // of the call that started it, for hooks
	background bool            // a valid token was there at the start
	refused    Secret          // rejected by a receiver meanwhile
	token      *Token          // the outcome, when done: this or an error
	err        error
}

// takeOff starts a flight. c.mu is held and none is under way.
func (c *CachedSource) takeOff(trigger context.Context, now instant) {
	st := c.state.Load()
	f := &flight{done: make(chan struct{}), trigger: trigger, background: st.usable(now)}
	f.ctx, f.cancel = context.WithTimeout(context.Background(), c.opts.FetchTimeout)
	if c.flight = f; f.background {
		c.replace(st.busy())
	}
	go c.fly(f, st.rejected)
}

// wait waits for a flight, as long as the caller wants to and FetchTimeout allows. A source that ignores its context
// holds up nobody for longer: its flight goes on alone, and no other starts beside it.
func (c *CachedSource) wait(ctx context.Context, f *flight) (*Token, error) {
	select {
	case <-f.done:
	case <-f.ctx.Done():
	case <-ctx.Done():
	}
	select {
	case <-f.done:
		return f.token, f.err
	default:
	}
	if ctx.Err() != nil {
		return nil, c.abandoned(ctx)
	}
	return nil, c.tokenError(fmt.Errorf("no answer within %s: %w", c.opts.FetchTimeout, f.ctx.Err()))
}

// fly fetches on a context of its own: no caller's end stops it, no caller's values reach the token service.
func (c *CachedSource) fly(f *flight, rejected *Token) {
	began := time.Now()
	event := FetchEvent{Credential: c.credential, Trigger: f.trigger, Background: f.background}
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
	st, now := c.state.Load(), c.clock.now()
	var next *state
	if err == nil {
		event.Expiry, event.SameToken = token.Expiry, st.same(token)
		next = st.accept(token, c.life(token), c.opts.RefreshBefore, now)
		f.token = next.token
	} else {
		next = st.fail(err, now)
		event.Err, event.NextAttempt = err, c.clock.time(next.failure.retry)
		if f.err = err; next.usable(now) {
			f.token, f.err = next.token, nil
		}
	}
	c.flight = nil
	c.replace(next)
	close(f.done)
	f.cancel()
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
