package credstore

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/outgrant/outgrant/credstore/driver"
)

const (
	// patience is how long a call waits for a backend that does not tell whether anything has changed.
	patience = 250 * time.Millisecond
	// lookTimeout is how long such a backend is waited for beside the calls.
	lookTimeout = 10 * time.Second
)

// began is where the monotonic clock is read from.
var began = time.Now()

func sinceBegan() int64 { return int64(time.Since(began)) }

// looks is the comparison of a credential with what is stored that is under way: one at a time. It has no caller's
// context, as callers come and go.
type looks struct {
	mu  sync.Mutex
	now *look // nil: none
}

type look struct {
	until time.Time // callers wait
	over  chan struct{}
}

// follow compares what is in memory with what is stored, if that is due, and builds it again if it differs. Who begins a
// look waits for it, and after a change of this process all do. While the backend cannot tell, what is there goes on.
func (c *credential) follow(ctx context.Context) {
	for range 2 { // the first look may have begun before the change
		changed := c.seen.Load() != c.core.changes.Load() || c.heard.Load() != c.news.Load()
		last := c.checked.Load()
		if c.isFed() {
			last = max(last, c.core.feed.asked.Load())
		}
		if !changed && sinceBegan()-last < int64(c.core.opts.PollInterval/4*3) { // the rest is for the look
			return
		}
		l, isNew := c.look()
		if l == nil || !isNew && !changed {
			return
		}
		rest := time.NewTimer(time.Until(l.until))
		select {
		case <-l.over:
		case <-rest.C:
		case <-ctx.Done():
		}
		rest.Stop()
	}
}

// keepLooking follows until it is told to stop, or ctx ends, and tells what is used then, again and again.
func (c *credential) keepLooking(ctx context.Context, tell func(*built)) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var looking sync.WaitGroup
	looking.Go(func() {
		tick := time.NewTicker(max(c.core.opts.PollInterval/8, time.Millisecond)) // a look is due after six or seven
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				tell(c.current(ctx))
			case <-ctx.Done():
				return
			}
		}
	})
	return func() {
		cancel()
		looking.Wait()
	}
}

// look returns the look that is under way, or begins one; nil: the store is closed.
func (c *credential) look() (l *look, isNew bool) {
	c.looks.mu.Lock()
	defer c.looks.mu.Unlock()
	if c.looks.now != nil || c.core.begin() != nil {
		return c.looks.now, false
	}
	l = &look{until: time.Now().Add(patience), over: make(chan struct{})}
	c.looks.now = l
	go func() {
		defer c.core.running.Done()
		c.compare()
		c.looks.mu.Lock()
		c.looks.now = nil
		c.looks.mu.Unlock()
		close(l.over)
	}()
	return l, true
}

// compare is what a look does.
func (c *credential) compare() {
	ctx, cancel := context.WithTimeout(c.core.life, lookTimeout)
	defer cancel()
	changes, now := c.core.changes.Load(), sinceBegan()
	err := c.readAgain(ctx, c.seen.Load() != changes)
	if err == nil {
		c.seen.Store(changes) // else a change of this process is looked for again at the next call
	}
	c.checked.Store(now)
}

// readAgain reads what the engine was made of, if that may have changed, and builds it again if it has.
func (c *credential) readAgain(ctx context.Context, must bool) error {
	c.heard.Store(c.news.Load()) // also if the backend does not answer: not each call waits for it then
	if c.core.feed.next != nil {
		if err := c.core.ask(ctx); err != nil {
			return err
		}
		if !must && c.isFed() && c.known.Load() == c.news.Load() {
			return nil
		}
	}
	news, rounds := c.news.Load(), c.core.feed.rounds.Load()
	c.heard.Store(news)
	changed, err := c.changed(ctx)
	if err == nil && changed {
		err = c.rebuild(ctx)
	}
	if err == nil {
		err = c.dropRejected(ctx)
	}
	if err == nil {
		c.known.Store(news)
		c.missed(rounds)
	}
	return err
}

// isFed reports whether the feed tells of what would change the engine.
func (c *credential) isFed() bool {
	return c.core.feed.next != nil && len(c.built.Load().from) > 0
}

// missed notes that there may be news of records that the engine was made of before the feed knew them: since so many rounds.
func (c *credential) missed(rounds uint64) {
	if c.core.feed.rounds.Load() != rounds {
		c.news.Add(1)
	}
}

// changed reports whether a record that the engine was made of is another by now.
func (c *credential) changed(ctx context.Context) (bool, error) {
	from := c.built.Load().from
	for _, was := range from {
		is, err := c.core.mark(ctx, was.key)
		if err != nil || is != was.mark {
			return true, err
		}
	}
	return len(from) == 0, nil
}

// mark is what tells a record from a later one under the same key; "" if there is none.
func (c *core) mark(ctx context.Context, k driver.Key) (string, error) {
	r, err := c.drv.Get(ctx, k)
	switch {
	case errors.Is(err, driver.ErrNotFound):
		return "", nil
	case errors.Is(err, driver.ErrDamaged):
		return "damaged", nil
	case err != nil:
		return "", unavailable(err)
	}
	return markOf(r), nil
}

func markOf(r driver.Record) string {
	if r.Kind == grantKind {
		return readGrantInfo(r.Info).consent()
	}
	return readArtifactInfo(r.Info).Deployment
}
