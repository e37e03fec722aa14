package filestore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/outgrant/outgrant/credstore/driver"
)

// listed is what a list has read of a file: a record without Sealed. The next list looks whether the file is the same still, and
// reads it again only if it is not.
type listed struct {
	info   fs.FileInfo
	record driver.Record
	err    error
}

const (
	// settled is how old a file must be to be remembered: one that is replaced twice within a tick of the file system's clock may
	// look as it did before.
	settled = time.Second
	// listsAtOnce bounds how many files are read at once, as many as there are processors.
	listsAtOnce = 4
)

// List is that of [driver.Store]. Files that cannot be records are passed over.
func (s *Store) List(ctx context.Context, tenant, kind string) iter.Seq2[driver.Record, error] {
	return func(yield func(driver.Record, error) bool) {
		all, err := s.list(ctx, tenant, kind)
		if err != nil {
			yield(driver.Record{}, err)
			return
		}
		for _, one := range all {
			one.record.Info = bytes.Clone(one.record.Info)
			if !yield(one.record, one.err) {
				return
			}
		}
	}
}

func (s *Store) list(ctx context.Context, tenant, kind string) ([]listed, error) {
	known := driver.Key{Tenant: tenant, Kind: kind}
	if err := s.ready(ctx, driver.Key{Tenant: tenant, Kind: kind, Name: "any"}); err != nil {
		return nil, err
	}
	at := folderOf(tenant, kind)
	folder, err := s.root.OpenRoot(path.Join(recordsDir, at))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("filestore: cannot list the records of kind %q, tenant %q: %w%s", kind, tenant, err, advice(err))
	}
	defer folder.Close()
	names, err := namesIn(folder, ".")
	if err != nil {
		return nil, fmt.Errorf("filestore: cannot list the records of kind %q, tenant %q: %w", kind, tenant, err)
	}
	names = slices.DeleteFunc(names, func(name string) bool { return !isFileName(name) })
	before, _ := s.lists.Load(at)
	remembered, _ := before.(map[string]listed)
	all := make([]listed, len(names))
	var reading sync.WaitGroup
	workers := min(listsAtOnce, runtime.GOMAXPROCS(0))
	part := max((len(names)+workers-1)/workers, 1)
	for from := 0; from < len(names); from += part {
		reading.Go(func() {
			for i := from; i < min(from+part, len(names)) && ctx.Err() == nil; i++ {
				all[i] = s.listFile(folder, place{at, names[i]}, known, remembered[names[i]])
			}
		})
	}
	reading.Wait()
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("filestore: listing the records of kind %q: %w", kind, err)
	}
	s.lists.Store(at, remember(names, all))
	return slices.DeleteFunc(all, func(one listed) bool { return errors.Is(one.err, driver.ErrNotFound) }), nil // deleted meanwhile
}

// listFile reads a file of a folder that is open, unless it is as it was.
func (s *Store) listFile(folder *os.Root, at place, known driver.Key, before listed) (now listed) {
	if before.info != nil {
		if info, err := folder.Lstat(at.file); err == nil && os.SameFile(info, before.info) && info.Size() == before.info.Size() && info.ModTime().Equal(before.info.ModTime()) {
			return before
		}
	}
	f, err := folder.Open(at.file)
	if err != nil {
		now.record, now.err = s.unread(at, known, err)
		return now
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		now.record, now.err = s.unread(at, known, err)
		return now
	}
	now.record, now.err = s.readFile(f, info, at, known, false)
	if now.err == nil && time.Since(info.ModTime()) > settled {
		now.info = info
	}
	return now
}

// remember returns what the next list need not read again.
func remember(names []string, all []listed) map[string]listed {
	kept := make(map[string]listed, len(all))
	for i, one := range all {
		if one.info != nil {
			kept[names[i]] = one
		}
	}
	return kept
}
