// Package leakcheck fails a package's tests if they leave goroutines behind.
package leakcheck

import (
	"fmt"
	"net/http"
	"os"
	"runtime"
	"strings"
	"time"
)

// Main runs the tests and ends the program; call it from TestMain. Goroutines that are still there afterwards get a few
// seconds to end, as connections take a moment to close.
func Main(m interface{ Run() int }) {
	code := m.Run()
	http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	left := leaked()
	for deadline := time.Now().Add(5 * time.Second); len(left) > 0 && time.Now().Before(deadline); left = leaked() {
		time.Sleep(10 * time.Millisecond)
	}
	if len(left) > 0 && code == 0 {
		fmt.Printf("goroutines left behind:\n\n%s\n", strings.Join(left, "\n\n"))
		code = 1
	}
	os.Exit(code)
}

// leaked returns the stacks of all goroutines but this one and those of the runtime and the testing package.
func leaked() []string {
	buf := make([]byte, 4<<20)
	stacks := strings.Split(string(buf[:runtime.Stack(buf, true)]), "\n\n")
	var left []string
	for _, stack := range stacks[1:] { // the first is this one
		if !strings.Contains(stack, "testing.(*M).") && !strings.Contains(stack, "os/signal.") && !strings.Contains(stack, "runtime.ensureSigM") {
			left = append(left, stack)
		}
	}
	return left
}
