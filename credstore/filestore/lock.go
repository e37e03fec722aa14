package filestore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"time"

	"github.com/outgrant/outgrant/credstore/driver"
)

// A process that waits for another one looks again after a pause, which grows from the first to the longest.
const (
	firstPause   = 200 * time.Microsecond
	longestPause = 10 * time.Millisecond
)

// Lock is that of [driver.Store]. In this process the lock is given in the order of asking; between processes it is an
// advisory lock on a file (flock, on Windows LockFileEx), for which one goroutine of each process waits.
func (s *Store) Lock(ctx context.Context, k driver.Key) (driver.Lock, error) {
	if err := s.ready(ctx, k); err != nil {
		return nil, err
	}
	err := s.locks.Lock(ctx, k)
	if err != nil {
		return nil, s.notLocked(k, err)
	}
	f, err := s.waitForFile(ctx, lockOf(k))
	return s.hold(k, f, err)
}

// TryLock is that of [driver.Store].
func (s *Store) TryLock(ctx context.Context, k driver.Key) (driver.Lock, bool, error) {
	if err := s.ready(ctx, k); err != nil {
		return nil, false, err
	}
	if !s.locks.TryLock(k) {
		return nil, false, nil
	}
	f, err := s.tryFile(lockOf(k))
	if errors.Is(err, errBusy) {
		s.locks.Unlock(k)
		return nil, false, nil
	}
	l, err := s.hold(k, f, err)
	return l, err == nil, err
}

// hold returns the lock of a key, which is taken in this process, and by f in others unless err says that it is not.
func (s *Store) hold(k driver.Key, f *os.File, err error) (driver.Lock, error) {
	if err != nil {
		s.locks.Unlock(k)
		return nil, s.notLocked(k, err)
	}
	l := &lock{store: s, key: k, file: f}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.notClosed(); err != nil {
		l.release()
		return nil, s.notLocked(k, err)
	}
	s.held[l] = struct{}{}
	return l, nil
}

func (s *Store) notLocked(k driver.Key, err error) error {
	return fmt.Errorf("filestore: cannot lock %v in %s: %w%s", k, s.dir, err, advice(err))
}

type lock struct {
	store *Store
	key   driver.Key
	file  *os.File
	once  sync.Once
}

func (*lock) Lost() <-chan struct{} { return nil }

func (l *lock) Unlock() error {
	l.store.mu.Lock()
	delete(l.store.held, l)
	l.store.mu.Unlock()
	l.release()
	return nil
}

func (l *lock) release() {
	l.once.Do(func() {
		unlockFile(l.file)
		l.store.locks.Unlock(l.key)
	})
}

// lockShard keeps everybody else from writing the record at a place, and the others that share its lock file.
func (s *Store) lockShard(ctx context.Context, at place) (unlock func(), err error) {
	name := at.shard()
	if err := s.shards.Lock(ctx, name); err != nil {
		return nil, err
	}
	f, err := s.waitForFile(ctx, name)
	return s.holdShard(name, f, err)
}

// tryLockShard is lockShard that does not wait.
func (s *Store) tryLockShard(at place) (unlock func(), err error) {
	name := at.shard()
	if !s.shards.TryLock(name) {
		return nil, errBusy
	}
	f, err := s.tryFile(name)
	return s.holdShard(name, f, err)
}

func (s *Store) holdShard(name string, f *os.File, err error) (unlock func(), _ error) {
	if err != nil {
		s.shards.Unlock(name)
		return nil, err
	}
	return func() {
		unlockFile(f)
		s.shards.Unlock(name)
	}, nil
}

// errBusy: another process, or another store in this one, has locked the file.
var errBusy = errors.New("the lock is held")

// waitForFile locks a file, and makes it if need be.
func (s *Store) waitForFile(ctx context.Context, name string) (*os.File, error) {
	f, err := s.openLockFile(name)
	if err != nil {
		return nil, err
	}
	for pause := firstPause; ; pause = min(2*pause, longestPause) {
		err := s.notClosed()
		if err == nil {
			err = flock(f)
		}
		if errors.Is(err, errBusy) {
			err = sleep(ctx, pause)
			if err == nil {
				continue
			}
		}
		if err != nil {
			f.Close()
			return nil, err
		}
		return f, nil
	}
}

// tryFile is waitForFile that does not wait.
func (s *Store) tryFile(name string) (*os.File, error) {
	f, err := s.openLockFile(name)
	if err != nil {
		return nil, err
	}
	if err := flock(f); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// openLockFile opens a file that is locked, and makes it if need be. In a read-only folder, one that is there will do.
func (s *Store) openLockFile(name string) (*os.File, error) {
	f, err := s.create(name)
	if err == nil {
		return f, nil
	}
	if errors.Is(err, fs.ErrPermission) || isAny(err, readOnly) {
		if f, err := s.root.Open(name); err == nil {
			return f, nil
		}
	}
	return nil, err
}

// unlockFile lets a file go. A child that another goroutine is just starting has the file open for a moment, too, so it
// is not enough to close it.
func unlockFile(f *os.File) {
	funlock(f)
	f.Close()
}

func sleep(ctx context.Context, pause time.Duration) error {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
