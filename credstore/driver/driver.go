// Package driver is what a store of credentials needs from the place where it keeps them.
//
// Use this when you write a backend for package credstore: implement [Store], and run the suite of
// credstore/drivertest against it, with several processes. Users of credentials do not need it.
//
// A backend keeps records by key: sealed bytes, information without secrets, and two times. It never sees a token, and
// needs nothing of outgrant but this package.
package driver

import (
	"context"
	"errors"
	"iter"
	"time"
)

// Key names a record. Each part may be any valid UTF-8 text without NUL, up to 1,024 bytes; Tenant may be "". Others are
// refused, see [Key.Check]. Keys that differ, if only in case, are different keys. A backend keeps any Kind, also one that
// it has never heard of.
type Key struct{ Tenant, Kind, Name string }

// Record is what is kept under a key.
type Record struct {
	Key

	// Version changes with each Put, and never comes back: not even after the record was deleted and made again.
	Version string

	// Due is when the record wants attention, for [Store.Due]; zero: never. Expires is when it may be forgotten, which is
	// for its owner to do; zero: never. Both keep a microsecond's precision at least.
	Due, Expires time.Time

	Info   []byte // no secret; some KiB
	Sealed []byte // some KiB
}

// Errors to compare with by errors.Is.
var (
	// ErrNotFound: there is no record under the key.
	ErrNotFound = errors.New("no such record")
	// ErrConflict: the record's version is not the one that the write was made for.
	ErrConflict = errors.New("the record has changed")
	// ErrDamaged: the record is there, but it is not what was written, and will not be. Delete with "" removes it.
	ErrDamaged = errors.New("the record is damaged")
)

// Store keeps records. It is safe for concurrent use, also by several processes where the backend is shared by them.
// Each method honours its context, and an error matches ctx.Err() if that ended the call. A record that cannot be read
// is an error that names it, and does not stop others from being read.
type Store interface {
	// Get returns a record, or ErrNotFound. The caller may modify it.
	Get(ctx context.Context, k Key) (Record, error)

	// Put writes a record if its version is still ifVersion; "" creates one that must not be there. Otherwise it is
	// ErrConflict and changes nothing, also if there is no record. r.Version is ignored, and r shares no memory with what
	// is kept. When Put has returned without an error, the record survives the end of the process and of the machine.
	// After any other error the record is the old or the new one, whole.
	Put(ctx context.Context, r Record, ifVersion string) (version string, err error)

	// Delete removes a record if its version is still ifVersion; "" removes any version. ErrConflict, and ErrNotFound if
	// there is no record, whatever ifVersion is, change nothing.
	Delete(ctx context.Context, k Key, ifVersion string) error

	// List yields the records of a tenant and a kind, in no order, with Info and without Sealed. For a record that cannot
	// be read it yields what it knows of its key, with an error, and goes on; an error with a zero key ends it. It need not
	// notice that Sealed is damaged. Records that are written meanwhile may be left out.
	List(ctx context.Context, tenant, kind string) iter.Seq2[Record, error]

	// Due returns the keys of a kind, of all tenants, whose Due is set and not after before: the earliest first, and at
	// most limit of them. Its cost follows what is due, not what is there. Where some of them cannot be read, it returns
	// the others' keys, with an error that names them.
	Due(ctx context.Context, kind string, before time.Time, limit int) ([]Key, error)

	// Lock waits until it holds the lock of a key, or ctx ends; a lock outlives ctx. There need not be a record. A lock
	// excludes all other holders in all processes, goroutines of this one included; it does not keep anybody from Get, Put
	// and Delete. When its holder's process ends, however that happens, the lock is free at once, or after a time that the
	// backend states.
	Lock(ctx context.Context, k Key) (Lock, error)

	// TryLock is Lock that does not wait: false if somebody else holds it.
	TryLock(ctx context.Context, k Key) (Lock, bool, error)

	// Close releases what the store holds, locks too. It is called once, when nothing else is under way.
	Close() error
}

// Follower is a [Store] that tells what has changed in it, whoever changed it. It is optional: without it, each record in use
// is read again and again.
type Follower interface {
	// Follow returns a function that each time returns the keys of what was put or deleted since the last time, and maybe some
	// once more; the first time, nothing. After an error the next call has them. It is called by one goroutine at a time,
	// and needs no end.
	Follow() func(ctx context.Context) ([]Key, error)
}

// Listener is a [Follower] that also tells when there is something to ask for.
type Listener interface {
	Follower

	// Listen calls changed when something may have been put or deleted, until ctx ends; then it returns ctx.Err(). Nothing is
	// lost where it misses a change. An error otherwise says that it cannot listen now, and it may be called again.
	// changed returns at once.
	Listen(ctx context.Context, changed func()) error
}

// Claimer is a [Store] that shares work out. It is optional: without it, programs that do the same work get in each other's way.
type Claimer interface {
	// Claim is [Store.Due], in any order, for programs that share the work: what a call has returned, no other returns for as long
	// as hold, whatever is put there meanwhile. It does not change the record's version.
	Claim(ctx context.Context, kind string, before time.Time, limit int, hold time.Duration) ([]Key, error)
}

// Clock is a [Store] with a clock, for processes on several machines to go by, whose own clocks may differ. It is optional:
// without it they are on one machine.
type Clock interface {
	// Now returns the time that it is for the store.
	Now(ctx context.Context) (time.Time, error)
}

// Lock is a lock that is held.
type Lock interface {
	// Lost returns a channel that is closed when the lock is lost before Unlock: somebody else may hold it then, or soon, in
	// this process, too, without Unlock. It is nil
	// if that cannot happen while the process lives, stopped or slow as it may be. So whoever takes a lock whose Lost is
	// nil knows that the holder before has let it go, or has ended.
	Lost() <-chan struct{}

	// Unlock lets the lock go. Further calls do nothing.
	Unlock() error
}
