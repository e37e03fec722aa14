package memstore_test

import (
	"io/fs"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant/credstore/driver"
	"github.com/outgrant/outgrant/credstore/drivertest"
	"github.com/outgrant/outgrant/credstore/memstore"
)

func TestContract(t *testing.T) {
	t.Parallel()
	open := func(string) (driver.Store, error) { return memstore.New(), nil }
	drivertest.Run(t, &drivertest.Suite{Open: open, Long: os.Getenv("OUTGRANT_SOAK") != ""})
}

func TestClosed(t *testing.T) {
	t.Parallel()
	s := memstore.New()
	k := driver.Key{Kind: "k", Name: "n"}
	_, err := s.Put(t.Context(), driver.Record{Key: k}, "")
	require.NoError(t, err)
	require.NoError(t, s.Close())

	_, err = s.Get(t.Context(), k)
	require.ErrorIs(t, err, fs.ErrClosed)
	_, err = s.Put(t.Context(), driver.Record{Key: k}, "")
	require.ErrorIs(t, err, fs.ErrClosed)
	require.ErrorIs(t, s.Delete(t.Context(), k, ""), fs.ErrClosed)
	_, err = s.Due(t.Context(), "k", time.Now(), 1)
	require.ErrorIs(t, err, fs.ErrClosed)
	_, err = s.Lock(t.Context(), k)
	require.ErrorIs(t, err, fs.ErrClosed)
	_, _, err = s.TryLock(t.Context(), k)
	require.ErrorIs(t, err, fs.ErrClosed)
	for _, err := range s.List(t.Context(), "", "k") {
		require.ErrorIs(t, err, fs.ErrClosed)
	}
}
