package drivertest

import (
	"time"

	"github.com/outgrant/outgrant/credstore/driver"
)

// Several stores at one place, in this process.
var storeChecks = []check{
	{name: "share records", shared: true, run: storesShareRecords},
	{name: "share locks", shared: true, run: storesShareLocks},
	{name: "close lets locks go", shared: true, run: closeUnlocks},
}

func storesShareRecords(b *bench) {
	here, there := b.store, b.open()
	r := b.schedule("n", at(1))
	version := b.create(r)

	b.store = there
	b.holds(r, version)
	equal(b, "Due in another store", b.due(at(1), 1), []string{"n"})
	if len(b.list("", b.kind)) != 1 {
		b.Errorf("List in another store does not yield the record")
	}
	_, err := there.Put(b.ctx, r, "")
	b.is(err, driver.ErrConflict, "Put that creates a record which another store has made")
	next := b.schedule("n", at(2))
	nextVersion := b.put(next, version)

	b.store = here
	_, err = here.Put(b.ctx, r, version)
	b.is(err, driver.ErrConflict, "Put for the version before another store's Put")
	b.holds(next, nextVersion)
	equal(b, "Due before what another store has put", b.due(at(1), 1), nil)
	b.delete(r.Key, nextVersion)

	b.store = there
	b.holdsNot(r.Key)
}

func storesShareLocks(b *bench) {
	k := b.key("n")
	there := b.open()
	l := b.lock(b.store, k)
	b.locked(there, k)
	b.staysLocked(there, k, 100*time.Millisecond)
	next := background(b, func() error {
		l, err := there.Lock(b.ctx, k)
		if err == nil {
			err = l.Unlock()
		}
		return err
	})
	b.unlock(l)
	if err := within(b, next, promptly, "Lock of a lock that another store has let go"); err != nil {
		b.Fatalf("Lock of a lock that another store has let go: %v", err)
	}
	b.free(b.store, k)
}

func closeUnlocks(b *bench) {
	k := b.key("n")
	there, err := b.suite.Open(b.suite.Place)
	if err != nil {
		b.Fatalf("Open: %v", err)
	}
	b.lock(there, k)
	b.locked(b.store, k)
	if err := there.Close(); err != nil {
		b.Fatalf("Close: %v", err)
	}
	b.unlock(b.lock(b.store, k))
}
