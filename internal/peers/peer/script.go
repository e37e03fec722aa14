package peer

import (
	"encoding/json"
	"fmt"
	"os/exec"
	"regexp"
	"sync/atomic"
	"testing"
	"time"
)

// Script is a program that answers questions: each is a line on its standard input, [number, question] in JSON, and the
// answer a line ANSWER, the number, and JSON. It ends with its standard input. Questions may be asked at the same time.
type Script struct {
	*process
	asked atomic.Int64
}

var readyOrMissing = regexp.MustCompile(`(?m)^(READY|MISSING)\b ?(.*)\n`)

// StartScript starts a script of this module, a path from the module's folder, which ends with the test. Where it prints
// MISSING and what it misses, the test is skipped, as it is without its interpreter.
func StartScript(tb testing.TB, interpreter, path string) *Script {
	tb.Helper()
	program := Program(tb, interpreter)
	s := &Script{process: start(tb, exec.Command(program, folder(tb, path)))}
	if said := s.await(tb, readyOrMissing, 30*time.Second); said[1] == "MISSING" {
		need(tb, said[2], fmt.Errorf("%s", said[0]))
	}
	return s
}

// Ask asks a question and decodes the answer into answer.
func (s *Script) Ask(tb testing.TB, question, answer any) {
	tb.Helper()
	number := s.asked.Add(1)
	line, err := json.Marshal([]any{number, question})
	if err != nil {
		tb.Fatal(err)
	}
	if _, err := s.stdin.Write(append(line, '\n')); err != nil {
		tb.Fatal(err)
	}
	said := s.await(tb, regexp.MustCompile(fmt.Sprintf(`(?m)^ANSWER %d (.*)\n`, number)), 30*time.Second)
	if err := json.Unmarshal([]byte(said[1]), answer); err != nil {
		tb.Fatalf("answer %s: %v", said[1], err)
	}
}

// Program returns where a program is, and skips the test if it is not installed.
func Program(tb testing.TB, name string) string {
	tb.Helper()
	path, err := exec.LookPath(name)
	need(tb, name, err)
	return path
}
