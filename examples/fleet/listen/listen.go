// Package listen has what postgres.Options.Listen may be, for two database drivers.
//
// Use this when the processes that share a store on PostgreSQL are to see each other's changes at once: copy the function for
// your driver. database/sql cannot receive notifications, so each takes a connection of its own, which must be a direct one:
// behind a pooler there are none.
package listen

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/lib/pq"
)

// PGX listens by github.com/jackc/pgx/v5.
func PGX(url string) func(ctx context.Context, channel string, changed func()) error {
	return func(ctx context.Context, channel string, changed func()) error {
		conn, err := pgx.Connect(ctx, url)
		if err != nil {
			return err
		}
		defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
		if _, err := conn.Exec(ctx, "LISTEN "+pgx.Identifier{channel}.Sanitize()); err != nil {
			return err
		}
		for {
			changed() // also at first: something may have changed before
			if _, err := conn.WaitForNotification(ctx); err != nil {
				return err
			}
		}
	}
}

// PQ listens by github.com/lib/pq, which connects again by itself.
func PQ(url string) func(ctx context.Context, channel string, changed func()) error {
	return func(ctx context.Context, channel string, changed func()) error {
		l := pq.NewListener(url, 100*time.Millisecond, time.Minute, nil)
		defer func() { _ = l.Close() }()
		if err := l.Listen(channel); err != nil {
			return fmt.Errorf("listening: %w", err)
		}
		for {
			changed() // also at first, and after a connection that was lost
			select {
			case <-l.Notify:
			case <-time.After(time.Minute): // a connection that is dead is only noticed when it is used
				if err := l.Ping(); err != nil {
					return err
				}
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}
}
