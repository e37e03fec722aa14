// Package main is a program that uses one credential of a store, beside others like it, and that can be told where to die
// or to stop.
package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"sync"
	"time"

	"github.com/outgrant/outgrant"
)

// Orders are what the program is to do, in the environment variable ORDERS.
type Orders struct {
	Dir          string // of the store, or of its key
	Database     string // URL of the store; "": it is a folder
	Credentials  []string
	Goroutines   int           // use each credential at the same time, until standard input ends
	Reject       int           // how many tokens each of them rejects at first
	GoOn         bool          // after a call that failed
	FetchTimeout time.Duration // of the store; 0: as usual

	// Traced programs say at which step of a rotation they are.
	Traced bool
	Step   string // where this happens:
	Signal string // KILL or STOP, which the program sends itself; END: its calls end; "": it waits to be killed
}

// Line is what the program says, in JSON, each on a line of its own.
type Line struct {
	At     time.Time
	Step   string `json:",omitempty"` // that was reached
	Token  string `json:",omitempty"` // a digest of one that is new to this process
	Failed string `json:",omitempty"` // why a call failed: a goroutine ends with that, unless it goes on
	Event  string `json:",omitempty"` // what happened to the authorization
	Closed bool   `json:",omitempty"` // the store
}

func readOrders() (o Orders, err error) {
	err = json.Unmarshal([]byte(os.Getenv("ORDERS")), &o)
	return o, err
}

var speaking sync.Mutex

func say(l Line) {
	speaking.Lock()
	defer speaking.Unlock()
	l.At = time.Now()
	text, _ := json.Marshal(l) // nothing in it can fail
	_, _ = os.Stdout.Write(append(text, '\n'))
}

func digest(t *outgrant.Token) string {
	sum := sha256.Sum256([]byte(t.AccessToken.Reveal()))
	return hex.EncodeToString(sum[:8])
}
