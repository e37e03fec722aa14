// Package drivertest is the contract of a store backend as tests.
//
// Use this when you write a backend for package credstore, that is a [driver.Store]. A backend that passes keeps what
// credstore promises its users; one that does not will lose refresh tokens. All that a backend's tests need is
//
//	func open(place string) (driver.Store, error) { return mybackend.Open(place) }
//
//	func TestMain(m *testing.M) {
//		drivertest.Worker(open)
//		os.Exit(m.Run())
//	}
//
//	func TestContract(t *testing.T) {
//		drivertest.Run(t, &drivertest.Suite{Open: open, Place: t.TempDir(), TakeOver: time.Second})
//	}
//
// With a Place, the suite also starts processes that share it - the test's own program, which Worker takes over - and
// kills and stops them. A backend that lives within one Store leaves Place and Worker out.
package drivertest

import (
	"context"
	"crypto/rand"
	"time"

	"github.com/outgrant/outgrant/credstore/driver"
)

// TB is what the suite asks of a *testing.T.
type TB interface {
	Helper()
	Name() string
	Logf(format string, args ...any)
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
	Skipf(format string, args ...any)
	Cleanup(func())
	TempDir() string
}

// Suite says what is tested, and what the backend promises beyond the contract.
type Suite struct {
	// Open opens a store at a place. It is called several times in each check. Required.
	Open func(place string) (driver.Store, error)

	// Place is what Open is called with, here and in the other processes: a folder, the address of a database. Stores at
	// one place share records and locks. The suite uses keys of its own there, and leaves them behind. Default: "", for a
	// backend whose stores share nothing; then nothing is tested with several processes, or several stores.
	Place string

	// TakeOver is the time within which a lock is free after its holder's process was killed. Required with a Place.
	TakeOver time.Duration

	// LosesLocks says that a lock may be lost while its holder's process lives, but is stopped: then its Lost must tell.
	// Default: the Lost of each lock must be nil.
	LosesLocks bool

	// Long makes many more rounds of what happens at random, and stops holders for longer: minutes instead of seconds.
	Long bool
}

// Run runs the suite; t is a *testing.T. Each check is a subtest.
func Run[T interface {
	TB
	Run(name string, f func(T)) bool
}](t T, suite *Suite) {
	t.Helper()
	if suite.Open == nil {
		t.Fatalf("drivertest: Suite.Open is nil")
	}
	if suite.Place != "" && suite.TakeOver <= 0 {
		t.Fatalf("drivertest: Suite.TakeOver is not set: within which time is a lock free when its holder was killed?")
	}
	for _, group := range groups {
		t.Run(group.name, func(t T) {
			for _, c := range group.checks {
				if suite.Place == "" && c.shared {
					continue
				}
				t.Run(c.name, func(t T) { c.run(newBench(t, suite)) })
			}
		})
	}
}

var groups = []struct {
	name   string
	checks []check
}{
	{"Keys", keyChecks}, {"Records", recordChecks}, {"List", listChecks}, {"Due", dueChecks}, {"Contexts", contextChecks},
	{"Locks", lockChecks}, {"Concurrency", concurrencyChecks}, {"Stores", storeChecks}, {"Follow", followChecks}, {"Claims", claimChecks}, {"Processes", processChecks},
}

// A check is one sentence of the contract, or a few.
type check struct {
	name   string
	shared bool // needs a Place
	run    func(*bench)
}

// patience is more than a check takes, also on a busy machine, and promptly more than what is done at once.
const patience = 30 * time.Second

var promptly = 5 * time.Second

// A bench is what a check works with.
type bench struct {
	TB
	suite *Suite
	ctx   context.Context // ends when the check has taken too long
	kind  string          // of the check's own records
	store driver.Store
}

func newBench(t TB, suite *Suite) *bench {
	t.Helper()
	limit := patience
	if suite.Long {
		limit *= 20
	}
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	t.Cleanup(cancel)
	b := &bench{TB: t, suite: suite, ctx: ctx, kind: "drivertest-" + rand.Text()}
	b.store = b.open()
	return b
}

// open opens another store, which is closed when the check ends.
func (b *bench) open() driver.Store {
	b.Helper()
	s, err := b.suite.Open(b.suite.Place)
	if err != nil {
		b.Fatalf("Open: %v", err)
	}
	b.Cleanup(func() {
		if err := s.Close(); err != nil {
			b.Errorf("Close: %v", err)
		}
	})
	return s
}

// rounds is how often something is tried whose outcome is up to chance.
func (b *bench) rounds(short, long int) int {
	if b.suite.Long {
		return long
	}
	return short
}

// long is how long a holder does not let go.
func (b *bench) long() time.Duration {
	if b.suite.Long {
		return 10 * time.Second
	}
	return 300 * time.Millisecond
}
