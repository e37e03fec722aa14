package memstore

import (
	"context"
	"maps"
	"time"

	"github.com/outgrant/outgrant/credstore/driver"
)

var _ driver.Claimer = (*Store)(nil)

// Claim is that of [driver.Claimer].
func (s *Store) Claim(ctx context.Context, kind string, before time.Time, limit int, hold time.Duration) ([]driver.Key, error) {
	if err := check(ctx, driver.Key{Kind: kind, Name: "any"}); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, errClosed
	}
	now := time.Now()
	maps.DeleteFunc(s.claimed, func(_ driver.Key, until time.Time) bool { return !until.After(now) })
	var keys []driver.Key
	for _, d := range s.due[kind] {
		if len(keys) >= limit || d.at.After(before) {
			break
		}
		if _, claimed := s.claimed[d.key]; !claimed {
			s.claimed[d.key] = now.Add(hold)
			keys = append(keys, d.key)
		}
	}
	return keys, nil
}
