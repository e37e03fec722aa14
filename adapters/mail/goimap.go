package mail

import (
	"runtime"
	"strings"
)

// calledByIMAP reports whether Start was called by github.com/emersion/go-imap. Up to v2.0.0-beta.8 it gives up when the
// server asks for an initial response that it did not get from Start. It has no need to keep it back: IMAP's lines may be
// long, and it sends the response at the server's challenge itself where that is needed.
func calledByIMAP() bool {
	var callers [8]uintptr
	frames := runtime.CallersFrames(callers[:runtime.Callers(3, callers[:])])
	for {
		frame, more := frames.Next()
		if strings.HasPrefix(frame.Function, "github.com/emersion/go-imap/") {
			return true
		}
		if !more {
			return false
		}
	}
}
