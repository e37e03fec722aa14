package codeflow_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant/internal/peers/peer"
	"github.com/outgrant/outgrant/oauthtest"
)

// Four processes with four goroutines each use one credential whose access tokens end after a second, and reject some of
// them: no refresh token is spent twice, each refresh is one request, and no call fails.
func TestManyProcesses(t *testing.T) {
	onBoth(t, testManyProcesses)
}

// onBoth runs a test of stores in a folder, and in a database.
func onBoth(t *testing.T, test func(t *testing.T, database *peer.Postgres)) {
	t.Parallel()
	t.Run("a folder", func(t *testing.T) {
		t.Parallel()
		test(t, nil)
	})
	t.Run("PostgreSQL", func(t *testing.T) {
		t.Parallel()
		test(t, peer.StartPostgres(t))
	})
}

func testManyProcesses(t *testing.T, database *peer.Postgres) {
	const name = "SHARED"
	wanted := peer.Short(30, 300)
	d := deployIn(t, database, time.Second, name)
	d.authorize(t, name)
	program := build(t, d)
	var workers []*worker
	for range 4 {
		workers = append(workers, program.start(t, orders{Credentials: []string{name}, Goroutines: 4, Reject: 3}))
	}
	// One of them knows when there were enough: each sees most of the tokens.
	workers[0].await(t, func(said []line) bool { return len(tokens(said)) > wanted || len(failures(said)) > 0 })
	for _, w := range workers {
		w.end()
	}
	var all []string
	for i, w := range workers {
		said := w.awaitEnd(t)
		require.Empty(t, failures(said), "process %d", i)
		require.True(t, said[len(said)-1].Closed, "process %d", i)
		all = append(all, tokens(said)...)
	}
	slices.Sort(all)
	distinct := len(slices.Compact(all))
	came := d.server.Refreshes(t, name)
	t.Logf("%d refreshes by %d requests, %d of them reuses; %d tokens seen", came.Granted, came.Requests, came.Reused, distinct)
	requireNoReuse(t, came)
	require.GreaterOrEqual(t, came.Granted, wanted)
	require.LessOrEqual(t, came.Granted, distinct+4, "each process may have begun one at the end that nobody waited for")

	kept := d.stored(t, name)
	secrets := []string{secret, kept.RefreshToken.Reveal(), kept.Token.AccessToken.Reveal()}
	oauthtest.AssertNoSecrets(t, secrets, files(t, d.dir)...)
}

// rounds is how often something is done: in a database one may last 20 seconds.
func (d *deployed) rounds(inShort, inSoak int) int {
	n := peer.Short(inShort, inSoak)
	if d.database != nil {
		n = max(n/5, 5)
	}
	return n
}

// requireNoReuse requires that each refresh took one request, and no refresh token came twice.
func requireNoReuse(t testing.TB, came peer.Refreshes) {
	t.Helper()
	require.Equal(t, peer.Refreshes{Requests: came.Granted, Granted: came.Granted}, came)
}

// files returns what is in the files of a folder, and their names.
func files(t testing.TB, dir string) (all []any) {
	t.Helper()
	require.NoError(t, filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		all = append(all, path, string(text))
		return err
	}))
	require.NotEmpty(t, all)
	return all
}

// Processes that end, die or stop in the middle of a rotation lose no credential. In a database they cannot be told to be
// dead, so what they had begun is left alone until it must have ended.
func TestProcesses(t *testing.T) {
	onBoth(t, testProcesses)
}

func testProcesses(t *testing.T, database *peer.Postgres) {
	tests := map[string]func(t *testing.T, d *deployed, program *program, name string){
		"killed":           testKilled,
		"taken-over":       testTakenOver,
		"ended":            testEnded,
		"stopped-marked":   testStoppedAt("marked"),
		"stopped-answered": testStoppedAt("answered"),
		"stopped-storing":  testStoppedAt("storing"),
	}
	var names []string
	for name := range tests {
		names = append(names, name)
	}
	life := time.Minute
	if database != nil {
		life = 40 * time.Second // longer than what was begun is left alone
	}
	d := deployIn(t, database, life, names...)
	program := build(t, d)
	if database != nil {
		program.fetchTimeout = marksEndAfter20s
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d.authorize(t, name)
			test(t, d, program, name)
		})
	}
}

// kill -9 at each step of a rotation, and a restart.
func testKilled(t *testing.T, d *deployed, program *program, name string) {
	steps := []struct {
		name string
		lost bool // the token service's answer dies with the process
	}{{"locked", false}, {"marked", false}, {"answered", true}, {"storing", true}, {"stored", false}}
	killed, lost := d.rounds(20, 200), 0
	for i := range killed {
		step := steps[i%len(steps)]
		victim := program.start(t, orders{Credentials: []string{name}, Goroutines: 1, Reject: 1, Traced: true, Step: step.name, Signal: "KILL"})
		said := victim.awaitEnd(t)
		require.NotZero(t, reached(said, step.name), "%+v", said)
		require.False(t, said[len(said)-1].Closed)

		heir := program.start(t, orders{Credentials: []string{name}, Goroutines: 1, Reject: 1})
		said = heir.await(t, hasRefreshed)
		heir.end()
		heir.awaitEnd(t)
		info := d.info(t, name)
		if !step.lost {
			require.Empty(t, failures(said), "killed while %s", step.name)
			require.Equal(t, "Deployed", info.Status, info.Reason)
			require.Empty(t, info.Reason)
			continue
		}
		lost++
		require.Len(t, failures(said), 1, "killed while %s", step.name)
		require.Equal(t, "Unauthorized", info.Status)
		require.Contains(t, info.Reason, "unknown")
		require.Contains(t, info.Reason, "ended")
		d.authorize(t, name)
	}
	came := d.server.Refreshes(t, name)
	t.Logf("%d killed, %d of them with the answer of the token service; %d reuses, %d refused for another reason", killed, lost, came.Reused, came.Refused)
	require.Equal(t, lost, came.Reused, "the token whose answer was lost is tried again, and no other")
	require.Zero(t, came.Refused)
}

// The holder of the lock is killed, and another process that waits for it goes on.
func testTakenOver(t *testing.T, d *deployed, program *program, name string) {
	var took []time.Duration
	for range d.rounds(5, 50) {
		holder := program.start(t, orders{Credentials: []string{name}, Goroutines: 1, Reject: 1, Traced: true, Step: "marked"})
		holder.await(t, func(said []line) bool { return !reached(said, "marked").IsZero() })
		heir := program.start(t, orders{Credentials: []string{name}, Goroutines: 1, Reject: 1, Traced: true})
		heir.await(t, func(said []line) bool { return countSteps(said, "locking") > countSteps(said, "locked") })
		killed := time.Now()
		holder.kill()
		said := heir.await(t, hasRefreshed)
		require.Empty(t, failures(said))
		locked := reachedAfter(said, "locked", killed)
		require.NotZero(t, locked)
		took = append(took, locked.Sub(killed))
		heir.end()
		heir.awaitEnd(t)
	}
	slices.Sort(took)
	t.Logf("taken over within %s, %s at most", took[len(took)/2], took[len(took)-1])
	require.Less(t, took[len(took)/2], 200*time.Millisecond)
	requireNoReuse(t, d.server.Refreshes(t, name))
}

// A job's calls end while its token is being refreshed, and it closes the store then: what was begun is carried
// out, and what was not may be left.
func testEnded(t *testing.T, d *deployed, program *program, name string) {
	steps := []struct {
		name  string
		begun bool
	}{{"locked", false}, {"marked", true}, {"answered", true}, {"storing", true}}
	jobs, refreshes := peer.Short(12, 100), 0
	for i := range jobs {
		step := steps[i%len(steps)]
		said := program.start(t, orders{Credentials: []string{name}, Goroutines: 1, Reject: 1, Traced: true, Step: step.name, Signal: "END"}).awaitEnd(t)
		require.Len(t, tokens(said), 1)
		require.Len(t, failures(said), 1)
		require.Contains(t, failures(said)[0], "context canceled")
		require.True(t, said[len(said)-1].Closed)
		stored := !reachedAfter(said, "stored", failedAt(said)).IsZero()
		if step.begun {
			require.True(t, stored, "ended while %s: %+v", step.name, said)
		}
		if stored {
			refreshes++
		}
	}
	came := d.server.Refreshes(t, name)
	t.Logf("%d jobs ended within a refresh; %d refreshes by %d requests", jobs, came.Granted, came.Requests)
	require.Equal(t, refreshes, came.Granted)
	requireNoReuse(t, came)
	heir := program.start(t, orders{Credentials: []string{name}, Goroutines: 1, Reject: 1})
	require.Empty(t, failures(heir.await(t, hasRefreshed)))
}

// testStoppedAt stops the holder for long, as a machine that sleeps does, and lets it go on.
func testStoppedAt(step string) func(t *testing.T, d *deployed, program *program, name string) {
	return func(t *testing.T, d *deployed, program *program, name string) {
		holder := program.start(t, orders{Credentials: []string{name}, Goroutines: 1, Reject: 1, Traced: true, Step: step, Signal: "STOP"})
		holder.await(t, func(said []line) bool { return !reached(said, step).IsZero() })
		longEnough := time.After(peer.Short(2*time.Second, 10*time.Second))
		if d.database != nil {
			longEnough = time.After(4 * time.Second) // it has lost its lock
		}
		all := []*worker{holder}
		for range 3 {
			all = append(all, program.start(t, orders{Credentials: []string{name}, Goroutines: 2, Reject: 1}))
		}
		<-longEnough
		require.NoError(t, holder.cmd.Process.Signal(syscall.SIGCONT))
		for i, w := range all {
			require.Empty(t, failures(w.await(t, hasRefreshed)), "process %d", i)
		}
		for _, w := range all {
			w.end()
			require.Empty(t, failures(w.awaitEnd(t)))
		}
		came := d.server.Refreshes(t, name)
		t.Logf("%d refreshes by %d requests", came.Granted, came.Requests)
		requireNoReuse(t, came)

		// What is stored is the last that the token service gave.
		heir := program.start(t, orders{Credentials: []string{name}, Goroutines: 1, Reject: 1})
		require.Empty(t, failures(heir.await(t, hasRefreshed)))
		requireNoReuse(t, d.server.Refreshes(t, name))
	}
}
