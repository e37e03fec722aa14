// Package memstore keeps records in memory.
//
// Use this when you test, or show something: what it keeps ends with the process, and no other process sees it. A
// refresh token that rotates does not survive that; use credstore/filestore for everything else.
package memstore

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"io/fs"
	"iter"
	"slices"
	"sync"
	"time"

	"github.com/outgrant/outgrant/credstore/driver"
	"github.com/outgrant/outgrant/internal/keylock"
)

// Store is a [driver.Store] in memory. Its locks are given in the order of asking, and cannot be lost. It is safe for
// concurrent use.
type Store struct {
	locks keylock.Locks[driver.Key]

	mu      sync.RWMutex
	closed  bool
	records map[scope]map[string]driver.Record // by name
	due     map[string][]dueKey                // by kind, the earliest first
	changes uint64                             // how many there were
	changed map[driver.Key]uint64              // when each was
	claimed map[driver.Key]time.Time           // until when
}

var _ driver.Store = (*Store)(nil)

type scope struct{ tenant, kind string }

type dueKey struct {
	at  time.Time
	key driver.Key
}

// New returns an empty store.
func New() *Store {
	return &Store{records: map[scope]map[string]driver.Record{}, due: map[string][]dueKey{}, changed: map[driver.Key]uint64{}, claimed: map[driver.Key]time.Time{}}
}

// Get is that of [driver.Store].
func (s *Store) Get(ctx context.Context, k driver.Key) (driver.Record, error) {
	if err := check(ctx, k); err != nil {
		return driver.Record{}, err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	r, err := s.find(k)
	return copied(r), err
}

// Put is that of [driver.Store].
func (s *Store) Put(ctx context.Context, r driver.Record, ifVersion string) (string, error) {
	if err := check(ctx, r.Key); err != nil {
		return "", err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return "", errClosed
	}
	in := scope{r.Tenant, r.Kind}
	old := s.records[in][r.Name] // without a version if there is none
	if old.Version != ifVersion {
		return "", fmt.Errorf("memstore: %v: %w", r.Key, driver.ErrConflict)
	}
	r = copied(r)
	r.Version = rand.Text()
	r.Due, r.Expires = r.Due.Round(0), r.Expires.Round(0) // without the monotonic clock
	if s.records[in] == nil {
		s.records[in] = map[string]driver.Record{}
	}
	s.records[in][r.Name] = r
	s.reschedule(old, r)
	s.note(r.Key)
	return r.Version, nil
}

// Delete is that of [driver.Store].
func (s *Store) Delete(ctx context.Context, k driver.Key, ifVersion string) error {
	if err := check(ctx, k); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	old, err := s.find(k)
	if err != nil {
		return err
	}
	if ifVersion != "" && ifVersion != old.Version {
		return fmt.Errorf("memstore: %v: %w", k, driver.ErrConflict)
	}
	delete(s.records[scope{k.Tenant, k.Kind}], k.Name)
	s.reschedule(old, driver.Record{})
	s.note(k)
	return nil
}

// List is that of [driver.Store]: the records that are there when it begins.
func (s *Store) List(ctx context.Context, tenant, kind string) iter.Seq2[driver.Record, error] {
	return func(yield func(driver.Record, error) bool) {
		records, err := s.all(ctx, tenant, kind)
		if err != nil {
			yield(driver.Record{}, err)
			return
		}
		for _, r := range records {
			if err := ctx.Err(); err != nil {
				yield(driver.Record{}, err)
				return
			}
			if !yield(r, nil) {
				return
			}
		}
	}
}

func (s *Store) all(ctx context.Context, tenant, kind string) ([]driver.Record, error) {
	if err := check(ctx, driver.Key{Tenant: tenant, Kind: kind, Name: "any"}); err != nil {
		return nil, err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed {
		return nil, errClosed
	}
	var records []driver.Record
	for _, r := range s.records[scope{tenant, kind}] {
		r.Sealed = nil
		records = append(records, copied(r))
	}
	return records, nil
}

// Due is that of [driver.Store].
func (s *Store) Due(ctx context.Context, kind string, before time.Time, limit int) ([]driver.Key, error) {
	if err := check(ctx, driver.Key{Kind: kind, Name: "any"}); err != nil {
		return nil, err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed {
		return nil, errClosed
	}
	var keys []driver.Key
	for _, d := range s.due[kind] {
		if len(keys) >= limit || d.at.After(before) {
			break
		}
		keys = append(keys, d.key)
	}
	return keys, nil
}

// Close is that of [driver.Store]. What was kept is gone.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed, s.records, s.due, s.changed, s.claimed = true, nil, nil, nil, nil
	return nil
}

var errClosed = fmt.Errorf("memstore: the store has been closed: %w", fs.ErrClosed)

func check(ctx context.Context, k driver.Key) error {
	err := ctx.Err()
	if err == nil {
		err = k.Check()
	}
	if err != nil {
		return fmt.Errorf("memstore: %w", err)
	}
	return nil
}

// find returns a record, which is not to be changed. s.mu is held.
func (s *Store) find(k driver.Key) (driver.Record, error) {
	if s.closed {
		return driver.Record{}, errClosed
	}
	r, ok := s.records[scope{k.Tenant, k.Kind}][k.Name]
	if !ok {
		return driver.Record{}, fmt.Errorf("memstore: %v: %w", k, driver.ErrNotFound)
	}
	return r, nil
}

// reschedule puts a record where its time belongs. s.mu is held.
func (s *Store) reschedule(old, next driver.Record) {
	if !old.Due.IsZero() {
		if i, found := s.position(old); found {
			s.due[old.Kind] = slices.Delete(s.due[old.Kind], i, i+1)
		}
	}
	if !next.Due.IsZero() {
		i, _ := s.position(next)
		s.due[next.Kind] = slices.Insert(s.due[next.Kind], i, dueKey{next.Due, next.Key})
	}
}

// position returns where a record is or would be among the due ones of its kind. s.mu is held.
func (s *Store) position(r driver.Record) (int, bool) {
	return slices.BinarySearchFunc(s.due[r.Kind], dueKey{r.Due, r.Key}, func(a, b dueKey) int {
		return cmp.Or(a.at.Compare(b.at), cmp.Compare(a.key.Tenant, b.key.Tenant), cmp.Compare(a.key.Name, b.key.Name))
	})
}

// copied returns a record that shares no memory.
func copied(r driver.Record) driver.Record {
	r.Info, r.Sealed = slices.Clone(r.Info), slices.Clone(r.Sealed)
	return r
}
