package main

import (
	"context"
	"database/sql"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the database driver

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/credstore"
	"github.com/outgrant/outgrant/credstore/driver"
	"github.com/outgrant/outgrant/credstore/filestore"
	"github.com/outgrant/outgrant/credstore/postgres"
)

// The steps of a rotation, between what it does.
const (
	StepLocking  = "locking"  // before the lock
	StepLocked   = "locked"   // before the mark is stored
	StepMarked   = "marked"   // before the refresh token is sent
	StepAnswered = "answered" // the answer has come, and nothing of it is read
	StepStoring  = "storing"  // before what came is stored
	StepStored   = "stored"   // before the lock is let go
)

// openDir opens a store in a folder, with its steps told if they are to be.
func (o Orders) openDir() (*credstore.Store, error) {
	if !o.Traced {
		return credstore.OpenDir(o.Dir, nil)
	}
	files, err := filestore.Open(o.Dir, nil)
	if err != nil {
		return nil, err
	}
	return o.openOn(files)
}

// openDatabase opens a store in a database, which may be away.
func (o Orders) openDatabase() (*credstore.Store, error) {
	db, err := sql.Open("pgx", o.Database)
	if err != nil {
		return nil, err
	}
	for {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		drv, err := postgres.Open(ctx, db, &postgres.Options{LockIdle: lockIdle})
		var store *credstore.Store
		if err == nil {
			store, err = o.openOn(drv)
		}
		cancel()
		if err == nil || !o.GoOn {
			return store, err
		}
		say(Line{Failed: err.Error()})
		time.Sleep(100 * time.Millisecond)
	}
}

// lockIdle is short, so that a stopped holder loses its lock while a test waits, and longer than requests take here.
const lockIdle = 3 * time.Second

func (o Orders) openOn(drv driver.Store) (*credstore.Store, error) {
	keeper, err := credstore.LocalKeeper(filepath.Join(o.Dir, "keeper.key"))
	if err != nil {
		return nil, err
	}
	opts := &credstore.Options{Keeper: keeper, FetchTimeout: o.FetchTimeout}
	if o.Traced {
		drv = &traced{Store: drv, at: o.at}
		opts.HTTPClient = &http.Client{Transport: tracedRequests(o.at)}
		opts.Hooks = &outgrant.Hooks{AuthorizationChanged: func(e outgrant.AuthorizationEvent) { say(Line{Event: e.String()}) }}
	}
	return credstore.Open(drv, opts)
}

var (
	stop            sync.Once
	calls, endCalls = context.WithCancel(context.Background()) // what the program calls for
	left            = make(chan struct{})                      // closed when nobody calls any more
)

// at is where a step is.
func (o Orders) at(step string) {
	say(Line{Step: step})
	if step != o.Step {
		return
	}
	switch o.Signal {
	case "KILL":
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	case "STOP":
		stop.Do(func() { _ = syscall.Kill(os.Getpid(), syscall.SIGSTOP) })
		return
	case "END":
		endCalls()
		<-left
		return
	}
	select {} // until it takes effect
}

// traced tells the steps that are in the store: of the records that a program writes which only uses a credential, all
// are the credential's authorization.
type traced struct {
	driver.Store
	at func(step string)

	mu     sync.Mutex
	marked bool
}

func (f *traced) Lock(ctx context.Context, k driver.Key) (driver.Lock, error) {
	f.at(StepLocking)
	lock, err := f.Store.Lock(ctx, k)
	if err == nil {
		f.at(StepLocked)
	}
	return lock, err
}

func (f *traced) Put(ctx context.Context, r driver.Record, ifVersion string) (string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	before, after := "", StepMarked
	if f.marked {
		before, after = StepStoring, StepStored
	}
	f.marked = !f.marked
	if before != "" {
		f.at(before)
	}
	version, err := f.Store.Put(ctx, r, ifVersion)
	f.at(after)
	return version, err
}

// tracedRequests tells when the answer of the token service has come.
type tracedRequests func(step string)

func (at tracedRequests) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := http.DefaultTransport.RoundTrip(req)
	at(StepAnswered)
	return resp, err
}
