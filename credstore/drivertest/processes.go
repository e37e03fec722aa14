package drivertest

import (
	"errors"
	"math/rand/v2"
	"path/filepath"
	"strconv"
	"time"

	"github.com/outgrant/outgrant/credstore/driver"
)

// Several processes at one place.
var processChecks = []check{
	{name: "no update is lost", shared: true, run: processesCount},
	{name: "take turns under the lock", shared: true, run: processesTakeTurns},
	{name: "a lock leaves records alone", shared: true, run: processLockLeavesRecords},
	{name: "a holder that is slow keeps its lock", shared: true, run: slowHolder},
	{name: "a holder that is killed lets its lock go", shared: true, run: killedHolder},
	{name: "a holder that is stopped", shared: true, run: stoppedHolder},
	{name: "a waiter that is killed breaks no queue", shared: true, run: killedWaiter},
	{name: "a writer that is killed leaves whole records", shared: true, run: killedWriter},
}

func processesCount(b *bench) {
	k := b.key("n")
	b.create(driver.Record{Key: k, Sealed: []byte("0")})
	o := order{Do: "count", Key: k, Goroutines: 4, Rounds: b.rounds(4, 75)}
	processes := []*process{b.start(), b.start(), b.start(), b.start()}
	for _, p := range processes {
		p.order(o)
	}
	for _, p := range processes {
		if a := p.untilDone(); a.err != nil {
			b.Fatalf("a process that counts in the record: %v", a.err)
		}
	}
	b.counted(k, len(processes)*o.Goroutines*o.Rounds)
}

// counted fails the check unless the number in a record is n.
func (b *bench) counted(k driver.Key, n int) {
	b.Helper()
	r, err := b.open().Get(b.ctx, k)
	if err != nil {
		b.Fatalf("Get: %v", err)
	}
	if got := string(r.Sealed); got != strconv.Itoa(n) {
		b.Fatalf("%d updates were made, and %s are there", n, got)
	}
}

func processesTakeTurns(b *bench) {
	k := b.key("n")
	b.create(driver.Record{Key: k, Sealed: []byte("0")})
	o := order{Do: "turns", Key: k, Goroutines: 4, Rounds: b.rounds(4, 75), Marker: filepath.Join(b.TempDir(), "held")}
	processes := []*process{b.start(), b.start(), b.start(), b.start()}
	for _, p := range processes {
		p.order(o)
	}
	for _, p := range processes {
		if a := p.untilDone(); a.err != nil {
			b.Fatalf("a process that takes turns with others: %v", a.err)
		}
	}
	b.counted(k, len(processes)*o.Goroutines*o.Rounds)
}

func processLockLeavesRecords(b *bench) {
	k := b.key("n")
	b.start().do(order{Do: "lock", Key: k})
	version := b.create(record(k, "old"))
	next := record(k, "new")
	version = b.put(next, version)
	b.holds(next, version)
	b.delete(k, version)
	b.locked(b.store, k)
}

func slowHolder(b *bench) {
	k := b.key("n")
	holder, waiter := b.start(), b.start()
	holder.do(order{Do: "lock", Key: k})
	waiter.order(order{Do: "lock", Key: k})
	b.staysLocked(b.store, k, b.long())
	select {
	case a := <-waiter.reports:
		b.Fatalf("a process gets the lock that another one holds (%v)", a.err)
	default:
	}
	holder.do(order{Do: "unlock"})
	waiter.done("lock")
	b.locked(b.store, k)
	waiter.do(order{Do: "unlock"})
	b.unlock(b.lock(b.store, k))
}

func killedHolder(b *bench) {
	k := b.key("n")
	holder := b.start()
	holder.do(order{Do: "lock", Key: k})
	var longest, total time.Duration
	rounds := b.rounds(5, 100)
	for range rounds {
		// A process waits already, as a rule, and this one, and only one of them gets it.
		waiter := b.start()
		waiter.order(order{Do: "lock", Key: k})
		b.staysLocked(b.store, k, 50*time.Millisecond)
		killed := holder.kill()
		a := waiter.answer(b.suite.TakeOver + promptly)
		if a.err != nil {
			b.Fatalf("a process that waits for the lock of one that was killed: %v", a.err)
		}
		took := a.at.Sub(killed)
		if took > b.suite.TakeOver {
			b.Errorf("the lock was free %v after its holder was killed, want within %v", took, b.suite.TakeOver)
		}
		longest, total = max(longest, took), total+took
		b.locked(b.store, k)
		holder.end()
		holder = waiter
	}
	b.Logf("after a holder was killed, the next had the lock within %v on average, %v at most", total/time.Duration(rounds), longest)
	holder.do(order{Do: "unlock"})
	b.unlock(b.lock(b.store, k))
}

func stoppedHolder(b *bench) {
	k := b.key("n")
	holder := b.start()
	holder.do(order{Do: "lock", Key: k})
	if err := holder.stop(); errors.Is(err, errors.ErrUnsupported) {
		b.Skipf("a process cannot be stopped on this system")
	} else if err != nil {
		b.Fatalf("stopping a process: %v", err)
	}
	if b.suite.LosesLocks {
		time.Sleep(b.long())
	} else {
		b.staysLocked(b.store, k, b.long())
	}
	stolen := b.tryLock(b.store, k)
	if stolen != nil {
		defer stolen.Unlock()
	}
	if err := holder.cont(); err != nil {
		b.Fatalf("continuing a process: %v", err)
	}
	if stolen == nil {
		holder.do(order{Do: "unlock"})
		b.unlock(b.lock(b.store, k))
		return
	}
	if !b.suite.LosesLocks {
		b.Fatalf("TryLock takes the lock of a holder that is stopped, who believes that it cannot lose it")
	}
	if !holder.do(order{Do: "lost"}).OK {
		b.Fatalf("the lock of a holder that was stopped was given to another one, and Lost does not tell the holder")
	}
	// What it has no more is in nobody's way, its own neither.
	b.locked(b.open(), k)
	b.unlock(stolen)
	holder.order(order{Do: "lock", Key: k})
	if a := holder.answer(promptly); a.err != nil {
		b.Fatalf("a holder whose lock was lost, and that takes it again: %v", a.err)
	}
	b.locked(b.open(), k)
	holder.do(order{Do: "unlock"})
	b.unlock(b.lock(b.store, k))
}

func killedWaiter(b *bench) {
	k := b.key("n")
	l := b.lock(b.store, k)
	first, second := b.start(), b.start()
	first.order(order{Do: "lock", Key: k})
	second.order(order{Do: "lock", Key: k})
	b.staysLocked(b.store, k, 50*time.Millisecond)
	first.kill()
	first.end()
	b.unlock(l)
	if a := second.answer(b.suite.TakeOver + promptly); a.err != nil {
		b.Fatalf("a process that waits for the lock, behind one that was killed: %v", a.err)
	}
	b.locked(b.store, k)
	second.do(order{Do: "unlock"})
	b.unlock(b.lock(b.store, k))
}

// settled returns the record when what its writer had asked for is done: a server goes on with that after the writer's end.
func (b *bench) settled(k driver.Key) driver.Record {
	b.Helper()
	r := b.get(k)
	for {
		time.Sleep(20 * time.Millisecond)
		next := b.get(k)
		if next.Version == r.Version {
			return r
		}
		r = next
	}
}

func killedWriter(b *bench) {
	k := b.key("n")
	b.create(numbered(k, 0))
	for range b.rounds(10, 200) {
		p := b.start()
		p.order(order{Do: "write", Key: k})
		first := p.done("write")
		last := p.done("write")
		for range rand.IntN(4) {
			first, last = last, p.done("write")
		}
		time.Sleep(rand.N(last.at.Sub(first.at) + 1)) // somewhere in the next write
		p.kill()
		acknowledged := last.Number
		for a := range p.reports {
			if a.err == nil {
				acknowledged = a.Number
			}
		}
		p.end()

		r := b.settled(k)
		n, err := numberOf(r)
		if err != nil {
			b.Fatalf("after its writer was killed: %v", err)
		}
		if n != acknowledged && n != acknowledged+1 {
			b.Fatalf("after its writer was killed, the record has the number %d, and %d was acknowledged", n, acknowledged)
		}
		if r.Due.IsZero() {
			equal(b, "Due, of a record that is never due, after its writer was killed", b.due(at(1e9), 10), nil)
		} else {
			equal(b, "Due after its writer was killed", b.due(r.Due, 10), []string{k.Name})
			equal(b, "Due a microsecond earlier", b.due(r.Due.Add(-time.Microsecond), 10), nil)
		}
	}
}
