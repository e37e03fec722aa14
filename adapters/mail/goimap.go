package mail

import (
	"runtime"
	"strings"
)

// calledByIMAP reports whether Start was called by github.com/emersion/go-imap. Up to v2.0.0-beta.8 it gives up when the
// server asks for an initial response that it did not get from Start. There is no need to keep that back: IMAP's lines may be
// long, and go-imap sends it at the server's challenge itself where that is needed. It also sends "=" for an empty answer to
// a challenge, which servers call bad; so it gets the one of OAUTHBEARER, which they take as well.
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
