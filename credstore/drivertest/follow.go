package drivertest

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/outgrant/outgrant/credstore/driver"
)

// Of a backend that is a [driver.Follower].
var followChecks = []check{
	{name: "what was put and deleted", run: followsWrites},
	{name: "what another store wrote", run: followsOthers},
	{name: "a change after an error", run: followsAfterError},
	{name: "no change is missed", run: followsAll},
	{name: "listening", run: listens},
}

// changes begins to follow a store. The function returns which of the check's own keys it is told.
func (b *bench) changes(s driver.Store) (told func() map[string]bool) {
	b.Helper()
	f, ok := s.(driver.Follower)
	if !ok {
		b.Skipf("the backend is no driver.Follower")
	}
	next := f.Follow()
	told = func() map[string]bool {
		b.Helper()
		keys, err := next(b.ctx)
		if err != nil {
			b.Fatalf("Follow: %v", err)
		}
		return b.own(keys)
	}
	if first := told(); len(first) > 0 {
		b.Fatalf("Follow: the first call tells %v, want nothing", first)
	}
	return told
}

// own are the names of the keys that are the check's.
func (b *bench) own(keys []driver.Key) map[string]bool {
	names := map[string]bool{}
	for _, k := range keys {
		if k.Kind == b.kind {
			names[k.Tenant+"/"+k.Name] = true
		}
	}
	return names
}

// another is another store at the place, or the same for a backend whose stores share nothing.
func (b *bench) another() driver.Store {
	b.Helper()
	if b.suite.Place == "" {
		return b.store
	}
	return b.open()
}

func followsWrites(b *bench) {
	old := b.create(record(b.key("old"), "old"))
	told := b.changes(b.store)
	created := b.create(record(b.key("n"), "1"))
	b.create(record(driver.Key{Tenant: "t", Kind: b.kind, Name: "n"}, "1"))
	if names := told(); len(names) != 2 || !names["/n"] || !names["t/n"] {
		b.Fatalf("Follow, after /n and t/n were made, tells %v", names)
	}
	b.put(record(b.key("n"), "2"), created)
	if !told()["/n"] {
		b.Fatalf("Follow does not tell of a record that was put")
	}
	b.delete(b.key("old"), old)
	if !told()["/old"] {
		b.Fatalf("Follow does not tell of a record that was deleted")
	}
	b.create(record(b.key("old"), "new"))
	if !told()["/old"] {
		b.Fatalf("Follow does not tell of a record that was made again")
	}
}

func followsOthers(b *bench) {
	told, here := b.changes(b.store), b.store
	l := b.lock(here, b.key("locked")) // which keeps nobody from anything
	defer l.Unlock()
	b.store = b.another()
	version := b.create(record(b.key("n"), "1"))
	if !told()["/n"] {
		b.Fatalf("Follow does not tell of what another store made")
	}
	b.delete(b.key("n"), version)
	if !told()["/n"] {
		b.Fatalf("Follow does not tell of what another store deleted")
	}
}

func followsAfterError(b *bench) {
	f, ok := b.store.(driver.Follower)
	if !ok {
		b.Skipf("the backend is no driver.Follower")
	}
	next := f.Follow()
	if _, err := next(b.ctx); err != nil {
		b.Fatalf("Follow: %v", err)
	}
	b.create(record(b.key("n"), "1"))
	ended, cancel := context.WithCancel(b.ctx)
	cancel()
	_, err := next(ended)
	b.is(err, context.Canceled, "Follow, with a context that has ended")
	keys, err := next(b.ctx)
	if err != nil {
		b.Fatalf("Follow, after an error: %v", err)
	}
	if !b.own(keys)["/n"] {
		b.Fatalf("Follow does not tell of what was made before an error")
	}
}

// followsAll follows while others write, each of them a record at a time, some under locks that they hold meanwhile.
func followsAll(b *bench) {
	const writers = 6
	records := b.rounds(20, 400)
	told := b.changes(b.store)
	all := map[string]bool{}
	over := make(chan struct{})
	var following, writing sync.WaitGroup
	following.Go(func() {
		for {
			for name := range told() {
				all[name] = true
			}
			select {
			case <-over:
				return
			case <-time.After(time.Millisecond):
			}
		}
	})
	for w := range writers {
		store := b.another()
		writing.Go(func() {
			for i := range records {
				k := b.key(fmt.Sprint(w, "-", i))
				if w%2 == 0 {
					l, err := store.Lock(b.ctx, k)
					if err != nil {
						b.Errorf("Lock: %v", err)
						return
					}
					defer l.Unlock() // all of them at the end
				}
				if _, err := store.Put(b.ctx, record(k, "1"), ""); err != nil {
					b.Errorf("Put: %v", err)
					return
				}
			}
		})
	}
	writing.Wait()
	close(over)
	following.Wait()
	for name := range told() {
		all[name] = true
	}
	if len(all) != writers*records {
		b.Fatalf("Follow has told of %d of %d records that were made meanwhile", len(all), writers*records)
	}
}

// listens also passes for a backend that was not told how to listen: then changed is never called.
func listens(b *bench) {
	l, ok := b.store.(driver.Listener)
	if !ok {
		b.Skipf("the backend is no driver.Listener")
	}
	ctx, cancel := context.WithCancel(b.ctx)
	ended := background(b, func() error { return l.Listen(ctx, func() {}) })
	cancel()
	b.is(within(b, ended, promptly, "Listen, whose context has ended,"), context.Canceled, "Listen, whose context has ended")
}
