package filestore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/outgrant/outgrant/credstore/driver"
)

// The index has an empty file for each record that is due one day: due/KIND/2026-01-31/071530.000000+FOLDER+FILE. The
// order of the names is that of the times, and the rest of a name says where the record is.
const (
	dayLayout   = "2006-01-02"
	clockLayout = "150405.000000"
)

// An entry is a file of the index.
type entry struct {
	day, clock string
	at         place
}

func entryOf(at place, due time.Time) entry {
	return entry{due.UTC().Format(dayLayout), due.UTC().Format(clockLayout), at}
}

func (e entry) file() string { return e.clock + "+" + e.at.folder + "+" + e.at.file }

// parseEntry reads the name of a file in the folder of a day.
func parseEntry(day, name string) (entry, bool) {
	parts := strings.Split(name, "+")
	if len(parts) != 3 || len(parts[0]) != len(clockLayout) || !isFileName(parts[1]) || !isFileName(parts[2]) {
		return entry{}, false
	}
	return entry{day, parts[0], place{parts[1], parts[2]}}, true
}

// dueFolderOf returns the folder of a kind's entries.
func dueFolderOf(kind string) string { return path.Join(dueDir, fileName(label(kind, 20), kind)) }

// addDue makes the entry of a record that is about to be written. The lock of its shard is held.
func (s *Store) addDue(at place, r driver.Record) error {
	folder := dueFolderOf(r.Kind)
	if err := s.makeFolders(folder); err != nil {
		return err
	}
	e := entryOf(at, r.Due)
	f, err := s.create(path.Join(folder, e.day, e.file()))
	if err != nil {
		return err
	}
	err = f.Sync()
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = s.sync(path.Join(folder, e.day))
	}
	if err == nil {
		err = s.sync(folder) // always: a day's folder comes and goes
	}
	return err
}

// removeDue removes the entry of a record that is not due then, and the day's folder if it was the last. If it cannot, Due
// will see that the entry is stale. The lock of the record's shard is held.
func (s *Store) removeDue(at place, r driver.Record) {
	s.removeEntry(r.Kind, entryOf(at, r.Due))
}

func (s *Store) removeEntry(kind string, e entry) {
	day := path.Join(dueFolderOf(kind), e.day)
	_ = s.root.Remove(path.Join(day, e.file()))
	_ = s.root.Remove(day) // fails if there are others
}

// Due is that of [driver.Store]. It reads the index up to the day of before, and of the records those that are due. If some
// of them cannot be read, it returns the keys of the others with an error that names those.
func (s *Store) Due(ctx context.Context, kind string, before time.Time, limit int) ([]driver.Key, error) {
	if err := s.ready(ctx, driver.Key{Kind: kind, Name: "any"}); err != nil {
		return nil, err
	}
	before = before.UTC()
	switch {
	case before.Year() < 0:
		return nil, nil
	case before.Year() > 9999: // beyond what is written
		before = time.Date(9999, 12, 31, 23, 59, 59, 999_999_000, time.UTC)
	}
	var keys []driver.Key
	var failures []error
	for e, err := range s.entriesUpTo(kind, entryOf(place{}, before)) {
		if len(keys) >= limit {
			break
		}
		if err := ctx.Err(); err != nil {
			return nil, fmt.Errorf("filestore: looking for what is due: %w", err)
		}
		if err != nil {
			failures = append(failures, fmt.Errorf("filestore: cannot tell which records of kind %q are due, in %s: %w%s", kind, s.dir, err, advice(err)))
			continue
		}
		r, current, err := s.check(kind, e)
		switch {
		case err != nil:
			failures = append(failures, err)
		case current:
			keys = append(keys, r.Key)
		default:
			s.sweep(kind, e)
		}
	}
	return keys, errors.Join(failures...)
}

// entriesUpTo yields the entries of a kind that are not after last, the earliest first, and folders that cannot be read.
func (s *Store) entriesUpTo(kind string, last entry) iter.Seq2[entry, error] {
	return func(yield func(entry, error) bool) {
		folder := dueFolderOf(kind)
		days, err := s.namesUpTo(folder, last.day)
		if err != nil {
			yield(entry{}, err)
			return
		}
		for _, day := range days {
			if _, err := time.Parse(dayLayout, day); err != nil {
				continue // a file manager's
			}
			lastName := "~" // after all
			if day == last.day {
				lastName = last.clock + "~"
			}
			names, err := s.namesUpTo(path.Join(folder, day), lastName)
			if err != nil && !yield(entry{}, err) {
				return
			}
			for _, name := range names {
				if e, ok := parseEntry(day, name); ok && !yield(e, nil) {
					return
				}
			}
		}
	}
}

// namesUpTo returns the names in a folder that are not after last, in order.
func (s *Store) namesUpTo(folder, last string) ([]string, error) {
	names, err := namesIn(s.root, folder)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	names = slices.DeleteFunc(names, func(name string) bool { return name > last })
	slices.Sort(names)
	return names, err
}

// check reports whether an entry is that of its record, and not one that a process left behind which ended in between.
func (s *Store) check(kind string, e entry) (r driver.Record, current bool, err error) {
	r, err = s.read(e.at, driver.Key{Kind: kind}, false)
	if errors.Is(err, driver.ErrNotFound) {
		return r, false, nil
	}
	if err != nil {
		return r, false, err
	}
	return r, r.Kind == kind && !r.Due.IsZero() && entryOf(e.at, r.Due) == e, nil
}

// sweep removes a stale entry, unless its record is just being written: then it may not be stale.
func (s *Store) sweep(kind string, e entry) {
	unlock, err := s.tryLockShard(e.at)
	if err != nil {
		return
	}
	defer unlock()
	if _, current, err := s.check(kind, e); err == nil && !current {
		s.removeEntry(kind, e)
	}
}
