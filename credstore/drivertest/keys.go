package drivertest

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/outgrant/outgrant/credstore/driver"
)

var keyChecks = []check{
	{name: "different keys are different records", run: differentKeys},
	{name: "different keys are different locks", run: differentKeysLocks},
	{name: "tenants and kinds are apart", run: tenantsAndKinds},
	{name: "bad keys are refused", run: badKeys},
}

// oddNames are names that a backend could take for one another, or for something else.
func oddNames() []string {
	long := strings.Repeat("n", 1023)
	wide := strings.Repeat("\U0001F511", 255) + "abc" // 1,023 bytes
	return []string{
		"orders", "Orders", "ORDERS", "orders ", " orders", "orders.", "orders\n", "orders\t",
		".", "..", "../orders", "../../orders", "/", "/orders", "orders/", "a/b", "a//b", `a\b`, `C:\orders`, "c:orders", `\\host\share`,
		"CON", "nul", "com1.txt", "orders:stream", "a*b?c<d>e|f\"g", "-", "--", "-rf", "~", "$HOME", "%41", "A", "a", "%", "_", "*",
		"\u00e9", "e\u0301", "\u00c9", "\u212a", "K", "k", "\u0130", "i", "\u0131", "ß", "ss", "日本", "\U0001F511", "\u202egnp", "\ufeff", "\ufffd",
		"\x01", "\x7f", "a\x1bb", "'; DROP TABLE records; --", `{"name":"x"}`, "\u2028", "<&>",
		long + "1", long + "2", long, wide + "1", wide + "2",
	}
}

func differentKeys(b *bench) {
	names := oddNames()
	versions := map[string]string{}
	due := time.Date(2031, 5, 6, 7, 8, 9, 0, time.UTC)
	for i, name := range names {
		r := record(b.key(name), name)
		r.Due = due.Add(time.Duration(i) * time.Second)
		versions[name] = b.create(r)
	}
	for i, name := range names {
		r := record(b.key(name), name)
		r.Due = due.Add(time.Duration(i) * time.Second)
		b.holds(r, versions[name])
	}
	listed := b.list("", b.kind)
	for _, name := range names {
		if _, ok := listed[name]; !ok {
			b.Errorf("List does not yield the name %.60q", name)
		}
	}
	if len(listed) != len(names) {
		b.Errorf("List yields %d records, want %d", len(listed), len(names))
	}
	equal(b, "Due", b.due(due.Add(time.Hour), len(names)+1), names)
	for i, name := range names {
		b.delete(b.key(name), versions[name])
		b.holdsNot(b.key(name))
		if i+1 < len(names) {
			b.get(b.key(names[i+1])) // still there
		}
	}
}

func differentKeysLocks(b *bench) {
	for _, name := range oddNames() {
		l := b.tryLock(b.store, b.key(name))
		if l == nil {
			b.Fatalf("the lock of the name %.60q is that of another name, or one is held at most", name)
		}
		defer l.Unlock()
	}
	for _, name := range oddNames() {
		b.locked(b.store, b.key(name))
	}
}

func tenantsAndKinds(b *bench) {
	// Where the parts of a key are joined, some of these would be the same.
	kind := func(suffix string) string { return b.kind + suffix }
	keys := []driver.Key{
		{Kind: kind(""), Name: "n"},
		{Tenant: "t", Kind: kind(""), Name: "n"},
		{Tenant: "T", Kind: kind(""), Name: "n"},
		{Tenant: "t/", Kind: kind(""), Name: "n"},
		{Tenant: "..", Kind: kind(""), Name: "n"},
		{Tenant: "t", Kind: kind("/n"), Name: "n"},
		{Tenant: "t", Kind: kind(""), Name: "n/n"},
		{Tenant: "t", Kind: kind(".N"), Name: "n"},
		{Tenant: "t", Kind: kind(".n"), Name: "n"},
		{Tenant: "t/" + kind(""), Kind: kind(""), Name: "n"},
		{Tenant: "t", Kind: kind("/" + kind("")), Name: "n"},
		{Tenant: strings.Repeat("t", 1024), Kind: kind(strings.Repeat("k", 1024-len(b.kind))), Name: strings.Repeat("n", 1024)},
		{Tenant: kind(""), Kind: kind(""), Name: kind("")},
		{Tenant: "日本 / \\ : ..", Kind: kind(" / \\ : .."), Name: "n"},
	}
	due := time.Date(2031, 5, 6, 7, 8, 9, 0, time.UTC)
	type scope struct{ tenant, kind string }
	inScope, ofKind := map[scope]int{}, map[string]int{}
	versions := make([]string, len(keys))
	for i, k := range keys {
		r := record(k, fmt.Sprint(i))
		r.Due = due
		versions[i] = b.create(r)
		inScope[scope{k.Tenant, k.Kind}]++
		ofKind[k.Kind]++
	}
	for i, k := range keys {
		r := record(k, fmt.Sprint(i))
		r.Due = due
		b.holds(r, versions[i])
		if n := len(b.list(k.Tenant, k.Kind)); n != inScope[scope{k.Tenant, k.Kind}] {
			b.Errorf("List of tenant %q, kind %q yields %d records, want %d", k.Tenant, k.Kind, n, inScope[scope{k.Tenant, k.Kind}])
		}
		keys, err := b.store.Due(b.ctx, k.Kind, due, 100)
		if err != nil || len(keys) != ofKind[k.Kind] {
			b.Errorf("Due of kind %q returns %d keys and the error %v, want the %d of all tenants", k.Kind, len(keys), err, ofKind[k.Kind])
		}
	}
	if n := len(b.list("nobody", b.kind)); n != 0 {
		b.Errorf("List of a tenant without records yields %d", n)
	}
	for _, k := range keys {
		l := b.tryLock(b.store, k)
		if l == nil {
			b.Fatalf("the lock of %v is that of another key", k)
		}
		defer l.Unlock()
	}
	b.delete(keys[1], versions[1])
	for i, k := range keys {
		if i != 1 {
			b.get(k)
		}
	}
}

func badKeys(b *bench) {
	long := strings.Repeat("x", 1025)
	for what, k := range map[string]driver.Key{
		"no kind":          {Name: "n"},
		"no name":          {Kind: b.kind},
		"a NUL":            {Kind: b.kind, Name: "a\x00b"},
		"only a NUL":       {Kind: b.kind, Name: "\x00"},
		"a NUL in kind":    {Kind: b.kind + "\x00", Name: "n"},
		"a NUL in tenant":  {Tenant: "\x00", Kind: b.kind, Name: "n"},
		"not UTF-8":        {Kind: b.kind, Name: "a\xffb"},
		"half a surrogate": {Kind: b.kind, Name: "\xed\xa0\x80"},
		"not UTF-8 tenant": {Tenant: "\xc3", Kind: b.kind, Name: "n"},
		"not UTF-8 kind":   {Kind: b.kind + "\xc3\x28", Name: "n"},
		"long name":        {Kind: b.kind, Name: long},
		"long kind":        {Kind: long, Name: "n"},
		"long tenant":      {Tenant: long, Kind: b.kind, Name: "n"},
	} {
		refused := func(method string, err error) {
			b.Helper()
			if err == nil || errors.Is(err, driver.ErrNotFound) || errors.Is(err, driver.ErrConflict) {
				b.Errorf("%s of a key with %s: got the error %v, want one that says what is wrong with the key", method, what, err)
			}
		}
		_, err := b.store.Get(b.ctx, k)
		refused("Get", err)
		_, err = b.store.Put(b.ctx, record(k, "n"), "")
		refused("Put", err)
		refused("Delete", b.store.Delete(b.ctx, k, ""))
		l, err := b.store.Lock(b.ctx, k)
		refused("Lock", err)
		if err == nil {
			b.unlock(l)
		}
		l, _, err = b.store.TryLock(b.ctx, k)
		refused("TryLock", err)
		if err == nil && l != nil {
			b.unlock(l)
		}
	}
	if n := len(b.list("", b.kind)); n != 0 {
		b.Errorf("%d records are there with keys that were to be refused", n)
	}
}
