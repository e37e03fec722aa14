package drivertest_test

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/outgrant/outgrant/credstore/drivertest"
)

// A recorder is a *testing.T whose failures are what a test wants to see. It runs one check of the suite.
type recorder struct {
	*testing.T
	only string // the name of the check
	name string

	mu       sync.Mutex
	cleanups []func()
	failures []string
	runs     int
}

// failuresOf runs one check of a suite, and returns what it says.
func failuresOf(t *testing.T, check string, suite *drivertest.Suite) []string {
	t.Helper()
	r := &recorder{T: t, only: check}
	r.inGoroutine(func() { drivertest.Run(r, suite) })
	if r.runs != 1 && len(r.failures) == 0 {
		t.Fatalf("%d checks with the name %q have run", r.runs, check)
	}
	return r.failures
}

func (r *recorder) Name() string { return r.name }

func (r *recorder) Run(name string, f func(*recorder)) bool {
	child := &recorder{T: r.T, only: r.only, name: strings.TrimPrefix(r.name+"/"+name, "/")}
	if child.name != r.only && !strings.HasPrefix(r.only, child.name+"/") {
		return true
	}
	child.inGoroutine(func() { f(child) })
	if child.name == r.only {
		r.runs++
	}
	r.runs += child.runs
	r.failures = append(r.failures, child.failures...)
	return len(child.failures) == 0
}

func (r *recorder) inGoroutine(f func()) {
	done := make(chan struct{})
	go func() { // as Fatalf ends it
		defer close(done)
		defer func() {
			for _, cleanup := range slices.Backward(r.cleanups) {
				cleanup()
			}
		}()
		f()
	}()
	<-done
}

func (r *recorder) Errorf(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failures = append(r.failures, fmt.Sprintf(format, args...))
}

func (r *recorder) Fatalf(format string, args ...any) {
	r.Errorf(format, args...)
	runtime.Goexit()
}

func (r *recorder) Logf(string, ...any) {}

func (r *recorder) Skipf(format string, args ...any) { r.T.Skipf(format, args...) }

func (r *recorder) Cleanup(f func()) { r.cleanups = append(r.cleanups, f) }
