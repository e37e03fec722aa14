package memstore

import (
	"context"
	"fmt"
	"sync"

	"github.com/outgrant/outgrant/credstore/driver"
)

// Lock is that of [driver.Store].
func (s *Store) Lock(ctx context.Context, k driver.Key) (driver.Lock, error) {
	if err := s.mayLock(ctx, k); err != nil {
		return nil, err
	}
	if err := s.locks.Lock(ctx, k); err != nil {
		return nil, fmt.Errorf("memstore: waiting for the lock of %v: %w", k, err)
	}
	return &lock{store: s, key: k}, nil
}

// TryLock is that of [driver.Store].
func (s *Store) TryLock(ctx context.Context, k driver.Key) (driver.Lock, bool, error) {
	if err := s.mayLock(ctx, k); err != nil {
		return nil, false, err
	}
	if !s.locks.TryLock(k) {
		return nil, false, nil
	}
	return &lock{store: s, key: k}, true, nil
}

func (s *Store) mayLock(ctx context.Context, k driver.Key) error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed {
		return errClosed
	}
	return check(ctx, k)
}

type lock struct {
	store *Store
	key   driver.Key
	once  sync.Once
}

func (*lock) Lost() <-chan struct{} { return nil }

func (l *lock) Unlock() error {
	l.once.Do(func() { l.store.locks.Unlock(l.key) })
	return nil
}
