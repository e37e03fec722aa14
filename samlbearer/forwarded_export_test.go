package samlbearer

import (
	"context"
	"time"
)

// Replays is what a Client remembers of forwarded assertions.
type Replays = replays

func (r *replays) Reserve(id string, until time.Time) error { return r.reserve(id, until) }
func (r *replays) Settle(id string, used bool)              { r.settle(id, used) }

// Len is how many assertions are remembered.
func (r *replays) Len() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.entries)
}

// Checked is what a Client calls.
func (f Forwarded) Checked(ctx context.Context, user string) ([]byte, string, time.Time, error) {
	passed, err := f.checked(ctx, user)
	if err != nil {
		return nil, "", time.Time{}, err
	}
	return passed.xml, passed.id, passed.until, nil
}
