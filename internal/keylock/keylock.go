// Package keylock locks by key within a process, in the order of asking.
package keylock

import (
	"context"
	"slices"
	"sync"
)

// Locks has a lock for each key; it remembers only those that are held. The zero value is ready. It is safe for
// concurrent use.
type Locks[K comparable] struct {
	mu     sync.Mutex
	queues map[K][]chan struct{} // of each key that is held: who waits for it, the longest first
}

// Lock waits until it holds the lock of key, or ctx ends: then it is ctx.Err().
func (l *Locks[K]) Lock(ctx context.Context, key K) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	turn := l.enqueue(key)
	if turn == nil {
		return nil
	}
	select {
	case <-turn:
		return nil
	case <-ctx.Done():
		l.leave(key, turn)
		return ctx.Err()
	}
}

// TryLock is Lock that does not wait: false if somebody holds the lock.
func (l *Locks[K]) TryLock(key K) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.take(key)
}

// Unlock gives the lock of key, which is held, to who waits for it the longest.
func (l *Locks[K]) Unlock(key K) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.pass(key)
}

// enqueue returns nil if it took the lock, else what will be closed when it is the caller's.
func (l *Locks[K]) enqueue(key K) chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.take(key) {
		return nil
	}
	turn := make(chan struct{})
	l.queues[key] = append(l.queues[key], turn)
	return turn
}

// leave takes a waiter out. If it has just been given the lock, the next one gets it.
func (l *Locks[K]) leave(key K, turn chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	queue := l.queues[key]
	if i := slices.Index(queue, turn); i >= 0 {
		l.queues[key] = slices.Delete(queue, i, i+1)
		return
	}
	l.pass(key)
}

// take takes a lock that nobody holds. l.mu is held.
func (l *Locks[K]) take(key K) bool {
	if _, held := l.queues[key]; held {
		return false
	}
	if l.queues == nil {
		l.queues = map[K][]chan struct{}{}
	}
	l.queues[key] = nil
	return true
}

// pass hands a lock on. l.mu is held.
func (l *Locks[K]) pass(key K) {
	queue := l.queues[key]
	if len(queue) == 0 {
		delete(l.queues, key)
		return
	}
	close(queue[0])
	l.queues[key] = queue[1:]
}
