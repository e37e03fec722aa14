package credstore_test

import (
	"context"
	"encoding/binary"
	"iter"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant/credstore"
	"github.com/outgrant/outgrant/credstore/driver"
	"github.com/outgrant/outgrant/credstore/memstore"
)

func TestGenerationsRotateWithoutDowntime(t *testing.T) {
	t.Parallel()
	drv, keeper := memstore.New(), newKeeper(t)
	one, two := openKeys(t, drv, keeper), openKeys(t, drv, keeper)
	old := record(t, one, "old")
	require.NoError(t, one.Rotate(t.Context()))
	require.EqualValues(t, 2, one.Current())
	require.EqualValues(t, 1, two.Current())

	requireOpens(t, one, old, "old")
	requireOpens(t, one, record(t, two, "sealed with the old one"), "sealed with the old one")
	fresh := record(t, one, "new")
	require.EqualValues(t, 2, credstore.GenerationOf(fresh))
	requireOpens(t, two, fresh, "new")
	require.EqualValues(t, 2, two.Current(), "it has met the new one")
	require.EqualValues(t, 2, credstore.GenerationOf(record(t, two, "")))
	requireOpens(t, openKeys(t, drv, keeper), old, "old")
}

// One seals and opens all the time while the others rotate.
func TestRotationUnderLoad(t *testing.T) {
	t.Parallel()
	drv, keeper := memstore.New(), newKeeper(t)
	opened := make([]*credstore.DataKeys, 4)
	for i := range opened {
		opened[i] = openKeys(t, drv, keeper)
	}
	var all sync.WaitGroup
	var rotated atomic.Int64
	for i, keys := range opened {
		all.Go(func() {
			for range 3 {
				assert.NoError(t, keys.Rotate(t.Context()))
				rotated.Add(1)
			}
		})
		all.Go(func() {
			for done := false; !done; {
				done = rotated.Load() == int64(3*len(opened))
				r := driver.Record{Key: driver.Key{Kind: "grant", Name: "N"}}
				r.Sealed, _ = keys.Seal(r, []byte("plain"))
				plain, err := opened[(i+1)%len(opened)].Open(t.Context(), r)
				done = !assert.NoError(t, err) || !assert.Equal(t, "plain", string(plain)) || done
			}
		})
	}
	all.Wait()
	last := openKeys(t, drv, keeper)
	require.GreaterOrEqual(t, last.Current(), uint32(4), "three rotations of one process make three generations")
	require.LessOrEqual(t, last.Current(), uint32(13))
}

func TestTheKeeperIsReplaced(t *testing.T) {
	t.Parallel()
	drv, old, next := memstore.New(), newKeeper(t), newService(t)
	before := openKeys(t, drv, old)
	r := record(t, before, "plain")
	require.NoError(t, before.Rotate(t.Context()))

	keys := openKeys(t, drv, next, old)
	requireOpens(t, keys, r, "plain")
	require.Zero(t, next.encrypts.Load(), "nothing changes before a rotation")
	openKeys(t, drv, old)
	info := keyRecord(t, drv, "1").Info
	require.NoError(t, keys.Rotate(t.Context()))
	require.EqualValues(t, 3, keys.Current())
	require.Equal(t, info, keyRecord(t, drv, "1").Info)

	requireOpens(t, openKeys(t, drv, next), r, "plain") // without the old one
	require.ErrorContains(t, errOf(credstore.OpenKeys(t.Context(), drv, old, nil)), "data key 3 cannot be decrypted")
	err := errOf(before.Open(t.Context(), record(t, keys, "new")))
	require.ErrorContains(t, err, "data key 3 cannot be decrypted")
	require.NotErrorIs(t, err, credstore.ErrUnreadable)
	requireOpens(t, keys, record(t, before, "of a process with the old Keeper"), "of a process with the old Keeper")
}

// After a rotation the old Keeper is not needed, also where a process that has still the old one rotates at the same time.
func TestTwoKeepersRotateAtOnce(t *testing.T) {
	t.Parallel()
	drv, old, next := memstore.New(), newKeeper(t), newKeeper(t)
	late := openKeys(t, drv, old, next)
	r := record(t, late, "plain")
	rewrapped := false
	keys := openKeys(t, &backend{Store: drv, put: func(r driver.Record, version string) (string, error) {
		if version == "" {
			require.NoError(t, late.Rotate(t.Context()))
		} else if !rewrapped { // what late does with data key 1
			rewrapped = true
			require.NoError(t, errOf(drv.Put(t.Context(), keyRecord(t, drv, "1"), version)))
		}
		return drv.Put(t.Context(), r, version)
	}}, next, old)
	require.NoError(t, keys.Rotate(t.Context()))
	require.True(t, rewrapped)
	require.EqualValues(t, 2, keys.Current(), "the two have made one generation")
	only := openKeys(t, drv, next)
	requireOpens(t, only, r, "plain")
	requireOpens(t, only, record(t, late, "new"), "new")
}

func onlyTheFirst() iter.Seq2[driver.Record, error] {
	return func(yield func(driver.Record, error) bool) {
		yield(driver.Record{Key: driver.Key{Kind: "key", Name: "1"}}, nil)
	}
}

// A rotation that breaks off at any call of the Keeper or the backend can be repeated, and nothing is lost.
func TestARotationThatBreaksOff(t *testing.T) {
	t.Parallel()
	for broken := 1; ; broken++ {
		drv, old, next := memstore.New(), newKeeper(t), newService(t)
		before := openKeys(t, drv, old)
		r1 := record(t, before, "one")
		require.NoError(t, before.Rotate(t.Context()))
		r2 := record(t, before, "two")

		calls := 0
		breaks := func() bool { calls++; return calls == broken }
		fail := func(b []byte, err error) ([]byte, error) {
			if breaks() {
				return nil, errDown
			}
			return b, err
		}
		faulty := &backend{Store: drv}
		keys := openKeys(t, faulty, next, old)
		next.encrypt, next.decrypt = fail, nil
		faulty.put = func(r driver.Record, version string) (string, error) {
			if breaks() {
				return "", errDown
			}
			return drv.Put(t.Context(), r, version)
		}
		faulty.get = func(k driver.Key) (driver.Record, error) {
			if breaks() {
				return driver.Record{}, errDown
			}
			return drv.Get(t.Context(), k)
		}
		err := keys.Rotate(t.Context())
		if err == nil {
			require.Greater(t, broken, 6, "it has been broken off at each call")
			return
		}
		require.ErrorIs(t, err, errDown)
		require.ErrorContains(t, err, "not rotated, or in part")
		require.EqualValues(t, 2, keys.Current())
		requireOpens(t, keys, r1, "one")
		both := openKeys(t, drv, next, old)
		requireOpens(t, both, r1, "one")
		requireOpens(t, both, r2, "two")
		require.NoError(t, keys.Rotate(t.Context()))
		after := openKeys(t, drv, next)
		require.EqualValues(t, 3, after.Current())
		requireOpens(t, after, r1, "one")
		requireOpens(t, after, r2, "two")
	}
}

// While the Keeper fails, records of a generation that is not known yet wait for it. It is asked once in a while, and
// what is known is not touched.
func TestTheKeeperIsLeftAloneWhenItFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		drv, keeper := memstore.New(), newService(t)
		one, two := openKeys(t, drv, keeper), openKeys(t, drv, keeper)
		require.NoError(t, one.Rotate(t.Context()))
		fresh, old := record(t, one, "new"), record(t, two, "old")

		keeper.decrypt = down
		asked := keeper.decrypts.Load()
		var all sync.WaitGroup
		for range 20 {
			all.Go(func() {
				err := errOf(two.Open(t.Context(), fresh))
				assert.ErrorIs(t, err, errDown)
				assert.NotErrorIs(t, err, credstore.ErrUnreadable)
			})
		}
		all.Wait()
		require.Equal(t, asked+1, keeper.decrypts.Load())
		requireOpens(t, two, old, "old")
		require.EqualValues(t, 1, two.Current())

		time.Sleep(credstore.KeyPause)
		require.ErrorIs(t, errOf(two.Open(t.Context(), fresh)), errDown)
		require.Equal(t, asked+2, keeper.decrypts.Load())
		time.Sleep(credstore.KeyPause)
		keeper.decrypt = nil
		requireOpens(t, two, fresh, "new")
		require.Equal(t, asked+3, keeper.decrypts.Load())

		// A caller's context that ends is not the Keeper's failure.
		three := openKeys(t, &backend{Store: drv, list: onlyTheFirst}, keeper)
		ctx, cancel := context.WithCancel(t.Context())
		keeper.decrypt = func(plain []byte, err error) ([]byte, error) { cancel(); return nil, ctx.Err() }
		require.ErrorIs(t, errOf(three.Open(ctx, fresh)), context.Canceled)
		keeper.decrypt = nil
		requireOpens(t, three, fresh, "new")
	})
}

// Who waits for a generation that somebody else is loading leaves with its own context.
func TestWaitersHaveTheirOwnContexts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		drv, keeper := memstore.New(), newService(t)
		one, two := openKeys(t, drv, keeper), openKeys(t, drv, keeper)
		require.NoError(t, one.Rotate(t.Context()))
		fresh := record(t, one, "new")
		keeper.decrypt = func(plain []byte, err error) ([]byte, error) { time.Sleep(time.Minute); return plain, err }
		var all sync.WaitGroup
		all.Go(func() { assert.NoError(t, errOf(two.Open(t.Context(), fresh))) })
		synctest.Wait()
		begin, asked := time.Now(), keeper.decrypts.Load()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.ErrorIs(t, errOf(two.Open(ctx, fresh)), context.DeadlineExceeded)
		require.Equal(t, time.Second, time.Since(begin))
		requireOpens(t, two, fresh, "new")
		all.Wait()
		require.Equal(t, asked, keeper.decrypts.Load(), "they share it")
	})
}

// Damaged numbers, and those that strangers choose, cost no call of the Keeper; strangers' not even one of the backend each.
func TestUnknownGenerationsAreNotHammered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gets := 0
		drv, keeper := &backend{Store: memstore.New()}, newService(t)
		one, two := openKeys(t, drv, keeper), openKeys(t, drv, keeper)
		drv.get = func(k driver.Key) (driver.Record, error) { gets++; return drv.Store.Get(t.Context(), k) }
		value, err := two.SealValue("purpose", []byte("plain"))
		require.NoError(t, err)
		asked := keeper.decrypts.Load()
		r := record(t, two, "plain")
		for i := range uint32(1000) {
			binary.BigEndian.PutUint32(r.Sealed[1:], i+7)
			err := errOf(two.Open(t.Context(), r))
			require.ErrorIs(t, err, credstore.ErrUnreadable)
			require.ErrorContains(t, err, "there is no data key")
		}
		require.Equal(t, 1000, gets)
		for i := range uint32(1000) {
			binary.BigEndian.PutUint32(value[1:], i+7)
			require.ErrorIs(t, errOf(two.OpenValue(t.Context(), "purpose", value)), credstore.ErrUnreadable)
		}
		require.Equal(t, 1001, gets)
		require.Equal(t, asked, keeper.decrypts.Load())

		require.NoError(t, one.Rotate(t.Context()))
		fresh := record(t, one, "new")
		requireOpens(t, two, fresh, "new") // whatever strangers do
		require.NoError(t, one.Rotate(t.Context()))
		value, err = one.SealValue("purpose", []byte("plain"))
		require.NoError(t, err)
		time.Sleep(credstore.KeyPause)
		plain, err := two.OpenValue(t.Context(), "purpose", value)
		require.NoError(t, err)
		require.Equal(t, "plain", string(plain))
	})
}
