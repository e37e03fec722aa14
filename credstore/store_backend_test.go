package credstore_test

import (
	"context"
	"errors"
	"iter"
	"sync"
	"sync/atomic"
	"time"

	"github.com/outgrant/outgrant/credstore/driver"
)

// sharedBackend is a backend that stores of several processes have open. It counts what is asked of it, and lets things go
// wrong.
type sharedBackend struct {
	driver.Store
	mu     sync.Mutex
	counts map[string]int
	fault  func(ctx context.Context, op string, k driver.Key) error // before the call; nil: none
	late   func(op string, k driver.Key)                            // after a Get; nil: nothing
	loses  atomic.Bool                                              // the answers to what it has stored
}

// after has something happen between a Get and its answer; nil: no more.
func (b *sharedBackend) after(late func(op string, k driver.Key)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.late = late
}

// Close leaves it open for the other processes.
func (b *sharedBackend) Close() error { return nil }

// inject makes things go wrong; nil: no more.
func (b *sharedBackend) inject(fault func(ctx context.Context, op string, k driver.Key) error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.fault = fault
}

// count returns how often it was asked, and forgets it: of "get", "put", "delete", "list", "due" and "lock".
func (b *sharedBackend) count() map[string]int {
	b.mu.Lock()
	defer b.mu.Unlock()
	counts := b.counts
	b.counts = map[string]int{}
	return counts
}

func (b *sharedBackend) begin(ctx context.Context, op string, k driver.Key) error {
	b.mu.Lock()
	b.counts[op]++
	fault := b.fault
	b.mu.Unlock()
	if fault != nil {
		return fault(ctx, op, k)
	}
	return nil
}

func (b *sharedBackend) Get(ctx context.Context, k driver.Key) (driver.Record, error) {
	if err := b.begin(ctx, "get", k); err != nil {
		return driver.Record{}, err
	}
	r, err := b.Store.Get(ctx, k)
	b.mu.Lock()
	late := b.late
	b.mu.Unlock()
	if late != nil {
		late("get", k)
	}
	return r, err
}

func (b *sharedBackend) Put(ctx context.Context, r driver.Record, ifVersion string) (string, error) {
	if err := b.begin(ctx, "put", r.Key); err != nil {
		return "", err
	}
	version, err := b.Store.Put(ctx, r, ifVersion)
	if b.loses.Load() {
		return "", errDisk
	}
	return version, err
}

func (b *sharedBackend) Delete(ctx context.Context, k driver.Key, ifVersion string) error {
	if err := b.begin(ctx, "delete", k); err != nil {
		return err
	}
	err := b.Store.Delete(ctx, k, ifVersion)
	if b.loses.Load() {
		return errDisk
	}
	return err
}

func (b *sharedBackend) List(ctx context.Context, tenant, kind string) iter.Seq2[driver.Record, error] {
	if err := b.begin(ctx, "list", driver.Key{Tenant: tenant, Kind: kind}); err != nil {
		return func(yield func(driver.Record, error) bool) { yield(driver.Record{}, err) }
	}
	return b.Store.List(ctx, tenant, kind)
}

func (b *sharedBackend) Due(ctx context.Context, kind string, before time.Time, limit int) ([]driver.Key, error) {
	if err := b.begin(ctx, "due", driver.Key{Kind: kind}); err != nil {
		return nil, err
	}
	return b.Store.Due(ctx, kind, before, limit)
}

func (b *sharedBackend) Lock(ctx context.Context, k driver.Key) (driver.Lock, error) {
	if err := b.begin(ctx, "lock", k); err != nil {
		return nil, err
	}
	return b.Store.Lock(ctx, k)
}

// hang waits as a backend does that does not answer.
func hang(ctx context.Context, _ string, _ driver.Key) error {
	<-ctx.Done()
	return ctx.Err()
}

var errDisk = errors.New("no space left on device")
