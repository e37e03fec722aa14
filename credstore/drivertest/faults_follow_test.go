package drivertest_test

import (
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/outgrant/outgrant/credstore/driver"
)

type told = func(context.Context) ([]driver.Key, error)

// changeFollow makes each call of what Follow returns another one.
func changeFollow(s driver.Store, f *faulty, change func(ctx context.Context, next told) ([]driver.Key, error)) {
	f.follow = func() func(context.Context) ([]driver.Key, error) {
		next := s.(driver.Follower).Follow()
		return func(ctx context.Context) ([]driver.Key, error) { return change(ctx, next) }
	}
}

// noteWrites has Put and Delete tell note of what they did.
func noteWrites(s driver.Store, f *faulty, note func(k driver.Key, deleted bool)) {
	f.put = func(ctx context.Context, r driver.Record, ifVersion string) (string, error) {
		v, err := s.Put(ctx, r, ifVersion)
		if err == nil {
			note(r.Key, false)
		}
		return v, err
	}
	f.delete = func(ctx context.Context, k driver.Key, ifVersion string) error {
		err := s.Delete(ctx, k, ifVersion)
		if err == nil {
			note(k, true)
		}
		return err
	}
}

var followFaults = []fault{
	{"tells of no deletion", "Follow/what was put and deleted", func(s driver.Store, f *faulty, _ <-chan struct{}) {
		var mu sync.Mutex
		gone := map[driver.Key]bool{}
		noteWrites(s, f, func(k driver.Key, deleted bool) {
			mu.Lock()
			defer mu.Unlock()
			gone[k] = deleted
		})
		changeFollow(s, f, func(ctx context.Context, next told) ([]driver.Key, error) {
			keys, err := next(ctx)
			mu.Lock()
			defer mu.Unlock()
			return slices.DeleteFunc(keys, func(k driver.Key) bool { return gone[k] }), err
		})
	}},
	{"tells of the default tenant alone", "Follow/what was put and deleted", func(s driver.Store, f *faulty, _ <-chan struct{}) {
		changeFollow(s, f, func(ctx context.Context, next told) ([]driver.Key, error) {
			keys, err := next(ctx)
			return slices.DeleteFunc(keys, func(k driver.Key) bool { return k.Tenant != "" }), err
		})
	}},
	{"tells what was there before", "Follow/what was put and deleted", func(s driver.Store, f *faulty, _ <-chan struct{}) {
		next := s.(driver.Follower).Follow() // one for all, and it has begun
		_, _ = next(context.Background())
		f.follow = func() func(context.Context) ([]driver.Key, error) { return next }
	}},
	{"tells of new keys alone", "Follow/what was put and deleted", func(s driver.Store, f *faulty, _ <-chan struct{}) {
		known := map[driver.Key]bool{}
		changeFollow(s, f, func(ctx context.Context, next told) ([]driver.Key, error) {
			keys, err := next(ctx)
			keys = slices.DeleteFunc(keys, func(k driver.Key) bool { return known[k] })
			for _, k := range keys {
				known[k] = true
			}
			return keys, err
		})
	}},
	{"tells what is not locked", "Follow/what another store wrote", func(s driver.Store, f *faulty, _ <-chan struct{}) {
		changeFollow(s, f, func(ctx context.Context, next told) ([]driver.Key, error) {
			keys, err := next(ctx)
			for _, k := range keys {
				if l, ok, _ := s.TryLock(ctx, driver.Key{Kind: k.Kind, Name: "locked"}); ok {
					_ = l.Unlock()
				} else {
					return nil, err
				}
			}
			return keys, err
		})
	}},
	{"forgets when it fails", "Follow/a change after an error", func(s driver.Store, f *faulty, _ <-chan struct{}) {
		changeFollow(s, f, func(ctx context.Context, next told) ([]driver.Key, error) {
			if err := ctx.Err(); err != nil {
				_, _ = next(context.Background())
				return nil, err
			}
			return next(ctx)
		})
	}},
	{"does not look at its context", "Follow/a change after an error", func(s driver.Store, f *faulty, _ <-chan struct{}) {
		changeFollow(s, f, func(_ context.Context, next told) ([]driver.Key, error) { return next(context.Background()) })
	}},
	{"tells a page", "Follow/no change is missed", func(s driver.Store, f *faulty, _ <-chan struct{}) {
		changeFollow(s, f, func(ctx context.Context, next told) ([]driver.Key, error) {
			keys, err := next(ctx)
			return keys[:min(len(keys), 1)], err
		})
	}},
	{"goes on when it is told to end", "Follow/listening", func(s driver.Store, f *faulty, stop <-chan struct{}) {
		f.listen = func(context.Context, func()) error { <-stop; return nil }
	}},
	{"does not say why it ended", "Follow/listening", func(s driver.Store, f *faulty, _ <-chan struct{}) {
		f.listen = func(ctx context.Context, _ func()) error { <-ctx.Done(); return errors.New("connection closed") }
	}},
}
