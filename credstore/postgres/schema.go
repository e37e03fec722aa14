package postgres

import (
	"context"
	"database/sql"
	_ "embed"
	"errors"
	"fmt"
	"strings"
)

// schemaVersion is the version that the statements of this package are for.
const schemaVersion = 1

//go:embed schema/1.sql
var schema1 string

// steps are what makes each version of the schema out of the one before. Between statements there are blank lines.
var steps = []string{schema1}

func in(schema, step string) string { return strings.ReplaceAll(step, "{schema}", schema) }

// Schema returns the statements that make the schema in an empty database, for those who may not let programs do it. The
// role of the programs then needs USAGE of the schema, SELECT, INSERT, UPDATE and DELETE of its tables record and lock, and
// SELECT of its tables change and version. Of opts, which may be nil, it looks at Schema alone.
func Schema(opts *Options) (string, error) {
	o, err := withDefaults(opts, 0)
	if err != nil {
		return "", err
	}
	return in(o.Schema, strings.Join(steps, "\n")), nil
}

// migrations is the key of the lock that one migration holds at a time.
const migrations = 0x6f75746772616e74

// Migrate makes the schema, or brings an older one up to date, in one transaction. Several processes may call it at once, and
// at each start: where nothing is to be done it only looks. A schema of a newer version is an error. Of opts, which
// may be nil, it looks at Schema alone.
func Migrate(ctx context.Context, db *sql.DB, opts *Options) error {
	o, err := withDefaults(opts, 0)
	if err != nil {
		return err
	}
	if found, err := versionOf(ctx, db, o.Schema); err != nil || found >= schemaVersion {
		return errors.Join(err, tooNew(o.Schema, found))
	}
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return failure(ctx, "migrate the schema", err)
	}
	defer func() { _ = tx.Rollback() }()
	if _, err := tx.ExecContext(ctx, "SELECT pg_advisory_xact_lock($1::bigint)", int64(migrations)); err != nil {
		return failure(ctx, "migrate the schema", err)
	}
	found, err := versionOf(ctx, tx, o.Schema)
	if err != nil || found >= schemaVersion { // somebody else was quicker
		return errors.Join(err, tooNew(o.Schema, found))
	}
	for _, step := range steps[found:] {
		for _, statement := range strings.Split(in(o.Schema, step), "\n\n") { // one at a time, as some drivers prepare them
			if _, err := tx.ExecContext(ctx, statement); err != nil {
				return failure(ctx, "migrate the schema", err)
			}
		}
	}
	if err := tx.Commit(); err != nil {
		return failure(ctx, "migrate the schema", err)
	}
	return nil
}

func tooNew(schema string, found int) error {
	if found <= schemaVersion {
		return nil
	}
	return fmt.Errorf("postgres: the schema %s has the version %d, made by a newer version of outgrant than this program's, which knows %d: update the program", schema, found, schemaVersion)
}

// versionOf returns the version of a schema; 0: there is none.
func versionOf(ctx context.Context, q interface {
	QueryRowContext(context.Context, string, ...any) *sql.Row
}, schema string) (version int, err error) {
	// By the catalog's tables: other ways to ask may answer from before somebody else's migration.
	const look = "SELECT count(*) FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1::text AND c.relname = 'version'"
	var found int
	if err := q.QueryRowContext(ctx, look, schema).Scan(&found); err != nil || found == 0 {
		return 0, failure(ctx, "look for the schema", err)
	}
	err = q.QueryRowContext(ctx, fmt.Sprintf("SELECT version FROM %s.version", schema)).Scan(&version)
	if err != nil {
		return 0, failure(ctx, "read the version of the schema", err)
	}
	return version, nil
}
