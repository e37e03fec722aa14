package credstore_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant/credstore"
	"github.com/outgrant/outgrant/credstore/driver"
	"github.com/outgrant/outgrant/oauthtest"
)

// A store that has lost its data keys must not get new ones: with these, nobody would look for the old ones.
func TestOpenWithoutTheDataKeys(t *testing.T) {
	for name, fill := range map[string]func(*testing.T, *place, *credstore.Store) error{
		"artifact": func(t *testing.T, p *place, s *credstore.Store) error {
			return s.Deploy(t.Context(), p.clientCredentials("S4_ORDERS"))
		},
		"grant": func(t *testing.T, _ *place, s *credstore.Store) error {
			return errOf(s.Vault().Save(t.Context(), "OWN", "", consented("S3NTINEL-refresh")))
		},
		"tenant": func(t *testing.T, p *place, s *credstore.Store) error {
			return s.Tenant("acme").Deploy(t.Context(), p.clientCredentials("S4_ORDERS"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, oauthtest.ServerOptions{}, func(t *testing.T, p *place) {
				open := func() error { return errOf(credstore.Open(p.backend, p.options())) }
				require.NoError(t, fill(t, p, p.open(t)))
				lost := keyRecord(t, p.backend, "1")
				require.NoError(t, p.backend.Delete(t.Context(), lost.Key, ""))
				err := open()
				require.ErrorContains(t, err, `credstore: the store has records of kind "`+name+`", and its data keys (records of kind "key") are missing: restore them from a backup`)
				p.show(err)
				require.ErrorIs(t, errOf(p.backend.Get(t.Context(), lost.Key)), driver.ErrNotFound, "no new one is made")

				p.backend.inject(func(_ context.Context, op string, k driver.Key) error {
					if op == "list" && k.Kind == name {
						return errDisk
					}
					return nil
				})
				require.ErrorIs(t, open(), errDisk)
				require.ErrorIs(t, errOf(p.backend.Store.Get(t.Context(), lost.Key)), driver.ErrNotFound)
				p.backend.inject(nil)

				_, err = p.backend.Put(t.Context(), lost, "")
				require.NoError(t, err)
				require.NoError(t, p.open(t).RotateKeys(t.Context()), "all can be read again")
			})
		})
	}
}

// Another process fills the store while this one finds it empty.
func TestOpenBesideAnotherProcess(t *testing.T) {
	inBubble(t, oauthtest.ServerOptions{}, func(t *testing.T, p *place) {
		first := true
		p.backend.inject(func(_ context.Context, op string, k driver.Key) error {
			if op == "list" && k.Kind == "tenant" && first {
				first = false
				return p.open(t).Tenant("acme").Deploy(t.Context(), p.clientCredentials("S4_ORDERS"))
			}
			return nil
		})
		require.NoError(t, errOf(p.open(t).Tenant("acme").TokenSource(t.Context(), "S4_ORDERS")))
		require.False(t, first)
	})
}

func TestOpenWithADamagedDataKey(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, err := credstore.OpenDir(dir, nil)
	require.NoError(t, err)
	require.NoError(t, s.Close())
	files, err := filepath.Glob(filepath.Join(dir, "records", "*", "1-*"))
	require.NoError(t, err)
	require.Len(t, files, 1)
	whole, err := os.ReadFile(files[0])
	require.NoError(t, err)
	for _, at := range []int{0, len(whole) - 1} {
		damaged := append([]byte{}, whole...)
		damaged[at] ^= 1
		require.NoError(t, os.WriteFile(files[0], damaged, 0o600))
		err = errOf(credstore.OpenDir(dir, nil))
		require.ErrorIs(t, err, driver.ErrDamaged)
		require.ErrorContains(t, err, files[0])
		require.ErrorContains(t, err, "; restore it from a backup, and do not delete it: what it has sealed is lost without it")
		require.NotContains(t, err.Error(), "deploy")
	}
}
