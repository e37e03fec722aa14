package outgrant

import "time"

// ShiftWallClock makes the wall clock run ahead of the monotonic one, as it does when the machine wakes from sleep.
func (c *CachedSource) ShiftWallClock(by time.Duration) {
	c.clock.wallOf = func(t time.Time) time.Time { return t.Round(0).Add(by) }
}

// The budget, for tests to count against.
var InvalidationBurst, InvalidationEvery = invalidationBurst, invalidationEvery
