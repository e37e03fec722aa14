package drivertest

import (
	"fmt"
	"sync"
	"time"

	"github.com/outgrant/outgrant/credstore/driver"
)

// Of a backend that is a [driver.Claimer].
var claimChecks = []check{
	{name: "each is given once", run: claimsOnce},
	{name: "what is due, and no more", run: claimsDue},
	{name: "a claim lasts", run: claimLasts},
}

// claim claims of a store, and returns names.
func (b *bench) claim(s driver.Store, before time.Time, limit int, hold time.Duration) (names []string) {
	b.Helper()
	keys, err := s.(driver.Claimer).Claim(b.ctx, b.kind, before, limit, hold)
	if err != nil {
		b.Errorf("Claim: %v", err)
	}
	for _, k := range keys {
		names = append(names, k.Name)
	}
	return names
}

func (b *bench) claimer() {
	b.Helper()
	if _, ok := b.store.(driver.Claimer); !ok {
		b.Skipf("the backend is no driver.Claimer")
	}
}

// claimsOnce has many claim at once, and others write meanwhile.
func claimsOnce(b *bench) {
	b.claimer()
	const claimers = 6
	records := b.rounds(100, 2000)
	versions := make([]string, records)
	for i := range records {
		versions[i] = b.create(b.schedule(fmt.Sprint(i), at(i)))
	}
	var mu sync.Mutex
	times := map[string]int{}
	var claiming sync.WaitGroup
	for range claimers {
		store := b.another()
		claiming.Go(func() {
			for empty, again := 0, false; empty < 3 && !again; { // what is given again may be for ever
				names := b.claim(store, at(records), 7, time.Hour)
				if len(names) > 7 {
					b.Errorf("Claim returns %d keys, of 7 at most", len(names))
				}
				if len(names) == 0 {
					empty++ // others may just be at it
				}
				mu.Lock()
				for _, name := range names {
					times[name]++
					again = again || times[name] > 1
				}
				mu.Unlock()
			}
		})
	}
	for i := range records { // which keeps nobody from claiming, nor gives it to another one
		b.put(b.schedule(fmt.Sprint(i), at(i)), versions[i])
	}
	claiming.Wait()
	for _, name := range b.claim(b.store, at(records), records, time.Hour) {
		times[name]++
	}
	if len(times) != records {
		b.Errorf("Claim returned %d of %d keys", len(times), records)
	}
	for name, n := range times {
		if n != 1 {
			b.Fatalf("Claim returned %q %d times", name, n)
		}
	}
}

func claimsDue(b *bench) {
	b.claimer()
	b.create(record(b.key("never"), "never"))
	for i := range 10 {
		b.create(b.schedule(fmt.Sprint(i), at(i)))
	}
	if names := b.claim(b.store, at(-1), 10, time.Hour); len(names) > 0 {
		b.Fatalf("Claim before the first one's time returns %q", names)
	}
	if names := b.claim(b.store, at(4), 0, time.Hour); len(names) > 0 {
		b.Fatalf("Claim with a limit of none returns %q", names)
	}
	if names := b.claim(b.store, at(4), 10, time.Hour); len(names) != 5 {
		b.Fatalf("Claim of five that are due returns %q", names)
	}
	if names := b.claim(b.store, at(9), 3, time.Hour); len(names) != 3 {
		b.Fatalf("Claim of three of five others returns %q", names)
	}
	equal(b, "Due of what is claimed", b.due(at(9), 10), []string{"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"})
}

// claimLasts also has the record written meanwhile.
func claimLasts(b *bench) {
	b.claimer()
	const hold = 300 * time.Millisecond
	version := b.create(b.schedule("n", at(0)))
	began := time.Now()
	if names := b.claim(b.store, at(0), 1, hold); len(names) != 1 {
		b.Fatalf("Claim of one that is due returns %q", names)
	}
	b.put(b.schedule("n", at(0)), version) // the claim has not changed the version
	for {
		names := b.claim(b.another(), at(0), 1, hold)
		lasted := time.Since(began)
		switch {
		case len(names) == 1 && lasted < hold-50*time.Millisecond:
			b.Fatalf("Claim returns what was claimed for %s after %s", hold, lasted)
		case len(names) == 1:
			return
		case lasted > hold+promptly:
			b.Fatalf("Claim does not return what was claimed for %s, after %s", hold, lasted)
		}
		time.Sleep(10 * time.Millisecond)
	}
}
