// Package filestore keeps records in files: the store that a program has without a server.
//
// Use this when your processes run on one machine, under one user: it needs a folder, and no more. Several processes may
// share the folder, and any of them may be killed at any time: what was written is there, whole, and a lock is free some
// 20 milliseconds later. Use credstore/postgres when there are several machines.
//
// What it costs: a write waits for the disk twice, or five times if the record is due at another time than before; on a
// solid-state disk that takes one to five milliseconds. A read opens one file, in 30 microseconds. 10,000 records are
// listed in a sixth of a second the first time and, as what has not changed is remembered, in a twentieth from then on; what is
// due is found by an index. A process that is stopped in the middle of a
// write keeps others from writing one record in 256 until it goes on or is killed; who waits leaves with its context.
//
// The folder must be on a disk of this machine. On a network file system, locks may not hold between machines, and then a
// refresh token is spent twice: Open refuses those that it recognizes. Records and their names are readable for the user
// that the process runs as and for nobody else; what is secret in them is sealed by package credstore.
//
// Do not restore the folder from a backup, nor copy it to a second machine, if refresh tokens are in it that change at
// each use: the restored ones have been spent, and a token service that sees one again may end the whole grant. If you
// must restore it, authorize those credentials again.
//
// Below the folder are: records/, a file for each record, whose name begins with the record's; due/, an empty file for
// each record that is due one day; locks/ and shards/, files that are locked and stay forever; and tmp/, what is being
// written. A record that is damaged, or not where it belongs, is refused by name ([driver.ErrDamaged]), and the others stay
// usable; a list notices that, too, but for the sealed part of a record where that has more than 32 KiB. Do not remove anything while a process uses the folder, and keep all of it together.
package filestore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/outgrant/outgrant/credstore/driver"
	"github.com/outgrant/outgrant/internal/keylock"
)

// Options are what may be set for a store.
type Options struct {
	// AllowNetworkFileSystem lets the folder be on a network file system. Whether locks hold there is yours to find out:
	// package drivertest shows it for processes of one machine only. Default: Open refuses the ones that it recognizes.
	AllowNetworkFileSystem bool
}

// Store is a [driver.Store] in a folder. Its locks end with their holder's process, and cannot be lost. It is safe for
// concurrent use; other stores, in this process and in others, may be open on the same folder.
type Store struct {
	dir  string // absolute
	root *os.Root

	shards keylock.Locks[string]     // in this process, before the lock between processes
	locks  keylock.Locks[driver.Key] // likewise, for Lock
	synced sync.Map                  // folders that will be there after a power cut
	lists  sync.Map                  // what lists have read of each folder: map[string]listed by file, which is not changed

	closed atomic.Bool
	mu     sync.Mutex
	held   map[*lock]struct{}
}

var _ driver.Store = (*Store)(nil)

// leftoverAge is how old a file in tmp/ must be to count as left over by a process that has died.
const leftoverAge = time.Hour

// Open opens the store in a folder, which it makes if it is not there. opts may be nil. The folder may be read-only; then
// records can be read. It refuses a folder that every user of the machine may write to, and a network file system.
func Open(dir string, opts *Options) (*Store, error) {
	if opts == nil {
		opts = &Options{}
	}
	if dir == "" {
		return nil, errors.New("filestore: the folder of the store has no name")
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("filestore: %w", err)
	}
	if err := makeFolder(dir); err != nil {
		return nil, fmt.Errorf("filestore: cannot make the folder of the store: %w%s", err, advice(err))
	}
	if err := checkFolder(dir, opts); err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("filestore: cannot open the folder of the store: %w%s", err, advice(err))
	}
	s := &Store{dir: dir, root: root, held: map[*lock]struct{}{}}
	s.removeLeftovers()
	return s, nil
}

// checkFolder refuses what a store could not keep its promises in.
func checkFolder(dir string, opts *Options) error {
	info, err := os.Stat(dir)
	if err != nil {
		return fmt.Errorf("filestore: %w", err)
	}
	if !info.IsDir() {
		return fmt.Errorf("filestore: %s is not a folder", dir)
	}
	if writableByAll(info) {
		return fmt.Errorf("filestore: every user of this machine may write to %s, and replace what is kept there: take the right away (chmod o-w), or name a folder below it, which is then made with the right permissions", dir)
	}
	network, err := networkFileSystem(dir)
	if err != nil {
		return fmt.Errorf("filestore: cannot tell which file system %s is on: %w", dir, err)
	}
	if network != "" && !opts.AllowNetworkFileSystem {
		return fmt.Errorf("filestore: %s is on a network file system (%s), where locks may not keep other machines away, so that a refresh token is spent twice: use a local disk or another backend, or set AllowNetworkFileSystem if you know that it is never shared", dir, network)
	}
	return nil
}

// makeFolder makes a folder and those above it, so that they are there after a power cut, too.
func makeFolder(dir string) error {
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	parent := filepath.Dir(dir)
	if err := makeFolder(parent); err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	f, err := os.Open(parent)
	if err != nil {
		return err
	}
	defer f.Close()
	return syncFolder(f)
}

// Close is that of [driver.Store]. It waits for nothing: locks that are held are let go, and what is under way fails.
// Afterwards all methods fail with an error that matches fs.ErrClosed.
func (s *Store) Close() error {
	if s.closed.Swap(true) {
		return nil
	}
	s.mu.Lock()
	held := s.held
	s.held = nil
	s.mu.Unlock()
	for l := range held {
		l.release()
	}
	return s.root.Close()
}

// ready tells why a method cannot begin.
func (s *Store) ready(ctx context.Context, k driver.Key) error {
	err := s.notClosed()
	if err == nil {
		err = ctx.Err()
	}
	if err == nil {
		err = k.Check()
	}
	if err != nil {
		return fmt.Errorf("filestore: %w", err)
	}
	return nil
}

func (s *Store) notClosed() error {
	if s.closed.Load() {
		return fmt.Errorf("the store in %s: %w", s.dir, fs.ErrClosed)
	}
	return nil
}

// path returns where a file of the store is, for errors.
func (s *Store) path(name string) string { return filepath.Join(s.dir, filepath.FromSlash(name)) }

// advice says what to do about an error of the file system.
func advice(err error) string {
	switch {
	case isAny(err, diskFull):
		return ": free some space on that disk"
	case errors.Is(err, fs.ErrPermission) || isAny(err, readOnly):
		return ": the user that this process runs as must be able to write there"
	case isAny(err, tooManyFiles):
		return ": let this process open more files (ulimit -n)"
	default:
		return ""
	}
}

func isAny(err error, targets []error) bool {
	for _, target := range targets {
		if errors.Is(err, target) {
			return true
		}
	}
	return false
}
