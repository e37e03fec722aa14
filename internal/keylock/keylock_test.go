package keylock_test

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant/internal/keylock"
)

func TestInTheOrderOfAsking(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var locks keylock.Locks[string]
		require.NoError(t, locks.Lock(t.Context(), "a"))
		require.NoError(t, locks.Lock(t.Context(), "b"), "another key")
		require.False(t, locks.TryLock("a"))

		var order []int
		leave := make([]context.CancelFunc, 6)
		for i := range leave {
			var ctx context.Context
			ctx, leave[i] = context.WithCancel(t.Context())
			defer leave[i]()
			go func() {
				if err := locks.Lock(ctx, "a"); err != nil {
					require.Equal(t, context.Canceled, err)
					order = append(order, -i)
					return
				}
				order = append(order, i)
				locks.Unlock("a")
			}()
			synctest.Wait()
		}
		for _, i := range []int{2, 5, 1} { // from the middle, the end and the middle
			leave[i]()
			synctest.Wait()
		}
		locks.Unlock("a")
		synctest.Wait()
		require.Equal(t, []int{-2, -5, -1, 0, 3, 4}, order)
		require.True(t, locks.TryLock("a"))
		locks.Unlock("a")
	})
}

func TestContextThatHasEnded(t *testing.T) {
	t.Parallel()
	var locks keylock.Locks[string]
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.Equal(t, context.Canceled, locks.Lock(ctx, "a"))
	require.True(t, locks.TryLock("a"))
}

// The lock is handed to a waiter whose context ends at the same moment: it must not be lost, whoever has it then.
func TestContextThatEndsWhenItsTurnComes(t *testing.T) {
	t.Parallel()
	for range 1000 {
		var locks keylock.Locks[string]
		require.True(t, locks.TryLock("a"))
		ctx, cancel := context.WithCancel(t.Context())
		waiter := make(chan error)
		go func() { waiter <- locks.Lock(ctx, "a") }()
		next := make(chan error)
		go func() { next <- locks.Lock(t.Context(), "a") }()
		go cancel()
		locks.Unlock("a")
		if <-waiter == nil {
			locks.Unlock("a")
		}
		require.NoError(t, <-next)
		locks.Unlock("a")
		require.True(t, locks.TryLock("a"))
	}
}
