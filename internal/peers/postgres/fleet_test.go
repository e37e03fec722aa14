package postgres_test

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant/credstore/driver"
	"github.com/outgrant/outgrant/credstore/postgres"
	"github.com/outgrant/outgrant/internal/peers/peer"
)

func when(hours int) time.Time {
	return time.Date(2020, 1, 1, hours, 0, 0, 0, time.UTC)
}

// Fifty refreshes at once on four connections: each holds a lock, and reads and writes its record under it.
func TestRefreshesExceedConnections(t *testing.T) {
	server := peer.StartPostgres(t)
	db := connect(t, server.URL("outgrant"))
	db.SetMaxOpenConns(4)
	require.NoError(t, postgres.Migrate(ctx, db, nil))
	s := opened(t, db, nil)
	limited, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	var all sync.WaitGroup
	for i := range 50 {
		k := key(fmt.Sprint(i % 25)) // two for each
		all.Go(func() {
			l, err := s.Lock(limited, k)
			require.NoError(t, err)
			r, err := s.Get(limited, k)
			if err != nil {
				require.ErrorIs(t, err, driver.ErrNotFound)
				r = driver.Record{Key: k}
			}
			_, err = s.Put(limited, r, r.Version)
			require.NoError(t, err)
			require.NoError(t, l.Unlock())
		})
	}
	all.Wait()
}

func TestPoolsRefused(t *testing.T) {
	for name, c := range map[string]struct {
		most int
		opts postgres.Options
		says string
	}{
		"one connection":    {1, postgres.Options{}, "raise SetMaxOpenConns"},
		"more than half":    {10, postgres.Options{MaxLocks: 6}, "at most half of the 10 connections"},
		"negative":          {0, postgres.Options{MaxLocks: -1}, "MaxLocks must not be negative"},
		"no time":           {0, postgres.Options{LockIdle: time.Millisecond}, "LockIdle must be at least 100 ms"},
		"a schema to break": {0, postgres.Options{Schema: `x"; DROP`}, "small letters"},
	} {
		t.Run(name, func(t *testing.T) {
			db, err := sql.Open("pgx", "postgres://nobody@127.0.0.1:1/")
			require.NoError(t, err)
			defer db.Close()
			db.SetMaxOpenConns(c.most)
			_, err = postgres.Open(ctx, db, &c.opts)
			require.ErrorContains(t, err, c.says)
		})
	}
	_, err := postgres.Open(ctx, nil, nil)
	require.ErrorContains(t, err, "the database is nil")
}

// The server goes and comes back: what is held is lost and told, calls fail with the reason, and later ones work.
func TestServerGoes(t *testing.T) {
	for name, end := range map[string]func(*peer.Postgres, testing.TB){"stopped": (*peer.Postgres).Stop, "killed": (*peer.Postgres).Kill} {
		t.Run(name, func(t *testing.T) {
			server := peer.StartPostgres(t)
			db := connect(t, server.URL("outgrant"))
			require.NoError(t, postgres.Migrate(ctx, db, nil))
			s := opened(t, db, &postgres.Options{LockIdle: 400 * time.Millisecond})
			version, err := s.Put(ctx, driver.Record{Key: key("n"), Info: []byte("before")}, "")
			require.NoError(t, err)
			l, err := s.Lock(ctx, key("n"))
			require.NoError(t, err)

			end(server, t)
			select {
			case <-l.Lost():
			case <-time.After(10 * time.Second):
				t.Fatal("a lock whose server went is not lost")
			}
			require.NoError(t, l.Unlock())
			_, err = s.Get(ctx, key("n"))
			require.ErrorContains(t, err, `postgres: cannot read record "n" of kind "test"`)
			_, err = s.Lock(ctx, key("n"))
			require.ErrorContains(t, err, `postgres: cannot lock record "n" of kind "test"`)

			server.Start(t)
			r, err := s.Get(ctx, key("n"))
			require.NoError(t, err)
			require.Equal(t, version, r.Version)
			l, err = s.Lock(ctx, key("n"))
			require.NoError(t, err)
			require.NoError(t, l.Unlock())
		})
	}
}

// The cost of what is due follows what is due: the index finds it among a hundred thousand.
func TestPlans(t *testing.T) {
	server := peer.StartPostgres(t)
	db := connect(t, server.URL("outgrant"))
	require.NoError(t, postgres.Migrate(ctx, db, nil))
	s := opened(t, db, nil)
	fill := func(from, to int) { // one in a hundred is due
		exec(t, db, fmt.Sprintf(`INSERT INTO outgrant.record (id, tenant, kind, name, version, due, info, sealed)
			SELECT sha256(('\x00000000'::bytea || '\x00000004' || 'test' || decode(lpad(to_hex(length(i::text)), 8, '0'), 'hex') || convert_to(i::text, 'UTF8'))),
				'', 'test', i::text, 'v', now() + CASE WHEN i %% 100 = 0 THEN interval '-1 hour' ELSE interval '10 days' END, '\x7b7d', repeat('s', 700)::bytea
			FROM generate_series(%d, %d) i`, from, to), "VACUUM ANALYZE outgrant.record")
	}
	scan := func(most int) (best time.Duration) {
		best = time.Hour
		for range 50 {
			start := time.Now()
			due, err := s.Due(ctx, "test", time.Now(), most)
			require.NoError(t, err)
			require.Len(t, due, 100)
			best = min(best, time.Since(start))
		}
		return best
	}
	fill(1, 10_000)
	few := scan(100)
	fill(10_001, 100_000)
	many := scan(100)
	t.Logf("100 that are due are found in %v among 10,000 records, and in %v among 100,000: %.2f of the time", few, many, float64(many)/float64(few))

	for what, c := range map[string]struct{ query, index string }{
		"due": {"SELECT id, tenant, name FROM outgrant.record WHERE kind = 'test' AND due <= now() ORDER BY due LIMIT 100", "Index Scan using record_due"},
		"claim": {`SELECT id FROM outgrant.record WHERE kind = 'test' AND due <= now() AND (claimed IS NULL OR claimed <= clock_timestamp())
			ORDER BY due LIMIT 100 FOR UPDATE SKIP LOCKED`, "Index Scan using record_due"},
		"list": {`SELECT id, name FROM outgrant.record WHERE kind = 'test' AND tenant = '' AND id > '\x80' ORDER BY id LIMIT 500`, "using record_"},
	} {
		rows, err := db.QueryContext(ctx, "EXPLAIN "+c.query)
		require.NoError(t, err)
		var plan []string
		for rows.Next() {
			var line string
			require.NoError(t, rows.Scan(&line))
			plan = append(plan, line)
		}
		require.NoError(t, rows.Err())
		require.Contains(t, strings.Join(plan, "\n"), c.index, what)
		require.NotContains(t, strings.Join(plan, "\n"), "Sort", what)
	}
	n := 0
	for _, err := range s.List(ctx, "", "test") {
		require.NoError(t, err)
		n++
	}
	require.Equal(t, 100_000, n)
}
