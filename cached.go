package outgrant

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// CacheOptions say how a [CachedSource] keeps its token. The zero value suits most.
type CacheOptions struct {
	// RefreshBefore is how long before its end a token is refreshed. It never exceeds half of the
	// token's life, so that a short-lived token is not refreshed in a loop. Default 5 minutes.
	RefreshBefore time.Duration

	// FetchTimeout bounds one fetch. Callers may leave earlier, by their contexts. Default 30 seconds.
	FetchTimeout time.Duration

	// AssumedLifetime is the life of a token whose token service does not tell it. Default 0: such a
	// token is kept until it is rejected.
	AssumedLifetime time.Duration

	// Wrap, if set, wraps the source of the tokens: it stands between the cache and the token service, as
	// the shared tokens of a fleet do. What it returns should be a [Refresher] and pass Refresh on if what it
	// wraps is one: else a token service may hand out again what a receiver rejected. Default nil.
	Wrap func(TokenSource) TokenSource

	// Hooks are called as tokens come and fail. Default nil.
	Hooks *Hooks
}

// longestFetch bounds FetchTimeout, against overflow.
const longestFetch = 24 * time.Hour

// Cached returns a source that keeps the token of src until it ends, refreshes it ahead of that, and lets
// all its callers share one fetch. opts may be nil; it is copied. The sources that outgrant's grants make
// are cached already.
func Cached(src TokenSource, opts *CacheOptions) *CachedSource {
	c := &CachedSource{src: src, credential: describe(src)}
	if opts != nil {
		c.opts = *opts
	}
	if c.opts.RefreshBefore <= 0 {
		c.opts.RefreshBefore = 5 * time.Minute
	}
	if c.opts.FetchTimeout <= 0 {
		c.opts.FetchTimeout = 30 * time.Second
	}
	c.opts.FetchTimeout = min(c.opts.FetchTimeout, longestFetch)
	if c.opts.Hooks == nil {
		c.opts.Hooks = &Hooks{}
	}
	if src != nil && c.opts.Wrap != nil {
		c.src = c.opts.Wrap(src)
	}
	if c.src == nil {
		c.src = TokenSourceFunc(func(context.Context) (*Token, error) {
			return nil, errors.New("outgrant: Cached: the source is nil, or Wrap returned nil")
		})
	}
	c.clock.start()
	c.state.Store(&state{replaced: make(chan struct{})})
	return c
}

// CachedSource serves a token from memory and refreshes it ahead of its end. It is a [TokenSource], an
// [Invalidator], a [Watcher] and a [Describer], safe for concurrent use. It runs no goroutine while nothing
// is fetched, so there is no Close. It must not be copied.
//
// What callers can rely on:
//   - While a valid token is there, Token returns it at once, also when a refresh is under way or fails.
//   - Without one, all callers share one fetch. It has a context of its own, ended by FetchTimeout alone;
//     each caller leaves when its own context ends, and the fetch goes on for the others. A source that ignores
//     its context holds nobody up for half a second longer, nor is it asked again beside itself.
//   - A refresh that is still under way when the token ends is given up then, or two seconds after it began, and
//     one fetch more is made, so that one request that hangs is not noticed.
//   - A failed fetch is remembered: until the next attempt (from 500 ms, doubled each time to 30 s; from 1 s
//     to 1 min where the error is permanent; up to a quarter less; or Retry-After, up to 5 min) callers get its
//     error at once. When a token ends that could not be refreshed, one attempt is made all the same.
//   - A token that has the life L when it arrives is refreshed W = min(RefreshBefore, L/2) before its end and not
//     served in its last min(10 s, L/10, W/2). So a time T costs at most 1 + T/(L-W) token requests, however short
//     the lives are.
//   - A token service that hands the same token back is asked again shortly before that token ends (10 s, then
//     1 s) and when it has ended, at most once a second: a time T costs at most 1 + 5T/L token requests. Such a
//     token is served to its very end, and for a second at least.
type CachedSource struct {
	state      atomic.Pointer[state]
	clock      clock
	src        TokenSource
	credential Credential
	opts       CacheOptions

	mu     sync.Mutex // held to change the state, never while waiting
	flight *flight    // the fetch under way, or nil
	budget invalidations
}

// Token returns a valid token: from memory, or else from a fetch that all callers share. It waits only
// while there is none, and never beyond the end of ctx; it returns a valid token even if ctx has ended.
func (c *CachedSource) Token(ctx context.Context) (*Token, error) {
	if st := c.state.Load(); c.clock.now() < st.attention {
		return st.token, nil
	}
	return c.slow(ctx)
}

// slow is Token where the token cannot simply be served: it wants to be refreshed, or there is none.
func (c *CachedSource) slow(ctx context.Context) (*Token, error) {
	for {
		// Without the lock: a token service that is away must not make callers queue.
		if st, now := c.state.Load(), c.clock.now(); !st.usable(now) && st.failing(now) {
			return nil, st.failure.err
		}
		token, o, err := c.serveOrBoard(ctx)
		if o == nil {
			return token, err
		}
		select {
		case <-o.done:
		case <-ctx.Done():
			return nil, c.abandoned(ctx)
		}
		if !o.again || ctx.Err() != nil {
			return o.token, o.err
		}
	}
}

// serveOrBoard returns what can be served, or what to wait for.
func (c *CachedSource) serveOrBoard(ctx context.Context) (*Token, *outcome, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	st, now := c.state.Load(), c.clock.now()
	switch {
	case st.usable(now):
		if now >= st.attention && c.flight == nil {
			c.takeOff(ctx, now)
		}
		return st.token, nil, nil
	case st.failing(now), c.flight != nil && c.flight.overdue:
		return nil, nil, st.failure.err
	case c.flight == nil && ctx.Err() != nil:
		return nil, nil, c.abandoned(ctx)
	case c.flight == nil:
		c.takeOff(ctx, now)
	}
	return nil, c.flight.outcome, nil
}

func (c *CachedSource) abandoned(ctx context.Context) error {
	return c.tokenError(fmt.Errorf("the call ended before the token service answered: %w", ctx.Err()))
}

func (c *CachedSource) tokenError(err error) error {
	return &TokenError{Grant: c.credential.Grant, Credential: c.credential.Name, TokenURL: c.credential.TokenURL, Err: err}
}

// Invalidate drops the token that a receiver rejected, if it is still the current one, so that the next call
// fetches another. If that fetch fails for a while, or takes more than two seconds, the rejected token is served
// until it ends, so that one bad receiver cannot make an outage. Five tokens may be dropped at once and one more
// every ten seconds; beyond that the token stays.
func (c *CachedSource) Invalidate(rejected *Token) {
	if rejected == nil || rejected.AccessToken == "" {
		return
	}
	c.mu.Lock()
	st, now := c.state.Load(), c.clock.now()
	known := st.rejected != nil && st.rejected.AccessToken == rejected.AccessToken
	current := st.token != nil && st.token.AccessToken == rejected.AccessToken
	if known || !current {
		c.mu.Unlock()
		return
	}
	spent := c.budget.spend(now)
	keep := !spent || st.failing(now) || c.flight != nil && c.flight.overdue
	if spent {
		c.replace(st.reject(keep))
		if c.flight != nil {
			c.bePatient(c.flight)
		}
	}
	c.mu.Unlock()
	if hook := c.opts.Hooks.Invalidated; hook != nil {
		hook(InvalidateEvent{Credential: c.credential, Kept: keep})
	}
}

// replace makes next the state that callers see, and wakes those who watch. c.mu is held.
func (c *CachedSource) replace(next *state) {
	next.replaced = make(chan struct{})
	close(c.state.Swap(next).replaced)
}

// Describe returns the credential of the source that is cached.
func (c *CachedSource) Describe() Credential { return c.credential }

// Health is how a [CachedSource] is doing.
type Health struct {
	Valid       bool      // there is a token to serve
	Expiry      time.Time // of the token; zero: unknown, or none
	Fetched     time.Time // when the token came; zero: none did
	Fetching    bool      // a fetch is under way
	Failures    int       // in a row, since the last token came
	Err         error     // the last of them; nil: none
	NextAttempt time.Time // no fetch before it; zero after a success
}

// Health tells how the source is doing. It never waits and never fetches.
func (c *CachedSource) Health() Health {
	c.mu.Lock()
	defer c.mu.Unlock()
	st := c.state.Load()
	h := Health{Valid: st.usable(c.clock.now()), Fetched: st.fetched, Fetching: c.flight != nil}
	if h.Valid {
		h.Expiry = st.token.Expiry
	}
	if f := st.failure; f != nil {
		h.Failures, h.Err, h.NextAttempt = f.count, f.err, c.clock.time(f.retry)
	}
	return h
}

func (c *CachedSource) String() string {
	return "outgrant.CachedSource(" + c.credential.text() + ")"
}

// Format prints the credential's name and nothing else, for every verb and flag.
func (c *CachedSource) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, c.String()) }

// LogValue logs the credential's name and nothing else.
func (c *CachedSource) LogValue() slog.Value { return slog.StringValue(c.String()) }

// MarshalJSON encodes the credential's name and nothing else.
func (c *CachedSource) MarshalJSON() ([]byte, error) { return json.Marshal(c.String()) }
