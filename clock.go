package outgrant

import (
	"math"
	"sync/atomic"
	"time"
)

// instant is a time by a clock: how long after the clock's base it is.
type instant = time.Duration

const never instant = math.MaxInt64

// wallEvery is how often a busy clock looks at the wall clock, and so for how long a token that ended
// while the machine slept can still be served after it woke. It costs a thousandth of a busy core.
const wallEvery = 50 * time.Microsecond

// clock runs with the monotonic clock, which costs half of what the wall clock does and cannot be
// set, but stops while the machine sleeps. So now and then a call looks at the wall clock too, and what
// that ran ahead is added. A wall clock that is set forward counts as sleep: tokens end early, never late.
type clock struct {
	base     time.Time
	wallOf   func(time.Time) time.Time // strips the monotonic reading; tests shift the wall clock here
	slept    atomic.Int64              // how far the wall clock has run ahead of the monotonic one, in jumps
	offset   atomic.Int64              // wall minus monotonic, when last looked at
	wallNext atomic.Int64              // when to look again, monotonic
}

func (c *clock) start() {
	c.wallOf = func(t time.Time) time.Time { return t.Round(0) }
	c.base = time.Now()
	c.offset.Store(c.base.UnixNano())
}

// now may be called by many goroutines at once.
func (c *clock) now() instant {
	mono := time.Since(c.base)
	if int64(mono) >= c.wallNext.Load() {
		c.lookAtWall()
	}
	return mono + time.Duration(c.slept.Load())
}

func (c *clock) lookAtWall() {
	last := c.offset.Load() // before the clocks, so that a call that is delayed here cannot store an old offset
	now := time.Now()       // one call for both readings, so that nothing comes between them
	mono := now.Sub(c.base)
	offset := c.wallOf(now).UnixNano() - int64(mono)
	const noise = 100 * time.Millisecond // a wall clock that is slewed runs ahead by far less in a second
	if c.offset.CompareAndSwap(last, offset) && offset-last > int64(noise) {
		c.slept.Add(offset - last)
	}
	c.wallNext.Store(int64(mono + wallEvery))
}

// until returns how long it is from now to a wall clock time.
func (c *clock) until(t time.Time) time.Duration { return t.Round(0).Sub(c.wallOf(time.Now())) }

// time returns the wall clock time of an instant.
func (c *clock) time(at instant) time.Time {
	if at == never {
		return time.Time{}
	}
	return c.wallOf(time.Now()).Add(at - c.now())
}
