package drivertest

import (
	"context"
	"errors"
	"time"

	"github.com/outgrant/outgrant/credstore/driver"
)

var contextChecks = []check{
	{name: "one that has ended stops each method", run: endedContext},
	{name: "one that ends stops a list", run: listContext},
	{name: "one that ends does not end the lock", run: lockOutlivesContext},
}

func endedContext(b *bench) {
	k := b.key("n")
	r := b.schedule("n", at(1))
	version := b.create(r)
	expired, cancel := context.WithDeadline(context.Background(), time.Now().Add(-time.Hour))
	defer cancel()
	for _, ctx := range []context.Context{canceled(), expired} {
		ended := func(method string, err error) {
			b.Helper()
			if !errors.Is(err, ctx.Err()) {
				b.Errorf("%s with a context that has ended: got the error %v, want one that matches %q", method, err, ctx.Err())
			}
			if errors.Is(err, driver.ErrNotFound) || errors.Is(err, driver.ErrConflict) {
				b.Errorf("%s with a context that has ended: the error %v also matches one of the contract", method, err)
			}
		}
		_, err := b.store.Get(ctx, k)
		ended("Get", err)
		_, err = b.store.Put(ctx, record(k, "new"), version)
		ended("Put", err)
		_, err = b.store.Put(ctx, record(b.key("new"), "new"), "")
		ended("Put", err)
		ended("Delete", b.store.Delete(ctx, k, version))
		_, err = b.store.Due(ctx, b.kind, at(1), 1)
		ended("Due", err)
		yielded := 0
		for r, err := range b.store.List(ctx, "", b.kind) {
			ended("List", err)
			if r.Key != (driver.Key{}) {
				b.Errorf("List with a context that has ended yields the key %v with its error", r.Key)
			}
			yielded++
		}
		if yielded != 1 {
			b.Errorf("List with a context that has ended yields %d times, want once, its error", yielded)
		}
		l, err := b.store.Lock(ctx, k)
		ended("Lock", err)
		if err == nil {
			b.unlock(l)
		}
		l, ok, err := b.store.TryLock(ctx, k)
		ended("TryLock", err)
		if ok {
			b.unlock(l)
		}
	}
	b.holds(r, version)
	b.holdsNot(b.key("new"))
	b.free(b.store, k)
}

func listContext(b *bench) {
	for _, name := range []string{"a", "b", "c"} {
		b.create(record(b.key(name), name))
	}
	ctx, cancel := context.WithCancel(b.ctx)
	defer cancel()
	var last error
	n := 0
	for _, err := range b.store.List(ctx, "", b.kind) {
		last = err
		cancel()
		n++
	}
	if !errors.Is(last, context.Canceled) && n != 3 {
		b.Errorf("List whose context ends after the first record yields %d times and ends with the error %v", n, last)
	}
}

func lockOutlivesContext(b *bench) {
	ctx, cancel := context.WithCancel(b.ctx)
	l, err := b.store.Lock(ctx, b.key("n"))
	if err != nil {
		b.Fatalf("Lock: %v", err)
	}
	cancel()
	b.staysLocked(b.store, b.key("n"), 100*time.Millisecond)
	b.kept(l)
	b.unlock(l)
	b.free(b.store, b.key("n"))
}
