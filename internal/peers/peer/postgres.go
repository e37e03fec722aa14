package peer

import (
	"database/sql"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"regexp"
	"strconv"
	"syscall"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the database driver

	"github.com/outgrant/outgrant/credstore/postgres"
)

// Postgres is a PostgreSQL server with a data folder of its own. It can be stopped and started again.
type Postgres struct {
	port   string
	dir    string
	binary func(name string, args ...string) *exec.Cmd

	*process
	pid int
}

// StartPostgres starts a server, which ends with the test.
func StartPostgres(tb testing.TB) *Postgres {
	tb.Helper()
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/postgres")
	owner, err := user.Lookup("postgres")
	if len(found) == 0 || err != nil {
		need(tb, "PostgreSQL", os.ErrNotExist)
	}
	dir, err := os.MkdirTemp("", "outgrant-postgres-") // TB's own is for the test's user alone
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = os.RemoveAll(dir) })
	uid, _ := strconv.Atoi(owner.Uid)
	gid, _ := strconv.Atoi(owner.Gid)
	if err := os.Chown(dir, uid, gid); err != nil {
		tb.Fatal(err)
	}
	p := &Postgres{port: FreePort(tb), dir: dir}
	p.binary = func(name string, args ...string) *exec.Cmd {
		cmd := exec.Command(filepath.Join(filepath.Dir(found[len(found)-1]), name), args...)
		cmd.Dir = dir
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}} // it refuses to run as root
		return cmd
	}
	if out, err := p.binary("initdb", "-D", dir+"/data", "-U", "outgrant", "-A", "trust", "-E", "UTF8", "--locale=C").CombinedOutput(); err != nil {
		tb.Fatalf("initdb: %v\n%s", err, out)
	}
	p.Start(tb)
	return p
}

// Start starts the server, which has been stopped or killed.
func (p *Postgres) Start(tb testing.TB) {
	tb.Helper()
	cmd := p.binary("postgres", "-D", p.dir+"/data", "-c", "listen_addresses=127.0.0.1", "-p", p.port, "-c", "unix_socket_directories=",
		"-c", "max_connections=500", "-c", "log_min_messages=fatal")
	p.process = start(tb, cmd)
	p.pid = cmd.Process.Pid
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if p.binary("pg_isready", "-q", "-h", "127.0.0.1", "-p", p.port, "-U", "outgrant", "-d", "postgres").Run() == nil {
			return
		}
		if time.Now().After(deadline) {
			tb.Fatalf("PostgreSQL does not start: %s", p.printed)
		}
	}
}

// Stop ends the server at once, as a restart of the machine in good order does.
func (p *Postgres) Stop(tb testing.TB) { p.end(tb, syscall.SIGINT) }

// Kill kills the server as a crash does. Its processes notice and end.
func (p *Postgres) Kill(tb testing.TB) { p.end(tb, syscall.SIGKILL) }

func (p *Postgres) end(tb testing.TB, signal syscall.Signal) {
	tb.Helper()
	if err := syscall.Kill(p.pid, signal); err != nil {
		tb.Fatal(err)
	}
	<-p.ended
}

// URL is where the server's database is, for a role.
func (p *Postgres) URL(role string) string {
	return fmt.Sprintf("postgres://%s@127.0.0.1:%s/postgres?sslmode=disable", role, p.port)
}

// OpenStore opens a store in the server's database, with its tables made. Its pool ends with the test.
func (p *Postgres) OpenStore(tb testing.TB) *postgres.Store {
	tb.Helper()
	db, err := sql.Open("pgx", p.URL("outgrant"))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = db.Close() })
	if err := postgres.Migrate(tb.Context(), db, nil); err != nil {
		tb.Fatal(err)
	}
	store, err := postgres.Open(tb.Context(), db, nil)
	if err != nil {
		tb.Fatal(err)
	}
	return store
}

// Pooler starts a PgBouncer in front of the server, which gives connections by transaction, and returns the URL of the database behind it.
func (p *Postgres) Pooler(tb testing.TB) string {
	tb.Helper()
	path := Program(tb, "pgbouncer")
	port := FreePort(tb)
	files := map[string]string{
		"users.txt": `"outgrant" ""` + "\n",
		"pgbouncer.ini": fmt.Sprintf(`[databases]
postgres = host=127.0.0.1 port=%s dbname=postgres user=outgrant
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = %s
unix_socket_dir =
auth_type = trust
auth_file = %s/users.txt
pool_mode = transaction
default_pool_size = 200
max_client_conn = 500
log_connections = 0
log_disconnections = 0
`, p.port, port, p.dir),
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(p.dir, name), []byte(text), 0o644); err != nil {
			tb.Fatal(err)
		}
	}
	cmd := p.binary("pg_isready") // for its user
	cmd.Path, cmd.Args = path, []string{path, p.dir + "/pgbouncer.ini"}
	start(tb, cmd).await(tb, regexp.MustCompile("process up"), 10*time.Second)
	return fmt.Sprintf("postgres://outgrant@127.0.0.1:%s/postgres?sslmode=disable", port)
}
