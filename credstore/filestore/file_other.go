//go:build !windows && (!unix || aix || solaris)

package filestore

import (
	"errors"
	"io/fs"
	"os"
)

// This system has no lock that ends with its holder.
var diskFull, readOnly, tooManyFiles []error

func flock(*os.File) error { return errors.ErrUnsupported }

func funlock(*os.File) {}

func syncFolder(f *os.File) error { return f.Sync() }

func (s *Store) syncRenamed(folder, _ string) error { return s.sync(folder) }

func writableByAll(fs.FileInfo) bool { return false }
