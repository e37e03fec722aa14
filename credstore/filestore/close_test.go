package filestore_test

import (
	"context"
	"fmt"
	"io/fs"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant/credstore/driver"
	"github.com/outgrant/outgrant/credstore/filestore"
)

func TestClosed(t *testing.T) {
	t.Parallel()
	dir := newDir(t)
	s, err := filestore.Open(dir, nil)
	require.NoError(t, err)
	version := put(t, s, record("orders"), "")
	held, err := s.Lock(t.Context(), key("orders"))
	require.NoError(t, err)
	foreign := openStore(t, dir)
	_, err = foreign.Lock(t.Context(), key("foreign"))
	require.NoError(t, err)

	// These wait, for the lock of this store and for that of another one.
	waiting := make(chan error, 6)
	for range 3 {
		for _, name := range []string{"orders", "foreign"} {
			go func() {
				_, err := s.Lock(t.Context(), key(name))
				waiting <- err
			}()
		}
	}
	require.NoError(t, s.Close())
	for range cap(waiting) {
		require.ErrorIs(t, <-waiting, fs.ErrClosed)
	}
	l, ok, err := foreign.TryLock(t.Context(), key("orders"))
	require.NoError(t, err)
	require.True(t, ok, "Close lets locks go")
	require.NoError(t, held.Unlock())
	_, ok, err = foreign.TryLock(t.Context(), key("orders"))
	require.NoError(t, err)
	require.False(t, ok, "an Unlock after Close is not another's")
	require.NoError(t, l.Unlock())

	_, err = s.Get(t.Context(), key("orders"))
	require.ErrorIs(t, err, fs.ErrClosed)
	require.ErrorContains(t, err, dir)
	_, err = s.Put(t.Context(), record("orders"), version)
	require.ErrorIs(t, err, fs.ErrClosed)
	require.ErrorIs(t, s.Delete(t.Context(), key("orders"), ""), fs.ErrClosed)
	_, err = s.Due(t.Context(), kind, noon, 1)
	require.ErrorIs(t, err, fs.ErrClosed)
	_, err = s.Lock(t.Context(), key("orders"))
	require.ErrorIs(t, err, fs.ErrClosed)
	_, _, err = s.TryLock(t.Context(), key("orders"))
	require.ErrorIs(t, err, fs.ErrClosed)
	_, errs := listed(s, "acme", kind)
	require.ErrorIs(t, errs[driver.Key{}], fs.ErrClosed)
	require.NoError(t, s.Close())
}

func TestCloseWhileLocking(t *testing.T) {
	t.Parallel()
	dir := newDir(t)
	after := openStore(t, dir)
	for range 100 {
		s, err := filestore.Open(dir, nil)
		require.NoError(t, err)
		var locking sync.WaitGroup
		started := make(chan struct{}, 4)
		for i := range cap(started) {
			locking.Go(func() {
				for n := 0; ; n++ {
					_, err := s.Lock(context.Background(), key(fmt.Sprint(i, " ", n%50)))
					if err != nil {
						require.ErrorIs(t, err, fs.ErrClosed)
						return
					}
					if n == 0 {
						started <- struct{}{}
					}
				}
			})
		}
		<-started
		require.NoError(t, s.Close())
		locking.Wait()
		for i := range cap(started) {
			l, ok, err := after.TryLock(t.Context(), key(fmt.Sprint(i, " 0")))
			require.NoError(t, err)
			require.True(t, ok, "a lock is held after Close")
			require.NoError(t, l.Unlock())
		}
	}
}
