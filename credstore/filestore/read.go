package filestore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/outgrant/outgrant/credstore/driver"
)

// Get is that of [driver.Store]. It takes no lock: the file that it opens is whole, the old one or the new one.
func (s *Store) Get(ctx context.Context, k driver.Key) (driver.Record, error) {
	if err := s.ready(ctx, k); err != nil {
		return driver.Record{}, err
	}
	r, err := s.read(placeOf(k), k, true)
	if err != nil {
		return driver.Record{}, err
	}
	return r, nil
}

// read reads the record at a place, with or without Sealed. With an error comes what is known of its key: that is known,
// and more if the file tells it.
func (s *Store) read(at place, known driver.Key, sealed bool) (driver.Record, error) {
	f, err := s.root.Open(at.record())
	if err != nil {
		return s.unread(at, known, err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return s.unread(at, known, err)
	}
	return s.readFile(f, info, at, known, sealed)
}

func (s *Store) readFile(f *os.File, info fs.FileInfo, at place, known driver.Key, sealed bool) (driver.Record, error) {
	if !info.Mode().IsRegular() {
		return s.unread(at, known, damage("it is not a file"))
	}
	r, err := decode(f, info.Size(), sealed)
	if placeOf(r.Key) == at { // the hash in the file's name proves the key, whatever else is wrong
		known = r.Key
	} else if err == nil {
		err = damage(fmt.Sprintf("it is %v, and was copied or moved there", r.Key))
	}
	if err != nil {
		return s.unread(at, known, err)
	}
	return r, nil
}

// unread returns the error for a record that could not be read.
func (s *Store) unread(at place, known driver.Key, err error) (driver.Record, error) {
	what := known.String()
	if known.Name == "" {
		what = fmt.Sprintf("a record of kind %q, tenant %q", known.Kind, known.Tenant)
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		err = fmt.Errorf("filestore: %s: %w", what, driver.ErrNotFound)
	case errors.Is(err, driver.ErrDamaged):
		err = fmt.Errorf("filestore: %s cannot be used, the file %s is damaged: %w", what, s.path(at.record()), err)
	default:
		err = fmt.Errorf("filestore: cannot read %s in %s: %w%s", what, s.dir, err, advice(err))
	}
	return driver.Record{Key: known}, err
}

// namesIn returns the names of the files in a folder, in no order.
func namesIn(root *os.Root, folder string) ([]string, error) {
	f, err := root.Open(folder)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return f.Readdirnames(-1)
}
