package peer

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sync"
	"testing"
	"time"
)

// process is a peer that runs as a process of its own. It is killed at the end of the test, and what it printed is
// added to the log of a test that failed: peers tell the client little about why they refuse it.
type process struct {
	stdin   io.WriteCloser
	printed *transcript
	ended   chan struct{}
}

func start(tb testing.TB, cmd *exec.Cmd) *process {
	tb.Helper()
	p := &process{printed: newTranscript(), ended: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = p.printed, p.printed
	stdin, err := cmd.StdinPipe()
	if err != nil {
		tb.Fatal(err)
	}
	p.stdin = stdin
	if err := cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	go func() {
		_ = cmd.Wait() // it is killed, so there always is an error
		close(p.ended)
	}()
	tb.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-p.ended
		if tb.Failed() {
			tb.Logf("%s printed:\n%s", cmd, p.printed)
		}
	})
	return p
}

// end has a process end by itself, so that it leaves nothing behind. One that does not is killed later.
func (p *process) end(ask func()) {
	ask()
	select {
	case <-p.ended:
	case <-time.After(10 * time.Second):
	}
}

// StartProgram starts a program of ours, waits until it has printed what matches, and returns the match's first group. The program is
// interrupted at the end of the test.
func StartProgram(tb testing.TB, ready *regexp.Regexp, program string, args ...string) string {
	tb.Helper()
	cmd := exec.Command(program, args...)
	p := start(tb, cmd)
	tb.Cleanup(func() { p.end(func() { _ = cmd.Process.Signal(os.Interrupt) }) })
	return p.await(tb, ready, 30*time.Second)[1]
}

// await waits until the process has printed a text that matches, and returns the match and its groups.
func (p *process) await(tb testing.TB, text *regexp.Regexp, atMost time.Duration) []string {
	tb.Helper()
	timeout := time.After(atMost)
	for {
		match, grown := p.printed.find(text)
		if match != nil {
			return match
		}
		select {
		case <-grown:
		case <-p.ended:
			if match, _ := p.printed.find(text); match != nil {
				return match
			}
			tb.Fatalf("the peer ended and never printed %s", text)
		case <-timeout:
			tb.Fatalf("the peer has not printed %s", text)
		}
	}
}

// transcript is what a process printed.
type transcript struct {
	mu    sync.Mutex
	text  []byte
	grown chan struct{} // closed and replaced when there is more
}

func newTranscript() *transcript { return &transcript{grown: make(chan struct{})} }

func (t *transcript) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, p...)
	close(t.grown)
	t.grown = make(chan struct{})
	return len(p), nil
}

func (t *transcript) find(text *regexp.Regexp) (match []string, grown <-chan struct{}) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return text.FindStringSubmatch(string(t.text)), t.grown
}

func (t *transcript) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.text)
}

// need skips the test if something is not installed, as err says. In CI that is a failure: nothing may be skipped there
// unnoticed.
func need(tb testing.TB, what string, err error) {
	tb.Helper()
	switch {
	case err == nil:
	case os.Getenv("CI") == "true":
		tb.Fatalf("%s is not installed: bash internal/peers/run installs it", what)
	default:
		tb.Skipf("%s is not installed: bash internal/peers/run installs it", what)
	}
}

// folder returns the path of a folder of this module; tests run in the folder of their package.
func folder(tb testing.TB, name string) string {
	tb.Helper()
	dir, err := os.Getwd()
	if err != nil {
		tb.Fatal(err)
	}
	for ; dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "peer", "process.go")); err == nil {
			return filepath.Join(dir, name)
		}
	}
	tb.Fatal("not in the module of the peers")
	return ""
}
