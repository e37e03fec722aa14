package drivertest_test

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/outgrant/outgrant/credstore/driver"
	"github.com/outgrant/outgrant/credstore/memstore"
)

var lockFaults = []fault{
	{"TryLock always takes it", "Locks/one holder at a time", func(s driver.Store, f *faulty, _ <-chan struct{}) {
		f.tryLock = func(ctx context.Context, k driver.Key) (driver.Lock, bool, error) {
			return lockOf{unlock: func() error { return nil }}, true, nil
		}
	}},
	{"TryLock waits", "Locks/one holder at a time", func(s driver.Store, f *faulty, _ <-chan struct{}) {
		f.tryLock = func(ctx context.Context, k driver.Key) (driver.Lock, bool, error) {
			ctx, cancel := context.WithTimeout(ctx, 10*time.Millisecond)
			defer cancel()
			l, err := s.Lock(ctx, k)
			return l, err == nil, err
		}
	}},
	{"Lock and TryLock do not know each other", "Locks/one holder at a time", func(s driver.Store, f *faulty, _ <-chan struct{}) {
		other := memstore.New()
		f.tryLock = other.TryLock
	}},
	{"a lock that is lost at once", "Locks/one holder at a time", func(s driver.Store, f *faulty, _ <-chan struct{}) {
		lost := make(chan struct{})
		close(lost)
		f.lock = func(ctx context.Context, k driver.Key) (driver.Lock, error) {
			l, err := s.Lock(ctx, k)
			return lockOf{l.Unlock, lost}, err
		}
	}},
	{"a lock that could be lost", "Locks/one holder at a time", func(s driver.Store, f *faulty, _ <-chan struct{}) {
		f.lock = func(ctx context.Context, k driver.Key) (driver.Lock, error) {
			l, err := s.Lock(ctx, k)
			return lockOf{l.Unlock, make(chan struct{})}, err
		}
	}},
	{"fails where it should wait", "Locks/a lock is handed on", func(s driver.Store, f *faulty, _ <-chan struct{}) {
		f.lock = func(ctx context.Context, k driver.Key) (driver.Lock, error) {
			l, ok, err := s.TryLock(ctx, k)
			if err == nil && !ok {
				err = errors.New("locked")
			}
			return l, err
		}
	}},
	{"unlock lets go of anybody's lock", "Locks/unlock twice", func(s driver.Store, f *faulty, _ <-chan struct{}) {
		var mu sync.Mutex
		held := map[driver.Key]driver.Lock{}
		f.lock = func(ctx context.Context, k driver.Key) (driver.Lock, error) {
			l, err := s.Lock(ctx, k)
			mu.Lock()
			defer mu.Unlock()
			held[k] = l
			return lockOf{unlock: func() error {
				mu.Lock()
				defer mu.Unlock()
				return held[k].Unlock()
			}}, err
		}
	}},
	{"unlock fails the second time", "Locks/unlock twice", func(s driver.Store, f *faulty, _ <-chan struct{}) {
		f.lock = func(ctx context.Context, k driver.Key) (driver.Lock, error) {
			l, err := s.Lock(ctx, k)
			n := 0
			return lockOf{unlock: func() error {
				if n++; n > 1 {
					return errors.New("not locked")
				}
				return l.Unlock()
			}}, err
		}
	}},
	{"Put waits for the lock", "Locks/records are not locked", func(s driver.Store, f *faulty, stop <-chan struct{}) {
		f.put = func(ctx context.Context, r driver.Record, ifVersion string) (string, error) {
			l, err := s.Lock(until(ctx, stop), r.Key)
			if err != nil {
				return "", err
			}
			defer l.Unlock()
			return s.Put(ctx, r, ifVersion)
		}
	}},
	{"delete ends the lock", "Locks/records are not locked", func(s driver.Store, f *faulty, _ <-chan struct{}) {
		var held driver.Lock
		f.lock = func(ctx context.Context, k driver.Key) (driver.Lock, error) {
			l, err := s.Lock(ctx, k)
			held = l
			return l, err
		}
		f.delete = func(ctx context.Context, k driver.Key, ifVersion string) error {
			_ = held.Unlock()
			return s.Delete(ctx, k, ifVersion)
		}
	}},
	{"Lock ignores its context", "Locks/a waiter leaves with its context", func(s driver.Store, f *faulty, stop <-chan struct{}) {
		f.lock = func(_ context.Context, k driver.Key) (driver.Lock, error) {
			return s.Lock(until(context.Background(), stop), k)
		}
	}},
	{"a waiter that left gets the lock", "Locks/waiters that leave break no queue", func(s driver.Store, f *faulty, stop <-chan struct{}) {
		f.lock = func(ctx context.Context, k driver.Key) (driver.Lock, error) {
			got := make(chan driver.Lock, 1)
			go func() {
				if l, err := s.Lock(until(context.Background(), stop), k); err == nil {
					got <- l
				}
			}()
			select {
			case l := <-got:
				return l, nil
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}
	}},
	{"two may hold a lock", "Locks/goroutines take turns", func(s driver.Store, f *faulty, _ <-chan struct{}) {
		second := memstore.New()
		f.lock = func(ctx context.Context, k driver.Key) (driver.Lock, error) {
			if l, ok, _ := s.TryLock(ctx, k); ok {
				return l, nil
			}
			return second.Lock(ctx, k)
		}
	}},
}

// until is a context that also ends with the test.
func until(ctx context.Context, stop <-chan struct{}) context.Context {
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		defer cancel()
		select {
		case <-stop:
		case <-ctx.Done():
		}
	}()
	return ctx
}

var concurrencyFaults = []fault{
	{"compares, then writes", "Concurrency/one of many creates", racyPut},
	{"compares, then writes", "Concurrency/one of many puts for a version", racyPut},
	{"compares, then writes", "Concurrency/no update is lost", racyPut},
	{"looks, then deletes", "Concurrency/one of many deletes", func(s driver.Store, f *faulty, _ <-chan struct{}) {
		f.delete = func(ctx context.Context, k driver.Key, ifVersion string) error {
			if _, err := s.Get(ctx, k); err != nil {
				return err
			}
			time.Sleep(time.Millisecond)
			_ = s.Delete(ctx, k, ifVersion)
			return nil
		}
	}},
	{"writes in two steps", "Concurrency/everything at once", func(s driver.Store, f *faulty, _ <-chan struct{}) {
		f.put = func(ctx context.Context, r driver.Record, ifVersion string) (string, error) {
			half := r
			half.Sealed = []byte("sealed")
			v, err := s.Put(ctx, half, ifVersion)
			if err == nil {
				time.Sleep(time.Millisecond)
				v, err = s.Put(ctx, r, v)
			}
			return v, err
		}
	}},
}

// racyPut lets another Put in between comparing and writing.
func racyPut(s driver.Store, f *faulty, _ <-chan struct{}) {
	f.put = func(ctx context.Context, r driver.Record, ifVersion string) (string, error) {
		old, err := s.Get(ctx, r.Key)
		if err != nil && !errors.Is(err, driver.ErrNotFound) {
			return "", err
		}
		if old.Version != ifVersion {
			return "", driver.ErrConflict
		}
		for time.Sleep(time.Millisecond); ; {
			now, _ := s.Get(ctx, r.Key)
			if v, err := s.Put(ctx, r, now.Version); !errors.Is(err, driver.ErrConflict) {
				return v, err
			}
		}
	}
}
