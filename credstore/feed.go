package credstore

import (
	"context"
	"maps"
	"slices"
	"sync/atomic"
	"time"

	"github.com/outgrant/outgrant/credstore/driver"
	"github.com/outgrant/outgrant/internal/keylock"
	"github.com/outgrant/outgrant/internal/replay"
)

// feed tells which records have changed, to all credentials at once, where the backend can (driver.Follower). Where it cannot,
// each credential reads the records that it is made of.
type feed struct {
	next func(context.Context) ([]driver.Key, error) // nil: the backend cannot

	asked  atomic.Int64  // when it was asked last, since began
	rounds atomic.Uint64 // how often it has told
	turns  atomic.Uint64 // who wants to ask, and each question, takes a number

	asking keylock.Locks[struct{}] // one question at a time, of the rest
	latest uint64                  // the number of the last one
	err    error                   // of the last one
}

const (
	// listenPause is the least time between two questions on notification.
	listenPause = 50 * time.Millisecond
	// listenAgain is how long a backend that cannot be listened to is left alone.
	listenAgain = time.Second
)

// ask asks what has changed, unless another one does that after the call began, and notes it with the credentials that it concerns.
func (c *core) ask(ctx context.Context) error {
	f := &c.feed
	turn := f.turns.Add(1)
	if err := f.asking.Lock(ctx, struct{}{}); err != nil {
		return unavailable(err)
	}
	defer f.asking.Unlock(struct{}{})
	if f.latest > turn {
		return f.err
	}
	f.latest = f.turns.Add(1)
	now := sinceBegan()
	keys, err := f.next(ctx)
	if f.err = nil; err != nil {
		f.err = unavailable(err)
	}
	if err == nil {
		c.noteChanges(keys, f.rounds.Add(1) == 1)
	}
	f.asked.Store(now)
	return f.err
}

// noteChanges notes which credentials may have changed. Before the first answer each may have.
func (c *core) noteChanges(keys []driver.Key, all bool) {
	if len(keys) == 0 && !all {
		return
	}
	changed := make(map[driver.Key]bool, len(keys))
	for _, k := range keys {
		changed[k] = true
	}
	for _, one := range c.inMemory() {
		if all || changed[one.name.key(rejectedKind)] || slices.ContainsFunc(one.built.Load().from, func(s stored) bool { return changed[s.key] }) {
			one.news.Add(1)
		}
	}
}

// inMemory returns the credentials that are in memory.
func (c *core) inMemory() []*credential {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return slices.Collect(maps.Values(c.credentials))
}

// listen asks what has changed whenever the backend says that something has, until the store is closed.
func (c *core) listen(listener driver.Listener) {
	told := make(chan struct{}, 1)
	c.running.Go(func() {
		for c.life.Err() == nil {
			_ = listener.Listen(c.life, func() {
				select {
				case told <- struct{}{}:
				default: // it was told already
				}
			})
			_ = replay.Wait(c.life, listenAgain)
		}
	})
	c.running.Go(func() {
		for {
			select {
			case <-told:
			case <-c.life.Done():
				return
			}
			ctx, cancel := context.WithTimeout(c.life, lookTimeout)
			_ = c.ask(ctx) // if it fails, who uses a credential asks again
			cancel()
			_ = replay.Wait(c.life, listenPause)
		}
	})
}
