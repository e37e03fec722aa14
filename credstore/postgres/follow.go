package postgres

import (
	"context"
	"errors"

	"github.com/outgrant/outgrant/credstore/driver"
)

var (
	_ driver.Listener = (*Store)(nil)
	_ driver.Clock    = (*Store)(nil)
	_ driver.Claimer  = (*Store)(nil)
)

// never is the number of a transaction that there will not be.
const never = "18446744073709551615"

// Follow is that of [driver.Follower]. Each call is one query, whose cost follows what has changed.
func (s *Store) Follow() func(context.Context) ([]driver.Key, error) {
	f := &follower{Store: s, next: never}
	return f.changes
}

type follower struct {
	*Store
	next string            // the first transaction that may not have been over
	seen map[string]string // changes since then that were told: by id, the transaction
}

func (f *follower) changes(ctx context.Context) (keys []driver.Key, err error) {
	if err := f.open(ctx); err != nil {
		return nil, err
	}
	err = f.read(func() error {
		keys, err = f.changesOnce(ctx)
		return err
	})
	return keys, failure(ctx, "tell what has changed", err)
}

func (f *follower) changesOnce(ctx context.Context) ([]driver.Key, error) {
	rows, err := f.db.QueryContext(ctx, f.sql.changes, f.next)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var keys []driver.Key
	next, seen := f.next, map[string]string{}
	for rows.Next() {
		var id []byte
		var k driver.Key
		var at string
		if err := rows.Scan(&next, &id, &k.Tenant, &k.Kind, &k.Name, &at); err != nil {
			return nil, err
		}
		if at == "" { // nothing has
			continue
		}
		if f.seen[string(id)] != at {
			keys = append(keys, k)
		}
		seen[string(id)] = at
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	f.next, f.seen = next, seen
	return keys, nil
}

// Listen is that of [driver.Listener], by [Options.Listen].
func (s *Store) Listen(ctx context.Context, changed func()) error {
	if s.opts.Listen == nil {
		<-ctx.Done()
		return ctx.Err()
	}
	err := s.opts.Listen(ctx, s.opts.Schema, changed)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err == nil {
		err = errors.New("the function has returned")
	}
	return failure(ctx, "listen", err)
}
