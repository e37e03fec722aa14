package main

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"syscall"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/credstore"
	"github.com/outgrant/outgrant/credstore/driver"
	"github.com/outgrant/outgrant/credstore/filestore"
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

// openTraced is credstore.OpenDir with its steps told.
func (o Orders) openTraced(dir string, _ *credstore.Options) (*credstore.Store, error) {
	files, err := filestore.Open(dir, nil)
	if err != nil {
		return nil, err
	}
	keeper, err := credstore.LocalKeeper(filepath.Join(dir, "keeper.key"))
	if err != nil {
		return nil, err
	}
	return credstore.Open(&tracedFiles{Store: files, at: o.at}, &credstore.Options{
		Keeper: keeper, HTTPClient: &http.Client{Transport: tracedRequests(o.at)},
		Hooks: &outgrant.Hooks{AuthorizationChanged: func(e outgrant.AuthorizationEvent) { say(Line{Event: e.String()}) }},
	})
}

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
		_ = syscall.Kill(os.Getpid(), syscall.SIGSTOP)
		return
	}
	select {} // until it takes effect
}

// tracedFiles tells the steps that are in the store: of the records that a program writes which only uses a credential, all
// are the credential's authorization.
type tracedFiles struct {
	driver.Store
	at func(step string)

	mu     sync.Mutex
	marked bool
}

func (f *tracedFiles) Lock(ctx context.Context, k driver.Key) (driver.Lock, error) {
	f.at(StepLocking)
	lock, err := f.Store.Lock(ctx, k)
	if err == nil {
		f.at(StepLocked)
	}
	return lock, err
}

func (f *tracedFiles) Put(ctx context.Context, r driver.Record, ifVersion string) (string, error) {
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
