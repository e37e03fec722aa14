package drivertest_test

import (
	"context"
	"iter"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant/credstore/driver"
	"github.com/outgrant/outgrant/credstore/drivertest"
	"github.com/outgrant/outgrant/credstore/memstore"
)

// faulty is a good store, some methods of which are replaced.
type faulty struct {
	driver.Store
	get     func(ctx context.Context, k driver.Key) (driver.Record, error)
	put     func(ctx context.Context, r driver.Record, ifVersion string) (string, error)
	delete  func(ctx context.Context, k driver.Key, ifVersion string) error
	list    func(ctx context.Context, tenant, kind string) iter.Seq2[driver.Record, error]
	due     func(ctx context.Context, kind string, before time.Time, limit int) ([]driver.Key, error)
	lock    func(ctx context.Context, k driver.Key) (driver.Lock, error)
	tryLock func(ctx context.Context, k driver.Key) (driver.Lock, bool, error)
	follow  func() func(context.Context) ([]driver.Key, error)
	listen  func(ctx context.Context, changed func()) error
	claim   func(ctx context.Context, kind string, before time.Time, limit int, hold time.Duration) ([]driver.Key, error)
}

func newFaulty(s driver.Store) *faulty {
	f := &faulty{Store: s, get: s.Get, put: s.Put, delete: s.Delete, list: s.List, due: s.Due, lock: s.Lock, tryLock: s.TryLock}
	if s, ok := s.(driver.Follower); ok {
		f.follow = s.Follow
	}
	if s, ok := s.(driver.Claimer); ok {
		f.claim = s.Claim
	}
	f.listen = func(ctx context.Context, _ func()) error { <-ctx.Done(); return ctx.Err() }
	return f
}

func (f *faulty) Follow() func(context.Context) ([]driver.Key, error) { return f.follow() }
func (f *faulty) Listen(ctx context.Context, changed func()) error    { return f.listen(ctx, changed) }

func (f *faulty) Claim(ctx context.Context, kind string, before time.Time, limit int, hold time.Duration) ([]driver.Key, error) {
	return f.claim(ctx, kind, before, limit, hold)
}

func (f *faulty) Get(ctx context.Context, k driver.Key) (driver.Record, error) { return f.get(ctx, k) }
func (f *faulty) Put(ctx context.Context, r driver.Record, ifVersion string) (string, error) {
	return f.put(ctx, r, ifVersion)
}
func (f *faulty) Delete(ctx context.Context, k driver.Key, ifVersion string) error {
	return f.delete(ctx, k, ifVersion)
}
func (f *faulty) List(ctx context.Context, tenant, kind string) iter.Seq2[driver.Record, error] {
	return f.list(ctx, tenant, kind)
}
func (f *faulty) Due(ctx context.Context, kind string, before time.Time, limit int) ([]driver.Key, error) {
	return f.due(ctx, kind, before, limit)
}
func (f *faulty) Lock(ctx context.Context, k driver.Key) (driver.Lock, error) { return f.lock(ctx, k) }
func (f *faulty) TryLock(ctx context.Context, k driver.Key) (driver.Lock, bool, error) {
	return f.tryLock(ctx, k)
}

// lockOf is a lock made of functions.
type lockOf struct {
	unlock func() error
	lost   <-chan struct{}
}

func (l lockOf) Unlock() error         { return l.unlock() }
func (l lockOf) Lost() <-chan struct{} { return l.lost }

// A fault is what somebody else's backend may do wrong, and the check that tells.
type fault struct {
	name, check string
	spoil       func(s driver.Store, f *faulty, stop <-chan struct{}) // stop: the test ends
}

var faults = slices.Concat(keyFaults, recordFaults, listFaults, dueFaults, contextFaults, lockFaults, concurrencyFaults, followFaults, claimFaults)

func TestEachFaultIsFound(t *testing.T) {
	t.Parallel()
	for _, fault := range faults {
		t.Run(fault.check+"/"+fault.name, func(t *testing.T) {
			t.Parallel()
			stop := make(chan struct{})
			defer close(stop)
			failures := failuresOf(t, fault.check, &drivertest.Suite{Open: func(string) (driver.Store, error) {
				s := memstore.New()
				f := newFaulty(s)
				fault.spoil(s, f, stop)
				return f, nil
			}})
			require.NotEmpty(t, failures)
			t.Log(failures[0])
		})
	}
}

func TestEachCheckFindsAFault(t *testing.T) {
	t.Parallel()
	found := map[string]bool{}
	for _, fault := range faults {
		found[fault.check] = true
	}
	for _, fault := range processFaults {
		found[fault.check] = true
	}
	for _, name := range drivertest.CheckNames() {
		require.True(t, found[name], "no fault shows that the check %q can fail", name)
	}
}
