package credstore_test

import (
	"bytes"
	"context"
	"errors"
	"iter"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant/credstore"
	"github.com/outgrant/outgrant/credstore/driver"
	"github.com/outgrant/outgrant/credstore/memstore"
)

// service is a key management service that counts and can fail.
type service struct {
	credstore.Keeper
	encrypts, decrypts atomic.Int64
	encrypt, decrypt   func([]byte, error) ([]byte, error) // change what is answered; nil: nothing is changed
}

func newService(t testing.TB) *service { return &service{Keeper: newKeeper(t)} }

func (s *service) Encrypt(ctx context.Context, plain []byte) ([]byte, error) {
	s.encrypts.Add(1)
	sealed, err := s.Keeper.Encrypt(ctx, plain)
	if s.encrypt != nil {
		return s.encrypt(sealed, err)
	}
	return sealed, err
}

func (s *service) Decrypt(ctx context.Context, sealed []byte) ([]byte, error) {
	s.decrypts.Add(1)
	plain, err := s.Keeper.Decrypt(ctx, sealed)
	if s.decrypt != nil {
		return s.decrypt(plain, err)
	}
	return plain, err
}

var errDown = errors.New("the service is down")

func down([]byte, error) ([]byte, error) { return nil, errDown }

// backend is one whose methods can be replaced.
type backend struct {
	driver.Store
	get  func(driver.Key) (driver.Record, error)
	put  func(driver.Record, string) (string, error)
	list func() iter.Seq2[driver.Record, error]
}

func (b *backend) Get(ctx context.Context, k driver.Key) (driver.Record, error) {
	if b.get != nil {
		return b.get(k)
	}
	return b.Store.Get(ctx, k)
}

func (b *backend) Put(ctx context.Context, r driver.Record, version string) (string, error) {
	if b.put != nil {
		return b.put(r, version)
	}
	return b.Store.Put(ctx, r, version)
}

func (b *backend) List(ctx context.Context, tenant, kind string) iter.Seq2[driver.Record, error] {
	if b.list != nil {
		return b.list()
	}
	return b.Store.List(ctx, tenant, kind)
}

func openKeys(t testing.TB, drv driver.Store, keeper credstore.Keeper, older ...credstore.Keeper) *credstore.DataKeys {
	t.Helper()
	keys, err := credstore.OpenKeys(t.Context(), drv, keeper, older)
	require.NoError(t, err)
	return keys
}

// record is sealed by keys.
func record(t testing.TB, keys *credstore.DataKeys, plain string) driver.Record {
	t.Helper()
	r := driver.Record{Key: driver.Key{Tenant: "acme", Kind: "grant", Name: "MAILBOX"}, Info: []byte(`{"status":"Deployed"}`)}
	var err error
	r.Sealed, err = keys.Seal(r, []byte(plain))
	require.NoError(t, err)
	return r
}

func requireOpens(t testing.TB, keys *credstore.DataKeys, r driver.Record, want string) {
	t.Helper()
	plain, err := keys.Open(t.Context(), r)
	require.NoError(t, err)
	require.Equal(t, want, string(plain))
}

func keyRecord(t testing.TB, drv driver.Store, name string) driver.Record {
	t.Helper()
	r, err := drv.Get(t.Context(), driver.Key{Kind: "key", Name: name})
	require.NoError(t, err)
	return r
}

func TestTheFirstKeyIsMadeOnce(t *testing.T) {
	t.Parallel()
	drv, keeper := memstore.New(), newService(t)
	first := openKeys(t, drv, keeper)
	require.EqualValues(t, 1, first.Current())
	r := record(t, first, "plain")
	require.EqualValues(t, 1, credstore.GenerationOf(r))
	stored := keyRecord(t, drv, "1")
	require.Regexp(t, `^\{"created":"2\d\d\d-[^"]*Z"\}$`, string(stored.Info))

	second := openKeys(t, drv, keeper)
	requireOpens(t, second, r, "plain")
	requireOpens(t, first, record(t, second, "other"), "other")
	require.Equal(t, stored, keyRecord(t, drv, "1"))
	require.EqualValues(t, 1, keeper.encrypts.Load())
	asked := keeper.decrypts.Load()
	for range 10 {
		requireOpens(t, first, record(t, second, "plain"), "plain")
	}
	require.Equal(t, asked, keeper.decrypts.Load(), "the Keeper is not on this path")
}

func TestManyOpenAnEmptyStoreAtOnce(t *testing.T) {
	t.Parallel()
	keeper := newKeeper(t)
	for range 50 {
		drv, start := memstore.New(), make(chan struct{})
		opened := make([]*credstore.DataKeys, 8)
		var all sync.WaitGroup
		for i := range opened {
			all.Go(func() {
				<-start
				opened[i], _ = credstore.OpenKeys(t.Context(), drv, keeper, nil)
			})
		}
		close(start)
		all.Wait()
		for _, one := range opened {
			require.NotNil(t, one)
			for _, other := range opened {
				requireOpens(t, other, record(t, one, "plain"), "plain")
			}
		}
	}
}

// The one that is second meets the other's key when it puts its own.
func TestTheSecondTakesTheKeyOfTheFirst(t *testing.T) {
	t.Parallel()
	drv, keeper := memstore.New(), newKeeper(t)
	var first *credstore.DataKeys
	second := openKeys(t, &backend{Store: drv, put: func(r driver.Record, version string) (string, error) {
		first = openKeys(t, drv, keeper)
		return drv.Put(t.Context(), r, version)
	}}, keeper)
	requireOpens(t, first, record(t, second, "plain"), "plain")
	requireOpens(t, second, record(t, first, "plain"), "plain")
}

func TestALostKeySaysWhatCanBeDone(t *testing.T) {
	t.Parallel()
	drv := memstore.New()
	openKeys(t, drv, newKeeper(t))
	stored := keyRecord(t, drv, "1")
	lostFile, wrong := newKeeper(t), newService(t)
	require.NoError(t, errOf(wrong.Encrypt(t.Context(), nil))) // makes its key
	for name, c := range map[string]struct {
		keeper credstore.Keeper
		older  []credstore.Keeper
		want   string
	}{
		"the file is lost": {lostFile, nil, "the Keeper: there is no key file"},
		"another key":      {wrong, nil, "the Keeper: the key in the file"},
		"older ones, too":  {lostFile, []credstore.Keeper{wrong, lostFile}, "older Keeper 1: the key in the file"},
		"a service fails":  {&service{Keeper: wrong, decrypt: down}, nil, "the Keeper: the service is down"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			keys, err := credstore.OpenKeys(t.Context(), drv, c.keeper, c.older)
			require.Nil(t, keys)
			for _, part := range []string{"data key 1", c.want, "restore", "Options.OlderKeepers", "deploy and authorize again in an empty store"} {
				require.ErrorContains(t, err, part)
			}
			require.Equal(t, name == "a service fails", errors.Is(err, errDown))
			require.Equal(t, stored, keyRecord(t, drv, "1"), "it is left alone")
		})
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, errOf(credstore.OpenKeys(ended, drv, wrong, nil)), context.Canceled)
	require.ErrorIs(t, errOf(credstore.OpenKeys(ended, memstore.New(), wrong, nil)), context.Canceled)
	require.ErrorContains(t, errOf(credstore.OpenKeys(t.Context(), drv, nil, nil)), "a Keeper is missing")
	require.ErrorContains(t, errOf(credstore.OpenKeys(t.Context(), drv, wrong, []credstore.Keeper{nil})), "a Keeper is missing")
}

// Nothing is sealed under a key that cannot be had back.
func TestAKeeperThatCannotBeTrustedIsRefused(t *testing.T) {
	t.Parallel()
	garbage := func(plain []byte, err error) ([]byte, error) { return bytes.Repeat([]byte{7}, len(plain)), err }
	for name, c := range map[string]struct {
		encrypt, decrypt func([]byte, error) ([]byte, error)
		want             string
	}{
		"cannot encrypt":         {down, nil, "cannot encrypt data key 1: the service is down"},
		"cannot decrypt":         {nil, down, "cannot decrypt what it encrypted; let it do both: the service is down"},
		"encrypts to garbage":    {garbage, nil, "cannot decrypt what it encrypted"},
		"encrypts to nothing":    {func([]byte, error) ([]byte, error) { return nil, nil }, nil, "cannot decrypt what it encrypted"},
		"decrypts to garbage":    {nil, garbage, "something else than it encrypted"},
		"decrypts to nothing":    {nil, func([]byte, error) ([]byte, error) { return nil, nil }, "something else than it encrypted"},
		"decrypts to a part":     {nil, func(plain []byte, err error) ([]byte, error) { return plain[:32], err }, "something else than it encrypted"},
		"decrypts to more":       {nil, func(plain []byte, err error) ([]byte, error) { return append(plain, 0), err }, "something else than it encrypted"},
		"decrypts to a key of 0": {nil, func([]byte, error) ([]byte, error) { return make([]byte, 64), nil }, "something else than it encrypted"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			drv, keeper := memstore.New(), newService(t)
			keeper.encrypt, keeper.decrypt = c.encrypt, c.decrypt
			require.ErrorContains(t, errOf(credstore.OpenKeys(t.Context(), drv, keeper, nil)), c.want)
			for range drv.List(t.Context(), "", "key") {
				t.Fatal("nothing is stored")
			}
			if c.decrypt == nil {
				return
			}
			keeper.decrypt = nil // the store is made while it works
			openKeys(t, drv, keeper)
			keeper.decrypt = c.decrypt
			require.ErrorContains(t, errOf(credstore.OpenKeys(t.Context(), drv, keeper, nil)), "data key 1 cannot be decrypted")
		})
	}
}

func TestDataKeysThatAreNotWhatTheyWere(t *testing.T) {
	t.Parallel()
	drv, keeper := memstore.New(), newKeeper(t)
	keys := openKeys(t, drv, keeper)
	old := record(t, keys, "plain")
	require.NoError(t, keys.Rotate(t.Context()))
	one, two := keyRecord(t, drv, "1"), keyRecord(t, drv, "2")
	swap := func(r driver.Record, sealed []byte) {
		r.Sealed = sealed
		r.Version = keyRecord(t, drv, r.Name).Version
		require.NoError(t, errOf(drv.Put(t.Context(), r, r.Version)))
	}

	swap(two, one.Sealed)
	require.ErrorContains(t, errOf(credstore.OpenKeys(t.Context(), drv, keeper, nil)), "data key 2 cannot be decrypted: the Keeper: it decrypts to something else")
	for i := range two.Sealed {
		swap(two, flipped(two.Sealed, i, i%8))
		require.ErrorContains(t, errOf(credstore.OpenKeys(t.Context(), drv, keeper, nil)), "data key 2 cannot be decrypted")
	}
	swap(two, two.Sealed)

	// An older one fails what it sealed, and nothing else.
	swap(one, two.Sealed)
	again := openKeys(t, drv, keeper)
	requireOpens(t, again, record(t, keys, "new"), "new")
	err := errOf(again.Open(t.Context(), old))
	require.ErrorContains(t, err, `record "MAILBOX" of kind "grant", tenant "acme" cannot be read now: data key 1 cannot be decrypted`)
	require.NotErrorIs(t, err, credstore.ErrUnreadable)
	require.ErrorContains(t, again.Rotate(t.Context()), "data key 1")
	require.EqualValues(t, 2, again.Current())

	require.NoError(t, drv.Delete(t.Context(), one.Key, ""))
	again = openKeys(t, drv, keeper)
	require.EqualValues(t, 2, again.Current())
	err = errOf(again.Open(t.Context(), old))
	require.ErrorIs(t, err, credstore.ErrUnreadable)
	require.NotErrorIs(t, err, driver.ErrNotFound, "the record is there")
	require.ErrorContains(t, err, "there is no data key 1")
	require.NoError(t, again.Rotate(t.Context()), "no number is given twice")
	require.EqualValues(t, 3, again.Current())
}

func TestABackendThatFails(t *testing.T) {
	t.Parallel()
	errDisk := errors.New("the disk is full")
	keeper := newKeeper(t)
	drv := memstore.New()
	full := &backend{Store: drv, put: func(driver.Record, string) (string, error) { return "", errDisk }}
	require.ErrorIs(t, errOf(credstore.OpenKeys(t.Context(), full, keeper, nil)), errDisk)
	keys := openKeys(t, drv, keeper)
	failing := func(list ...driver.Record) *backend {
		return &backend{Store: drv, list: func() iter.Seq2[driver.Record, error] {
			return func(yield func(driver.Record, error) bool) {
				for _, r := range list {
					if !yield(r, errDisk) {
						return
					}
				}
			}
		}}
	}

	// A key that cannot be read is not one that is not there: no other is made.
	unreadable := failing(driver.Record{Key: driver.Key{Kind: "key", Name: "1"}})
	unreadable.get = func(driver.Key) (driver.Record, error) { return driver.Record{}, errDisk }
	for name, bad := range map[string]*backend{
		"named":      unreadable,
		"not named":  failing(driver.Record{Key: driver.Key{Kind: "key"}}),
		"not at all": failing(driver.Record{}),
	} {
		bad.put = func(driver.Record, string) (string, error) { t.Errorf("%s: a key is made", name); return "", nil }
		require.ErrorIs(t, errOf(credstore.OpenKeys(t.Context(), bad, keeper, nil)), errDisk, name)
	}

	// What is not a generation's number is not one of ours.
	for _, name := range []string{"0", "09", "+9", "4294967296", "key"} {
		require.NoError(t, errOf(drv.Put(t.Context(), driver.Record{Key: driver.Key{Kind: "key", Name: name}}, "")))
	}
	requireOpens(t, openKeys(t, drv, keeper), record(t, keys, "plain"), "plain")
}
