package outgrant

import (
	"context"
	"iter"
	"time"
)

// watchPiece is the longest sleep of a watcher: timers stop while the machine sleeps, so a watcher looks
// at the clock again this often.
const watchPiece = 5 * time.Second

// Watch yields the current token and then each new one, refreshed ahead of the old one's end, and (nil, err)
// once for each fetch that fails, the last one before it began included. It fetches when a token wants refreshing, also
// if nobody calls Token.
//
// It runs in its caller's goroutine and ends with ctx, or when the loop is left. A loop body that takes long
// misses tokens in between, never the latest; nor is a failure told that a token followed at once. A token service that
// hands the same token back is no news.
func (c *CachedSource) Watch(ctx context.Context) iter.Seq2[*Token, error] {
	return func(yield func(*Token, error) bool) {
		var lastToken Secret
		var lastFailure *failure
		for ctx.Err() == nil {
			_, err := c.Token(ctx) // starts what is due; waits only where there is no token
			st := c.state.Load()
			if st.usable(c.clock.now()) && st.token.AccessToken != lastToken {
				lastToken = st.token.AccessToken
				if !yield(st.token, nil) {
					return
				}
			}
			if st.failure != nil && st.failure != lastFailure && ctx.Err() == nil {
				lastFailure = st.failure
				if !yield(nil, st.failure.err) {
					return
				}
			}
			c.waitFor(ctx, st, err)
		}
	}
}

// waitFor waits until something is due in the state st, or another has taken over, or ctx ends. err is what Token said.
func (c *CachedSource) waitFor(ctx context.Context, st *state, err error) {
	due := st.attention
	switch now := c.clock.now(); {
	case st.usable(now):
	case st.failing(now):
		due = st.failure.retry
	case err != nil: // a source ignores its context, and goes on alone
		due = now + watchPiece
	}
	for {
		left := due - c.clock.now()
		if left <= 0 {
			return
		}
		timer := time.NewTimer(min(left, watchPiece))
		select {
		case <-timer.C:
		case <-st.replaced:
			timer.Stop()
			return
		case <-ctx.Done():
			timer.Stop()
			return
		}
	}
}
