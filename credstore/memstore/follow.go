package memstore

import (
	"context"

	"github.com/outgrant/outgrant/credstore/driver"
)

var _ driver.Follower = (*Store)(nil)

// Follow is that of [driver.Follower].
func (s *Store) Follow() func(context.Context) ([]driver.Key, error) {
	seen, began := uint64(0), false
	return func(ctx context.Context) ([]driver.Key, error) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		s.mu.RLock()
		defer s.mu.RUnlock()
		if s.closed {
			return nil, errClosed
		}
		var keys []driver.Key
		for k, at := range s.changed {
			if began && at > seen {
				keys = append(keys, k)
			}
		}
		seen, began = s.changes, true
		return keys, nil
	}
}

// note notes a change. s.mu is held.
func (s *Store) note(k driver.Key) {
	s.changes++
	s.changed[k] = s.changes
}
