package credstore_test

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant/credstore"
	"github.com/outgrant/outgrant/credstore/driver"
	"github.com/outgrant/outgrant/credstore/memstore"
	"github.com/outgrant/outgrant/oauthtest"
)

// full has something in each of its parts.
func full() driver.Record {
	due := time.Date(2026, 3, 1, 12, 0, 0, 123456000, time.UTC)
	return driver.Record{Key: driver.Key{Tenant: "acme", Kind: "grant", Name: "MAILBOX"}, Due: due, Expires: due.AddDate(0, 3, 0),
		Info: []byte(`{"status":"Deployed"}`)}
}

func requireUnreadable(t testing.TB, keys *credstore.DataKeys, r driver.Record) {
	t.Helper()
	plain, err := keys.Open(t.Context(), r)
	require.Nil(t, plain)
	require.ErrorIs(t, err, credstore.ErrUnreadable)
	require.ErrorContains(t, err, r.Key.String()+" cannot be read: ")
	require.ErrorContains(t, err, "restore it from a backup, or deploy it, and authorize it, again")
	require.NotContains(t, err.Error(), "sentinel")
	require.NotContains(t, err.Error(), "\n")
}

func TestASealedRecordIsRefusedWhenItWasChanged(t *testing.T) {
	t.Parallel()
	keys := openKeys(t, memstore.New(), newKeeper(t))
	good := full()
	var err error
	good.Sealed, err = keys.Seal(good, []byte("sentinel-plain"))
	require.NoError(t, err)
	require.NotContains(t, string(good.Sealed), "sentinel")
	requireOpens(t, keys, good, "sentinel-plain")

	for i := range good.Sealed {
		for bit := range 8 {
			r := good
			r.Sealed = flipped(good.Sealed, i, bit)
			requireUnreadable(t, keys, r)
		}
		r := good
		r.Sealed = good.Sealed[:i]
		requireUnreadable(t, keys, r)
	}
	for i := range good.Info {
		for bit := range 8 {
			r := good
			r.Info = flipped(good.Info, i, bit)
			requireUnreadable(t, keys, r)
		}
	}
	for name, change := range map[string]func(r *driver.Record){
		"longer":          func(r *driver.Record) { r.Sealed = append(r.Sealed[:len(r.Sealed):len(r.Sealed)], 0) },
		"no sealed bytes": func(r *driver.Record) { r.Sealed = nil },
		"no info":         func(r *driver.Record) { r.Info = nil },
		"longer info":     func(r *driver.Record) { r.Info = append(r.Info[:len(r.Info):len(r.Info)], ' ') },
		"due later":       func(r *driver.Record) { r.Due = r.Due.Add(time.Microsecond) },
		"due sooner":      func(r *driver.Record) { r.Due = r.Due.Add(-time.Microsecond) },
		"never due":       func(r *driver.Record) { r.Due = time.Time{} },
		"due in 1970":     func(r *driver.Record) { r.Due = time.Unix(0, 0) },
		"expires later":   func(r *driver.Record) { r.Expires = r.Expires.Add(time.Microsecond) },
		"never expires":   func(r *driver.Record) { r.Expires = time.Time{} },
		"times swapped":   func(r *driver.Record) { r.Due, r.Expires = r.Expires, r.Due },
	} {
		t.Run(name, func(t *testing.T) {
			r := good
			change(&r)
			requireUnreadable(t, keys, r)
		})
	}
	newer := good
	newer.Sealed = flipped(good.Sealed, 0, 1)
	require.ErrorContains(t, errOf(keys.Open(t.Context(), newer)), "a newer version of outgrant wrote it")

	// This is the same.
	r := good
	r.Version = "another"
	r.Due, r.Expires = r.Due.In(time.FixedZone("elsewhere", 3600)), r.Expires.Add(999*time.Nanosecond)
	requireOpens(t, keys, r, "sentinel-plain")
}

func TestASealedRecordIsRefusedWhenItWasMoved(t *testing.T) {
	t.Parallel()
	drv, keeper := memstore.New(), newKeeper(t)
	keys := openKeys(t, drv, keeper)
	places := []driver.Key{
		{Tenant: "acme", Kind: "grant", Name: "MAILBOX"}, {Tenant: "acme", Kind: "grant", Name: "mailbox"}, {Tenant: "acme", Kind: "grant", Name: "MAILBOX "},
		{Tenant: "acme", Kind: "artifact", Name: "MAILBOX"}, {Tenant: "ACME", Kind: "grant", Name: "MAILBOX"}, {Tenant: "", Kind: "grant", Name: "MAILBOX"},
		{Tenant: "acmeg", Kind: "rant", Name: "MAILBOX"}, {Tenant: "acm", Kind: "egrant", Name: "MAILBOX"}, {Tenant: "acme", Kind: "grantM", Name: "AILBOX"},
		{Tenant: "grant", Kind: "acme", Name: "MAILBOX"}, {Tenant: "", Kind: "acmegrantMAILBOX", Name: ""},
		{Tenant: "acme\x00\x00\x00\x05grant", Kind: "", Name: "MAILBOX"}, {Tenant: strings.Repeat("é", 512), Kind: "grant", Name: "MAILBOX"},
	}
	for i, from := range places {
		r := full()
		r.Key = from
		var err error
		r.Sealed, err = keys.Seal(r, []byte("sentinel-plain"))
		require.NoError(t, err)
		for j, to := range places {
			if r.Key = to; i == j {
				requireOpens(t, keys, r, "sentinel-plain")
			} else {
				requireUnreadable(t, keys, r)
			}
		}
	}
	other := openKeys(t, memstore.New(), keeper)
	requireUnreadable(t, other, record(t, keys, "of another store with the same Keeper"))

	r := record(t, keys, "of another generation")
	require.NoError(t, keys.Rotate(t.Context()))
	binary.BigEndian.PutUint32(r.Sealed[1:], 2)
	requireUnreadable(t, keys, r)
}

func TestSealRefusesTimesThatBackendsRound(t *testing.T) {
	t.Parallel()
	keys := openKeys(t, memstore.New(), newKeeper(t))
	for _, at := range []time.Time{time.Unix(1, 1), time.Unix(-1, 999_999_999)} {
		for _, r := range []driver.Record{{Due: at}, {Expires: at}} {
			require.ErrorContains(t, errOf(keys.Seal(r, nil)), "microseconds")
			r.Due, r.Expires = credstore.Microseconds(r.Due), credstore.Microseconds(r.Expires)
			require.NoError(t, errOf(keys.Seal(r, nil)))
		}
	}
	require.True(t, credstore.Microseconds(time.Time{}).IsZero())
	now := credstore.Microseconds(time.Now())
	require.Equal(t, now, time.UnixMicro(now.UnixMicro()).UTC(), "in UTC, without the monotonic clock")
	require.Zero(t, credstore.GenerationOf(full()))
}

func TestSealedValues(t *testing.T) {
	t.Parallel()
	drv, keeper := memstore.New(), newKeeper(t)
	one, two := openKeys(t, drv, keeper), openKeys(t, drv, keeper)
	value, err := one.SealValue("attempt", []byte("sentinel-plain"))
	require.NoError(t, err)
	plain, err := two.OpenValue(t.Context(), "attempt", value)
	require.NoError(t, err)
	require.Equal(t, "sentinel-plain", string(plain))

	refused := func(purpose string, value []byte) {
		plain, err := two.OpenValue(t.Context(), purpose, value)
		require.Nil(t, plain)
		require.ErrorIs(t, err, credstore.ErrUnreadable)
		require.ErrorContains(t, err, "credstore: the "+purpose+" cannot be read: ")
		require.NotContains(t, err.Error(), "sentinel")
	}
	for i := range value {
		refused("attempt", value[:i])
		refused("attempt", flipped(value, i, i%8))
	}
	refused("other", value)
	refused("", value)
	refused("attempt", nil)
	record := record(t, one, "sentinel-plain")
	refused("attempt", record.Sealed)
	record.Sealed = value
	requireUnreadable(t, one, record)
}

// vectors are what version 1 of the format is, sealed by other software (Python's cryptography).
type vectors struct {
	Key      string
	DataKeys []struct {
		Generation int
		Sealed     []byte
	}
	Records []struct {
		Tenant, Kind, Name, Info, Plain string
		Due, Expires                    time.Time
		Sealed                          []byte
	}
	Values []struct {
		Purpose, Plain string
		Sealed         []byte
	}
}

// readVectors returns the vectors of each file, and the data keys that open them.
func readVectors(t testing.TB) (all []vectors, keys []*credstore.DataKeys) {
	t.Helper()
	files, err := filepath.Glob("testdata/sealed/*.json")
	require.NoError(t, err)
	require.NotEmpty(t, files, "there are no vectors in testdata/sealed")
	for _, file := range files {
		data, err := os.ReadFile(file)
		require.NoError(t, err)
		var v vectors
		require.NoError(t, json.Unmarshal(data, &v))
		require.NotEmpty(t, v.Records)
		require.NotEmpty(t, v.Values)
		keeper, err := credstore.LocalKeeper(keyFile(t, v.Key+"\n", 0o600))
		require.NoError(t, err)
		drv := memstore.New()
		for _, key := range v.DataKeys {
			_, err := drv.Put(t.Context(), driver.Record{Key: driver.Key{Kind: "key", Name: fmt.Sprint(key.Generation)}, Sealed: key.Sealed}, "")
			require.NoError(t, err)
		}
		all, keys = append(all, v), append(keys, openKeys(t, drv, keeper))
	}
	return all, keys
}

func (v vectors) record(i int) driver.Record {
	r := v.Records[i]
	return driver.Record{Key: driver.Key{Tenant: r.Tenant, Kind: r.Kind, Name: r.Name}, Due: r.Due, Expires: r.Expires, Info: []byte(r.Info), Sealed: r.Sealed}
}

// What was sealed once can be opened for ever.
func TestVectors(t *testing.T) {
	t.Parallel()
	all, keys := readVectors(t)
	for n, v := range all {
		for i, r := range v.Records {
			requireOpens(t, keys[n], v.record(i), r.Plain)
		}
		for _, value := range v.Values {
			plain, err := keys[n].OpenValue(t.Context(), value.Purpose, value.Sealed)
			require.NoError(t, err)
			require.Equal(t, value.Plain, string(plain))
		}
	}
}

// Whatever opens was sealed as it is.
func FuzzOpen(f *testing.F) {
	all, keys := readVectors(f)
	known := map[string]string{}
	for _, v := range all {
		for i, r := range v.Records {
			known[string(r.Sealed)] = r.Plain
			f.Add(r.Sealed, i)
		}
		for _, value := range v.Values {
			known[string(value.Sealed)] = value.Plain
			f.Add(value.Sealed, 0)
		}
	}
	check := func(t *testing.T, sealed, plain []byte, err error) {
		if err != nil {
			require.ErrorIs(t, err, credstore.ErrUnreadable)
			require.Nil(t, plain)
			require.NotContains(t, err.Error(), "sentinel")
			return
		}
		want, isKnown := known[string(sealed)]
		require.True(t, isKnown, "opens, and was not sealed")
		require.Equal(t, want, string(plain))
	}
	f.Fuzz(func(t *testing.T, sealed []byte, which int) {
		for n, v := range all {
			r := v.record(max(which, -(which+1)) % len(v.Records))
			r.Sealed = sealed
			plain, err := keys[n].Open(t.Context(), r)
			check(t, sealed, plain, err)
			plain, err = keys[n].OpenValue(t.Context(), v.Values[0].Purpose, sealed)
			check(t, sealed, plain, err)
		}
	})
}

func TestNothingSealedIsPrinted(t *testing.T) {
	t.Parallel()
	_, keys := readVectors(t)
	key, err := os.ReadFile("testdata/sealed/version-1.json")
	require.NoError(t, err)
	var v vectors
	require.NoError(t, json.Unmarshal(key, &v))
	dataKey := credstore.SecretOf(keys[0], 1)
	require.Len(t, dataKey, 32)
	held := struct{ keys *credstore.DataKeys }{keys[0]}
	oauthtest.AssertNoSecrets(t, []string{string(dataKey), v.Key}, keys[0], held, &held)
}

// grantLike is a record as large as that of an authorization.
func grantLike(tb testing.TB, keys *credstore.DataKeys) driver.Record {
	tb.Helper()
	r := full()
	var err error
	r.Sealed, err = keys.Seal(r, []byte(strings.Repeat("x", 4096)))
	require.NoError(tb, err)
	return r
}

func BenchmarkSeal(b *testing.B) {
	keys := openKeys(b, memstore.New(), newKeeper(b))
	r, plain := full(), []byte(strings.Repeat("x", 4096))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := keys.Seal(r, plain); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkOpen(b *testing.B) {
	keys := openKeys(b, memstore.New(), newKeeper(b))
	r := grantLike(b, keys)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := keys.Open(b.Context(), r); err != nil {
			b.Fatal(err)
		}
	}
}

// TestSealFigures: allocations are the same everywhere, so they are held in every run; the time takes a quiet machine.
func TestSealFigures(t *testing.T) {
	if info, _ := debug.ReadBuildInfo(); strings.Contains(fmt.Sprint(info.Settings), "{-race true}") {
		t.Skip("the race detector allocates, too")
	}
	keys := openKeys(t, memstore.New(), newKeeper(t))
	r := grantLike(t, keys)
	open := func() { _, _ = keys.Open(t.Context(), r) }
	seal := func() { _, _ = keys.Seal(r, r.Sealed) }
	opening, sealing := testing.AllocsPerRun(100, open), testing.AllocsPerRun(100, seal)
	t.Logf("%v allocations to open, %v to seal", opening, sealing)
	require.LessOrEqual(t, opening, 40.0)
	require.LessOrEqual(t, sealing, 40.0)

	if os.Getenv("OUTGRANT_SOAK") == "" {
		return
	}
	least := time.Hour
	for range 10 {
		begin := time.Now()
		for range 10_000 {
			open()
		}
		least = min(least, time.Since(begin))
	}
	t.Logf("10,000 records of 4 KiB are opened in %v", least)
	require.Less(t, least, 200*time.Millisecond)
}
