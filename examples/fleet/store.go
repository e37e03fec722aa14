package main

import (
	"context"
	"database/sql"
	"net/http"
	"path/filepath"

	_ "github.com/jackc/pgx/v5/stdlib" // the database driver

	"github.com/outgrant/outgrant/credstore"
	"github.com/outgrant/outgrant/credstore/postgres"
	"github.com/outgrant/outgrant/examples/fleet/listen"
)

// open opens the store that all processes share.
func (o options) open(ctx context.Context, client *http.Client) (*credstore.Store, error) {
	opts := &credstore.Options{ShareTokens: true, HTTPClient: client}
	if o.database == "" {
		return credstore.OpenDir(o.dir, opts)
	}
	db, err := sql.Open("pgx", o.database)
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(10)
	if err := postgres.Migrate(ctx, db, nil); err != nil { // in all of them at once
		return nil, err
	}
	drv, err := postgres.Open(ctx, db, &postgres.Options{Listen: listen.PGX(o.database)})
	if err != nil {
		return nil, err
	}
	if opts.Keeper, err = credstore.LocalKeeper(filepath.Join(o.dir, "keeper.key")); err != nil { // on many machines: a key management service
		return nil, err
	}
	return credstore.Open(drv, opts)
}
