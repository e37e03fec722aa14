package authcode

import (
	"context"
	"fmt"
	"io"
	"sync"

	"github.com/outgrant/outgrant"
)

// NewMemoryVault returns a vault that forgets everything when the process ends, for tests. Package credstore has one that
// lasts.
func NewMemoryVault() Vault {
	return &memoryVault{kept: map[string]Authorization{}, locks: map[string]chan struct{}{}}
}

type memoryVault struct {
	mu    sync.Mutex
	kept  map[string]Authorization
	locks map[string]chan struct{} // each holds a value while the lock is held
}

func (v *memoryVault) Load(ctx context.Context, name string) (Authorization, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.kept[name], ctx.Err()
}

func (v *memoryVault) Save(ctx context.Context, name string, spent outgrant.Secret, next Authorization) (Authorization, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return Authorization{}, err
	}
	if v.kept[name].RefreshToken == spent {
		v.kept[name] = next
	}
	return v.kept[name], nil
}

func (v *memoryVault) Lock(ctx context.Context, name string) (VaultLock, error) {
	v.mu.Lock()
	lock := v.locks[name]
	if lock == nil {
		lock = make(chan struct{}, 1)
		v.locks[name] = lock
	}
	v.mu.Unlock()
	select {
	case lock <- struct{}{}:
		return &memoryLock{lock: lock}, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

type memoryLock struct {
	once sync.Once
	lock chan struct{}
}

func (l *memoryLock) Lost() <-chan struct{} { return nil }

func (l *memoryLock) Unlock() error {
	l.once.Do(func() { <-l.lock })
	return nil
}

// Format prints no authorization, for every verb and flag.
func (v *memoryVault) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "authcode.MemoryVault") }
