package postgres

import (
	"context"
	"database/sql"
	"errors"
	"math/rand/v2"
	"strconv"
	"sync"
	"time"

	"github.com/outgrant/outgrant/credstore/driver"
	"github.com/outgrant/outgrant/internal/replay"
)

const (
	// Who waits for a lock asks again after a pause, which grows from the first to the longest. Nobody waits inside the
	// database: that would take a connection, and a wait that was given up could be granted the lock later.
	firstPause, longestPause = 2 * time.Millisecond, 40 * time.Millisecond
	// grace is how long an attempt goes on after its caller's context has ended, so that it ends in good order.
	grace = 250 * time.Millisecond
	// letGo is how long the database may take to let a lock go, before the connection is given up.
	letGo = 5 * time.Second
)

// lock is a row that is locked in a transaction, which ends with the lock.
type lock struct {
	store *Store
	key   driver.Key
	conn  *sql.Conn
	tx    *sql.Tx
	end   context.CancelFunc // of the transaction
	lost  chan struct{}      // closed when it is lost

	once    sync.Once
	over    chan struct{} // closed by Unlock
	beating chan struct{} // closed when nobody uses the transaction any more
}

// Lock is that of [driver.Store]. In this process the lock is given in the order of asking; between processes, by chance.
func (s *Store) Lock(ctx context.Context, k driver.Key) (driver.Lock, error) {
	if err := s.begin(ctx, k); err != nil {
		return nil, err
	}
	if err := s.locks.Lock(ctx, k); err != nil {
		return nil, lockFailure(ctx, k, err)
	}
	for pause := firstPause; ; pause = min(pause*3/2, longestPause) {
		l, err := s.attempt(ctx, k)
		if l != nil {
			return l, nil
		}
		if err == nil {
			err = replay.Wait(ctx, pause/2+rand.N(pause/2))
		}
		if err != nil {
			s.locks.Unlock(k)
			return nil, lockFailure(ctx, k, err)
		}
	}
}

// TryLock is that of [driver.Store].
func (s *Store) TryLock(ctx context.Context, k driver.Key) (driver.Lock, bool, error) {
	if err := s.begin(ctx, k); err != nil {
		return nil, false, err
	}
	if !s.locks.TryLock(k) {
		return nil, false, nil
	}
	l, err := s.attempt(ctx, k)
	if l != nil {
		return l, true, nil
	}
	s.locks.Unlock(k)
	if err != nil {
		return nil, false, lockFailure(ctx, k, err)
	}
	return nil, false, nil
}

func lockFailure(ctx context.Context, k driver.Key, err error) error {
	if errors.Is(err, errClosed) {
		return err
	}
	return failure(ctx, "lock "+k.String(), err)
}

// attempt takes the lock, on a connection that it gets when it is its turn; nil without an error: somebody else has it.
func (s *Store) attempt(ctx context.Context, k driver.Key) (*lock, error) {
	select {
	case s.slots <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	// The transaction outlives ctx once the lock is held, so it has a context of its own, which until then ends soon after ctx.
	life, end := context.WithCancel(context.Background())
	attached := context.AfterFunc(ctx, func() { time.AfterFunc(grace, end) })
	l := &lock{store: s, key: k, end: end, lost: make(chan struct{}), over: make(chan struct{}), beating: make(chan struct{})}
	got, err := l.take(life)
	switch {
	case !attached():
		err = ctx.Err()
	case err == nil && got && !l.register():
		err = errClosed
	case err == nil && got:
		go l.watch(life)
		return l, nil
	}
	l.drop()
	return nil, err
}

// take begins the transaction and locks the row in it.
func (l *lock) take(life context.Context) (got bool, err error) {
	if l.conn, err = l.store.db.Conn(life); err != nil {
		return false, err
	}
	id := idOf(l.key)
	got, err = l.takeRow(life, id)
	if errors.Is(err, sql.ErrNoRows) { // nobody has ever locked this key
		_ = l.tx.Rollback()
		if _, err := l.conn.ExecContext(life, l.store.sql.newLock, id); err != nil {
			return false, err
		}
		got, err = l.takeRow(life, id)
	}
	return got, err
}

func (l *lock) takeRow(life context.Context, id []byte) (got bool, err error) {
	if l.tx, err = l.conn.BeginTx(life, nil); err != nil {
		return false, err
	}
	var is string
	err = l.tx.QueryRowContext(life, l.store.sql.lock, id).Scan(&is)
	if sqlState(err) == lockNotAvailable {
		return false, nil
	}
	if err == nil {
		idle := strconv.FormatInt(l.store.opts.LockIdle.Milliseconds(), 10)
		err = l.tx.QueryRowContext(life, "SELECT set_config('idle_in_transaction_session_timeout', $1::text, true)", idle).Scan(&is)
	}
	return err == nil, err
}

// register makes the lock one that Close lets go; false: the store is closed.
func (l *lock) register() bool {
	l.store.mu.Lock()
	defer l.store.mu.Unlock()
	if l.store.closed {
		return false
	}
	l.store.held[l] = struct{}{}
	return true
}

// watch lets go of what is left of the lock when it is lost: nobody may have to wait for that, the holder neither.
func (l *lock) watch(life context.Context) {
	if l.beat(life) {
		_ = l.Unlock()
	}
}

// beat shows the database that the holder is there, and reports whether the lock was lost.
func (l *lock) beat(life context.Context) (lost bool) {
	defer close(l.beating)
	every := l.store.opts.LockIdle / 4
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-l.over:
			return false
		case <-tick.C:
		}
		ctx, cancel := context.WithTimeout(life, every)
		_, err := l.tx.ExecContext(ctx, "SELECT 1")
		cancel()
		if err != nil {
			close(l.lost)
			return true
		}
	}
}

// Lost is that of [driver.Lock].
func (l *lock) Lost() <-chan struct{} { return l.lost }

// Unlock is that of [driver.Lock]. It does not fail: if the database cannot be told, the connection is given up, and the
// database ends the transaction when it notices.
func (l *lock) Unlock() error {
	l.once.Do(func() {
		close(l.over)
		stop := time.AfterFunc(letGo, l.end)
		<-l.beating
		stop.Stop()
		l.store.mu.Lock()
		delete(l.store.held, l)
		l.store.mu.Unlock()
		l.drop()
		l.store.locks.Unlock(l.key)
	})
	return nil
}

// drop ends the transaction, and gives the connection back.
func (l *lock) drop() {
	stop := time.AfterFunc(letGo, l.end)
	if l.tx != nil {
		_ = l.tx.Rollback()
	}
	if l.conn != nil {
		_ = l.conn.Close()
	}
	stop.Stop()
	l.end()
	<-l.store.slots
}
