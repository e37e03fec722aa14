// Package fleet_test tests stores on one PostgreSQL that many processes share.
package fleet_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant/credstore"
	"github.com/outgrant/outgrant/internal/leakcheck"
	"github.com/outgrant/outgrant/internal/peers/peer"
	"github.com/outgrant/outgrant/oauthtest"
)

func TestMain(m *testing.M) { leakcheck.Main(m) }

// fleet is a database, a token service, and the program that uses both.
type fleet struct {
	*oauthtest.Server
	database        *peer.Postgres
	keeper, program string
	store           *credstore.Store
}

func newFleet(t *testing.T, tokens time.Duration) *fleet {
	t.Helper()
	f := &fleet{Server: oauthtest.NewServer(&oauthtest.ServerOptions{TokenLifetime: tokens}), database: peer.StartPostgres(t)}
	t.Cleanup(f.Server.Close)
	dir := t.TempDir()
	f.keeper, f.program = filepath.Join(dir, "keeper.key"), filepath.Join(dir, "worker")
	out, err := exec.Command("go", "build", "-o", f.program, "./worker").CombinedOutput()
	require.NoError(t, err, "%s", out)
	keeper, err := credstore.LocalKeeper(f.keeper)
	require.NoError(t, err)
	f.store, err = credstore.Open(f.database.OpenStore(t), &credstore.Options{Keeper: keeper, ShareTokens: true})
	require.NoError(t, err)
	t.Cleanup(func() { _ = f.store.Close() })
	return f
}

func (f *fleet) deploy(t testing.TB, name, client string) {
	t.Helper()
	require.NoError(t, f.store.Deploy(context.WithoutCancel(t.Context()), &credstore.ClientCredentials{Name: name, TokenServiceURL: f.TokenURL(), ClientID: client, ClientSecret: "a secret"}))
}

// orders and line are what the program takes and says: see worker/main.go.
type orders struct {
	Database, Keeper, Listen string
	Credentials              []string
	Every                    time.Duration
}

type line struct {
	At                        time.Time
	Ready, Listening          bool
	Credential, Token, Failed string
	Calls                     int
}

// worker is a process. It is killed at the end of the test, at the latest.
type worker struct {
	cmd   *exec.Cmd
	stdin io.Closer
	over  chan struct{}

	mu   sync.Mutex
	said []line
}

func (f *fleet) start(t testing.TB, o orders) *worker {
	t.Helper()
	o.Database, o.Keeper = f.database.URL("outgrant"), f.keeper
	text, err := json.Marshal(o)
	require.NoError(t, err)
	w := &worker{cmd: exec.Command(f.program), over: make(chan struct{})}
	w.cmd.Env = append(os.Environ(), "ORDERS="+string(text))
	w.cmd.Stderr = os.Stderr
	w.stdin, err = w.cmd.StdinPipe()
	require.NoError(t, err)
	stdout, err := w.cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, w.cmd.Start())
	go func() {
		defer close(w.over)
		lines := bufio.NewScanner(stdout)
		for lines.Scan() {
			var l line
			if err := json.Unmarshal(lines.Bytes(), &l); err != nil {
				l.Failed = err.Error()
			}
			w.mu.Lock()
			w.said = append(w.said, l)
			w.mu.Unlock()
		}
		_ = w.cmd.Wait() // killed ones fail
	}()
	t.Cleanup(func() {
		_ = w.cmd.Process.Kill()
		<-w.over
	})
	return w
}

func (w *worker) lines() []line {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.said)
}

// end has the process end by itself, and returns what it said.
func (w *worker) end() []line {
	_ = w.stdin.Close()
	<-w.over
	return w.lines()
}

// await waits until a process has said something.
func (w *worker) await(t testing.TB, what func(line) bool) line {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(2 * time.Millisecond) {
		said := w.lines()
		if i := slices.IndexFunc(said, what); i >= 0 {
			return said[i]
		}
		require.True(t, time.Now().Before(deadline), "the process has not said it: %v", said)
	}
}

// Eight processes use the same artifacts: each token is fetched once for all of them.
func TestSharedTokens(t *testing.T) {
	const processes, rollOvers = 8, 3
	artifacts, life := peer.Short(100, 1000), peer.Short(8*time.Second, 30*time.Second)
	f := newFleet(t, life)
	var names []string
	for i := range artifacts {
		names = append(names, fmt.Sprint("S4_", i))
		f.deploy(t, names[i], names[i])
	}
	began := time.Now()
	var workers []*worker
	for range processes {
		workers = append(workers, f.start(t, orders{Credentials: names, Every: time.Second}))
	}
	for _, w := range workers {
		w.await(t, func(l line) bool { return l.Ready })
	}
	time.Sleep(life/2*rollOvers + life/4) // a token is refreshed at half of its life
	requests, elapsed := f.TokenRequests(), time.Since(began)
	distinct, calls := map[string]bool{}, 0
	for i, w := range workers {
		for _, l := range w.end() {
			require.Empty(t, l.Failed, "process %d", i)
			if l.Token != "" {
				distinct[l.Token] = true
			}
			calls += l.Calls
		}
	}
	alone := artifacts * (1 + int(elapsed/(life/2))) // what one process costs
	t.Logf("%d processes, %d artifacts, tokens of %v: %d calls, %d token requests, which is %.3f of what one process costs",
		processes, artifacts, life, calls, requests, float64(requests)/float64(alone))
	require.GreaterOrEqual(t, len(distinct), artifacts*rollOvers, "they have rolled over")
	// On a machine that does other things some wait too long for what another process fetches, and fetch it themselves.
	require.LessOrEqual(t, float64(requests), peer.Short(1.1, 1.02)*float64(alone))
}

// A redeployed artifact reaches all processes: at once where they listen, and within a second where they poll.
func TestRedeploy(t *testing.T) {
	for name, within := range map[string]time.Duration{"pgx": 250 * time.Millisecond, "pq": 250 * time.Millisecond, "": 1200 * time.Millisecond} {
		t.Run("listening by "+name, func(t *testing.T) {
			f := newFleet(t, time.Hour)
			f.deploy(t, "S4", "first")
			var workers []*worker
			for range 8 {
				workers = append(workers, f.start(t, orders{Listen: name, Credentials: []string{"S4"}, Every: 2 * time.Millisecond}))
			}
			for _, w := range workers {
				w.await(t, func(l line) bool { return l.Token != "" })
				if name != "" {
					w.await(t, func(l line) bool { return l.Listening })
				}
			}
			var took []time.Duration
			for i := range peer.Short(10, 100) {
				began := time.Now()
				f.deploy(t, "S4", fmt.Sprint("client-", i))
				deployed := time.Now()
				for _, w := range workers {
					seen := w.await(t, func(l line) bool { return l.Token != "" && l.At.After(began) })
					took = append(took, max(seen.At.Sub(deployed), 0)) // some see it before Deploy has returned
				}
				time.Sleep(37 * time.Millisecond)
			}
			slices.Sort(took)
			t.Logf("seen by all of 8 processes after %v (median), p99 %v, at most %v", took[len(took)/2], took[len(took)*99/100], took[len(took)-1])
			require.Less(t, took[len(took)*99/100], within)
			for _, w := range workers {
				for _, l := range w.end() {
					require.Empty(t, l.Failed)
				}
			}
		})
	}
}

// The database goes and comes back: tokens are served from memory, and nothing has to be started again.
func TestDatabaseGoes(t *testing.T) {
	f := newFleet(t, 4*time.Second)
	f.deploy(t, "S4", "first")
	var workers []*worker
	for range 4 {
		workers = append(workers, f.start(t, orders{Listen: "pgx", Credentials: []string{"S4"}, Every: 10 * time.Millisecond}))
	}
	for _, w := range workers {
		w.await(t, func(l line) bool { return l.Token != "" })
	}
	f.database.Kill(t)
	_, err := f.store.List(t.Context())
	require.ErrorContains(t, err, "postgres: cannot list the records")
	time.Sleep(peer.Short(10*time.Second, 20*time.Second)) // longer than tokens live
	f.database.Start(t)
	time.Sleep(3 * time.Second)
	f.deploy(t, "S4", "second")
	deployed := time.Now()
	for _, w := range workers {
		seen := w.await(t, func(l line) bool { return l.Token != "" && l.At.After(deployed) })
		require.Less(t, seen.At.Sub(deployed), 2*time.Second)
	}
	for i, w := range workers {
		for _, l := range w.end() {
			require.Empty(t, l.Failed, "process %d", i)
		}
	}
	_, err = f.store.TokenSource(t.Context(), "none")
	require.ErrorIs(t, err, credstore.ErrNotFound)
}

// The example, on the database.
func TestExample(t *testing.T) {
	server := peer.StartPostgres(t)
	program := filepath.Join(t.TempDir(), "fleet")
	build := exec.Command("go", "build", "-o", program, ".")
	build.Dir = "../../../examples/fleet"
	out, err := build.CombinedOutput()
	require.NoError(t, err, "%s", out)
	out, err = exec.Command(program, "-for", "6s", "-database", server.URL("outgrant")).CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Contains(t, string(out), "S4_ORDERS is deployed again")
	require.Contains(t, string(out), "process 1 is killed, and started again")
	require.NotContains(t, string(out), "failed")
	last := regexp.MustCompile(`(\d+) calls by 4 processes, and (\d+) token requests`).FindSubmatch(out)
	require.NotNil(t, last, "%s", out)
	requests, err := strconv.Atoi(string(last[2]))
	require.NoError(t, err)
	require.LessOrEqual(t, requests, 3*2+1, "three artifacts, one of them deployed again, and one roll-over")
}
