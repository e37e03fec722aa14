package filestore

import (
	"context"
	"os"
	"path"
	"path/filepath"
	"time"

	"github.com/outgrant/outgrant/credstore/driver"
)

// LeftoverAge is how old a file in tmp/ is when Open removes it.
const LeftoverAge = leftoverAge

// BeginPut does what Put does until it writes the record: it holds the lock, and has written the entry in the index.
func (s *Store) BeginPut(r driver.Record) (unlock func(), err error) {
	at := placeOf(r.Key)
	unlock, err = s.lockShard(context.Background(), at)
	if err != nil {
		return nil, err
	}
	return unlock, s.addDue(at, r)
}

// EntryOf returns where the entry of a record is in the index, below the store's folder.
func EntryOf(k driver.Key, due time.Time) string {
	e := entryOf(placeOf(k), due)
	return filepath.Join(filepath.FromSlash(dueFolderOf(k.Kind)), e.day, e.file())
}

// FolderOf returns where the records of a tenant and a kind are, below the store's folder.
func FolderOf(tenant, kind string) string {
	return filepath.FromSlash(path.Join(recordsDir, folderOf(tenant, kind)))
}

// Seed puts a record that is not there, quickly: it does not wait for the disk.
func (s *Store) Seed(r driver.Record) error {
	at := placeOf(r.Key)
	data, err := encode(&r)
	if err != nil {
		return err
	}
	write := func(name string, data []byte) error {
		if err := s.root.MkdirAll(path.Dir(name), 0o700); err != nil {
			return err
		}
		return os.WriteFile(s.path(name), data, 0o600)
	}
	if err := write(at.record(), data); err != nil || r.Due.IsZero() {
		return err
	}
	e := entryOf(at, r.Due)
	return write(path.Join(dueFolderOf(r.Kind), e.day, e.file()), nil)
}
