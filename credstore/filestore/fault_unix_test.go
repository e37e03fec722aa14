//go:build linux || darwin

package filestore_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant/credstore/driver"
	"github.com/outgrant/outgrant/credstore/filestore"
)

func init() {
	children["files may not grow"] = filesMayNotGrow
	children["no more files may be opened"] = noMoreFiles
	children["read-only"] = readOnlyByRights
}

func TestFileSizeLimit(t *testing.T) {
	t.Parallel()
	runChild(t, "files may not grow", newDir(t))
}

// filesMayNotGrow fails in the middle of a write, as a disk does that is full.
func filesMayNotGrow(dir string) error {
	s, version, err := withRecord(dir)
	if err != nil {
		return err
	}
	signal.Ignore(syscall.SIGXFSZ)
	for _, limit := range []int{0, 1, 100, 4096, 50_000} {
		if err := withLimit(syscall.RLIMIT_FSIZE, limit, func() error {
			_, err := s.Put(context.Background(), next(), version)
			return checkRefused(s, dir, version, "free some space", err)
		}); err != nil {
			return fmt.Errorf("at %d bytes: %w", limit, err)
		}
	}
	_, err = s.Put(context.Background(), next(), version)
	return err
}

func withRecord(dir string) (*filestore.Store, string, error) {
	s, err := filestore.Open(dir, nil)
	if err != nil {
		return nil, "", err
	}
	version, err := s.Put(context.Background(), record("orders"), "")
	return s, version, err
}

// withLimit does something while this process may have only so much of a resource.
func withLimit(resource int, limit int, do func() error) error {
	var before syscall.Rlimit
	if err := syscall.Getrlimit(resource, &before); err != nil {
		return err
	}
	lower := before
	lower.Cur = uint64(limit)
	if err := syscall.Setrlimit(resource, &lower); err != nil {
		return err
	}
	err := do()
	return errors.Join(err, syscall.Setrlimit(resource, &before))
}

func TestOpenFilesLimit(t *testing.T) {
	t.Parallel()
	runChild(t, "no more files may be opened", newDir(t))
}

// noMoreFiles fails wherever a file is opened, one after the other.
func noMoreFiles(dir string) error {
	s, version, err := withRecord(dir)
	if err != nil {
		return err
	}
	var open []*os.File
	for {
		f, err := os.Open(os.DevNull)
		if err != nil {
			return err
		}
		open = append(open, f)
		if f.Fd() >= 100 {
			break
		}
	}
	ctx := context.Background()
	refused, written := 0, false
	for spare := 0; !written; spare++ {
		if err := withLimit(syscall.RLIMIT_NOFILE, int(open[len(open)-1].Fd())+1+spare, func() error {
			if spare == 0 {
				_, getErr := s.Get(ctx, key("orders"))
				_, lockErr := s.Lock(ctx, key("orders"))
				_, _, tryErr := s.TryLock(ctx, key("orders"))
				for _, err := range []error{getErr, lockErr, tryErr} {
					if err == nil || errors.Is(err, driver.ErrNotFound) || errors.Is(err, driver.ErrDamaged) || !contains(err, dir, `record "orders"`, "open more files") {
						return fmt.Errorf("the error is %w", err)
					}
				}
				if keys, err := s.Due(ctx, kind, noon, 10); len(keys) > 0 || !contains(err, "open more files") {
					return fmt.Errorf("Due returns %v and %w", keys, err)
				}
				if _, errs := listed(s, "acme", kind); !contains(errs[driver.Key{}], "open more files") {
					return fmt.Errorf("List yields %v", errs)
				}
				if _, err := filestore.Open(dir, nil); !contains(err, dir, "open more files") {
					return fmt.Errorf("Open: %w", err)
				}
			}
			_, err := s.Put(ctx, next(), version)
			if written = err == nil; !written && !contains(err, dir, `record "orders"`, "open more files") {
				return fmt.Errorf("the error of Put is %w", err)
			}
			return nil
		}); err != nil {
			return fmt.Errorf("with %d files: %w", spare, err)
		}
		if !written {
			refused++
			if err := checkUntouched(s, dir, version); err != nil {
				return fmt.Errorf("with %d files: %w", spare, err)
			}
		}
	}
	fmt.Printf("Put needs %d files\n", refused)
	l, ok, err := s.TryLock(ctx, key("orders"))
	if err != nil || !ok {
		return fmt.Errorf("the lock was not let go: %w", err)
	}
	return l.Unlock()
}

func TestReadOnlyByRights(t *testing.T) {
	t.Parallel()
	base, err := os.MkdirTemp("", "filestore") // t.TempDir is for this user alone
	require.NoError(t, err)
	t.Cleanup(func() {
		_ = filepath.WalkDir(base, func(path string, d fs.DirEntry, err error) error {
			if err == nil && d.IsDir() {
				_ = os.Chmod(path, 0o700)
			}
			return nil
		})
		require.NoError(t, os.RemoveAll(base))
	})
	if os.Getuid() == 0 {
		require.NoError(t, os.Chown(base, nobody, nobody))
	}
	runChild(t, "read-only", filepath.Join(base, "store"))
}

// nobody is a user that may write only where it is told that it may.
const nobody = 65534

// readOnlyByRights gives away the right to write. Root can always write, so it becomes somebody else.
func readOnlyByRights(dir string) error {
	if os.Getuid() == 0 {
		if err := errors.Join(syscall.Setgid(nobody), syscall.Setuid(nobody)); err != nil {
			return err
		}
	}
	s, version, err := withRecord(dir)
	if err != nil {
		return err
	}
	l, err := s.Lock(context.Background(), key("orders"))
	if err != nil {
		return err
	}
	if err := l.Unlock(); err != nil {
		return err
	}
	if err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			return os.Chmod(path, 0o500)
		}
		return os.Chmod(path, 0o400)
	}); err != nil {
		return err
	}
	return checkReadOnly(s, dir, version)
}

// checkReadOnly tells what is wrong with a store in a folder that is read-only.
func checkReadOnly(s *filestore.Store, dir, version string) error {
	ctx := context.Background()
	again, err := filestore.Open(dir, nil)
	if err != nil {
		return fmt.Errorf("Open: %w", err)
	}
	defer again.Close()
	for _, s := range []*filestore.Store{s, again} {
		_, err = s.Put(ctx, next(), version)
		if err := checkRefused(s, dir, version, "must be able to write", err); err != nil {
			return fmt.Errorf("Put: %w", err)
		}
		if err := checkRefused(s, dir, version, "must be able to write", s.Delete(ctx, key("orders"), "")); err != nil {
			return fmt.Errorf("Delete: %w", err)
		}
		_, err = s.Put(ctx, driver.Record{Key: driver.Key{Kind: "another", Name: "new"}}, "")
		if !contains(err, dir, `record "new" of kind "another"`, "must be able to write") {
			return fmt.Errorf("Put that creates: %w", err)
		}
		l, err := s.Lock(ctx, key("orders")) // its file is there
		if err != nil {
			return fmt.Errorf("Lock: %w", err)
		}
		if _, ok, err := again.TryLock(ctx, key("orders")); ok || err != nil {
			return fmt.Errorf("TryLock takes a lock that is held: %w", err)
		}
		if err := l.Unlock(); err != nil {
			return err
		}
		if _, err := s.Lock(ctx, key("new")); !contains(err, dir, `record "new"`, "must be able to write") {
			return fmt.Errorf("Lock without a file: %w", err)
		}
		if keys, err := s.Due(ctx, kind, noon.Add(time.Hour), 10); err != nil || len(keys) != 1 {
			return fmt.Errorf("Due returns %v: %w", keys, err)
		}
	}
	return nil
}

func contains(err error, parts ...string) bool {
	if err == nil {
		return false
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			return false
		}
	}
	return true
}
