package filestore_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant/credstore/driver"
	"github.com/outgrant/outgrant/credstore/filestore"
)

// checkRefused tells what is wrong with how a store takes it that something cannot be written: it must say so, with the
// folder, the record and advice, and leave what was there.
func checkRefused(s *filestore.Store, dir string, version, advice string, err error) error {
	switch {
	case err == nil:
		return errors.New("there was no error")
	case errors.Is(err, driver.ErrConflict) || errors.Is(err, driver.ErrNotFound):
		return fmt.Errorf("the error is of another kind: %w", err)
	}
	for _, part := range []string{dir, `record "orders" of kind "artifact", tenant "acme"`, advice} {
		if !strings.Contains(err.Error(), part) {
			return fmt.Errorf("the error does not say %q: %w", part, err)
		}
	}
	return checkUntouched(s, dir, version)
}

// checkUntouched tells what has changed though nothing should have.
func checkUntouched(s *filestore.Store, dir, version string) error {
	ctx := context.Background()
	r, err := s.Get(ctx, key("orders"))
	if err != nil {
		return fmt.Errorf("the old record: %w", err)
	}
	if r.Version != version || string(r.Sealed) != "sealed of orders" {
		return fmt.Errorf("the old record has changed: %q", r.Sealed)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "tmp", "*")); len(left) != 0 {
		return fmt.Errorf("a temp file is left: %q", left)
	}
	for r, err := range s.List(ctx, "acme", kind) {
		if err != nil || r.Version != version {
			return fmt.Errorf("List yields %v of version %q: %w", r.Key, r.Version, err)
		}
	}
	keys, err := s.Due(ctx, kind, noon, 10)
	if err != nil || len(keys) != 1 {
		return fmt.Errorf("Due returns %v: %w", keys, err)
	}
	entries, _ := filepath.Glob(filepath.Join(dir, "due", "*", "*", "*"))
	if len(entries) != 1 {
		return fmt.Errorf("the index has %q", entries)
	}
	return nil
}

// next is what a Put writes in the place of record("orders"): longer, and due on another day.
func next() driver.Record {
	r := record("orders")
	r.Sealed = []byte(strings.Repeat("sealed later ", 5000))
	r.Due = noon.Add(100 * 24 * time.Hour)
	return r
}

// Each folder that a write needs cannot be used; this stops also those who may write anywhere.
func TestUnusableFolders(t *testing.T) {
	t.Parallel()
	for _, folder := range []string{"tmp", "shards", "due"} {
		{
			t.Run(folder+" is a file", func(t *testing.T) {
				t.Parallel()
				dir := newDir(t)
				s := openStore(t, dir)
				version := put(t, s, record("orders"), "")
				broken := filepath.Join(dir, folder)
				require.NoError(t, os.Rename(broken, broken+"-away"))
				require.NoError(t, os.WriteFile(broken, nil, 0o600))

				_, putErr := s.Put(t.Context(), next(), version)
				deleteErr := error(nil)
				if folder == "shards" {
					deleteErr = s.Delete(t.Context(), key("orders"), version)
				}
				require.NoError(t, os.Remove(broken))
				require.NoError(t, os.Rename(broken+"-away", broken))
				require.NoError(t, checkRefused(s, dir, version, folder, putErr))
				if folder == "shards" {
					require.NoError(t, checkRefused(s, dir, version, folder, deleteErr))
				}
				version = put(t, s, next(), version)
				due, err := s.Due(t.Context(), kind, next().Due, 10)
				require.NoError(t, err)
				require.Equal(t, []driver.Key{key("orders")}, due)
				require.NoError(t, s.Delete(t.Context(), key("orders"), version))
			})
		}
	}
	t.Run("a folder that was removed is made again", func(t *testing.T) {
		t.Parallel()
		dir := newDir(t)
		s := openStore(t, dir)
		put(t, s, record("orders"), "")
		for _, folder := range []string{"records", "due", "tmp", "shards", "locks"} {
			require.NoError(t, os.RemoveAll(filepath.Join(dir, folder)))
		}
		put(t, s, record("orders"), "")
		due, err := s.Due(t.Context(), kind, noon, 10)
		require.NoError(t, err)
		require.Len(t, due, 1)
	})
	t.Run("a folder in the record's place", func(t *testing.T) {
		t.Parallel()
		dir := newDir(t)
		s := openStore(t, dir)
		version := put(t, s, record("orders"), "")
		file := fileOf(t, dir, "orders")
		require.NoError(t, os.Rename(file, file+"-away"))
		require.NoError(t, os.Mkdir(file, 0o700))
		_, err := s.Get(t.Context(), key("orders"))
		require.ErrorContains(t, err, "it is not a file")
		_, err = s.Put(t.Context(), next(), version)
		require.ErrorContains(t, err, "it is not a file")
		require.Empty(t, files(t, dir, "tmp"))
	})
}

// run runs a child, which says by its error what is wrong.
func runChild(t *testing.T, name, dir string) {
	t.Helper()
	out, err := childCommand(t, name, dir).CombinedOutput()
	if strings.HasPrefix(string(out), "skip: ") {
		t.Skip(string(out))
	}
	require.NoError(t, err, "%s", out)
	if len(out) > 0 {
		t.Logf("%s", out)
	}
}
