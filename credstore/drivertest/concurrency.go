package drivertest

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/outgrant/outgrant/credstore/driver"
)

var concurrencyChecks = []check{
	{name: "one of many creates", run: oneCreates},
	{name: "one of many puts for a version", run: onePuts},
	{name: "one of many deletes", run: oneDeletes},
	{name: "no update is lost", run: noLostUpdate},
	{name: "everything at once", run: everything},
}

// winners runs something in goroutines at once. It returns what it returned where it won; all others must get an error
// that matches lost.
func winners(b *bench, lost error, do func(i int) (string, error)) []string {
	b.Helper()
	const goroutines = 8
	var wg sync.WaitGroup
	var mu sync.Mutex
	var won []string
	start := make(chan struct{})
	for i := range goroutines {
		wg.Go(func() {
			<-start
			result, err := do(i)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				won = append(won, result)
			case !errors.Is(err, lost):
				b.Errorf("of many at once, one that did not win got the error %v, want one that matches %q", err, lost)
			}
		})
	}
	close(start)
	wg.Wait()
	if len(won) != 1 {
		b.Fatalf("of %d at once, %d won, want one", goroutines, len(won))
	}
	return won
}

func oneCreates(b *bench) {
	for round := range b.rounds(5, 100) {
		k := b.key(fmt.Sprint("n", round))
		won := winners(b, driver.ErrConflict, func(i int) (string, error) {
			return b.store.Put(b.ctx, record(k, fmt.Sprint(i)), "")
		})
		if v := b.get(k).Version; v != won[0] {
			b.Fatalf("the version is %q, and the winner's %q", v, won[0])
		}
	}
}

func onePuts(b *bench) {
	k := b.key("n")
	version := b.create(record(k, "first"))
	for range b.rounds(5, 100) {
		var texts sync.Map
		won := winners(b, driver.ErrConflict, func(i int) (string, error) {
			v, err := b.store.Put(b.ctx, record(k, fmt.Sprint(i)), version)
			texts.Store(v, fmt.Sprint(i))
			return v, err
		})
		version = won[0]
		text, _ := texts.Load(version)
		b.holds(record(k, text.(string)), version)
	}
}

func oneDeletes(b *bench) {
	k := b.key("n")
	for range b.rounds(5, 100) {
		version := b.create(record(k, "n"))
		winners(b, driver.ErrNotFound, func(i int) (string, error) {
			return "", b.store.Delete(b.ctx, k, []string{version, ""}[i%2])
		})
		b.holdsNot(k)
	}
}

func noLostUpdate(b *bench) {
	k := b.key("n")
	b.create(driver.Record{Key: k, Sealed: []byte("0")})
	const goroutines = 4
	rounds := b.rounds(10, 250)
	if err := count(b.ctx, b.store, k, goroutines, rounds); err != nil {
		b.Fatalf("counting in the record: %v", err)
	}
	if n := string(b.get(k).Sealed); n != strconv.Itoa(goroutines*rounds) {
		b.Fatalf("%d updates were made, and %s are there", goroutines*rounds, n)
	}
}

// count adds to the number in a record, in several goroutines, under the record's version.
func count(ctx context.Context, s driver.Store, k driver.Key, goroutines, rounds int) error {
	errs := make(chan error, goroutines)
	for range goroutines {
		go func() {
			var err error
			for i := 0; i < rounds && err == nil; i++ {
				for err = driver.ErrConflict; errors.Is(err, driver.ErrConflict); {
					err = increment(ctx, s, k)
				}
			}
			errs <- err
		}()
	}
	var all []error
	for range goroutines {
		all = append(all, <-errs)
	}
	return errors.Join(all...)
}

func increment(ctx context.Context, s driver.Store, k driver.Key) error {
	r, err := s.Get(ctx, k)
	if err != nil {
		return err
	}
	n, err := strconv.Atoi(string(r.Sealed))
	if err != nil {
		return fmt.Errorf("the record is not a number: %w", err)
	}
	r.Sealed = strconv.AppendInt(nil, int64(n+1), 10)
	_, err = s.Put(ctx, r, r.Version)
	return err
}

// everything is for the race detector, and for records that are half there.
func everything(b *bench) {
	const records = 4
	var wg sync.WaitGroup
	var puts atomic.Int64
	for g := range 8 {
		wg.Go(func() {
			for i := range b.rounds(10, 200) {
				name := fmt.Sprint("n", (g+i)%records)
				r, err := b.store.Get(b.ctx, b.key(name))
				if err == nil && string(r.Sealed[len("sealed"):]) != string(r.Info[len("info"):]) {
					b.Errorf("Get returns the Info %q with the Sealed %q", r.Info, r.Sealed)
				}
				next := record(b.key(name), fmt.Sprint(g, " ", i))
				if i%2 == 0 {
					next.Due = at(g*1000 + i)
				}
				if _, putErr := b.store.Put(b.ctx, next, r.Version); putErr == nil {
					puts.Add(1)
				} else if !errors.Is(putErr, driver.ErrConflict) {
					b.Errorf("Put: %v", putErr)
				}
				if i%5 == 4 {
					err = b.store.Delete(b.ctx, b.key(name), "")
				}
				if err != nil && !errors.Is(err, driver.ErrNotFound) {
					b.Errorf("Get or Delete: %v", err)
				}
				for r, err := range b.store.List(b.ctx, "", b.kind) {
					if err != nil {
						b.Errorf("List: %v: %v", r.Key, err)
					}
				}
				if _, err := b.store.Due(b.ctx, b.kind, at(1e6), records); err != nil {
					b.Errorf("Due: %v", err)
				}
			}
		})
	}
	wg.Wait()
	b.Logf("%d records were put", puts.Load())

	// When all is quiet, the index tells what the records do.
	due := 0
	for _, r := range b.list("", b.kind) {
		if !r.Due.IsZero() {
			due++
		}
	}
	if n := len(b.due(at(1e6), 2*records)); n != due {
		b.Errorf("Due returns %d keys, and %d records are due", n, due)
	}
}
