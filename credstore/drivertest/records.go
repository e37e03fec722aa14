package drivertest

import (
	"bytes"
	"fmt"
	"time"

	"github.com/outgrant/outgrant/credstore/driver"
)

var recordChecks = []check{
	{name: "what is put is got", run: putGet},
	{name: "times", run: times},
	{name: "put compares the version", run: putCompares},
	{name: "delete compares the version", run: deleteCompares},
	{name: "versions never come back", run: versions},
	{name: "memory is not shared", run: copies},
	{name: "large records", run: large},
}

func putGet(b *bench) {
	k := b.key("n")
	full := driver.Record{Key: k, Version: "ignored", Info: []byte("{\"a\":\n1}\x00\xff"), Sealed: allBytes(),
		Due: time.Date(2031, 5, 6, 7, 8, 9, 123456000, time.UTC), Expires: time.Date(2032, 5, 6, 7, 8, 9, 654321000, time.UTC)}
	version := ""
	for _, r := range []driver.Record{
		full,
		{Key: k},
		{Key: k, Info: []byte("i")},
		{Key: k, Sealed: []byte("s")},
		{Key: k, Due: full.Due},
		{Key: k, Expires: full.Expires},
		full,
	} {
		version = b.put(r, version)
		b.holds(r, version)
		b.holds(r, version) // reading changes nothing
	}
}

func allBytes() []byte {
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	return all
}

func times(b *bench) {
	elsewhere := time.FixedZone("elsewhere", 5*60*60+30*60)
	for i, due := range []time.Time{
		{}, time.Unix(0, 0), time.Unix(0, 1000), time.Unix(-1, 999_999_000), time.Now(), time.Now().In(elsewhere),
		time.Date(2031, 5, 6, 7, 8, 9, 1000, elsewhere), time.Date(2031, 5, 6, 7, 8, 9, 999_999_000, time.UTC),
		time.Date(2031, 5, 6, 7, 8, 9, 999_999_999, time.UTC), time.Date(1900, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(9000, 12, 31, 23, 59, 59, 0, time.UTC),
	} {
		r := record(b.key(fmt.Sprint(i)), "n")
		r.Due = due
		b.holds(r, b.create(r))
		r.Key, r.Due, r.Expires = b.key(fmt.Sprint(i, " expires")), time.Time{}, due
		b.holds(r, b.create(r))
	}
}

func putCompares(b *bench) {
	k := b.key("n")
	first, second, never := record(k, "first"), record(k, "second"), record(k, "never")

	refused := func(ifVersion, what string) {
		b.Helper()
		version, err := b.store.Put(b.ctx, never, ifVersion)
		b.is(err, driver.ErrConflict, "Put %s", what)
		if version != "" {
			b.Errorf("Put %s returns the version %q", what, version)
		}
	}
	refused("some version", "for a version of a record that is not there")
	b.holdsNot(k)

	v1 := b.create(first)
	refused("", "that creates a record which is there")
	refused("some version", "for a version that never was")
	refused(v1+" ", "for almost the version")
	b.holds(first, v1)

	v2 := b.put(second, v1)
	refused(v1, "for the version before")
	refused("", "that creates a record which is there")
	b.holds(second, v2)

	b.delete(k, v2)
	refused(v1, "for a version before the delete")
	refused(v2, "for the version that was deleted")
	b.holdsNot(k)

	v3 := b.create(first)
	refused(v1, "for a version before the delete")
	refused(v2, "for the version that was deleted")
	b.holds(first, v3)
}

func deleteCompares(b *bench) {
	k := b.key("n")
	for _, ifVersion := range []string{"", "some version"} {
		b.is(b.store.Delete(b.ctx, k, ifVersion), driver.ErrNotFound, "Delete for version %q of a record that is not there", ifVersion)
	}
	r := record(k, "n")
	v1 := b.create(r)
	v2 := b.put(r, v1)
	for _, ifVersion := range []string{v1, "some version", v2 + " "} {
		b.is(b.store.Delete(b.ctx, k, ifVersion), driver.ErrConflict, "Delete for version %q, which is not the record's", ifVersion)
		b.holds(r, v2)
	}
	b.delete(k, v2)
	b.holdsNot(k)
	b.is(b.store.Delete(b.ctx, k, v2), driver.ErrNotFound, "Delete of a record that was deleted")

	b.create(r)
	b.delete(k, "")
	b.holdsNot(k)
	b.is(b.store.Delete(b.ctx, k, ""), driver.ErrNotFound, "Delete of a record that was deleted")
}

func versions(b *bench) {
	seen := map[string]bool{}
	fresh := func(version, what string) string {
		b.Helper()
		if seen[version] {
			b.Fatalf("the version %q of a record %s was there before", version, what)
		}
		seen[version] = true
		return version
	}
	r := record(b.key("n"), "the same")
	for range b.rounds(5, 50) {
		v := fresh(b.create(r), "that was made again")
		for range 3 {
			v = fresh(b.put(r, v), "that was put without a change")
		}
		b.delete(r.Key, v)
	}
}

func copies(b *bench) {
	k := b.key("n")
	want := record(k, "n")
	given := record(k, "n")
	version := b.create(given)
	spoil(given)
	b.holds(want, version)
	spoil(b.get(k))
	b.holds(want, version)
	for _, r := range b.list("", b.kind) {
		spoil(r)
	}
	b.holds(want, version)
	got := b.get(k)
	b.put(record(k, "another"), version)
	want.Version = version
	if difference := differ(got, want); difference != "" {
		b.Fatalf("a Put changes the record that a Get before has returned: %s", difference)
	}
}

func spoil(r driver.Record) {
	for _, data := range [][]byte{r.Info, r.Sealed} {
		for i := range data {
			data[i] = 'x'
		}
		_ = append(data[:0:cap(data)], bytes.Repeat([]byte("y"), cap(data))...)
	}
}

func large(b *bench) {
	k := b.key("n")
	version := ""
	for _, size := range []int{4095, 4096, 4097, 64 << 10, 256 << 10, 1} {
		r := driver.Record{Key: k, Info: bytes.Repeat([]byte("i"), min(size, 64<<10)), Sealed: bytes.Repeat(allBytes(), size/256+1)[:size]}
		var err error
		version, err = b.store.Put(b.ctx, r, version)
		if err != nil {
			b.Fatalf("Put of a record with %d bytes in Sealed: %v", size, err)
		}
		b.holds(r, version)
		if info := b.list("", b.kind)["n"].Info; !bytes.Equal(info, r.Info) {
			b.Fatalf("List yields other %d bytes of Info than the %d that were put", len(info), len(r.Info))
		}
	}
}
