package postgres_test

import (
	"context"
	"database/sql"
	"os"
	"strings"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib"
	_ "github.com/lib/pq"
	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant/credstore/driver"
	"github.com/outgrant/outgrant/credstore/drivertest"
	"github.com/outgrant/outgrant/credstore/postgres"
	"github.com/outgrant/outgrant/internal/peers/peer"
)

func TestMain(m *testing.M) {
	drivertest.Worker(open)
	os.Exit(m.Run())
}

// lockIdle is short, so that a stopped holder loses its lock while a test waits.
var lockIdle = 250 * time.Millisecond

// connected closes its pool, too.
type connected struct {
	*postgres.Store
	db *sql.DB
}

func (c connected) Close() error {
	err := c.Store.Close()
	_ = c.db.Close()
	return err
}

// open opens the store at a place: the name of a database driver, a blank, and what that connects to.
func open(place string) (driver.Store, error) {
	name, url, _ := strings.Cut(place, " ")
	db, err := sql.Open(name, url)
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(150) // some checks hold many locks at once
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := postgres.Migrate(ctx, db, nil); err != nil {
		return nil, err
	}
	if os.Getenv("OUTGRANT_SOAK") != "" {
		lockIdle = 5 * time.Second
	}
	s, err := postgres.Open(ctx, db, &postgres.Options{LockIdle: lockIdle})
	return connected{s, db}, err
}

func connect(t *testing.T, url string) *sql.DB {
	t.Helper()
	db, err := sql.Open("pgx", url)
	require.NoError(t, err)
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func TestContract(t *testing.T) {
	server := peer.StartPostgres(t)
	for name, place := range map[string]string{
		"pgx":                  "pgx " + server.URL("outgrant"),
		"pq":                   "postgres " + server.URL("outgrant"),
		"pgx behind PgBouncer": "pgx " + server.Pooler(t) + "&default_query_exec_mode=exec",
	} {
		t.Run(name, func(t *testing.T) {
			drivertest.Run(t, &drivertest.Suite{Open: open, Place: place, TakeOver: 200 * time.Millisecond, LosesLocks: true, Long: os.Getenv("OUTGRANT_SOAK") != ""})
		})
	}
}
