package filestore_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant/credstore/driver"
	"github.com/outgrant/outgrant/credstore/filestore"
)

func TestOpen(t *testing.T) {
	t.Parallel()
	t.Run("makes the folder", func(t *testing.T) {
		t.Parallel()
		dir := filepath.Join(t.TempDir(), "a", "b", "c")
		put(t, openStore(t, dir), record("orders"), "")
		_, err := openStore(t, dir).Get(t.Context(), key("orders"))
		require.NoError(t, err)
	})
	t.Run("no name", func(t *testing.T) {
		t.Parallel()
		_, err := filestore.Open("", nil)
		require.ErrorContains(t, err, "no name")
	})
	t.Run("a file", func(t *testing.T) {
		t.Parallel()
		file := filepath.Join(t.TempDir(), "file")
		require.NoError(t, os.WriteFile(file, nil, 0o600))
		_, err := filestore.Open(file, nil)
		require.ErrorContains(t, err, file+" is not a folder")
		_, err = filestore.Open(filepath.Join(file, "store"), nil)
		require.ErrorContains(t, err, file)
	})
	t.Run("a folder that all may write to", func(t *testing.T) {
		t.Parallel()
		if runtime.GOOS == "windows" {
			t.Skip("the rights of a folder are not told by its mode on Windows")
		}
		dir := t.TempDir()
		for _, mode := range []os.FileMode{0o777, 0o702, 0o777 | os.ModeSticky} {
			require.NoError(t, os.Chmod(dir, mode))
			_, err := filestore.Open(dir, nil)
			require.ErrorContains(t, err, dir)
			require.ErrorContains(t, err, "chmod o-w")
		}
		openStore(t, filepath.Join(dir, "below"))
		require.NoError(t, os.Chmod(dir, 0o775))
		openStore(t, dir)
	})
}

func TestFilesAreForTheirUserAlone(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("files have no mode on Windows")
	}
	dir := newDir(t)
	s := openStore(t, dir)
	put(t, s, record("orders"), "")
	l, err := s.Lock(t.Context(), key("orders"))
	require.NoError(t, err)
	defer l.Unlock()
	folders := map[string]bool{}
	require.NoError(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		require.NoError(t, err)
		info, err := d.Info()
		require.NoError(t, err)
		if d.IsDir() {
			require.Equal(t, fs.FileMode(0o700), info.Mode().Perm(), path)
			folders[d.Name()] = true
		} else {
			require.Equal(t, fs.FileMode(0o600), info.Mode().Perm(), path)
		}
		return nil
	}))
	for _, name := range []string{"records", "due", "locks", "shards", "tmp"} {
		require.True(t, folders[name], name)
	}
	require.Empty(t, files(t, dir, "tmp"))
}

func TestFileNames(t *testing.T) {
	t.Parallel()
	dir := newDir(t)
	s := openStore(t, dir)
	names := []string{"S4_ORDERS", "s4_orders", "../../etc/passwd", "..", ".", "/", `C:\x`, "CON", "a:b", "a*?<>|\"", "trailing. ", "日本", "\x01\n\t",
		strings.Repeat("x", 1024), strings.Repeat("\U0001F511", 256)}
	for _, name := range names {
		for _, k := range []driver.Key{{Kind: kind, Name: name}, {Tenant: name, Kind: kind, Name: name}, {Tenant: name, Kind: name, Name: name}} {
			put(t, s, driver.Record{Key: k, Due: noon}, "")
			l, err := s.Lock(t.Context(), k)
			require.NoError(t, err)
			require.NoError(t, l.Unlock())
		}
	}
	legal := regexp.MustCompile(`^[a-z0-9_-][a-z0-9_+.-]*[a-z0-9]$`) // on each system, and with each backup program
	seen := map[string]bool{}
	require.NoError(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		require.NoError(t, err)
		if path == dir || filepath.Dir(path) == filepath.Join(dir, "shards") {
			return nil
		}
		require.Regexp(t, legal, d.Name())
		require.LessOrEqual(t, len(d.Name()), 255)
		require.Contains(t, path, dir)
		lower := strings.ToLower(path)
		require.False(t, seen[lower], "two names that differ in case only")
		seen[lower] = true
		return nil
	}))
	require.Len(t, files(t, dir, "records"), 3*len(names))
	require.Len(t, files(t, dir, "due"), 3*len(names))
	readable, err := filepath.Glob(filepath.Join(dir, "records", "artifact-s4_orders-*", "s4_orders-*"))
	require.NoError(t, err)
	require.Len(t, readable, 2, "a person finds a record")
}

func TestTimesBeyondTheCalendar(t *testing.T) {
	t.Parallel()
	s := openStore(t, newDir(t))
	r := record("orders")
	for _, far := range []time.Time{time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(-1, 1, 1, 0, 0, 0, 0, time.UTC)} {
		r.Due = far
		_, err := s.Put(t.Context(), r, "")
		require.ErrorContains(t, err, `record "orders"`)
		require.ErrorContains(t, err, "year")
	}
	r.Due = noon
	put(t, s, r, "")
	due, err := s.Due(t.Context(), kind, time.Unix(1<<60, 0), 10)
	require.NoError(t, err)
	require.Len(t, due, 1)
	due, err = s.Due(t.Context(), kind, time.Date(-5000, 1, 1, 0, 0, 0, 0, time.UTC), 10)
	require.NoError(t, err)
	require.Empty(t, due)
}
