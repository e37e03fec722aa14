package authcode_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"sync"
	"sync/atomic"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/authcode"
)

var errDisk = errors.New("no space left on device")

// testVault is a memory vault that can be made to fail. The functions are called before what they are named after, and
// their error is returned instead of it.
type testVault struct {
	kept authcode.Vault

	loads, locks atomic.Int64 // how many there were

	mu         sync.Mutex
	load, lock func() error
	save       func(next authcode.Authorization) error
	saved      func(next authcode.Authorization) error // after it was saved
}

func newTestVault() *testVault { return &testVault{kept: authcode.NewMemoryVault()} }

// set changes the vault's functions.
func (v *testVault) set(change func(v *testVault)) {
	v.mu.Lock()
	defer v.mu.Unlock()
	change(v)
}

func (v *testVault) Load(ctx context.Context, name string) (authcode.Authorization, error) {
	v.loads.Add(1)
	v.mu.Lock()
	f := v.load
	v.mu.Unlock()
	if f != nil {
		if err := f(); err != nil {
			return authcode.Authorization{}, err
		}
	}
	return v.kept.Load(ctx, name)
}

func (v *testVault) Save(ctx context.Context, name string, spent outgrant.Secret, next authcode.Authorization) (authcode.Authorization, error) {
	v.mu.Lock()
	before, after := v.save, v.saved
	v.mu.Unlock()
	if before != nil {
		if err := before(next); err != nil {
			return authcode.Authorization{}, err
		}
	}
	winner, err := v.kept.Save(ctx, name, spent, next)
	if err == nil && after != nil {
		if err := after(next); err != nil {
			return authcode.Authorization{}, err
		}
	}
	return winner, err
}

func (v *testVault) Lock(ctx context.Context, name string) (authcode.VaultLock, error) {
	v.locks.Add(1)
	v.mu.Lock()
	f := v.lock
	v.mu.Unlock()
	if f != nil {
		if err := f(); err != nil {
			return nil, err
		}
	}
	return v.kept.Lock(ctx, name)
}

// marks reports whether a refresh is about to begin with what is saved.
func marks(next authcode.Authorization) bool { return next.Mark != nil && next.Mark.Unknown == "" }

// failSaves makes the next n saves fail that are of the kind.
func (v *testVault) failSaves(n int, kind func(authcode.Authorization) bool) {
	v.set(func(v *testVault) {
		v.save = func(next authcode.Authorization) error {
			v.mu.Lock()
			defer v.mu.Unlock()
			if !kind(next) || n == 0 {
				return nil
			}
			n--
			return errDisk
		}
	})
}

// losableVault is a testVault whose lock can be lost, as one of a database is whose connection breaks.
type losableVault struct {
	*testVault
	mu     sync.Mutex
	holder *losableLock
	open   map[*losableLock]bool // not unlocked yet, lost or not
	free   chan struct{}         // holds a value while the lock is held
}

func newLosableVault(v *testVault) *losableVault {
	return &losableVault{testVault: v, free: make(chan struct{}, 1), open: map[*losableLock]bool{}}
}

func (v *losableVault) Lock(ctx context.Context, name string) (authcode.VaultLock, error) {
	v.testVault.mu.Lock()
	f := v.lock
	v.testVault.mu.Unlock()
	if f != nil {
		if err := f(); err != nil {
			return nil, err
		}
	}
	select {
	case v.free <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.holder = &losableLock{vault: v, lost: make(chan struct{})}
	v.open[v.holder] = true
	return v.holder, nil
}

// lose takes the lock from who has it.
func (v *losableVault) lose() {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.holder != nil {
		close(v.holder.lost)
		v.holder = nil
		<-v.free
	}
}

// loseQuietly lets others have the lock while who has it does not notice, as when a process is stopped.
func (v *losableVault) loseQuietly() {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.holder != nil {
		v.holder = nil
		<-v.free
	}
}

type losableLock struct {
	vault *losableVault
	lost  chan struct{}
}

func (l *losableLock) Lost() <-chan struct{} { return l.lost }

func (l *losableLock) Unlock() error {
	l.vault.mu.Lock()
	defer l.vault.mu.Unlock()
	delete(l.vault.open, l)
	if l.vault.holder == l {
		l.vault.holder = nil
		<-l.vault.free
	}
	return nil
}

// alwaysDue is a vault whose refresh tokens are all due.
type alwaysDue struct{ authcode.Vault }

func (v alwaysDue) Save(ctx context.Context, name string, spent outgrant.Secret, next authcode.Authorization) (authcode.Authorization, error) {
	next.Due = next.RefreshIssued
	return v.Vault.Save(ctx, name, spent, next)
}

// bytesThenError reads a body that was read already, to the error that ended it.
func bytesThenError(body []byte, err error) (io.Reader, io.Reader) {
	if err == nil {
		err = io.EOF
	}
	return bytes.NewReader(body), failingReader{err}
}

type failingReader struct{ err error }

func (r failingReader) Read([]byte) (int, error) { return 0, r.err }
