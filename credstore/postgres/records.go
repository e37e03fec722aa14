package postgres

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/outgrant/outgrant/credstore/driver"
)

// statements are the ones that the store uses.
type statements struct {
	get, create, update, deleteAny, deleteOne, exists, list, due, claim, newLock, lock, changes string
}

// Types are said where a driver sends text, as it does for a pooler.
func statementsIn(schema string) statements {
	in := func(s string) string { return in(schema, s) }
	return statements{
		get: in("SELECT tenant, kind, name, version, due, expires, info, sealed FROM {schema}.record WHERE id = $1::bytea"),
		create: in(`INSERT INTO {schema}.record (id, tenant, kind, name, version, due, expires, info, sealed)
			VALUES ($1::bytea, $2::text, $3::text, $4::text, $5::text, $6::timestamptz, $7::timestamptz, $8::bytea, $9::bytea) ON CONFLICT (id) DO NOTHING`),
		update: in(`UPDATE {schema}.record SET tenant = $2::text, kind = $3::text, name = $4::text, version = $5::text,
			due = $6::timestamptz, expires = $7::timestamptz, info = $8::bytea, sealed = $9::bytea WHERE id = $1::bytea AND version = $10::text`),
		deleteAny: in("DELETE FROM {schema}.record WHERE id = $1::bytea"),
		deleteOne: in("DELETE FROM {schema}.record WHERE id = $1::bytea AND version = $2::text"),
		exists:    in("SELECT count(*) FROM {schema}.record WHERE id = $1::bytea"),
		list: in(`SELECT id, name, version, due, expires, info FROM {schema}.record
			WHERE kind = $1::text AND tenant = $2::text AND id > $3::bytea ORDER BY id LIMIT $4::integer`),
		due: in(`SELECT id, tenant, name FROM {schema}.record
			WHERE kind = $1::text AND due <= $2::timestamptz ORDER BY due LIMIT $3::integer`),
		claim: in(`WITH free AS (SELECT id FROM {schema}.record
			WHERE kind = $1::text AND due <= $2::timestamptz AND (claimed IS NULL OR claimed <= clock_timestamp()) ORDER BY due LIMIT $3::integer FOR UPDATE SKIP LOCKED)
			UPDATE {schema}.record r SET claimed = clock_timestamp() + $4::bigint * interval '1 microsecond' FROM free WHERE r.id = free.id RETURNING r.id, r.tenant, r.name`),
		newLock: in("INSERT INTO {schema}.lock (id) VALUES ($1::bytea) ON CONFLICT (id) DO NOTHING"),
		lock:    in("SELECT 1 FROM {schema}.lock WHERE id = $1::bytea FOR UPDATE NOWAIT"),
		// Transactions before xmin are over. What is under way may end later than what began after it.
		changes: in(`SELECT pg_snapshot_xmin(pg_current_snapshot())::text, coalesce(c.id, ''), coalesce(c.tenant, ''), coalesce(c.kind, ''), coalesce(c.name, ''), coalesce(c.at::text, '')
			FROM (SELECT) AS one LEFT JOIN {schema}.change c ON c.at >= $1::text::xid8`),
	}
}

// idOf is what a key's row is found by: each part has its length before it, so that no two keys share one.
func idOf(k driver.Key) []byte {
	var b []byte
	for _, part := range []string{k.Tenant, k.Kind, k.Name} {
		b = append(binary.BigEndian.AppendUint32(b, uint32(len(part))), part...)
	}
	id := sha256.Sum256(b)
	return id[:]
}

// Get is that of [driver.Store].
func (s *Store) Get(ctx context.Context, k driver.Key) (driver.Record, error) {
	if err := s.begin(ctx, k); err != nil {
		return driver.Record{}, err
	}
	var r driver.Record
	var due, expires sql.NullTime
	err := s.read(func() error {
		return s.db.QueryRowContext(ctx, s.sql.get, idOf(k)).Scan(&r.Tenant, &r.Kind, &r.Name, &r.Version, &due, &expires, &r.Info, &r.Sealed)
	})
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return driver.Record{}, fmt.Errorf("postgres: %v: %w", k, driver.ErrNotFound)
	case err != nil:
		return driver.Record{}, failure(ctx, "read "+k.String(), err)
	case r.Key != k:
		return driver.Record{}, foreign(k)
	}
	r.Due, r.Expires = due.Time, expires.Time
	return r, nil
}

// foreign is about a row that this package has not written.
func foreign(k driver.Key) error {
	return fmt.Errorf("postgres: %v: its row was not written by outgrant, or was changed: %w", k, driver.ErrDamaged)
}

// Put is that of [driver.Store].
func (s *Store) Put(ctx context.Context, r driver.Record, ifVersion string) (string, error) {
	if err := s.begin(ctx, r.Key); err != nil {
		return "", err
	}
	version := rand.Text()
	args := []any{idOf(r.Key), r.Tenant, r.Kind, r.Name, version, timeOrNull(r.Due), timeOrNull(r.Expires), notNil(r.Info), notNil(r.Sealed)}
	statement := s.sql.create
	if ifVersion != "" {
		statement, args = s.sql.update, append(args, ifVersion)
	}
	written, err := s.affected(ctx, statement, args...)
	if err != nil {
		return "", failure(ctx, "write "+r.Key.String(), err)
	}
	if written == 0 {
		return "", fmt.Errorf("postgres: %v: %w", r.Key, driver.ErrConflict)
	}
	return version, nil
}

// Delete is that of [driver.Store].
func (s *Store) Delete(ctx context.Context, k driver.Key, ifVersion string) error {
	if err := s.begin(ctx, k); err != nil {
		return err
	}
	statement, args := s.sql.deleteAny, []any{idOf(k)}
	if ifVersion != "" {
		statement, args = s.sql.deleteOne, append(args, ifVersion)
	}
	deleted, err := s.affected(ctx, statement, args...)
	if err != nil {
		return failure(ctx, "delete "+k.String(), err)
	}
	if deleted > 0 {
		return nil
	}
	var left int
	if ifVersion != "" {
		if err := s.db.QueryRowContext(ctx, s.sql.exists, idOf(k)).Scan(&left); err != nil {
			return failure(ctx, "delete "+k.String(), err)
		}
	}
	if left > 0 {
		return fmt.Errorf("postgres: %v: %w", k, driver.ErrConflict)
	}
	return fmt.Errorf("postgres: %v: %w", k, driver.ErrNotFound)
}

func (s *Store) affected(ctx context.Context, statement string, args ...any) (int64, error) {
	result, err := s.db.ExecContext(ctx, statement, args...)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

// listPage is how many records are read at once, so that none of them holds a connection while its reader works.
const listPage = 500

// List is that of [driver.Store].
func (s *Store) List(ctx context.Context, tenant, kind string) iter.Seq2[driver.Record, error] {
	return func(yield func(driver.Record, error) bool) {
		if err := s.begin(ctx, driver.Key{Tenant: tenant, Kind: kind, Name: "-"}); err != nil {
			yield(driver.Record{}, err)
			return
		}
		for after, more := []byte{}, true; more; {
			page, err := s.page(ctx, tenant, kind, after)
			if err != nil {
				yield(driver.Record{}, failure(ctx, fmt.Sprintf("list the records of kind %q", kind), err))
				return
			}
			for _, row := range page {
				var err error
				if string(row.id) != string(idOf(row.Key)) {
					row.Record, err = driver.Record{Key: row.Key}, foreign(row.Key)
				}
				if !yield(row.Record, err) {
					return
				}
				after = row.id
			}
			more = len(page) == listPage
		}
	}
}

type listed struct {
	driver.Record
	id []byte
}

func (s *Store) page(ctx context.Context, tenant, kind string, after []byte) (all []listed, err error) {
	err = s.read(func() error {
		all, err = s.pageOnce(ctx, tenant, kind, after)
		return err
	})
	return all, err
}

func (s *Store) pageOnce(ctx context.Context, tenant, kind string, after []byte) (all []listed, err error) {
	rows, err := s.db.QueryContext(ctx, s.sql.list, kind, tenant, after, listPage)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		row := listed{Record: driver.Record{Key: driver.Key{Tenant: tenant, Kind: kind}}}
		var due, expires sql.NullTime
		if err := rows.Scan(&row.id, &row.Name, &row.Version, &due, &expires, &row.Info); err != nil {
			return nil, err
		}
		row.Due, row.Expires = due.Time, expires.Time
		all = append(all, row)
	}
	return all, rows.Err()
}

// Due is that of [driver.Store].
func (s *Store) Due(ctx context.Context, kind string, before time.Time, limit int) ([]driver.Key, error) {
	return s.keys(ctx, kind, limit, fmt.Sprintf("tell which records of kind %q are due", kind), s.sql.due, kind, before, limit)
}

// Claim is that of [driver.Claimer].
func (s *Store) Claim(ctx context.Context, kind string, before time.Time, limit int, hold time.Duration) ([]driver.Key, error) {
	return s.keys(ctx, kind, limit, fmt.Sprintf("claim records of kind %q that are due", kind), s.sql.claim, kind, before, limit, hold.Microseconds())
}

// keys returns what a statement returns the keys of.
func (s *Store) keys(ctx context.Context, kind string, limit int, what, statement string, args ...any) ([]driver.Key, error) {
	if err := s.begin(ctx, driver.Key{Kind: kind, Name: "-"}); err != nil || limit <= 0 {
		return nil, err
	}
	var keys []driver.Key
	var damaged []error
	err := s.read(func() error {
		keys, damaged = nil, nil
		rows, err := s.db.QueryContext(ctx, statement, args...)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var id []byte
			k := driver.Key{Kind: kind}
			if err := rows.Scan(&id, &k.Tenant, &k.Name); err != nil {
				return err
			}
			if string(id) != string(idOf(k)) {
				damaged = append(damaged, foreign(k))
				continue
			}
			keys = append(keys, k)
		}
		return rows.Err()
	})
	if err != nil {
		return nil, failure(ctx, what, err)
	}
	return keys, errors.Join(damaged...)
}

func timeOrNull(t time.Time) sql.NullTime {
	return sql.NullTime{Time: t.UTC(), Valid: !t.IsZero()}
}

func notNil(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}
