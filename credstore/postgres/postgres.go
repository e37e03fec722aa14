// Package postgres keeps records in a PostgreSQL database, for processes on many machines.
//
// Use this when several machines share one store of credentials. On one machine credstore/filestore needs no server.
//
// The database driver is yours: any for database/sql will do that tells the SQLSTATE of its errors, as
// github.com/jackc/pgx/v5/stdlib and github.com/lib/pq do. PostgreSQL 13 and later will do.
//
//	db, err := sql.Open("pgx", "postgres://outgrant@db.example/outgrant")
//	...
//	err = postgres.Migrate(ctx, db, nil) // in each process that may; or Schema(nil) by hand, once
//	...
//	drv, err := postgres.Open(ctx, db, nil)
//	...
//	store, err := credstore.Open(drv, &credstore.Options{Keeper: keeper})
//
// # Connections
//
// A lock holds a connection of the pool for as long as it is held, in a transaction that writes nothing. Records are read and
// written on others, so locks use at most half of the pool, and what waits for a lock lets its connection go again and again:
// refreshes that exceed the connections wait for each other, and never for ever. A pool that is set to one connection is refused.
//
// Behind a pooler that gives connections by transaction, such as PgBouncer, everything works that works there with your
// driver: versions of PgBouncer before 1.21 know no prepared statements, so pgx must be told
// default_query_exec_mode=exec, and lib/pq binary_parameters=yes.
//
// # Locks
//
// A lock is a row that is locked in a table of its own. When its holder's process ends, however that happens, the row is free
// within milliseconds. When the machine of its holder is lost, or the process stopped, the database ends the transaction
// after [Options.LockIdle]: a lock can be lost, and its Lost tells.
//
// # What must not be
//
// The database must not confirm what it has not written to disk: Open refuses synchronous_commit=off. Do not restore a backup,
// nor fail over to a replica that lags behind, where refresh tokens change at each use: what was spent since then
// would be spent again, and a token service may end the whole grant. Authorize those credentials again.
package postgres

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"regexp"
	"sync"
	"time"

	"github.com/outgrant/outgrant/credstore/driver"
	"github.com/outgrant/outgrant/internal/keylock"
)

// Options are what may be set for a store.
type Options struct {
	// Schema is the schema that the tables are in: small letters, digits and underscores. Default "outgrant".
	Schema string

	// LockIdle is after which time the database takes a lock from a holder that is stopped or cannot be reached. It must
	// be longer than any request to a token service that is made under a lock. Default 2 minutes.
	LockIdle time.Duration

	// Listen lets changes reach this process at once: it executes LISTEN for a channel on a connection of its own, and calls
	// changed when that has begun and for each notification, until ctx ends; an error, after which it is called again,
	// says that the connection is lost. database/sql cannot do it, your driver can: examples/fleet/listen has it for pgx
	// and for lib/pq. It takes a direct connection, as one behind a pooler gets no notifications. Default nil: changes are asked
	// for, every credstore.Options.PollInterval.
	Listen func(ctx context.Context, channel string, changed func()) error

	// MaxLocks is how many connections locks may use, those that wait included. Default half of what the pool may open,
	// or 10 if that has no limit.
	MaxLocks int
}

const (
	defaultSchema   = "outgrant"
	defaultLockIdle = 2 * time.Minute
	defaultMaxLocks = 10
)

// Store is a [driver.Store] in a database. Its locks can be lost. It is safe for concurrent use, and so are all stores on one
// database, wherever they are.
type Store struct {
	db   *sql.DB
	opts Options // with defaults
	sql  statements

	locks keylock.Locks[driver.Key] // in this process, before the one in the database: one connection waits for a key
	slots chan struct{}             // of connections for locks

	mu     sync.Mutex
	closed bool
	held   map[*lock]struct{}
}

var _ driver.Store = (*Store)(nil)

// Open opens the store in a database whose schema is there (see [Migrate]); it refuses one that a newer version of this
// package has made. It copies opts, which may be nil. The pool stays its owner's: Close does not close it.
func Open(ctx context.Context, db *sql.DB, opts *Options) (*Store, error) {
	if db == nil {
		return nil, errors.New("postgres: the database is nil")
	}
	o, err := withDefaults(opts, db.Stats().MaxOpenConnections)
	if err != nil {
		return nil, err
	}
	if err := checkDatabase(ctx, db, o.Schema); err != nil {
		return nil, err
	}
	return &Store{db: db, opts: o, sql: statementsIn(o.Schema), slots: make(chan struct{}, o.MaxLocks), held: map[*lock]struct{}{}}, nil
}

var schemaName = regexp.MustCompile(`^[a-z_][a-z0-9_]{0,62}$`)

func withDefaults(opts *Options, mostConns int) (Options, error) {
	var o Options
	if opts != nil {
		o = *opts
	}
	if o.Schema == "" {
		o.Schema = defaultSchema
	}
	if o.LockIdle == 0 {
		o.LockIdle = defaultLockIdle
	}
	half := mostConns / 2
	switch {
	case !schemaName.MatchString(o.Schema):
		return o, fmt.Errorf("postgres: the schema %.70q: small letters, digits and underscores are taken", o.Schema)
	case o.LockIdle < 100*time.Millisecond:
		return o, errors.New("postgres: LockIdle must be at least 100 ms, and longer than a request to a token service")
	case o.MaxLocks < 0:
		return o, errors.New("postgres: MaxLocks must not be negative")
	case mostConns == 1:
		return o, errors.New("postgres: the pool may open one connection only, and a lock needs one beside those for records: raise SetMaxOpenConns")
	case mostConns > 0 && o.MaxLocks > half:
		return o, fmt.Errorf("postgres: MaxLocks is %d, and must be at most half of the %d connections of the pool", o.MaxLocks, mostConns)
	case o.MaxLocks == 0 && mostConns > 0:
		o.MaxLocks = half
	case o.MaxLocks == 0:
		o.MaxLocks = defaultMaxLocks
	}
	return o, nil
}

// checkDatabase refuses a database that could not keep what the store promises.
func checkDatabase(ctx context.Context, db *sql.DB, schema string) error {
	var encoding, commit string
	err := db.QueryRowContext(ctx, "SELECT current_setting('server_encoding'), current_setting('synchronous_commit')").Scan(&encoding, &commit)
	if err != nil {
		return failure(ctx, "open the store", err)
	}
	switch {
	case encoding != "UTF8":
		return fmt.Errorf("postgres: the database has the encoding %s: names of credentials may be any text, so it must be UTF8", encoding)
	case commit == "off":
		return errors.New("postgres: synchronous_commit is off, so a crash would lose refresh tokens that were stored: set it to on, for the role with ALTER ROLE ... SET synchronous_commit = on")
	}
	found, err := versionOf(ctx, db, schema)
	if err == nil && found < schemaVersion {
		err = fmt.Errorf("postgres: the schema %s has the version %d, and this program needs %d: call Migrate first, or have the statements of Schema executed", schema, found, schemaVersion)
	}
	return errors.Join(err, tooNew(schema, found))
}

// Now is the database's time ([driver.Clock]).
func (s *Store) Now(ctx context.Context) (now time.Time, err error) {
	if err := s.open(ctx); err != nil {
		return now, err
	}
	err = s.read(func() error { return s.db.QueryRowContext(ctx, "SELECT clock_timestamp()").Scan(&now) })
	return now, failure(ctx, "tell the time", err)
}

// Close lets the locks go that are still held. It does not close the pool.
func (s *Store) Close() error {
	s.mu.Lock()
	s.closed = true
	held := make([]*lock, 0, len(s.held))
	for l := range s.held {
		held = append(held, l)
	}
	s.mu.Unlock()
	for _, l := range held {
		_ = l.Unlock()
	}
	return nil
}

var errClosed = errors.New("postgres: the store is closed")

// begin is how each call begins.
func (s *Store) begin(ctx context.Context, k driver.Key) error {
	if err := k.Check(); err != nil {
		return fmt.Errorf("postgres: %w", err)
	}
	return s.open(ctx)
}

func (s *Store) open(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return errClosed
	}
	return nil
}
