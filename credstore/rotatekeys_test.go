package credstore_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/credstore"
	"github.com/outgrant/outgrant/credstore/driver"
	"github.com/outgrant/outgrant/oauthtest"
)

// generations counts the records of artifacts and grants of two tenants by the data key that they are sealed with.
func (p *place) generations(t testing.TB) map[uint32]int {
	t.Helper()
	counts := map[uint32]int{}
	for _, tenant := range []string{"", "acme"} {
		for _, kind := range []string{"artifact", "grant"} {
			for r, err := range p.backend.Store.List(t.Context(), tenant, kind) {
				require.NoError(t, err)
				counts[credstore.GenerationOf(stored(t, p, r.Key))]++
			}
		}
	}
	return counts
}

const sealedRecords = 2 * (6 + 2) // of damaged

// Keys are rotated while other processes go on: nothing is fetched again, and nobody is asked.
func TestRotateKeys(t *testing.T) {
	inBubble(t, oauthtest.ServerOptions{}, func(t *testing.T, p *place) {
		s := damaged(t, p)
		other := p.open(t)
		var sources []outgrant.TokenSource
		var had []outgrant.Secret
		for _, at := range []*credstore.Store{s, other.Tenant("acme")} {
			for _, name := range []string{"CLIENT_ONE", "MAILBOX_ONE"} {
				sources = append(sources, sourceOf(t, at, name))
				had = append(had, p.tokenOf(t, at, name))
			}
		}
		asked := p.TokenRequests()
		require.Equal(t, map[uint32]int{1: sealedRecords}, p.generations(t))
		require.NoError(t, s.RotateKeys(t.Context()))
		require.Equal(t, map[uint32]int{2: sealedRecords}, p.generations(t))
		time.Sleep(time.Second)
		for i, src := range sources {
			require.Equal(t, had[i], p.token(t, src))
		}
		require.Equal(t, asked, p.TokenRequests())
		require.NoError(t, other.Tenant("acme").Deploy(t.Context(), p.clientCredentials("NEW")))
		require.Equal(t, map[uint32]int{2: sealedRecords + 1}, p.generations(t), "the other process has met the new key")
		require.NoError(t, other.RotateKeys(t.Context()))
		require.Equal(t, map[uint32]int{3: sealedRecords + 1}, p.generations(t))
		time.Sleep(2 * time.Hour)
		for _, src := range sources {
			p.token(t, src)
		}
		require.Zero(t, p.Reuses())
	})
}

// The Keeper is replaced: first all processes know both, then the keys are rotated, and then the old one is gone.
func TestRotateKeysToAnotherKeeper(t *testing.T) {
	inBubble(t, oauthtest.ServerOptions{}, func(t *testing.T, p *place) {
		damaged(t, p)
		old, next := p.keeper, newKeeper(t)
		require.ErrorContains(t, errOf(credstore.Open(p.backend, &credstore.Options{Keeper: next})), "name its Keeper in Options.OlderKeepers")
		both := func(o *credstore.Options) { o.Keeper, o.OlderKeepers = next, []credstore.Keeper{old} }
		s, other := p.open(t, both), p.open(t, both)
		p.tokenOf(t, other, "MAILBOX_ONE")
		require.NoError(t, s.RotateKeys(t.Context()))
		p.tokenOf(t, other, "MAILBOX_TWO")
		require.NoError(t, other.Deploy(t.Context(), p.clientCredentials("NEW")))

		p.keeper = next
		s = p.open(t)
		for _, s := range []*credstore.Store{s, s.Tenant("acme")} {
			p.tokenOf(t, s, "MAILBOX_ONE")
			p.tokenOf(t, s, "CLIENT_TWO")
		}
		p.tokenOf(t, s, "NEW")
		require.Error(t, errOf(credstore.Open(p.backend, &credstore.Options{Keeper: old})))
	})
}

// What was not finished goes on at the next call; meanwhile all can be read.
func TestRotateKeysAfterFaults(t *testing.T) {
	inBubble(t, oauthtest.ServerOptions{}, func(t *testing.T, p *place) {
		s := damaged(t, p)
		for after := range 60 {
			var calls atomic.Int64
			p.backend.inject(func(context.Context, string, driver.Key) error {
				if calls.Add(1) > int64(after) {
					return errDisk
				}
				return nil
			})
			err := s.RotateKeys(t.Context())
			p.backend.inject(nil)
			require.Equal(t, calls.Load() > int64(after), err != nil, "%v", err)
			if err != nil {
				require.ErrorIs(t, err, errDisk)
			}
			fresh := p.open(t)
			for _, s := range []*credstore.Store{fresh, fresh.Tenant("acme")} {
				require.NoError(t, errOf(s.SecureParameter(t.Context(), "PARAMETER_ONE")))
				require.False(t, grantOf(t, s, "MAILBOX_TWO").Authorized.IsZero())
			}
			require.NoError(t, fresh.Close())
		}
		require.NoError(t, s.RotateKeys(t.Context()))
		require.Len(t, p.generations(t), 1)
	})
}

// One record that cannot be read is named, and the others are sealed again.
func TestRotateKeysWithADamagedRecord(t *testing.T) {
	inBubble(t, oauthtest.ServerOptions{}, func(t *testing.T, p *place) {
		s := damaged(t, p)
		k := driver.Key{Kind: "artifact", Name: "CLIENT_ONE"}
		r := stored(t, p, k)
		r.Sealed = flipped(r.Sealed, 30, 0)
		require.NoError(t, errOf(p.backend.Store.Put(t.Context(), r, r.Version)))
		err := s.RotateKeys(t.Context())
		require.ErrorIs(t, err, credstore.ErrUnreadable)
		require.ErrorContains(t, err, `"CLIENT_ONE"`)
		require.Equal(t, map[uint32]int{1: 1, 2: sealedRecords - 1}, p.generations(t))
	})
}

// Keys are rotated by two processes while everything else goes on.
func TestRotateKeysAmongEverything(t *testing.T) {
	t.Parallel()
	p := newPlace(t, oauthtest.ServerOptions{})
	dir := t.TempDir()
	stores := []*credstore.Store{p.openDir(t, dir), p.openDir(t, dir)}
	p.authorized(t, stores[0], "MAILBOX")
	var all sync.WaitGroup
	for i, s := range stores {
		all.Go(func() {
			for range 3 {
				if err := s.RotateKeys(t.Context()); err != nil {
					t.Error(err)
				}
			}
		})
		all.Go(func() {
			for n := range 10 {
				name := fmt.Sprintf("PARAMETER_%d", n%3)
				if err := s.Deploy(t.Context(), credstore.SecureParameter{Name: name, Value: "S3NTINEL-parameter"}); err != nil {
					t.Error(err)
				}
				if _, err := s.SecureParameter(t.Context(), name); err != nil {
					t.Error(err)
				}
			}
		})
		all.Go(func() {
			for range 5 {
				src, err := s.TokenSource(t.Context(), "MAILBOX")
				if err == nil {
					var token *outgrant.Token
					if token, err = src.Token(t.Context()); err == nil {
						src.(outgrant.Invalidator).Invalidate(token)
					}
				}
				if err != nil {
					t.Error(i, err)
				}
			}
		})
	}
	all.Wait()
	require.Zero(t, p.Reuses())
	require.NoError(t, stores[0].RotateKeys(t.Context()))
	p.tokenOf(t, stores[1], "MAILBOX")
}
