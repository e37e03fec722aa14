//go:build unix && !aix && !solaris

package filestore

import (
	"io/fs"
	"os"
	"syscall"
)

// What advice knows.
var (
	diskFull     = []error{syscall.ENOSPC, syscall.EDQUOT, syscall.EFBIG}
	readOnly     = []error{syscall.EROFS}
	tooManyFiles = []error{syscall.EMFILE, syscall.ENFILE}
)

// flock locks a file, or returns errBusy. The lock belongs to this opening of the file, so it excludes other goroutines,
// too. It ends with the process: Go's files are closed in the children that it starts.
func flock(f *os.File) error {
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		switch err {
		case syscall.EINTR:
		case syscall.EWOULDBLOCK:
			return errBusy
		default:
			return err
		}
	}
}

func funlock(f *os.File) { _ = syscall.Flock(int(f.Fd()), syscall.LOCK_UN) }

// syncFolder makes sure that what an open folder has is there after a power cut.
func syncFolder(f *os.File) error { return f.Sync() }

// syncRenamed makes sure that a file is there, after a power cut, under the name that it has just been given.
func (s *Store) syncRenamed(folder, _ string) error { return s.sync(folder) }

func writableByAll(info fs.FileInfo) bool { return info.Mode().Perm()&0o002 != 0 }
