package drivertest_test

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant/credstore/driver"
	"github.com/outgrant/outgrant/credstore/drivertest"
)

func TestSuiteThatIsNotComplete(t *testing.T) {
	t.Parallel()
	failures := failuresOf(t, "", &drivertest.Suite{})
	require.Equal(t, []string{"drivertest: Suite.Open is nil"}, failures)

	failures = failuresOf(t, "", &drivertest.Suite{Open: openFaulty, Place: "good|dir"})
	require.Len(t, failures, 1)
	require.Contains(t, failures[0], "Suite.TakeOver is not set")
}

func TestStoreThatDoesNotOpen(t *testing.T) {
	t.Parallel()
	failures := failuresOf(t, "Records/times", &drivertest.Suite{Open: openFaulty, Place: "no such fault|" + t.TempDir(), TakeOver: time.Second})
	require.Equal(t, []string{`Open: no fault "no such fault"`}, failures)
}

func TestProcessThatTakesNoOrders(t *testing.T) {
	t.Parallel()
	good := func(place string) (driver.Store, error) { return openFaulty("good|" + filepath.Join(place, "store")) }
	failures := failuresOf(t, "Processes/no update is lost", &drivertest.Suite{Open: good, Place: t.TempDir(), TakeOver: time.Second})
	require.Len(t, failures, 1, "the other processes open the place in another way")
	require.Contains(t, failures[0], "does TestMain call drivertest.Worker")
}

func TestLockThatTellsThatItIsLost(t *testing.T) {
	t.Parallel()
	failures := failuresOf(t, "Processes/a holder that is stopped", &drivertest.Suite{Open: openFaulty, TakeOver: time.Second, LosesLocks: true,
		Place: "a lock with a time limit that tells its holder|" + filepath.Join(t.TempDir(), "store")})
	require.Empty(t, failures)
}
