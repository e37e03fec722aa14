package filestore

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"time"

	"github.com/outgrant/outgrant/credstore/driver"
)

// Put is that of [driver.Store]. The record is written to a new file, which then takes the place of the old one: whatever
// happens on the way, one of the two is there, whole. Times must lie before the year 10,000.
func (s *Store) Put(ctx context.Context, r driver.Record, ifVersion string) (string, error) {
	if err := s.ready(ctx, r.Key); err != nil {
		return "", err
	}
	at := placeOf(r.Key)
	data, err := encode(&r)
	if err != nil {
		return "", fmt.Errorf("filestore: %v: %w", r.Key, err)
	}
	unlock, err := s.lockShard(ctx, at)
	if err != nil {
		return "", s.notWritten(r.Key, err)
	}
	defer unlock()

	old, err := s.read(at, r.Key, false)
	if err != nil && !errors.Is(err, driver.ErrNotFound) {
		return "", err
	}
	if old.Version != ifVersion { // which is "" if there is no record
		return "", fmt.Errorf("filestore: %v: %w", r.Key, driver.ErrConflict)
	}
	if err := s.replace(at, data, old, r); err != nil {
		return "", s.notWritten(r.Key, err)
	}
	return r.Version, nil
}

// replace writes a record, and its entry in the index before it: whoever sees the record finds the entry. An entry without
// its record, because the process ended in between, is recognized when it is due.
func (s *Store) replace(at place, data []byte, old, next driver.Record) error {
	folder := path.Join(recordsDir, at.folder)
	if err := s.makeFolders(folder); err != nil {
		return err
	}
	tmp, err := s.writeTemp(data)
	if err != nil {
		return err
	}
	newEntry := !next.Due.IsZero() && !next.Due.Equal(old.Due)
	if newEntry {
		err = s.addDue(at, next)
	}
	if err == nil {
		err = s.root.Rename(tmp, at.record())
	}
	if err != nil {
		_ = s.root.Remove(tmp)
		if newEntry {
			s.removeDue(at, next)
		}
		return err
	}
	if err := s.syncRenamed(folder, at.file); err != nil {
		return err // the record may be either one, so both entries stay
	}
	if !old.Due.IsZero() && !old.Due.Equal(next.Due) {
		s.removeDue(at, old)
	}
	return nil
}

// writeTemp returns the name of a new file that will be there, with data, after a power cut.
func (s *Store) writeTemp(data []byte) (string, error) {
	name := path.Join(tmpDir, rand.Text())
	f, err := s.create(name)
	if err != nil {
		return "", err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		_ = s.root.Remove(name)
		return "", err
	}
	return name, nil
}

// Delete is that of [driver.Store]. With ifVersion "" it also removes a record that is damaged.
func (s *Store) Delete(ctx context.Context, k driver.Key, ifVersion string) error {
	if err := s.ready(ctx, k); err != nil {
		return err
	}
	at := placeOf(k)
	unlock, err := s.lockShard(ctx, at)
	if err != nil {
		return s.notWritten(k, err)
	}
	defer unlock()

	old, err := s.read(at, k, false)
	if err != nil && !(ifVersion == "" && errors.Is(err, driver.ErrDamaged)) {
		return err
	}
	if ifVersion != "" && ifVersion != old.Version {
		return fmt.Errorf("filestore: %v: %w", k, driver.ErrConflict)
	}
	if err := s.root.Remove(at.record()); err != nil {
		return s.notWritten(k, err)
	}
	if err := s.sync(path.Join(recordsDir, at.folder)); err != nil {
		return s.notWritten(k, err) // the record may come back, so its entry stays
	}
	if !old.Due.IsZero() {
		s.removeDue(at, old)
	}
	return nil
}

func (s *Store) notWritten(k driver.Key, err error) error {
	return fmt.Errorf("filestore: cannot write %v in %s: %w%s", k, s.dir, err, advice(err))
}

// mostTries is how often a folder is made again that others remove because it is empty.
const mostTries = 100

// create opens a file for writing, and makes it and its folder if they are not there.
func (s *Store) create(name string) (*os.File, error) {
	for tries := 1; ; tries++ {
		f, err := s.root.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
		if !errors.Is(err, fs.ErrNotExist) || tries == mostTries {
			return f, err
		}
		if err := s.root.MkdirAll(path.Dir(name), 0o700); err != nil {
			return nil, err
		}
	}
}

// removeLeftovers removes what processes that have died were writing. A file that cannot be removed does no harm.
func (s *Store) removeLeftovers() {
	names, err := namesIn(s.root, tmpDir)
	if err != nil {
		return
	}
	for _, name := range names {
		name = path.Join(tmpDir, name)
		if info, err := s.root.Lstat(name); err == nil && time.Since(info.ModTime()) > leftoverAge {
			_ = s.root.Remove(name)
		}
	}
}

// makeFolders makes a folder and those above it, so that they are there after a power cut, too. It trusts nobody else to
// have done that.
func (s *Store) makeFolders(name string) error {
	if err := s.root.MkdirAll(name, 0o700); err != nil {
		return err
	}
	if _, done := s.synced.Load(name); done {
		return nil
	}
	for dir := name; dir != "."; {
		dir = path.Dir(dir)
		if err := s.sync(dir); err != nil {
			return err
		}
	}
	s.synced.Store(name, true)
	return nil
}

// sync makes sure that what a folder has is there after a power cut.
func (s *Store) sync(folder string) error {
	f, err := s.root.Open(folder)
	if err != nil {
		return err
	}
	defer f.Close()
	return syncFolder(f)
}
