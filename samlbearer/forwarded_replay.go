package samlbearer

import (
	"errors"
	"sync"
	"time"
)

// replays remembers which assertions gave a token, until they end. The zero value is ready to use, by several goroutines.
type replays struct {
	mu      sync.Mutex
	entries map[string]replay
	sweepAt int // with how many entries those that have ended are looked for
}

type replay struct {
	until time.Time
	used  bool // or being exchanged right now
}

// minSweep saves looking for ended entries while there are few.
const minSweep = 64

// reserve takes an assertion for an exchange: settle must follow. It refuses one that was used, or that is being exchanged.
func (r *replays) reserve(id string, until time.Time) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if entry, found := r.entries[id]; found {
		if entry.used {
			return errors.New("forwarded assertion: was used before: Forwarded.Received must return a new one each time")
		}
		return errors.New("forwarded assertion: is being exchanged for another call: Forwarded.Received must return a new one each time")
	}
	if len(r.entries) >= max(r.sweepAt, minSweep) {
		r.sweep(time.Now())
	}
	if r.entries == nil {
		r.entries = map[string]replay{}
	}
	r.entries[id] = replay{until: until}
	return nil
}

// settle ends what reserve began. used: the assertion gave a token, or was refused for good; otherwise it may be tried again.
func (r *replays) settle(id string, used bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	entry, found := r.entries[id]
	switch {
	case !found || entry.used:
	case used:
		entry.used = true
		r.entries[id] = entry
	default:
		delete(r.entries, id)
	}
}

// sweep forgets what has ended. By the next time there are twice as many, so that each entry pays for a few looks at it.
func (r *replays) sweep(now time.Time) {
	for id, entry := range r.entries {
		if entry.used && !now.Before(entry.until) {
			delete(r.entries, id)
		}
	}
	r.sweepAt = 2 * len(r.entries)
}
