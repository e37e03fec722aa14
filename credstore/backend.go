package credstore

import (
	"context"
	"iter"
	"sync"
	"time"

	"github.com/outgrant/outgrant/credstore/driver"
)

// backend is a driver's store that can be closed while it is used: calls that are under way are ended first, and later
// ones are refused.
type backend struct {
	store driver.Store
	life  context.Context
	end   context.CancelFunc

	mu    sync.Mutex
	calls sync.WaitGroup
}

var _ driver.Store = (*backend)(nil)

func newBackend(store driver.Store) *backend {
	b := &backend{store: store}
	b.life, b.end = context.WithCancel(context.Background())
	return b
}

// begin returns the context of a call, and what ends it.
func (b *backend) begin(ctx context.Context) (context.Context, func(), error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.life.Err() != nil {
		return nil, nil, errClosed
	}
	b.calls.Add(1)
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(b.life, cancel)
	return ctx, func() {
		stop()
		cancel()
		b.calls.Done()
	}, nil
}

func (b *backend) Get(ctx context.Context, k driver.Key) (driver.Record, error) {
	ctx, end, err := b.begin(ctx)
	if err != nil {
		return driver.Record{}, err
	}
	defer end()
	return b.store.Get(ctx, k)
}

func (b *backend) Put(ctx context.Context, r driver.Record, ifVersion string) (string, error) {
	ctx, end, err := b.begin(ctx)
	if err != nil {
		return "", err
	}
	defer end()
	return b.store.Put(ctx, r, ifVersion)
}

func (b *backend) Delete(ctx context.Context, k driver.Key, ifVersion string) error {
	ctx, end, err := b.begin(ctx)
	if err != nil {
		return err
	}
	defer end()
	return b.store.Delete(ctx, k, ifVersion)
}

func (b *backend) List(ctx context.Context, tenant, kind string) iter.Seq2[driver.Record, error] {
	return func(yield func(driver.Record, error) bool) {
		ctx, end, err := b.begin(ctx)
		if err != nil {
			yield(driver.Record{}, err)
			return
		}
		defer end()
		b.store.List(ctx, tenant, kind)(yield)
	}
}

func (b *backend) Due(ctx context.Context, kind string, before time.Time, limit int) ([]driver.Key, error) {
	ctx, end, err := b.begin(ctx)
	if err != nil {
		return nil, err
	}
	defer end()
	return b.store.Due(ctx, kind, before, limit)
}

func (b *backend) Lock(ctx context.Context, k driver.Key) (driver.Lock, error) {
	ctx, end, err := b.begin(ctx)
	if err != nil {
		return nil, err
	}
	defer end()
	return b.store.Lock(ctx, k)
}

func (b *backend) TryLock(ctx context.Context, k driver.Key) (driver.Lock, bool, error) {
	ctx, end, err := b.begin(ctx)
	if err != nil {
		return nil, false, err
	}
	defer end()
	return b.store.TryLock(ctx, k)
}

// claim is Due, and if the driver can, of what no other process has claimed: that is this one's for so long.
func (b *backend) claim(ctx context.Context, kind string, before time.Time, limit int, hold time.Duration) ([]driver.Key, error) {
	claimer, ok := b.store.(driver.Claimer)
	if !ok {
		return b.Due(ctx, kind, before, limit)
	}
	ctx, end, err := b.begin(ctx)
	if err != nil {
		return nil, err
	}
	defer end()
	return claimer.Claim(ctx, kind, before, limit, hold)
}

// follow returns what tells what has changed; nil: the driver cannot.
func (b *backend) follow() func(context.Context) ([]driver.Key, error) {
	follower, ok := b.store.(driver.Follower)
	if !ok {
		return nil
	}
	next := follower.Follow()
	return func(ctx context.Context) ([]driver.Key, error) {
		ctx, end, err := b.begin(ctx)
		if err != nil {
			return nil, err
		}
		defer end()
		return next(ctx)
	}
}

// Close is called once.
func (b *backend) Close() error {
	b.mu.Lock()
	b.end()
	b.mu.Unlock()
	waitAtMost(closePatience, &b.calls)
	return b.store.Close()
}
