package authcode_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/authcode"
	"github.com/outgrant/outgrant/oauthtest"
)

// TestMemoryVault holds the memory vault to what every Vault promises.
func TestMemoryVault(t *testing.T) {
	t.Parallel()
	ctx, v := t.Context(), authcode.NewMemoryVault()
	is := func(name string, want authcode.Authorization) {
		t.Helper()
		got, err := v.Load(ctx, name)
		require.NoError(t, err)
		require.True(t, sameAuthorization(want, got))
	}
	save := func(name string, spent outgrant.Secret, next, winner authcode.Authorization) {
		t.Helper()
		got, err := v.Save(ctx, name, spent, next)
		require.NoError(t, err)
		require.True(t, sameAuthorization(winner, got))
		is(name, winner)
	}
	one, two := authcode.Authorization{RefreshToken: "one"}, authcode.Authorization{RefreshToken: "two"}
	none, without := authcode.Authorization{}, authcode.Authorization{User: "alice"}
	is("a", none)
	save("a", "one", two, none)
	save("a", "", one, one)
	is("b", none)
	is("A", none)
	save("a", "", two, one)
	save("a", "other", two, one)
	marked := one
	marked.Mark = &authcode.Mark{Holder: "h"}
	save("a", "one", marked, marked)
	save("a", "one", two, two)
	save("a", "one", marked, two)
	save("a", "two", without, without)
	save("a", "two", one, without)
	save("a", "", one, one)
	save("a", "one", none, none)
	save("", "", two, two)

	gone, cancel := context.WithCancel(ctx)
	cancel()
	_, err := v.Load(gone, "a")
	require.ErrorIs(t, err, context.Canceled)
	_, err = v.Save(gone, "a", "", one)
	require.ErrorIs(t, err, context.Canceled)
	is("a", none)
	oauthtest.AssertNoSecrets(t, []string{"two-", "one-"}, v, struct{ V any }{v})
	require.Equal(t, "authcode.MemoryVault", fmt.Sprintf("%+v", v))
}

func TestMemoryVaultLock(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		v := authcode.NewMemoryVault()
		lock, err := v.Lock(t.Context(), "a")
		require.NoError(t, err)
		require.Nil(t, lock.Lost())

		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		_, err = v.Lock(ctx, "a")
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, time.Second, time.Since(began))

		other, err := v.Lock(t.Context(), "b")
		require.NoError(t, err, "each name has its own")
		require.NoError(t, other.Unlock())
		_, err = v.Save(t.Context(), "a", "", full())
		require.NoError(t, err, "it keeps nobody from Load and Save")
		_, err = v.Load(t.Context(), "a")
		require.NoError(t, err)

		require.NoError(t, lock.Unlock())
		next, err := v.Lock(t.Context(), "a")
		require.NoError(t, err)
		require.NoError(t, lock.Unlock(), "which does nothing")
		ctx, cancel = context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err = v.Lock(ctx, "a")
		require.Error(t, err, "the second unlock must not let others in")
		require.NoError(t, next.Unlock())
	})
}

// TestMemoryVaultAtOnce tests that of several that spend the same token one wins.
func TestMemoryVaultAtOnce(t *testing.T) {
	t.Parallel()
	v := authcode.NewMemoryVault()
	counter := 0
	var all sync.WaitGroup
	var mu sync.Mutex
	wins := 0
	for i := range 16 {
		all.Go(func() {
			for range 50 {
				lock, err := v.Lock(t.Context(), "a")
				if err != nil {
					t.Error(err)
					return
				}
				counter++ // the race detector tells if the lock is none
				_ = lock.Unlock()
			}
			next := authcode.Authorization{RefreshToken: outgrant.Secret(fmt.Sprint("token-", i))}
			winner, err := v.Save(t.Context(), "a", "", next)
			mu.Lock()
			defer mu.Unlock()
			if err == nil && winner.RefreshToken == next.RefreshToken {
				wins++
			}
		})
	}
	all.Wait()
	require.Equal(t, 800, counter)
	require.Equal(t, 1, wins)
}
