package filestore_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant/credstore/driver"
	"github.com/outgrant/outgrant/credstore/filestore"
)

// What a process leaves behind that ends in the middle of a write, step by step.

func TestLeftoverTempFiles(t *testing.T) {
	t.Parallel()
	dir := newDir(t)
	put(t, openStore(t, dir), record("orders"), "")
	old, young := filepath.Join(dir, "tmp", "OLD"), filepath.Join(dir, "tmp", "YOUNG")
	for _, name := range []string{old, young} {
		require.NoError(t, os.WriteFile(name, []byte("outgrant record 1 half of it"), 0o600))
	}
	require.NoError(t, os.Chtimes(old, time.Now(), time.Now().Add(-filestore.LeftoverAge-time.Minute)))
	require.NoError(t, os.Chtimes(young, time.Now(), time.Now().Add(-filestore.LeftoverAge+time.Minute)))

	s := openStore(t, dir)
	require.NoFileExists(t, old)
	require.FileExists(t, young, "somebody may still be writing it")
	names, errs := listed(s, "acme", kind)
	require.Equal(t, []string{"orders"}, names)
	require.Empty(t, errs)
}

func TestStaleEntries(t *testing.T) {
	t.Parallel()
	dir := newDir(t)
	s := openStore(t, dir)
	put(t, s, record("orders"), "")
	never := record("never")
	never.Due = time.Time{}
	put(t, s, never, "")
	deleted := record("deleted")
	require.NoError(t, s.Delete(t.Context(), deleted.Key, put(t, s, deleted, "")))

	entry := func(k driver.Key, due time.Time) string {
		t.Helper()
		name := filepath.Join(dir, filestore.EntryOf(k, due))
		require.NoError(t, os.MkdirAll(filepath.Dir(name), 0o700))
		require.NoError(t, os.WriteFile(name, nil, 0o600))
		return name
	}
	stale := []string{
		entry(key("orders"), noon.Add(-48*time.Hour)),       // of the record before
		entry(key("orders"), noon.Add(-time.Microsecond)),   // likewise
		entry(key("deleted"), noon),                         // of a record that was deleted
		entry(key("never made"), noon.Add(-time.Hour)),      // of one that was not written any more
		entry(never.Key, noon.Add(-time.Hour)),              // of one that is not due any more
		entry(never.Key, noon.Add(-30*24*time.Hour)),        // likewise
		entry(key("orders"), noon.Add(time.Hour).UTC()),     // of one that was not written any more, later
		entry(key("orders"), noon.Add(-365*24*time.Hour*9)), // long ago
	}
	later := stale[6]

	due, err := s.Due(t.Context(), kind, noon, 1)
	require.NoError(t, err)
	require.Equal(t, []driver.Key{key("orders")}, due, "stale entries do not use up the limit")
	for _, name := range stale {
		if name != later {
			require.NoFileExists(t, name)
			if filepath.Dir(name) != filepath.Dir(later) {
				require.NoDirExists(t, filepath.Dir(name))
			}
		}
	}
	require.FileExists(t, later, "nobody looks at what is not due")
	require.FileExists(t, filepath.Join(dir, filestore.EntryOf(key("orders"), noon)))
}

func TestEntryThatIsJustBeingMade(t *testing.T) {
	t.Parallel()
	dir := newDir(t)
	s, other := openStore(t, dir), openStore(t, dir)
	for _, writer := range []*filestore.Store{s, other} { // in this process, and as another one does
		unlock, err := writer.BeginPut(record("orders"))
		require.NoError(t, err)
		due, err := s.Due(t.Context(), kind, noon, 10)
		require.NoError(t, err)
		require.Empty(t, due)
		entry := filepath.Join(dir, filestore.EntryOf(key("orders"), noon))
		require.FileExists(t, entry, "its record is about to be written")

		unlock() // the writer has ended
		_, err = s.Due(t.Context(), kind, noon, 10)
		require.NoError(t, err)
		require.NoFileExists(t, entry)
	}
}

func TestWriterThatEndedBeforeItsRecord(t *testing.T) {
	t.Parallel()
	dir := newDir(t)
	s := openStore(t, dir)
	unlock, err := openStore(t, dir).BeginPut(record("orders"))
	require.NoError(t, err)
	unlock()

	put(t, s, record("orders"), "") // finds its entry there
	due, err := s.Due(t.Context(), kind, noon, 10)
	require.NoError(t, err)
	require.Equal(t, []driver.Key{key("orders")}, due)
}

func TestDueReadsWhatIsDue(t *testing.T) {
	t.Parallel()
	dir := newDir(t)
	s := openStore(t, dir)
	put(t, s, record("orders"), "")
	for i := range 50 { // on the same day and on others, and all of them damaged
		r := record("later")
		r.Name += string(rune('a' + i%26))
		r.Tenant = string(rune('a' + i/26))
		r.Due = noon.Add(time.Duration(i+1) * time.Hour)
		require.NoError(t, s.Seed(r))
		for _, file := range files(t, dir, filestore.FolderOf(r.Tenant, kind)) {
			require.NoError(t, os.WriteFile(file, []byte("x"), 0o600))
		}
	}
	due, err := s.Due(t.Context(), kind, noon.Add(time.Hour-time.Microsecond), 10)
	require.NoError(t, err, "it has read a record that is not due")
	require.Equal(t, []driver.Key{key("orders")}, due)
	_, err = s.Due(t.Context(), kind, noon.Add(time.Hour), 10)
	require.Error(t, err)
}
