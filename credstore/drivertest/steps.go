package drivertest

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/outgrant/outgrant/credstore/driver"
)

// The steps that checks are made of. Each ends the check if it fails.

// key returns a key of the check's own kind.
func (b *bench) key(name string) driver.Key { return driver.Key{Kind: b.kind, Name: name} }

// record returns a record with something in it.
func record(k driver.Key, text string) driver.Record {
	return driver.Record{Key: k, Info: []byte("info of " + text), Sealed: []byte("sealed of " + text)}
}

func (b *bench) put(r driver.Record, ifVersion string) (version string) {
	b.Helper()
	version, err := b.store.Put(b.ctx, r, ifVersion)
	if err != nil {
		b.Fatalf("Put of %v for version %q: %v", r.Key, ifVersion, err)
	}
	if version == "" {
		b.Fatalf("Put of %v returned the version \"\", which stands for a record that is not there", r.Key)
	}
	return version
}

// create makes a record.
func (b *bench) create(r driver.Record) (version string) {
	b.Helper()
	return b.put(r, "")
}

func (b *bench) get(k driver.Key) driver.Record {
	b.Helper()
	r, err := b.store.Get(b.ctx, k)
	if err != nil {
		b.Fatalf("Get of %v: %v", k, err)
	}
	return r
}

func (b *bench) delete(k driver.Key, ifVersion string) {
	b.Helper()
	if err := b.store.Delete(b.ctx, k, ifVersion); err != nil {
		b.Fatalf("Delete of %v for version %q: %v", k, ifVersion, err)
	}
}

// holds fails the check unless the store has just this record.
func (b *bench) holds(want driver.Record, version string) {
	b.Helper()
	want.Version = version
	if difference := differ(b.get(want.Key), want); difference != "" {
		b.Fatalf("Get of %v: %s", want.Key, difference)
	}
}

// holdsNot fails the check if the store has a record there.
func (b *bench) holdsNot(k driver.Key) {
	b.Helper()
	_, err := b.store.Get(b.ctx, k)
	b.is(err, driver.ErrNotFound, "Get of %v, which is not there", k)
}

// is fails the check unless an error matches by errors.Is, and no other of the contract's errors does.
func (b *bench) is(err, want error, format string, args ...any) {
	b.Helper()
	what := fmt.Sprintf(format, args...)
	if !errors.Is(err, want) {
		b.Fatalf("%s: got the error %v, want one that matches %q", what, err, want)
	}
	for _, other := range []error{driver.ErrNotFound, driver.ErrConflict, driver.ErrDamaged} {
		if other != want && errors.Is(err, other) {
			b.Fatalf("%s: the error %v also matches %q", what, err, other)
		}
	}
}

// differ says in what a record is not the one that is wanted, with times up to a microsecond.
func differ(got, want driver.Record) string {
	switch {
	case got.Key != want.Key:
		return fmt.Sprintf("the key is %v, want %v", got.Key, want.Key)
	case got.Version != want.Version:
		return fmt.Sprintf("the version is %q, want %q", got.Version, want.Version)
	case !sameTime(got.Due, want.Due):
		return fmt.Sprintf("Due is %v, want %v", got.Due, want.Due)
	case !sameTime(got.Expires, want.Expires):
		return fmt.Sprintf("Expires is %v, want %v", got.Expires, want.Expires)
	case !bytes.Equal(got.Info, want.Info):
		return fmt.Sprintf("Info is %.60q (%d bytes), want %.60q (%d bytes)", got.Info, len(got.Info), want.Info, len(want.Info))
	case !bytes.Equal(got.Sealed, want.Sealed):
		return fmt.Sprintf("Sealed is %.60q (%d bytes), want %.60q (%d bytes)", got.Sealed, len(got.Sealed), want.Sealed, len(want.Sealed))
	default:
		return ""
	}
}

func sameTime(got, want time.Time) bool {
	return got.IsZero() == want.IsZero() && got.Sub(want).Abs() < time.Microsecond
}

// list returns what List yields without an error, by name.
func (b *bench) list(tenant, kind string) map[string]driver.Record {
	b.Helper()
	records := map[string]driver.Record{}
	for r, err := range b.store.List(b.ctx, tenant, kind) {
		if err != nil {
			b.Fatalf("List of tenant %q, kind %q: %v: %v", tenant, kind, r.Key, err)
		}
		if r.Tenant != tenant || r.Kind != kind {
			b.Fatalf("List of tenant %q, kind %q yields %v", tenant, kind, r.Key)
		}
		if _, twice := records[r.Name]; twice {
			b.Fatalf("List yields %v twice", r.Key)
		}
		records[r.Name] = r
	}
	return records
}

// due returns the names of what is due in the check's kind.
func (b *bench) due(before time.Time, limit int) []string {
	b.Helper()
	keys, err := b.store.Due(b.ctx, b.kind, before, limit)
	if err != nil {
		b.Fatalf("Due before %v: %v", before, err)
	}
	var names []string
	for _, k := range keys {
		if k.Kind != b.kind {
			b.Fatalf("Due of kind %q returns %v", b.kind, k)
		}
		names = append(names, k.Name)
	}
	return names
}

// equal fails the check unless two lists are the same.
func equal[E cmp.Ordered](b *bench, what string, got, want []E) {
	b.Helper()
	if !slices.Equal(got, want) {
		b.Fatalf("%s: got %q, want %q", what, got, want)
	}
}

// lock takes a lock that nobody else holds, or whose holder has ended.
func (b *bench) lock(s driver.Store, k driver.Key) driver.Lock {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, b.suite.TakeOver+promptly)
	defer cancel()
	l, err := s.Lock(ctx, k)
	if err != nil {
		b.Fatalf("Lock of %v: %v", k, err)
	}
	b.kept(l)
	return l
}

// kept fails the check if the lock is lost, or could be in a backend that says that it loses none.
func (b *bench) kept(l driver.Lock) {
	b.Helper()
	if l == nil {
		b.Fatalf("the lock is nil")
	}
	lost := l.Lost()
	if lost != nil && !b.suite.LosesLocks {
		b.Fatalf("Lost is not nil: if a holder that is stopped can lose its lock, say so by Suite.LosesLocks")
	}
	select {
	case <-lost:
		b.Fatalf("the lock was lost while its holder was at work")
	default:
	}
}

func (b *bench) unlock(l driver.Lock) {
	b.Helper()
	if err := l.Unlock(); err != nil {
		b.Fatalf("Unlock: %v", err)
	}
}

// tryLock returns nil if somebody else holds the lock.
func (b *bench) tryLock(s driver.Store, k driver.Key) driver.Lock {
	b.Helper()
	l, ok, err := s.TryLock(b.ctx, k)
	if err != nil {
		b.Fatalf("TryLock of %v: %v", k, err)
	}
	if !ok {
		return nil
	}
	b.kept(l)
	return l
}

// locked fails the check if the lock can be had.
func (b *bench) locked(s driver.Store, k driver.Key) {
	b.Helper()
	if b.tryLock(s, k) != nil {
		b.Fatalf("TryLock takes the lock of %v, which somebody else holds", k)
	}
}

// free fails the check if the lock cannot be had at once.
func (b *bench) free(s driver.Store, k driver.Key) {
	b.Helper()
	l := b.tryLock(s, k)
	if l == nil {
		b.Fatalf("TryLock does not take the lock of %v, which nobody holds", k)
	}
	b.unlock(l)
}

// background does something in a goroutine that has ended when the check ends.
func background[R any](b *bench, do func() R) <-chan R {
	done := make(chan R, 1)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		done <- do()
	}()
	b.Cleanup(func() {
		select {
		case <-ended:
		case <-time.After(time.Second): // what does not honour its context is left behind
		}
	})
	return done
}

// within waits for something to be done.
func within[R any](b *bench, done <-chan R, limit time.Duration, what string) R {
	b.Helper()
	select {
	case r := <-done:
		return r
	case <-time.After(limit):
		b.Fatalf("%s has not returned after %v", what, limit)
		panic("unreachable")
	}
}

// canceled returns a context that has ended.
func canceled() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}
