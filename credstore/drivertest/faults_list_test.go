package drivertest_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/outgrant/outgrant/credstore/driver"
)

var listFaults = []fault{
	{"lists Sealed", "List/all but what is sealed", func(s driver.Store, f *faulty, _ <-chan struct{}) {
		changeList(s, f, func(r *driver.Record) bool { *r, _ = s.Get(context.Background(), r.Key); return true })
	}},
	{"lists without Info", "List/all but what is sealed", func(s driver.Store, f *faulty, _ <-chan struct{}) {
		changeList(s, f, func(r *driver.Record) bool { r.Info = nil; return true })
	}},
	{"lists without times", "List/all but what is sealed", func(s driver.Store, f *faulty, _ <-chan struct{}) {
		changeList(s, f, func(r *driver.Record) bool { r.Due = time.Time{}; return true })
	}},
	{"lists a page", "List/all but what is sealed", func(s driver.Store, f *faulty, _ <-chan struct{}) {
		f.list = func(ctx context.Context, tenant, kind string) iter.Seq2[driver.Record, error] {
			return func(yield func(driver.Record, error) bool) {
				n := 0
				for r, err := range s.List(ctx, tenant, kind) {
					if n++; n > 20 || !yield(r, err) {
						return
					}
				}
			}
		}
	}},
	{"locks while it lists", "List/while others write", func(s driver.Store, f *faulty, _ <-chan struct{}) {
		turn := make(chan struct{}, 1)
		f.list = func(ctx context.Context, tenant, kind string) iter.Seq2[driver.Record, error] {
			return func(yield func(driver.Record, error) bool) {
				turn <- struct{}{}
				defer func() { <-turn }()
				s.List(ctx, tenant, kind)(yield)
			}
		}
		f.put = func(ctx context.Context, r driver.Record, ifVersion string) (string, error) {
			select {
			case turn <- struct{}{}:
				defer func() { <-turn }()
				return s.Put(ctx, r, ifVersion)
			case <-time.After(20 * time.Millisecond):
				return "", errors.New("database is locked")
			}
		}
	}},
	{"lists once", "List/ends when its caller does", func(s driver.Store, f *faulty, _ <-chan struct{}) {
		f.list = func(ctx context.Context, tenant, kind string) iter.Seq2[driver.Record, error] {
			var used bool
			return func(yield func(driver.Record, error) bool) {
				if !used {
					used = true
					s.List(ctx, tenant, kind)(yield)
				}
			}
		}
	}},
}

func changeList(s driver.Store, f *faulty, change func(*driver.Record) bool) {
	f.list = func(ctx context.Context, tenant, kind string) iter.Seq2[driver.Record, error] {
		return func(yield func(driver.Record, error) bool) {
			for r, err := range s.List(ctx, tenant, kind) {
				if change(&r) && !yield(r, err) {
					return
				}
			}
		}
	}
}

var dueFaults = []fault{
	{"ignores the limit", "Due/the earliest first", func(s driver.Store, f *faulty, _ <-chan struct{}) {
		f.due = func(ctx context.Context, kind string, before time.Time, _ int) ([]driver.Key, error) {
			return s.Due(ctx, kind, before, 1000)
		}
	}},
	{"takes no limit for no limit", "Due/the earliest first", func(s driver.Store, f *faulty, _ <-chan struct{}) {
		f.due = func(ctx context.Context, kind string, before time.Time, limit int) ([]driver.Key, error) {
			if limit == 0 {
				limit = 1000
			}
			return s.Due(ctx, kind, before, limit)
		}
	}},
	{"limits before it sorts", "Due/the earliest first", func(s driver.Store, f *faulty, _ <-chan struct{}) {
		f.due = func(ctx context.Context, kind string, before time.Time, limit int) ([]driver.Key, error) {
			keys, err := s.Due(ctx, kind, before, 1000)
			return keys[max(0, len(keys)-limit):], err
		}
	}},
	{"excludes the moment itself", "Due/the earliest first", func(s driver.Store, f *faulty, _ <-chan struct{}) {
		f.due = func(ctx context.Context, kind string, before time.Time, limit int) ([]driver.Key, error) {
			return s.Due(ctx, kind, before.Add(-time.Microsecond), limit)
		}
	}},
	{"goes by seconds", "Due/the earliest first", func(s driver.Store, f *faulty, _ <-chan struct{}) {
		f.due = func(ctx context.Context, kind string, before time.Time, limit int) ([]driver.Key, error) {
			return s.Due(ctx, kind, before.Truncate(time.Second).Add(time.Second), limit)
		}
	}},
	{"keeps the first time", "Due/follows each write", func(s driver.Store, f *faulty, _ <-chan struct{}) {
		first := map[driver.Key]time.Time{}
		f.put = func(ctx context.Context, r driver.Record, ifVersion string) (string, error) {
			if due, ok := first[r.Key]; ok {
				r.Due = due
			} else {
				first[r.Key] = r.Due
			}
			return s.Put(ctx, r, ifVersion)
		}
	}},
	{"forgets nothing that was due", "Due/follows each write", func(s driver.Store, f *faulty, _ <-chan struct{}) { rememberDue(s, f) }},
	{"one key for each time", "Due/at one time", func(s driver.Store, f *faulty, _ <-chan struct{}) {
		f.due = func(ctx context.Context, kind string, before time.Time, limit int) ([]driver.Key, error) {
			keys, err := s.Due(ctx, kind, before, limit)
			return slices.CompactFunc(keys, func(a, b driver.Key) bool {
				x, _ := s.Get(ctx, a)
				y, _ := s.Get(ctx, b)
				return x.Due.Equal(y.Due)
			}), err
		}
	}},
	{"one tenant alone", "Due/all tenants", func(s driver.Store, f *faulty, _ <-chan struct{}) {
		f.due = func(ctx context.Context, kind string, before time.Time, limit int) ([]driver.Key, error) {
			keys, err := s.Due(ctx, kind, before, limit)
			return slices.DeleteFunc(keys, func(k driver.Key) bool { return k.Tenant != "" }), err
		}
	}},
	{"tenant by tenant", "Due/all tenants", func(s driver.Store, f *faulty, _ <-chan struct{}) {
		f.due = func(ctx context.Context, kind string, before time.Time, limit int) ([]driver.Key, error) {
			keys, err := s.Due(ctx, kind, before, 1000)
			slices.SortStableFunc(keys, func(a, b driver.Key) int { return strings.Compare(a.Tenant, b.Tenant) })
			return keys[:min(limit, len(keys))], err
		}
	}},
	{"nothing before 1970", "Due/any time", func(s driver.Store, f *faulty, _ <-chan struct{}) {
		f.due = func(ctx context.Context, kind string, before time.Time, limit int) ([]driver.Key, error) {
			if before.Before(time.Unix(0, 0)) {
				return nil, nil
			}
			return s.Due(ctx, kind, before, limit)
		}
	}},
}

// rememberDue keeps keys in the index whose records were deleted.
func rememberDue(s driver.Store, f *faulty) {
	var deleted []driver.Key
	f.delete = func(ctx context.Context, k driver.Key, ifVersion string) error {
		deleted = append(deleted, k)
		return s.Delete(ctx, k, ifVersion)
	}
	f.due = func(ctx context.Context, kind string, before time.Time, limit int) ([]driver.Key, error) {
		keys, err := s.Due(ctx, kind, before, limit)
		return append(keys, deleted...), err
	}
}

var contextFaults = []fault{
	{"ignores contexts in Put", "Contexts/one that has ended stops each method", func(s driver.Store, f *faulty, _ <-chan struct{}) {
		f.put = func(_ context.Context, r driver.Record, ifVersion string) (string, error) {
			return s.Put(context.Background(), r, ifVersion)
		}
	}},
	{"ignores contexts in List", "Contexts/one that has ended stops each method", func(s driver.Store, f *faulty, _ <-chan struct{}) {
		f.list = func(_ context.Context, tenant, kind string) iter.Seq2[driver.Record, error] {
			return s.List(context.Background(), tenant, kind)
		}
	}},
	{"ignores contexts in TryLock", "Contexts/one that has ended stops each method", func(s driver.Store, f *faulty, _ <-chan struct{}) {
		f.tryLock = func(_ context.Context, k driver.Key) (driver.Lock, bool, error) {
			return s.TryLock(context.Background(), k)
		}
	}},
	{"says it in its own words", "Contexts/one that has ended stops each method", func(s driver.Store, f *faulty, _ <-chan struct{}) {
		f.get = func(ctx context.Context, k driver.Key) (driver.Record, error) {
			r, err := s.Get(ctx, k)
			if err != nil {
				err = fmt.Errorf("reading: %v", err)
			}
			return r, err
		}
	}},
	{"ends a list without a word", "Contexts/one that ends stops a list", func(s driver.Store, f *faulty, _ <-chan struct{}) {
		f.list = func(ctx context.Context, tenant, kind string) iter.Seq2[driver.Record, error] {
			return func(yield func(driver.Record, error) bool) {
				for r, err := range s.List(context.Background(), tenant, kind) {
					if !yield(r, err) || ctx.Err() != nil {
						return
					}
				}
			}
		}
	}},
	{"lock ends with the context", "Contexts/one that ends does not end the lock", func(s driver.Store, f *faulty, _ <-chan struct{}) {
		f.lock = func(ctx context.Context, k driver.Key) (driver.Lock, error) {
			l, err := s.Lock(ctx, k)
			if err == nil {
				context.AfterFunc(ctx, func() { _ = l.Unlock() })
			}
			return l, err
		}
	}},
}
