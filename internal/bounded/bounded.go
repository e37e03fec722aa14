// Package bounded keeps values by key, within bounds of number and of time.
package bounded

import (
	"math"
	"sync"
	"sync/atomic"
	"time"
)

// Map keeps a value for each key. When there are more than it may keep, one goes that has not been used for a while; so
// does one that nobody has used for the idle time; a busy one stays. It runs no goroutine, and a timer only while it keeps
// something. It is safe for concurrent use.
type Map[K comparable, V any] struct {
	most int
	idle time.Duration
	busy func(*V) bool

	mu      sync.RWMutex
	entries map[K]*Entry[K, V]
	ring    []*Entry[K, V] // all entries, for the hand to go round
	hand    int
	timer   *time.Timer // nil: nothing is kept
}

// Entry is a value in its map.
type Entry[K comparable, V any] struct {
	Value V

	key   K
	slot  int           // in the ring
	state atomic.Uint32 // of the flags below
}

const (
	used  uint32 = 1 << iota // since the hand passed
	awake                    // used since the last sweep
	dozed                    // was not, once
	gone                     // no longer in the map
)

const (
	sweepPiece  = 1024 // entries that a sweep looks at without letting others in
	mostChances = 256  // entries that the hand passes at most until one goes
)

// New returns an empty map that keeps at most most values, and each for idle to one and a half of idle without use. busy
// may be nil; a value that it reports is kept, also beyond both bounds. It must be quick and must not use the map.
func New[K comparable, V any](most int, idle time.Duration, busy func(*V) bool) *Map[K, V] {
	if busy == nil {
		busy = func(*V) bool { return false }
	}
	return &Map[K, V]{most: most, idle: max(idle, time.Millisecond), busy: busy, entries: map[K]*Entry[K, V]{}}
}

// Get returns the entry of key, or nil if there is none. It counts as a use of it.
func (m *Map[K, V]) Get(key K) *Entry[K, V] {
	m.mu.RLock()
	e := m.entries[key]
	m.mu.RUnlock()
	if e != nil {
		e.Use()
	}
	return e
}

// GetOrAdd is Get, and adds an entry if there is none. fill sets its value, with the lock held: it must be quick.
func (m *Map[K, V]) GetOrAdd(key K, fill func(*Entry[K, V])) *Entry[K, V] {
	m.mu.Lock()
	defer m.mu.Unlock()
	if e := m.entries[key]; e != nil {
		e.Use()
		return e
	}
	e := &Entry[K, V]{key: key}
	e.state.Store(used | awake)
	fill(e)
	for len(m.ring) >= m.most {
		v := m.victim()
		if v == nil {
			break
		}
		m.remove(v)
	}
	e.slot = len(m.ring)
	m.ring = append(m.ring, e)
	m.entries[key] = e
	if m.timer == nil {
		m.timer = time.AfterFunc(m.idle/2, m.sweep)
	}
	return e
}

// Len returns how many values are kept.
func (m *Map[K, V]) Len() int {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return len(m.entries)
}

// Key returns the key that the entry has, or had, in its map.
func (e *Entry[K, V]) Key() K { return e.key }

// Use notes a use of the entry, and reports whether it is still in its map.
func (e *Entry[K, V]) Use() bool {
	for {
		state := e.state.Load()
		switch {
		case state&gone != 0:
			return false
		case state == used|awake: // the usual case writes nothing, so that users do not disturb each other
			return true
		case e.state.CompareAndSwap(state, used|awake):
			return true
		}
	}
}

// victim returns the first entry that is not busy and was not used since the hand last passed. Where many were, one of
// them goes, so that nobody waits for long; nil if all are busy. m.mu is held.
func (m *Map[K, V]) victim() (last *Entry[K, V]) {
	for range min(2*len(m.ring), mostChances) {
		if m.hand >= len(m.ring) {
			m.hand = 0
		}
		e := m.ring[m.hand]
		m.hand++
		if m.busy(&e.Value) {
			continue
		}
		state := e.state.Load()
		if state&used == 0 && e.state.CompareAndSwap(state, gone) { // else it is just being used
			return e
		}
		e.state.And(^used)
		last = e
	}
	return last
}

// remove takes an entry out; the last of the ring takes its place. m.mu is held.
func (m *Map[K, V]) remove(e *Entry[K, V]) {
	e.state.Store(gone)
	delete(m.entries, e.key)
	last := len(m.ring) - 1
	m.ring[e.slot] = m.ring[last]
	m.ring[e.slot].slot = e.slot
	m.ring[last] = nil
	m.ring = m.ring[:last]
}

// sweep removes what was used neither since the last sweep nor between that and the one before. It goes from the end,
// as a removal moves the last entry forward.
func (m *Map[K, V]) sweep() {
	for next := math.MaxInt; next > 0; {
		next = m.sweepBelow(next)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.ring) == 0 {
		m.timer = nil
		return
	}
	m.timer.Reset(m.idle / 2)
}

func (m *Map[K, V]) sweepBelow(end int) (next int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	end = min(end, len(m.ring))
	next = max(end-sweepPiece, 0)
	for i := end - 1; i >= next; i-- {
		e := m.ring[i]
		switch state := e.state.Load(); {
		case m.busy(&e.Value):
		case state&awake != 0:
			e.state.CompareAndSwap(state, state&^awake) // else it has just been used
		case state&dozed != 0 && e.state.CompareAndSwap(state, gone):
			m.remove(e)
		default:
			e.state.CompareAndSwap(state, state|dozed)
		}
	}
	return next
}
