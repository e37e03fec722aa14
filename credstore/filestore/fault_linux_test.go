package filestore_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant/credstore/driver"
	"github.com/outgrant/outgrant/credstore/filestore"
)

func init() { children["a small disk"] = smallDisk }

// A process that is root in a name space of its own may mount file systems, where the machine allows that to users.
func TestFullAndReadOnlyDisk(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, os.Chmod(dir, 0o700))
	cmd := childCommand(t, "a small disk", dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}}, GidMappings: []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}}}
	out, err := cmd.CombinedOutput()
	if errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EINVAL) || string(out) == notAllowed {
		t.Skipf("this machine lets nobody mount a disk: %v %s", err, out)
	}
	require.NoError(t, err, "%s", out)
	t.Logf("%s", out)
}

const notAllowed = "mounting is not allowed\n"

func smallDisk(dir string) error {
	if err := syscall.Mount("small", dir, "tmpfs", 0, "size=1m,nr_inodes=200,mode=700"); err != nil {
		fmt.Print(notAllowed)
		return err
	}
	s, version, err := withRecord(dir)
	if err != nil {
		return err
	}
	if version, err = untilWritten(s, dir, version, fillInodes); err != nil {
		return fmt.Errorf("a disk that can have no more files: %w", err)
	}
	if version, err = untilWritten(s, dir, version, fillPages); err != nil {
		return fmt.Errorf("a disk that is full: %w", err)
	}
	if err := newOnFullDisk(s, dir); err != nil {
		return err
	}
	l, err := s.Lock(context.Background(), key("orders")) // makes its file
	if err != nil {
		return err
	}
	if err := l.Unlock(); err != nil {
		return err
	}
	if err := syscall.Mount("small", dir, "tmpfs", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
		return err
	}
	return checkReadOnly(s, dir, version)
}

// untilWritten fills the disk, and then gives back one unit of its space after the other until a Put succeeds: so it fails
// at each of its steps. Then it puts the record back.
func untilWritten(s *filestore.Store, dir, version string, fill func(dir string) (giveBack func() error, err error)) (string, error) {
	giveBack, err := fill(dir)
	if err != nil {
		return "", err
	}
	for refused := 0; ; refused++ {
		v, err := s.Put(context.Background(), next(), version)
		if err == nil {
			fmt.Printf("Put was refused %d times\n", refused)
			if refused < 3 {
				return "", errors.New("it should have been refused at each step")
			}
			if err := os.RemoveAll(filepath.Join(dir, "filler")); err != nil {
				return "", err
			}
			return s.Put(context.Background(), record("orders"), v)
		}
		if !errors.Is(err, syscall.ENOSPC) {
			return "", err
		}
		if err := checkRefused(s, dir, version, "free some space", err); err != nil {
			return "", fmt.Errorf("after %d: %w", refused, err)
		}
		if err := giveBack(); err != nil {
			return "", err
		}
	}
}

// fillInodes leaves no room for another file.
func fillInodes(dir string) (giveBack func() error, err error) {
	filler := filepath.Join(dir, "filler")
	if err := os.Mkdir(filler, 0o700); err != nil {
		return nil, err
	}
	n := 0
	name := func() string { return filepath.Join(filler, fmt.Sprint(n)) }
	for ; ; n++ {
		if err := os.WriteFile(name(), nil, 0o600); errors.Is(err, syscall.ENOSPC) {
			break
		} else if err != nil {
			return nil, err
		}
	}
	return func() error { n--; return os.Remove(name()) }, nil
}

// fillPages leaves no room for more content.
func fillPages(dir string) (giveBack func() error, err error) {
	f, err := os.Create(filepath.Join(dir, "filler"))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	page := make([]byte, os.Getpagesize())
	size := int64(0)
	for {
		n, err := f.Write(page)
		size += int64(n)
		if errors.Is(err, syscall.ENOSPC) {
			break
		} else if err != nil {
			return nil, err
		}
	}
	return func() error { size -= int64(len(page)); return os.Truncate(f.Name(), size) }, nil
}

// newOnFullDisk puts the first record of a kind, for which there is no folder.
func newOnFullDisk(s *filestore.Store, dir string) error {
	giveBack, err := fillInodes(dir)
	if err != nil {
		return err
	}
	r := driver.Record{Key: driver.Key{Kind: "another", Name: "new"}, Due: noon}
	for refused := 0; ; refused++ {
		_, err := s.Put(context.Background(), r, "")
		if err == nil {
			fmt.Printf("Put of a first record was refused %d times\n", refused)
			return errors.Join(s.Delete(context.Background(), r.Key, ""), os.RemoveAll(filepath.Join(dir, "filler")))
		}
		if !errors.Is(err, syscall.ENOSPC) || !contains(err, dir, `record "new" of kind "another"`, "free some space") {
			return err
		}
		if _, err := s.Get(context.Background(), r.Key); !errors.Is(err, driver.ErrNotFound) {
			return fmt.Errorf("a record that was refused is there: %w", err)
		}
		if keys, err := s.Due(context.Background(), r.Kind, noon, 10); err != nil || len(keys) > 0 {
			return fmt.Errorf("a record that was refused is due: %v %w", keys, err)
		}
		if left, _ := filepath.Glob(filepath.Join(dir, "tmp", "*")); len(left) != 0 {
			return fmt.Errorf("a temp file is left: %q", left)
		}
		if err := giveBack(); err != nil {
			return err
		}
	}
}
