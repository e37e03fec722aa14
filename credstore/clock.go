package credstore

import (
	"context"
	"sync"
	"time"

	"github.com/outgrant/outgrant/credstore/driver"
)

// clock tells by how much the backend's clock is ahead of this machine's: what processes on several machines compare is kept by
// the backend's clock. Where that has none, all are on one machine.
type clock struct {
	of driver.Clock // nil: none

	mu   sync.Mutex
	last time.Duration
	next time.Time // when it is compared again

	compared bool
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
	c.mu.Lock()
	defer c.mu.Unlock()
	before := time.Now()
	if before.Before(c.next) {
		return c.last
	}
	theirs, err := c.of.Now(ctx)
	took := time.Since(before)
	if err != nil || took > clockPatience && c.compared {
		c.next = before.Add(took + time.Second)
		return c.last
	}
	c.last, c.compared = theirs.Sub(before.Add(took/2)), true
	c.next = before.Add(took + clockEvery)
	return c.last
}
