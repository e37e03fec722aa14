package filestore

import (
	"io/fs"
	"os"
	"path"
	"syscall"
	"unsafe"
)

// What advice knows, by the numbers of winerror.h.
var (
	diskFull     = []error{syscall.Errno(39), syscall.Errno(112)} // ERROR_HANDLE_DISK_FULL, ERROR_DISK_FULL
	readOnly     = []error{syscall.Errno(19)}                     // ERROR_WRITE_PROTECT
	tooManyFiles = []error{syscall.Errno(4)}                      // ERROR_TOO_MANY_OPEN_FILES
)

var (
	kernel32     = syscall.NewLazyDLL("kernel32.dll")
	lockFileEx   = kernel32.NewProc("LockFileEx")
	unlockFileEx = kernel32.NewProc("UnlockFileEx")
	getDriveType = kernel32.NewProc("GetDriveTypeW")
)

// flock locks a file, or returns errBusy. The lock belongs to this opening of the file, so it excludes other goroutines,
// too. It ends with the process: Go's files are closed in the children that it starts.
func flock(f *os.File) error {
	const failImmediately, exclusive = 1, 2
	const lockViolation = syscall.Errno(33) // ERROR_LOCK_VIOLATION
	ok, _, err := lockFileEx.Call(f.Fd(), failImmediately|exclusive, 0, 1, 0, uintptr(unsafe.Pointer(&syscall.Overlapped{})))
	switch {
	case ok != 0:
		return nil
	case err == lockViolation:
		return errBusy
	default:
		return err
	}
}

func funlock(f *os.File) {
	_, _, _ = unlockFileEx.Call(f.Fd(), 0, 1, 0, uintptr(unsafe.Pointer(&syscall.Overlapped{})))
}

// syncFolder does nothing: Windows flushes files only.
func syncFolder(*os.File) error { return nil }

// syncRenamed makes sure that a file is there, after a power cut, under the name that it has just been given: to flush the
// file flushes the log of the file system.
func (s *Store) syncRenamed(folder, file string) error {
	f, err := s.root.OpenFile(path.Join(folder, file), os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}

// writableByAll cannot tell: the folder inherits its access rights from the one above.
func writableByAll(fs.FileInfo) bool { return false }
