package filestore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path"

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
	return s.readFile(f, at, known, sealed)
}

func (s *Store) readFile(f *os.File, at place, known driver.Key, sealed bool) (driver.Record, error) {
	info, err := f.Stat()
	if err != nil {
		return s.unread(at, known, err)
	}
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

// List is that of [driver.Store]. Files that cannot be records are passed over.
func (s *Store) List(ctx context.Context, tenant, kind string) iter.Seq2[driver.Record, error] {
	return func(yield func(driver.Record, error) bool) {
		known := driver.Key{Tenant: tenant, Kind: kind}
		if err := s.ready(ctx, driver.Key{Tenant: tenant, Kind: kind, Name: "any"}); err != nil {
			yield(driver.Record{}, err)
			return
		}
		folder, err := s.root.OpenRoot(path.Join(recordsDir, folderOf(tenant, kind)))
		if errors.Is(err, fs.ErrNotExist) {
			return
		}
		if err != nil {
			yield(driver.Record{}, fmt.Errorf("filestore: cannot list the records of kind %q, tenant %q: %w%s", kind, tenant, err, advice(err)))
			return
		}
		defer folder.Close()
		names, err := namesIn(folder, ".")
		if err != nil {
			yield(driver.Record{}, fmt.Errorf("filestore: cannot list the records of kind %q, tenant %q: %w", kind, tenant, err))
			return
		}
		for _, name := range names {
			if err := ctx.Err(); err != nil {
				yield(driver.Record{}, fmt.Errorf("filestore: listing the records of kind %q: %w", kind, err))
				return
			}
			if !isFileName(name) {
				continue
			}
			r, err := s.readIn(folder, place{folderOf(tenant, kind), name}, known)
			if errors.Is(err, driver.ErrNotFound) { // deleted meanwhile
				continue
			}
			if !yield(r, err) {
				return
			}
		}
	}
}

// readIn is read, without Sealed, of a file in a folder that is open.
func (s *Store) readIn(folder *os.Root, at place, known driver.Key) (driver.Record, error) {
	f, err := folder.Open(at.file)
	if err != nil {
		return s.unread(at, known, err)
	}
	defer f.Close()
	return s.readFile(f, at, known, false)
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
