package drivertest

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/outgrant/outgrant/credstore/driver"
)

var lockChecks = []check{
	{name: "one holder at a time", run: lockExcludes},
	{name: "a lock is handed on", run: lockHandedOn},
	{name: "unlock twice", run: unlockTwice},
	{name: "records are not locked", run: lockLeavesRecords},
	{name: "a waiter leaves with its context", run: waiterLeaves},
	{name: "waiters that leave break no queue", run: waitersLeave},
	{name: "goroutines take turns", run: goroutinesTakeTurns},
}

func lockExcludes(b *bench) {
	k := b.key("n") // without a record
	b.free(b.store, k)
	l := b.lock(b.store, k)
	b.locked(b.store, k)
	b.staysLocked(b.store, k, 100*time.Millisecond)
	b.free(b.store, b.key("another"))
	b.kept(l)
	b.unlock(l)
	b.free(b.store, k)

	l = b.tryLock(b.store, k)
	if l == nil {
		b.Fatalf("TryLock does not take a lock that nobody holds")
	}
	b.locked(b.store, k)
	b.staysLocked(b.store, k, 100*time.Millisecond)
	b.unlock(l)
	b.unlock(b.lock(b.store, k))
}

// staysLocked fails the check if the lock, which somebody else holds, can be had within a while.
func (b *bench) staysLocked(s driver.Store, k driver.Key, while time.Duration) {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, while)
	defer cancel()
	done := background(b, func() error {
		l, err := s.Lock(ctx, k)
		if err == nil {
			_ = l.Unlock()
		}
		return err
	})
	err := within(b, done, while+promptly, "Lock, whose context has ended,")
	if err == nil {
		b.Fatalf("Lock takes the lock of %v, which somebody else holds", k)
	}
	b.is(err, context.DeadlineExceeded, "Lock whose context ends while it waits")
}

func lockHandedOn(b *bench) {
	k := b.key("n")
	l := b.lock(b.store, k)
	next := background(b, func() error {
		l, err := b.store.Lock(b.ctx, k)
		if err == nil {
			err = l.Unlock()
		}
		return err
	})
	select {
	case err := <-next:
		b.Fatalf("Lock of a lock that is held returns with the error %v", err)
	case <-time.After(100 * time.Millisecond):
	}
	b.unlock(l)
	if err := within(b, next, promptly, "Lock of a lock that was let go"); err != nil {
		b.Fatalf("Lock of a lock that was let go: %v", err)
	}
	b.free(b.store, k)
}

func unlockTwice(b *bench) {
	k := b.key("n")
	first := b.lock(b.store, k)
	b.unlock(first)
	b.unlock(first)
	second := b.lock(b.store, k)
	b.unlock(first) // must not let go of the second's
	b.locked(b.store, k)
	b.staysLocked(b.store, k, 50*time.Millisecond)
	b.unlock(second)
	b.free(b.store, k)
}

func lockLeavesRecords(b *bench) {
	k := b.key("n")
	v := b.create(record(k, "old"))
	l := b.lock(b.store, k)
	defer l.Unlock()
	done := background(b, func() error {
		_, err := b.store.Get(b.ctx, k)
		if err == nil {
			v, err = b.store.Put(b.ctx, b.schedule("n", at(0)), v)
		}
		if err == nil {
			_, err = b.store.Due(b.ctx, b.kind, at(0), 1)
		}
		for range b.store.List(b.ctx, "", b.kind) {
		}
		if err == nil {
			err = b.store.Delete(b.ctx, k, v)
		}
		if err == nil {
			_, err = b.store.Put(b.ctx, record(k, "again"), "")
		}
		return err
	})
	if err := within(b, done, promptly, "a method other than Lock, of a key that is locked,"); err != nil {
		b.Fatalf("a method other than Lock, of a key that is locked: %v", err)
	}
	b.locked(b.store, k) // also after its record was deleted
	b.unlock(l)
	b.free(b.store, k)
}

func waiterLeaves(b *bench) {
	k := b.key("n")
	l := b.lock(b.store, k)
	ctx, cancel := context.WithCancel(b.ctx)
	leaver := background(b, func() error {
		_, err := b.store.Lock(ctx, k)
		return err
	})
	stayer := background(b, func() error {
		l, err := b.store.Lock(b.ctx, k)
		if err == nil {
			err = l.Unlock()
		}
		return err
	})
	cancel()
	b.is(within(b, leaver, promptly, "Lock whose context was canceled"), context.Canceled, "Lock whose context was canceled")
	b.locked(b.store, k)
	b.unlock(l)
	if err := within(b, stayer, promptly, "Lock beside a waiter that has left"); err != nil {
		b.Fatalf("Lock beside a waiter that has left: %v", err)
	}
	b.free(b.store, k)
}

// waitersLeave lets contexts end at any moment, also just when the lock is handed over.
func waitersLeave(b *bench) {
	k := b.key("n")
	var wg sync.WaitGroup
	var holders, got atomic.Int64
	defer wg.Wait()
	for range 8 {
		wg.Go(func() {
			for range b.rounds(20, 500) {
				ctx, cancel := context.WithTimeout(b.ctx, rand.N(2*time.Millisecond))
				l, err := b.store.Lock(ctx, k)
				switch {
				case err == nil:
					got.Add(1)
					if holders.Add(1) != 1 {
						b.Errorf("two hold the lock at once")
					}
					time.Sleep(rand.N(200 * time.Microsecond))
					holders.Add(-1)
					if err := l.Unlock(); err != nil {
						b.Errorf("Unlock: %v", err)
					}
				case !errors.Is(err, ctx.Err()) || ctx.Err() == nil:
					b.Errorf("Lock whose context may end: %v, while the context says %v", err, ctx.Err())
				}
				cancel()
			}
		})
	}
	wg.Wait()
	b.Logf("%d of %d locks were taken in time", got.Load(), 8*b.rounds(20, 500))
	b.free(b.store, k)
}

func goroutinesTakeTurns(b *bench) {
	k := b.key("n")
	var wg sync.WaitGroup
	var holders, total atomic.Int64
	rounds := b.rounds(25, 500)
	for range 8 {
		wg.Go(func() {
			for range rounds {
				l, err := b.store.Lock(b.ctx, k)
				if err != nil {
					b.Errorf("Lock: %v", err)
					return
				}
				if holders.Add(1) != 1 {
					b.Errorf("two hold the lock at once")
				}
				total.Add(1)
				time.Sleep(rand.N(50 * time.Microsecond))
				holders.Add(-1)
				if err := l.Unlock(); err != nil {
					b.Errorf("Unlock: %v", err)
				}
			}
		})
	}
	wg.Wait()
	if total.Load() != int64(8*rounds) {
		b.Errorf("the lock was taken %d times, want %d", total.Load(), 8*rounds)
	}
	b.free(b.store, k)
}
