package drivertest_test

import (
	"context"
	"time"

	"github.com/outgrant/outgrant/credstore/driver"
)

var claimFaults = []fault{
	{"claims nothing", "Claims/each is given once", func(s driver.Store, f *faulty, _ <-chan struct{}) {
		f.claim = func(ctx context.Context, kind string, before time.Time, limit int, _ time.Duration) ([]driver.Key, error) {
			return s.Due(ctx, kind, before, limit)
		}
		f.due = func(context.Context, string, time.Time, int) ([]driver.Key, error) { return nil, nil }
	}},
	{"claims what is not due", "Claims/what is due, and no more", func(s driver.Store, f *faulty, _ <-chan struct{}) {
		f.claim = func(ctx context.Context, kind string, before time.Time, limit int, hold time.Duration) ([]driver.Key, error) {
			return s.(driver.Claimer).Claim(ctx, kind, before.Add(time.Second), limit, hold)
		}
	}},
	{"a put ends it", "Claims/a claim lasts", func(s driver.Store, f *faulty, _ <-chan struct{}) {
		f.put = func(ctx context.Context, r driver.Record, ifVersion string) (string, error) {
			if ifVersion == "" {
				return s.Put(ctx, r, "")
			}
			v, err := s.Put(ctx, r, ifVersion)
			f.claim = func(ctx context.Context, kind string, before time.Time, limit int, _ time.Duration) ([]driver.Key, error) {
				return s.Due(ctx, kind, before, limit)
			}
			return v, err
		}
	}},
	{"lasts for ever", "Claims/a claim lasts", func(s driver.Store, f *faulty, _ <-chan struct{}) {
		f.claim = func(ctx context.Context, kind string, before time.Time, limit int, _ time.Duration) ([]driver.Key, error) {
			return s.(driver.Claimer).Claim(ctx, kind, before, limit, time.Hour)
		}
	}},
}
