package codeflow_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant/internal/peers/peer"
)

// program is the program of the folder worker.
type program struct {
	path, store, database string
	fetchTimeout          time.Duration // 0: as usual
	env                   []string
}

// build builds it, to use the store and to trust its server as the whole machine would.
func build(t testing.TB, d *deployed) *program {
	t.Helper()
	dir := t.TempDir()
	p := &program{path: filepath.Join(dir, "worker"), store: d.dir}
	out, err := exec.Command("go", "build", "-o", p.path, "./worker").CombinedOutput()
	require.NoError(t, err, "%s", out)
	if d.database != nil {
		p.database = d.database.URL("outgrant")
	}
	roots := filepath.Join(dir, "roots.pem")
	require.NoError(t, os.WriteFile(roots, []byte(peer.ChainPEM(d.server.PKI.Root)), 0o600))
	p.env = append(os.Environ(), "SSL_CERT_FILE="+roots)
	return p
}

// orders and line are what the program takes and says: see worker/orders.go.
type orders struct {
	Dir, Database      string
	Credentials        []string
	Goroutines, Reject int
	GoOn, Traced       bool
	Step, Signal       string
	FetchTimeout       time.Duration
}

type line struct {
	At                         time.Time
	Step, Token, Failed, Event string
	Closed                     bool
}

// worker is a process that uses a credential. It is killed at the end of the test, at the latest.
type worker struct {
	cmd   *exec.Cmd
	stdin io.Closer

	mu     sync.Mutex
	said   []line
	ended  bool
	grown  chan struct{} // closed and replaced when there is more
	errors bytes.Buffer
}

// marksEndAfter20s is the timeout of requests with which what a process had begun is left alone for 20 seconds in a database.
const marksEndAfter20s = 5 * time.Second

func (p *program) start(t testing.TB, o orders) *worker {
	t.Helper()
	o.Dir, o.Database, o.FetchTimeout = p.store, p.database, p.fetchTimeout
	text, err := json.Marshal(o)
	require.NoError(t, err)
	w := &worker{cmd: exec.Command(p.path), grown: make(chan struct{})}
	w.cmd.Env = append(slices.Clip(p.env), "ORDERS="+string(text))
	w.cmd.Stderr = &w.errors
	w.stdin, err = w.cmd.StdinPipe()
	require.NoError(t, err)
	stdout, err := w.cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, w.cmd.Start())
	listening := make(chan struct{})
	go func() {
		defer close(listening)
		w.listen(stdout)
	}()
	t.Cleanup(func() {
		w.kill()
		<-listening
		if t.Failed() {
			t.Logf("process %d: %+v\n%s", w.cmd.Process.Pid, w.lines(), &w.errors)
		}
	})
	return w
}

// kill ends the process at once. Who was killed already is not killed again.
func (w *worker) kill() { _ = w.cmd.Process.Kill() }

// end lets the process end by itself.
func (w *worker) end() { _ = w.stdin.Close() }

func (w *worker) listen(stdout io.Reader) {
	lines := bufio.NewScanner(stdout)
	for lines.Scan() {
		var l line
		if err := json.Unmarshal(lines.Bytes(), &l); err != nil {
			l.Failed = err.Error()
		}
		w.hear(func() { w.said = append(w.said, l) })
	}
	_ = w.cmd.Wait() // killed ones fail
	w.hear(func() { w.ended = true })
}

func (w *worker) hear(what func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	what()
	close(w.grown)
	w.grown = make(chan struct{})
}

func (w *worker) lines() []line {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]line(nil), w.said...)
}

// await waits until what the process has said is enough, or it has ended, and returns that.
func (w *worker) await(t testing.TB, enough func([]line) bool) []line {
	t.Helper()
	tooLong := time.After(peer.Short(time.Minute, 15*time.Minute))
	for {
		w.mu.Lock()
		said, ended, grown := w.said, w.ended, w.grown
		w.mu.Unlock()
		if ended || enough(said) {
			return said
		}
		select {
		case <-grown:
		case <-tooLong:
			require.Fail(t, "the process takes too long")
		}
	}
}

func (w *worker) awaitEnd(t testing.TB) []line {
	t.Helper()
	return w.await(t, func([]line) bool { return false })
}

// tokens returns the tokens that a process had.
func tokens(said []line) (all []string) {
	for _, l := range said {
		if l.Token != "" {
			all = append(all, l.Token)
		}
	}
	return all
}

// failures returns why its calls failed.
func failures(said []line) (all []string) {
	for _, l := range said {
		if l.Failed != "" {
			all = append(all, l.Failed)
		}
	}
	return all
}

// hasRefreshed reports whether a process got another token than its first, or none.
func hasRefreshed(said []line) bool { return len(tokens(said)) > 1 || len(failures(said)) > 0 }

// reached returns when a process was at a step first; zero: never.
func reached(said []line, step string) time.Time { return reachedAfter(said, step, time.Time{}) }

// reachedAfter returns when a process was at a step first after a time; zero: never.
func reachedAfter(said []line, step string, after time.Time) time.Time {
	for _, l := range said {
		if l.Step == step && l.At.After(after) {
			return l.At
		}
	}
	return time.Time{}
}

func countSteps(said []line, step string) (n int) {
	for _, l := range said {
		if l.Step == step {
			n++
		}
	}
	return n
}

// failedAt returns when a call failed first; zero: never.
func failedAt(said []line) time.Time {
	for _, l := range said {
		if l.Failed != "" {
			return l.At
		}
	}
	return time.Time{}
}
