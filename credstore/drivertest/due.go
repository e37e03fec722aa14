package drivertest

import (
	"fmt"
	"slices"
	"time"

	"github.com/outgrant/outgrant/credstore/driver"
)

var dueChecks = []check{
	{name: "the earliest first", run: dueOrder},
	{name: "follows each write", run: dueFollows},
	{name: "at one time", run: dueTies},
	{name: "all tenants", run: dueTenants},
	{name: "any time", run: dueAnyTime},
}

var dueBase = time.Date(2031, 5, 6, 23, 59, 59, 999_990_000, time.UTC)

// at returns a time so many microseconds after dueBase: before and after midnight.
func at(microseconds int) time.Time {
	return dueBase.Add(time.Duration(microseconds) * time.Microsecond)
}

// schedule returns a record that is due then.
func (b *bench) schedule(name string, due time.Time) driver.Record {
	r := record(b.key(name), name)
	r.Due = due
	return r
}

func dueOrder(b *bench) {
	b.create(record(b.key("never"), "never"))
	if names := b.due(at(1000), 10); len(names) != 0 {
		b.Fatalf("Due returns %q, of which nothing is due ever", names)
	}
	var want []string
	for i := range 25 {
		want = append(want, fmt.Sprintf("n%02d", i))
	}
	for _, i := range []int{7, 24, 0, 13, 1, 23, 12, 2, 22, 11, 3, 21, 10, 4, 20, 9, 5, 19, 8, 6, 18, 17, 14, 16, 15} {
		b.create(b.schedule(want[i], at(i)))
	}
	equal(b, "Due of all", b.due(at(1000), 100), want)
	equal(b, "Due at the last one's time", b.due(at(24), 100), want)
	equal(b, "Due a microsecond before the last one's time", b.due(at(23), 100), want[:24])
	equal(b, "Due at the first one's time", b.due(at(0), 100), want[:1])
	equal(b, "Due a microsecond before the first one's time", b.due(at(-1), 100), nil)
	equal(b, "Due with a limit", b.due(at(1000), 3), want[:3])
	equal(b, "Due with a limit of all", b.due(at(1000), 25), want)
	equal(b, "Due with a limit of more than before allows", b.due(at(1), 25), want[:2])
	equal(b, "Due with a limit of none", b.due(at(1000), 0), nil)
	equal(b, "Due of a time in another zone", b.due(at(24).In(time.FixedZone("elsewhere", -7*60*60)), 100), want)

	keys, err := b.store.Due(b.ctx, b.kind+" other", at(1000), 10)
	if err != nil || len(keys) != 0 {
		b.Errorf("Due of another kind returns %v and the error %v", keys, err)
	}
}

func dueFollows(b *bench) {
	const all = 10
	equalNow := func(what string, want ...string) {
		b.Helper()
		equal(b, "Due after "+what, b.due(at(1000), all), want)
	}
	v1 := b.create(b.schedule("a", at(1)))
	v2 := b.create(b.schedule("b", at(2)))
	equalNow("create", "a", "b")

	v1 = b.put(b.schedule("a", at(3)), v1)
	equalNow("a later time", "b", "a")
	equal(b, "Due before that time", b.due(at(2), all), []string{"b"})

	v1 = b.put(b.schedule("a", at(3)), v1)
	equalNow("a put that leaves the time", "b", "a")

	v1 = b.put(b.schedule("a", at(0)), v1)
	equalNow("an earlier time", "a", "b")

	v2 = b.put(b.schedule("b", at(5000)), v2)
	equalNow("a time to come", "a")

	v1 = b.put(b.schedule("a", time.Time{}), v1)
	equalNow("no time")

	v1 = b.put(b.schedule("a", at(4)), v1)
	equalNow("a time again", "a")

	_, err := b.store.Put(b.ctx, b.schedule("a", at(9)), v2)
	b.is(err, driver.ErrConflict, "Put for another version")
	_, err = b.store.Put(b.ctx, b.schedule("b", at(9)), "")
	b.is(err, driver.ErrConflict, "Put that creates what is there")
	equalNow("a conflict", "a")

	b.delete(b.key("a"), v1)
	equalNow("delete")

	b.create(b.schedule("a", at(6)))
	equalNow("create again", "a")
	equal(b, "Due at the time that was deleted", b.due(at(4), all), nil)

	b.delete(b.key("a"), "")
	b.create(record(b.key("a"), "a"))
	equalNow("create again without a time")

	b.put(b.schedule("b", at(5)), v2)
	equalNow("a time that is not to come any more", "b")
}

func dueTies(b *bench) {
	want := []string{"a", "A", "b", "c/d"}
	for _, name := range want {
		b.create(b.schedule(name, at(1)))
	}
	got := b.due(at(1), 10)
	slices.Sort(got)
	slices.Sort(want)
	equal(b, "Due of records with the same time", got, want)
	if n := len(b.due(at(1), 2)); n != 2 {
		b.Errorf("Due with a limit of 2 returns %d of the records with the same time", n)
	}
	b.delete(b.key("b"), "")
	if got := b.due(at(1), 10); len(got) != 3 || slices.Contains(got, "b") {
		b.Errorf("Due after one of them was deleted returns %q", got)
	}
}

func dueTenants(b *bench) {
	var want []driver.Key
	for i, tenant := range []string{"t2", "", "t1", "T1", "t/1"} {
		r := b.schedule("n", at(i))
		r.Tenant = tenant
		b.create(r)
		want = append(want, r.Key)
	}
	got, err := b.store.Due(b.ctx, b.kind, at(1000), 10)
	if err != nil || !slices.Equal(got, want) {
		b.Fatalf("Due returns %v and the error %v, want %v", got, err, want)
	}
	got, err = b.store.Due(b.ctx, b.kind, at(1000), 2)
	if err != nil || !slices.Equal(got, want[:2]) {
		b.Fatalf("Due with a limit of 2 returns %v and the error %v, want %v", got, err, want[:2])
	}
}

func dueAnyTime(b *bench) {
	times := []time.Time{
		time.Date(1900, 1, 1, 0, 0, 0, 0, time.UTC), time.Unix(-1, 999_999_000), time.Unix(0, 0), time.Unix(0, 1000),
		time.Date(2031, 5, 6, 7, 8, 9, 1000, time.UTC), time.Date(2031, 5, 6, 7, 8, 9, 2000, time.UTC), time.Date(2031, 11, 1, 0, 0, 0, 0, time.UTC),
		time.Date(2131, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(9000, 12, 31, 23, 59, 59, 999_999_000, time.UTC),
	}
	var want []string
	for i, due := range times {
		want = append(want, fmt.Sprint(i))
		b.create(b.schedule(want[i], due))
	}
	for i, due := range times {
		equal(b, fmt.Sprintf("Due before %v", due), b.due(due, 100), want[:i+1])
		equal(b, fmt.Sprintf("Due a microsecond before %v", due), b.due(due.Add(-time.Microsecond), 100), want[:i])
	}
	equal(b, "Due before the end of time", b.due(time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC), 100), want)
}
