package drivertest_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant/credstore/driver"
	"github.com/outgrant/outgrant/credstore/drivertest"
	"github.com/outgrant/outgrant/credstore/filestore"
	"github.com/outgrant/outgrant/credstore/memstore"
)

// faultyKinds are ways to be wrong that only other stores, or other processes, see. Their stores are in files.
var faultyKinds = map[string]func(dir string, s driver.Store, f *faulty){
	"records of one's own": func(_ string, s driver.Store, f *faulty) {
		own := memstore.New()
		f.get, f.put, f.delete, f.list, f.due = own.Get, own.Put, own.Delete, own.List, own.Due
	},
	"locks in the process alone": func(_ string, s driver.Store, f *faulty) {
		own := memstore.New()
		f.lock, f.tryLock = own.Lock, own.TryLock
	},
	"compares in the process alone": func(_ string, s driver.Store, f *faulty) {
		var mu sync.Mutex
		racyPut(s, f, nil)
		put := f.put
		f.put = func(ctx context.Context, r driver.Record, ifVersion string) (string, error) {
			mu.Lock()
			defer mu.Unlock()
			return put(ctx, r, ifVersion)
		}
	},
	"a lock that is a file": func(dir string, s driver.Store, f *faulty) {
		tickets(f, dir, ticketRules{limit: time.Hour})
	},
	"a lock with a time limit": func(dir string, s driver.Store, f *faulty) {
		tickets(f, dir, ticketRules{limit: 100 * time.Millisecond, renew: true})
	},
	"a lock with a time limit that the holder does not keep": func(dir string, s driver.Store, f *faulty) {
		tickets(f, dir, ticketRules{limit: 100 * time.Millisecond})
	},
	"a lock with a time limit that tells its holder": func(dir string, s driver.Store, f *faulty) {
		tickets(f, dir, ticketRules{limit: 100 * time.Millisecond, renew: true, tell: true})
	},
	"Put under the lock": func(_ string, s driver.Store, f *faulty) {
		f.put = func(ctx context.Context, r driver.Record, ifVersion string) (string, error) {
			ctx, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
			defer cancel()
			l, err := s.Lock(ctx, r.Key)
			if err != nil {
				return "", err
			}
			defer l.Unlock()
			return s.Put(ctx, r, ifVersion)
		}
	},
	"writes later": func(_ string, s driver.Store, f *faulty) {
		var mu sync.Mutex
		later := map[driver.Key]driver.Record{}
		f.get = func(ctx context.Context, k driver.Key) (driver.Record, error) {
			mu.Lock()
			defer mu.Unlock()
			if r, ok := later[k]; ok {
				return r, nil
			}
			return s.Get(ctx, k)
		}
		f.put = func(ctx context.Context, r driver.Record, ifVersion string) (string, error) {
			mu.Lock()
			defer mu.Unlock()
			if ifVersion == "" {
				return s.Put(ctx, r, "")
			}
			r.Version = fmt.Sprint("later than ", len(ifVersion))
			later[r.Key] = r
			return r.Version, nil
		}
	},
	"an index that is written last": func(_ string, s driver.Store, f *faulty) {
		f.put = func(ctx context.Context, r driver.Record, ifVersion string) (string, error) {
			due := r.Due
			r.Due = time.Time{}
			v, err := s.Put(ctx, r, ifVersion)
			if err == nil && !due.IsZero() {
				time.Sleep(50 * time.Millisecond)
				r.Due = due
				v, err = s.Put(ctx, r, v)
			}
			return v, err
		}
	},
	"keeps locks when it is closed": func(dir string, s driver.Store, f *faulty) {
		other, err := filestore.Open(dir, nil)
		if err != nil {
			panic(err)
		}
		kept.Store(other, true)
		f.lock, f.tryLock = other.Lock, other.TryLock
	},
}

// kept are stores that nobody closes, not even when they are collected as garbage.
var kept sync.Map

// ticketRules say when a ticket that was not touched counts no more, whether its holder touches it, and whether it tells
// its holder when it was too late.
type ticketRules struct {
	limit       time.Duration
	renew, tell bool
}

// tickets makes locks of files, one for each who asks, that are removed when their owner lets go.
func tickets(f *faulty, dir string, rules ticketRules) {
	var mu sync.Mutex
	take := func(k driver.Key) (string, error) {
		mu.Lock()
		defer mu.Unlock()
		folder := filepath.Join(dir, "tickets", k.Kind+k.Name)
		if err := os.MkdirAll(folder, 0o700); err != nil {
			return "", err
		}
		for n := 0; ; n++ {
			name := filepath.Join(folder, fmt.Sprintf("%06d", n))
			if later, _ := filepath.Glob(filepath.Join(folder, "*")); len(later) > 0 && slices.Max(later) >= name {
				continue
			}
			f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
			if err == nil {
				return name, f.Close()
			}
		}
	}
	first := func(name string) bool {
		all, _ := filepath.Glob(filepath.Join(filepath.Dir(name), "*"))
		all = slices.DeleteFunc(all, func(other string) bool {
			info, err := os.Stat(other)
			return err == nil && time.Since(info.ModTime()) > rules.limit
		})
		return len(all) == 0 || slices.Min(all) >= name
	}
	keep := func(name string, touched time.Time) driver.Lock {
		done, ended := make(chan struct{}), make(chan struct{})
		var lost chan struct{}
		if rules.tell {
			lost = make(chan struct{})
		}
		go func() {
			defer close(ended)
			for rules.renew {
				select {
				case <-done:
					return
				case <-time.After(10 * time.Millisecond):
				}
				if lost != nil && time.Since(touched) > rules.limit {
					close(lost)
					return
				}
				touched = time.Now()
				_ = os.Chtimes(name, touched, touched)
			}
		}()
		return lockOf{lost: lost, unlock: sync.OnceValue(func() error {
			close(done)
			<-ended
			return os.Remove(name)
		})}
	}
	f.lock = func(ctx context.Context, k driver.Key) (driver.Lock, error) {
		touched := time.Now()
		name, err := take(k)
		if err != nil {
			return nil, err
		}
		for !first(name) {
			select {
			case <-time.After(time.Millisecond):
				touched = time.Now()
				_ = os.Chtimes(name, touched, touched)
			case <-ctx.Done():
				return nil, errors.Join(ctx.Err(), os.Remove(name))
			}
		}
		return keep(name, touched), nil
	}
	f.tryLock = func(_ context.Context, k driver.Key) (driver.Lock, bool, error) {
		touched := time.Now()
		name, err := take(k)
		if err != nil {
			return nil, false, err
		}
		if !first(name) {
			return nil, false, os.Remove(name)
		}
		return keep(name, touched), true, nil
	}
}

// openFaulty opens a store that is wrong in the way that the place begins with.
func openFaulty(place string) (driver.Store, error) {
	kind, dir, _ := strings.Cut(place, "|")
	s, err := filestore.Open(dir, nil)
	if err != nil {
		return nil, err
	}
	f := newFaulty(s)
	if spoil, ok := faultyKinds[kind]; ok {
		spoil(dir, s, f)
	} else if kind != "good" {
		return nil, fmt.Errorf("no fault %q", kind)
	}
	return f, nil
}

var processFaults = []struct {
	kind, check string
	losesLocks  bool // in the suite
}{
	{"records of one's own", "Stores/share records", false},
	{"locks in the process alone", "Stores/share locks", false},
	{"keeps locks when it is closed", "Stores/close lets locks go", false},
	{"compares in the process alone", "Processes/no update is lost", false},
	{"locks in the process alone", "Processes/take turns under the lock", false},
	{"Put under the lock", "Processes/a lock leaves records alone", false},
	{"locks in the process alone", "Processes/a holder that is slow keeps its lock", false},
	{"a lock with a time limit that the holder does not keep", "Processes/a holder that is slow keeps its lock", false},
	{"a lock that is a file", "Processes/a holder that is killed lets its lock go", false},
	{"a lock with a time limit", "Processes/a holder that is stopped", false},
	{"a lock with a time limit", "Processes/a holder that is stopped", true},
	{"a lock that is a file", "Processes/a waiter that is killed breaks no queue", false},
	{"writes later", "Processes/a writer that is killed leaves whole records", false},
	{"an index that is written last", "Processes/a writer that is killed leaves whole records", false},
}

func TestEachFaultBetweenProcessesIsFound(t *testing.T) {
	t.Parallel()
	for _, fault := range processFaults {
		t.Run(fmt.Sprintf("%s/%s/%t", fault.check, fault.kind, fault.losesLocks), func(t *testing.T) {
			t.Parallel()
			if runtime.GOOS == "windows" && strings.Contains(fault.check, "stopped") {
				t.Skip("a process cannot be stopped on this system")
			}
			failures := failuresOf(t, fault.check, &drivertest.Suite{Open: openFaulty, Place: fault.kind + "|" + filepath.Join(t.TempDir(), "store"),
				TakeOver: 300 * time.Millisecond, LosesLocks: fault.losesLocks})
			require.NotEmpty(t, failures)
			t.Log(failures[0])
		})
	}
}
