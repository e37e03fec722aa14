package drivertest

import (
	"fmt"
	"time"

	"github.com/outgrant/outgrant/credstore/driver"
)

var listChecks = []check{
	{name: "all but what is sealed", run: listAll},
	{name: "while others write", run: listWhileWriting},
	{name: "ends when its caller does", run: listBreak},
}

func listAll(b *bench) {
	if n := len(b.list("", b.kind)); n != 0 {
		b.Fatalf("List yields %d records of a kind that has none", n)
	}
	want := map[string]driver.Record{}
	for i := range b.rounds(50, 2000) {
		r := record(b.key(fmt.Sprint("n", i)), fmt.Sprint(i))
		if i%3 == 0 {
			r.Due, r.Expires = time.Unix(int64(i), 5000), time.Unix(int64(i), 7000)
		}
		r.Version = b.create(r)
		r.Sealed = nil
		want[r.Name] = r
	}
	check := func() {
		b.Helper()
		got := b.list("", b.kind)
		for name, r := range want {
			if len(got[name].Sealed) != 0 {
				b.Fatalf("List yields Sealed")
			}
			if difference := differ(got[name], r); difference != "" {
				b.Fatalf("List yields another %v: %s", r.Key, difference)
			}
		}
		if len(got) != len(want) {
			b.Fatalf("List yields %d records, want %d", len(got), len(want))
		}
	}
	check()
	b.delete(b.key("n3"), "")
	delete(want, "n3")
	r := record(b.key("n4"), "changed")
	r.Version = b.put(r, want["n4"].Version)
	r.Sealed = nil
	want["n4"] = r
	check()
}

func listWhileWriting(b *bench) {
	versions := map[string]string{}
	for i := range 20 {
		r := record(b.key(fmt.Sprint("n", i)), "old")
		versions[r.Name] = b.create(r)
	}
	seen := map[string]bool{}
	for r, err := range b.store.List(b.ctx, "", b.kind) {
		if err != nil {
			b.Fatalf("List while others write: %v", err)
		}
		seen[r.Name] = true
		// None of this may wait for the list to end, which would be never.
		switch {
		case r.Name == "n1":
			b.delete(r.Key, versions[r.Name])
			delete(versions, r.Name)
		case versions[r.Name] != "":
			versions[r.Name] = b.put(record(r.Key, "new"), versions[r.Name])
		}
		if len(seen) == 10 {
			versions["late"] = b.create(record(b.key("late"), "new"))
		}
	}
	if len(b.list("", b.kind)) != len(versions) {
		b.Errorf("List yields %d records after all was written, want %d", len(b.list("", b.kind)), len(versions))
	}
	for name, version := range versions {
		if v := b.get(b.key(name)).Version; v != version {
			b.Errorf("the version of %q is %q, want %q", name, v, version)
		}
	}
}

func listBreak(b *bench) {
	for i := range 5 {
		b.create(record(b.key(fmt.Sprint("n", i)), "n"))
	}
	list := b.store.List(b.ctx, "", b.kind)
	for range 2 { // a list can be read again
		for range list {
			break
		}
	}
	n := 0
	for range list {
		n++
	}
	if n != 5 {
		b.Errorf("List that is read again yields %d records, want 5", n)
	}
	b.put(record(b.key("n0"), "new"), b.get(b.key("n0")).Version)
}
