package drivertest_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"time"

	"github.com/outgrant/outgrant/credstore/driver"
)

var keyFaults = []fault{
	{"folds case", "Keys/different keys are different records", func(s driver.Store, f *faulty, _ <-chan struct{}) {
		mapKeys(s, f, func(k driver.Key) driver.Key { k.Name = strings.ToLower(k.Name); return k })
	}},
	{"cuts names", "Keys/different keys are different records", func(s driver.Store, f *faulty, _ <-chan struct{}) {
		mapKeys(s, f, func(k driver.Key) driver.Key { k.Name = k.Name[:min(len(k.Name), 1000)]; return k })
	}},
	{"normalizes accents", "Keys/different keys are different records", func(s driver.Store, f *faulty, _ <-chan struct{}) {
		mapKeys(s, f, func(k driver.Key) driver.Key { k.Name = strings.ReplaceAll(k.Name, "e\u0301", "\u00e9"); return k })
	}},
	{"trims names", "Keys/different keys are different records", func(s driver.Store, f *faulty, _ <-chan struct{}) {
		mapKeys(s, f, func(k driver.Key) driver.Key { k.Name = strings.Trim(k.Name, " ."); return k })
	}},
	{"one lock for all", "Keys/different keys are different locks", func(s driver.Store, f *faulty, _ <-chan struct{}) {
		f.tryLock = func(ctx context.Context, k driver.Key) (driver.Lock, bool, error) {
			return s.TryLock(ctx, driver.Key{Kind: "k", Name: "n"})
		}
	}},
	{"folds case in locks", "Keys/different keys are different locks", func(s driver.Store, f *faulty, _ <-chan struct{}) {
		f.tryLock = func(ctx context.Context, k driver.Key) (driver.Lock, bool, error) {
			k.Name = strings.ToLower(k.Name)
			return s.TryLock(ctx, k)
		}
	}},
	{"forgets the tenant", "Keys/tenants and kinds are apart", func(s driver.Store, f *faulty, _ <-chan struct{}) {
		mapKeys(s, f, func(k driver.Key) driver.Key { k.Tenant = ""; return k })
	}},
	{"joins with a slash", "Keys/tenants and kinds are apart", func(s driver.Store, f *faulty, _ <-chan struct{}) {
		mapKeys(s, f, func(k driver.Key) driver.Key {
			return driver.Key{Kind: "k", Name: strings.ReplaceAll(k.Tenant+"/"+k.Kind+"/"+k.Name, strings.Repeat("k", 800), "")}
		})
		f.list = func(ctx context.Context, tenant, kind string) iter.Seq2[driver.Record, error] {
			return s.List(ctx, tenant, kind)
		}
	}},
	{"lists all tenants", "Keys/tenants and kinds are apart", func(s driver.Store, f *faulty, _ <-chan struct{}) {
		f.list = func(ctx context.Context, tenant, kind string) iter.Seq2[driver.Record, error] {
			return func(yield func(driver.Record, error) bool) {
				for _, t := range []string{"", "t"} {
					for r, err := range s.List(ctx, t, kind) {
						r.Tenant = tenant
						if !yield(r, err) {
							return
						}
					}
				}
			}
		}
	}},
	{"takes a NUL", "Keys/bad keys are refused", func(s driver.Store, f *faulty, _ <-chan struct{}) {
		mapKeys(s, f, func(k driver.Key) driver.Key { k.Name = strings.ReplaceAll(k.Name, "\x00", "0"); return k })
	}},
	{"takes a bad key as missing", "Keys/bad keys are refused", func(s driver.Store, f *faulty, _ <-chan struct{}) {
		f.get = func(ctx context.Context, k driver.Key) (driver.Record, error) {
			if k.Check() != nil {
				return driver.Record{}, driver.ErrNotFound
			}
			return s.Get(ctx, k)
		}
	}},
}

// mapKeys lets a store use other keys than it is asked for.
func mapKeys(s driver.Store, f *faulty, change func(driver.Key) driver.Key) {
	f.get = func(ctx context.Context, k driver.Key) (driver.Record, error) {
		r, err := s.Get(ctx, change(k))
		r.Key = k
		return r, err
	}
	f.put = func(ctx context.Context, r driver.Record, ifVersion string) (string, error) {
		r.Key = change(r.Key)
		return s.Put(ctx, r, ifVersion)
	}
	f.delete = func(ctx context.Context, k driver.Key, ifVersion string) error {
		return s.Delete(ctx, change(k), ifVersion)
	}
	f.lock = func(ctx context.Context, k driver.Key) (driver.Lock, error) { return s.Lock(ctx, change(k)) }
	f.tryLock = func(ctx context.Context, k driver.Key) (driver.Lock, bool, error) { return s.TryLock(ctx, change(k)) }
}

var recordFaults = []fault{
	{"drops Expires", "Records/what is put is got", func(s driver.Store, f *faulty, _ <-chan struct{}) {
		f.put = func(ctx context.Context, r driver.Record, ifVersion string) (string, error) {
			r.Expires = time.Time{}
			return s.Put(ctx, r, ifVersion)
		}
	}},
	{"keeps what an update leaves out", "Records/what is put is got", func(s driver.Store, f *faulty, _ <-chan struct{}) {
		f.put = func(ctx context.Context, r driver.Record, ifVersion string) (string, error) {
			if old, err := s.Get(ctx, r.Key); err == nil && r.Sealed == nil {
				r.Sealed = old.Sealed
			}
			return s.Put(ctx, r, ifVersion)
		}
	}},
	{"takes Sealed for text", "Records/what is put is got", func(s driver.Store, f *faulty, _ <-chan struct{}) {
		f.put = func(ctx context.Context, r driver.Record, ifVersion string) (string, error) {
			r.Sealed = bytes.ToValidUTF8(r.Sealed, []byte("\ufffd"))
			return s.Put(ctx, r, ifVersion)
		}
	}},
	{"keeps milliseconds", "Records/times", func(s driver.Store, f *faulty, _ <-chan struct{}) {
		f.put = func(ctx context.Context, r driver.Record, ifVersion string) (string, error) {
			r.Due = r.Due.Truncate(time.Millisecond)
			return s.Put(ctx, r, ifVersion)
		}
	}},
	{"takes 1970 for never", "Records/times", func(s driver.Store, f *faulty, _ <-chan struct{}) {
		f.put = func(ctx context.Context, r driver.Record, ifVersion string) (string, error) {
			if r.Expires.Equal(time.Unix(0, 0)) {
				r.Expires = time.Time{}
			}
			return s.Put(ctx, r, ifVersion)
		}
	}},
	{"forgets the time zone", "Records/times", func(s driver.Store, f *faulty, _ <-chan struct{}) {
		f.put = func(ctx context.Context, r driver.Record, ifVersion string) (string, error) {
			y, m, d := r.Expires.Date()
			if !r.Expires.IsZero() {
				r.Expires = time.Date(y, m, d, r.Expires.Hour(), r.Expires.Minute(), r.Expires.Second(), r.Expires.Nanosecond(), time.UTC)
			}
			return s.Put(ctx, r, ifVersion)
		}
	}},
	{"writes whatever the version", "Records/put compares the version", func(s driver.Store, f *faulty, _ <-chan struct{}) {
		f.put = func(ctx context.Context, r driver.Record, ifVersion string) (string, error) {
			old, _ := s.Get(ctx, r.Key)
			return s.Put(ctx, r, old.Version)
		}
	}},
	{"creates over what is there", "Records/put compares the version", func(s driver.Store, f *faulty, _ <-chan struct{}) {
		f.put = func(ctx context.Context, r driver.Record, ifVersion string) (string, error) {
			if old, err := s.Get(ctx, r.Key); err == nil && ifVersion == "" {
				ifVersion = old.Version
			}
			return s.Put(ctx, r, ifVersion)
		}
	}},
	{"updates what is not there", "Records/put compares the version", func(s driver.Store, f *faulty, _ <-chan struct{}) {
		f.put = func(ctx context.Context, r driver.Record, ifVersion string) (string, error) {
			if _, err := s.Get(ctx, r.Key); err != nil {
				ifVersion = ""
			}
			return s.Put(ctx, r, ifVersion)
		}
	}},
	{"deletes whatever the version", "Records/delete compares the version", func(s driver.Store, f *faulty, _ <-chan struct{}) {
		f.delete = func(ctx context.Context, k driver.Key, _ string) error { return s.Delete(ctx, k, "") }
	}},
	{"deletes what is not there", "Records/delete compares the version", func(s driver.Store, f *faulty, _ <-chan struct{}) {
		f.delete = func(ctx context.Context, k driver.Key, ifVersion string) error {
			if err := s.Delete(ctx, k, ifVersion); !errors.Is(err, driver.ErrNotFound) {
				return err
			}
			return nil
		}
	}},
	{"says conflict of what is not there", "Records/delete compares the version", func(s driver.Store, f *faulty, _ <-chan struct{}) {
		f.delete = func(ctx context.Context, k driver.Key, ifVersion string) error {
			err := s.Delete(ctx, k, ifVersion)
			if errors.Is(err, driver.ErrNotFound) {
				return driver.ErrConflict
			}
			return err
		}
	}},
	{"counts versions from one", "Records/versions never come back", func(s driver.Store, f *faulty, _ <-chan struct{}) { countVersions(s, f) }},
	{"shares what it is given", "Records/memory is not shared", func(s driver.Store, f *faulty, _ <-chan struct{}) {
		given := map[driver.Key][]byte{}
		f.put = func(ctx context.Context, r driver.Record, ifVersion string) (string, error) {
			given[r.Key] = r.Sealed
			return s.Put(ctx, r, ifVersion)
		}
		f.get = func(ctx context.Context, k driver.Key) (driver.Record, error) {
			r, err := s.Get(ctx, k)
			r.Sealed = given[k]
			return r, err
		}
	}},
	{"shares what it returns", "Records/memory is not shared", func(s driver.Store, f *faulty, _ <-chan struct{}) {
		cache := map[string]driver.Record{}
		f.get = func(ctx context.Context, k driver.Key) (driver.Record, error) {
			r, err := s.Get(ctx, k)
			if cached, ok := cache[r.Version]; ok {
				return cached, err
			}
			cache[r.Version] = r
			return r, err
		}
	}},
	{"cuts at 64 KiB", "Records/large records", func(s driver.Store, f *faulty, _ <-chan struct{}) {
		f.put = func(ctx context.Context, r driver.Record, ifVersion string) (string, error) {
			r.Sealed = r.Sealed[:min(len(r.Sealed), 64<<10)]
			return s.Put(ctx, r, ifVersion)
		}
	}},
}

// countVersions gives each record the versions 1, 2, 3, from the start again after a delete.
func countVersions(s driver.Store, f *faulty) {
	counts := map[driver.Key]int{}
	inner := map[driver.Key]string{}
	version := func(k driver.Key) string { return fmt.Sprint(counts[k]) }
	f.get = func(ctx context.Context, k driver.Key) (driver.Record, error) {
		r, err := s.Get(ctx, k)
		r.Version = version(k)
		return r, err
	}
	f.put = func(ctx context.Context, r driver.Record, ifVersion string) (string, error) {
		if counts[r.Key] > 0 && ifVersion != version(r.Key) {
			return "", driver.ErrConflict
		}
		v, err := s.Put(ctx, r, inner[r.Key])
		counts[r.Key]++
		inner[r.Key] = v
		return version(r.Key), err
	}
	f.delete = func(ctx context.Context, k driver.Key, ifVersion string) error {
		delete(counts, k)
		delete(inner, k)
		return s.Delete(ctx, k, "")
	}
}
