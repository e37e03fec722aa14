package postgres_test

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant/credstore/driver"
	"github.com/outgrant/outgrant/credstore/postgres"
	"github.com/outgrant/outgrant/internal/peers/peer"
)

var ctx = context.Background()

func key(name string) driver.Key { return driver.Key{Kind: "test", Name: name} }

func opened(t *testing.T, db *sql.DB, opts *postgres.Options) *postgres.Store {
	t.Helper()
	s, err := postgres.Open(ctx, db, opts)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

func exec(t *testing.T, db *sql.DB, statements ...string) {
	t.Helper()
	for _, s := range statements {
		_, err := db.ExecContext(ctx, s)
		require.NoError(t, err, s)
	}
}

func TestSchema(t *testing.T) {
	server := peer.StartPostgres(t)
	owner := connect(t, server.URL("outgrant"))

	t.Run("is not there", func(t *testing.T) {
		_, err := postgres.Open(ctx, owner, &postgres.Options{Schema: "nowhere"})
		require.ErrorContains(t, err, "the schema nowhere has the version 0, and this program needs 1: call Migrate first")
	})
	t.Run("made by several at once", func(t *testing.T) {
		opts := &postgres.Options{Schema: "shared"}
		done := make(chan error)
		for range 16 {
			db := connect(t, server.URL("outgrant"))
			go func() { done <- postgres.Migrate(ctx, db, opts) }()
		}
		for range 16 {
			require.NoError(t, <-done)
		}
		require.NoError(t, postgres.Migrate(ctx, owner, opts))
		opened(t, owner, opts)
	})
	t.Run("by hand, for a role that may make nothing", func(t *testing.T) {
		opts := &postgres.Options{Schema: "by_hand"}
		text, err := postgres.Schema(opts)
		require.NoError(t, err)
		exec(t, owner, text, "CREATE ROLE worker LOGIN", "GRANT USAGE ON SCHEMA by_hand TO worker",
			"GRANT SELECT, INSERT, UPDATE, DELETE ON by_hand.record, by_hand.lock TO worker", "GRANT SELECT ON by_hand.version, by_hand.change TO worker")
		worker := connect(t, server.URL("worker"))
		require.NoError(t, postgres.Migrate(ctx, worker, opts), "there is nothing to be done")
		s := opened(t, worker, opts)
		_, err = s.Put(ctx, driver.Record{Key: key("n")}, "")
		require.NoError(t, err)
		l, err := s.Lock(ctx, key("n"))
		require.NoError(t, err)
		require.NoError(t, l.Unlock())

		require.ErrorContains(t, postgres.Migrate(ctx, worker, &postgres.Options{Schema: "another"}), "the role lacks a right")
	})
	t.Run("read only", func(t *testing.T) {
		opts := &postgres.Options{Schema: "read_only"}
		require.NoError(t, postgres.Migrate(ctx, owner, opts))
		exec(t, owner, "CREATE ROLE reader LOGIN", "GRANT USAGE ON SCHEMA read_only TO reader", "GRANT SELECT ON ALL TABLES IN SCHEMA read_only TO reader")
		_, err := opened(t, owner, opts).Put(ctx, driver.Record{Key: key("n"), Info: []byte("i")}, "")
		require.NoError(t, err)

		reader := connect(t, server.URL("reader"))
		s := opened(t, reader, opts)
		r, err := s.Get(ctx, key("n"))
		require.NoError(t, err)
		require.Equal(t, "i", string(r.Info))
		_, err = s.Put(ctx, r, r.Version)
		require.ErrorContains(t, err, `cannot write record "n" of kind "test"`)
		require.ErrorContains(t, err, "the role lacks a right: grant it")
		_, err = s.Lock(ctx, key("n"))
		require.ErrorContains(t, err, "the role lacks a right: grant it")

		s = opened(t, connect(t, server.URL("outgrant")+"&default_transaction_read_only=on"), opts)
		_, err = s.Put(ctx, r, r.Version)
		require.ErrorContains(t, err, "connect to the primary server")
	})
	t.Run("of a newer version", func(t *testing.T) {
		opts := &postgres.Options{Schema: "newer"}
		require.NoError(t, postgres.Migrate(ctx, owner, opts))
		exec(t, owner, "UPDATE newer.version SET version = 2")
		_, err := postgres.Open(ctx, owner, opts)
		require.ErrorContains(t, err, "made by a newer version of outgrant than this program's, which knows 1: update the program")
		require.ErrorContains(t, postgres.Migrate(ctx, owner, opts), "update the program")
	})
	t.Run("where commits are not written", func(t *testing.T) {
		_, err := postgres.Open(ctx, connect(t, server.URL("outgrant")+"&synchronous_commit=off"), &postgres.Options{Schema: "shared"})
		require.ErrorContains(t, err, "synchronous_commit is off")
	})
	t.Run("in another encoding", func(t *testing.T) {
		exec(t, owner, "CREATE DATABASE latin ENCODING 'LATIN1' TEMPLATE template0")
		db := connect(t, strings.Replace(server.URL("outgrant"), "/postgres?", "/latin?", 1))
		require.NoError(t, postgres.Migrate(ctx, db, nil))
		_, err := postgres.Open(ctx, db, nil)
		require.ErrorContains(t, err, "it must be UTF8")
	})
	t.Run("taken away", func(t *testing.T) {
		opts := &postgres.Options{Schema: "dropped"}
		require.NoError(t, postgres.Migrate(ctx, owner, opts))
		s := opened(t, owner, opts)
		exec(t, owner, "DROP SCHEMA dropped CASCADE")
		_, err := s.Get(ctx, key("n"))
		require.ErrorContains(t, err, "the schema is not there: call Migrate first")
	})
}

func TestForeignRow(t *testing.T) {
	server := peer.StartPostgres(t)
	db := connect(t, server.URL("outgrant"))
	require.NoError(t, postgres.Migrate(ctx, db, nil))
	s := opened(t, db, nil)
	for _, name := range []string{"a", "b"} {
		_, err := s.Put(ctx, driver.Record{Key: key(name), Due: when(1), Info: []byte("i"), Sealed: []byte("s")}, "")
		require.NoError(t, err)
	}
	exec(t, db, `INSERT INTO outgrant.record (id, tenant, kind, name, version, due, info, sealed) VALUES ('x', '', 'test', 'foreign', '1', '2020-01-01', '', '')`,
		"UPDATE outgrant.record SET name = 'moved' WHERE name = 'b'")

	_, err := s.Get(ctx, key("b"))
	require.ErrorIs(t, err, driver.ErrDamaged)
	var names, bad []string
	for r, err := range s.List(ctx, "", "test") {
		if err != nil {
			require.ErrorIs(t, err, driver.ErrDamaged)
			bad = append(bad, r.Name)
			continue
		}
		names = append(names, r.Name)
	}
	require.Equal(t, []string{"a"}, names)
	require.ElementsMatch(t, []string{"foreign", "moved"}, bad)
	due, err := s.Due(ctx, "test", when(2), 10)
	require.Equal(t, []driver.Key{key("a")}, due)
	require.ErrorIs(t, err, driver.ErrDamaged)
	require.ErrorContains(t, err, `"foreign"`)
	require.NoError(t, s.Delete(ctx, key("b"), ""), "a damaged record can be removed")
	require.Equal(t, fmt.Sprint(key("b")), `record "b" of kind "test"`)
}
