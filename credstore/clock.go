package credstore

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/outgrant/outgrant/credstore/driver"
	"github.com/outgrant/outgrant/internal/keylock"
)

// clock tells by how much the backend's clock is ahead of this machine's: what processes on several machines compare is kept by
// the backend's clock. Where that has none, all are on one machine.
type clock struct {
	of driver.Clock // nil: none

	last atomic.Int64 // the offset

	comparing keylock.Locks[struct{}] // one at a time, of the rest
	next      time.Time               // when they are compared again
	compared  bool
}

const (
	// clockEvery is how long a comparison of the clocks is good for.
	clockEvery = time.Minute
	// clockPatience is how long one may take: its error may be half of that.
	clockPatience = 500 * time.Millisecond
)

// offset is what is added to a time of this machine to make it one of the backend. If that cannot be told now, it is as before.
func (c *clock) offset(ctx context.Context) time.Duration {
	if c.of == nil {
		return 0
	}
	if c.comparing.Lock(ctx, struct{}{}) == nil {
		c.compare(ctx)
		c.comparing.Unlock(struct{}{})
	}
	return time.Duration(c.last.Load())
}

// compare compares the clocks, if that is due.
func (c *clock) compare(ctx context.Context) {
	before := time.Now()
	if before.Before(c.next) {
		return
	}
	theirs, err := c.of.Now(ctx)
	took := time.Since(before)
	if err != nil || took > clockPatience && c.compared {
		c.next = before.Add(took + time.Second)
		return
	}
	c.last.Store(int64(theirs.Sub(before.Add(took / 2))))
	c.compared = true
	c.next = before.Add(took + clockEvery)
}
