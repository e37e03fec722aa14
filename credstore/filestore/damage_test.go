package filestore_test

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant/credstore/driver"
	"github.com/outgrant/outgrant/credstore/filestore"
)

// damage is what happens to a file, and whether it can still be told whose record it is.
type damage struct {
	name    string
	content []byte
}

func damages(whole []byte) []damage {
	var all []damage
	for i := range whole {
		for _, bits := range []byte{0x01, 0x20} {
			changed := slices.Clone(whole)
			changed[i] ^= bits
			all = append(all, damage{"changed", changed})
		}
		all = append(all, damage{"cut off", whole[:i]})
		all = append(all, damage{"without a byte", slices.Delete(slices.Clone(whole), i, i+1)})
		all = append(all, damage{"with one more byte", slices.Insert(slices.Clone(whole), i, ' ')})
	}
	return append(all,
		damage{"longer", append(slices.Clone(whole), 0)},
		damage{"twice", append(slices.Clone(whole), whole...)},
		damage{"zeroes", make([]byte, len(whole))},
		damage{"a huge hole", make([]byte, 1<<20)})
}

func TestDamagedRecord(t *testing.T) {
	t.Parallel()
	dir := newDir(t)
	s := openStore(t, dir)
	version := put(t, s, record("orders"), "")
	put(t, s, record("other"), "")
	file := fileOf(t, dir, "orders")
	whole, err := os.ReadFile(file)
	require.NoError(t, err)

	for i, damage := range damages(whole) {
		require.NoError(t, os.WriteFile(file, damage.content, 0o600))
		refuses := func(err error) {
			t.Helper()
			require.Error(t, err, "%s: %q", damage.name, damage.content)
			require.ErrorIs(t, err, driver.ErrDamaged)
			require.NotErrorIs(t, err, driver.ErrNotFound)
			require.NotErrorIs(t, err, driver.ErrConflict)
			require.ErrorContains(t, err, file)
			require.NotContains(t, err.Error(), "sealed of")
			require.NotContains(t, err.Error(), "delete", "what to do depends on what it is")
		}
		got, err := s.Get(t.Context(), key("orders"))
		refuses(err)
		require.Contains(t, err.Error(), `record "orders" of kind "artifact", tenant "acme"`)
		require.Empty(t, got.Sealed)
		require.Empty(t, got.Info)

		names, errs := listed(s, "acme", kind)
		require.Equal(t, []string{"other"}, names, "%s: %q", damage.name, damage.content)
		require.Len(t, errs, 1)
		for k, err := range errs {
			refuses(err)
			require.Contains(t, []driver.Key{key("orders"), key("")}, k, "as much of the key as is known")
		}
		if i%10 != 0 {
			continue
		}
		_, err = s.Put(t.Context(), record("orders"), version)
		refuses(err)
		_, err = s.Put(t.Context(), record("orders"), "")
		refuses(err)
		refuses(s.Delete(t.Context(), key("orders"), version))
		due, err := s.Due(t.Context(), kind, noon, 10)
		refuses(err)
		require.Equal(t, []driver.Key{key("other")}, due)
	}

	require.NoError(t, s.Delete(t.Context(), key("orders"), ""), "how one gets rid of it")
	put(t, s, record("orders"), "")
	names, errs := listed(s, "acme", kind)
	require.Len(t, names, 2)
	require.Empty(t, errs)
	due, err := s.Due(t.Context(), kind, noon, 10)
	require.NoError(t, err)
	require.Len(t, due, 2)
}

// Where a record is large, a list need not read what is sealed, nor need a write: it replaces it.
func TestDamagedSealOfALargeRecord(t *testing.T) {
	t.Parallel()
	for size, isListed := range map[int]bool{30 << 10: false, 32 << 10: false, 32<<10 + 1: true, 1 << 20: true} {
		dir := newDir(t)
		s := openStore(t, dir)
		r := record("orders")
		r.Sealed, r.Info = make([]byte, size), make([]byte, 10<<10)
		version := put(t, s, r, "")
		names, errs := listed(s, "acme", kind)
		require.Equal(t, []string{"orders"}, names)
		require.Empty(t, errs)

		file := fileOf(t, dir, "orders")
		whole, err := os.ReadFile(file)
		require.NoError(t, err)
		whole[len(whole)-1] ^= 1
		require.NoError(t, os.WriteFile(file, whole, 0o600))
		_, err = s.Get(t.Context(), r.Key)
		require.ErrorIs(t, err, driver.ErrDamaged)
		names, errs = listed(s, "acme", kind)
		require.Len(t, names, map[bool]int{true: 1}[isListed], size)
		require.Len(t, errs, 1-len(names))
		if isListed {
			put(t, s, r, version)
			_, err = s.Get(t.Context(), r.Key)
			require.NoError(t, err)
		}
	}
}

func TestDamagedKeyIsKnownFromTheFile(t *testing.T) {
	t.Parallel()
	dir := newDir(t)
	s := openStore(t, dir)
	put(t, s, record("orders"), "")
	file := fileOf(t, dir, "orders")
	whole, err := os.ReadFile(file)
	require.NoError(t, err)
	whole[0] ^= 1
	require.NoError(t, os.WriteFile(file, whole, 0o600))

	names, errs := listed(s, "acme", kind)
	require.Empty(t, names)
	require.Contains(t, errs, key("orders"), "what stands in the file is proved by the file's name")
}

func TestRecordInAnothersPlace(t *testing.T) {
	t.Parallel()
	dir := newDir(t)
	s := openStore(t, dir)
	stolen := record("stolen")
	stolen.Tenant = "evil"
	for _, r := range []driver.Record{record("orders"), record("other"), stolen} {
		put(t, s, r, "")
	}
	copyFile := func(from, to string) {
		content, err := os.ReadFile(from)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(to, content, 0o600))
	}
	place := fileOf(t, dir, "other")
	for from, told := range map[string]string{
		"orders": `it is record "orders" of kind "artifact", tenant "acme", and was copied or moved there`,
		"stolen": `it is record "stolen" of kind "artifact", tenant "evil", and was copied or moved there`,
	} {
		copyFile(fileOf(t, dir, from), place)
		_, err := s.Get(t.Context(), key("other"))
		require.ErrorContains(t, err, `record "other" of kind "artifact", tenant "acme" cannot be used`)
		require.ErrorContains(t, err, told)
		require.ErrorIs(t, err, driver.ErrDamaged)
		names, errs := listed(s, "acme", kind)
		require.Equal(t, []string{"orders"}, names)
		require.Len(t, errs, 1)
		require.ErrorContains(t, errs[key("")], told)
	}
	require.NoError(t, os.Remove(place))

	// Under its own file name, in the folder of another tenant.
	from := fileOf(t, dir, "stolen")
	copyFile(from, filepath.Join(filepath.Dir(place), filepath.Base(from)))
	names, errs := listed(s, "acme", kind)
	require.Equal(t, []string{"orders"}, names)
	require.Len(t, errs, 1)
	require.ErrorContains(t, errs[key("")], `tenant "evil", and was copied or moved there`)
}

func TestForeignFiles(t *testing.T) {
	t.Parallel()
	dir := newDir(t)
	s := openStore(t, dir)
	put(t, s, record("orders"), "")
	file := fileOf(t, dir, "orders")
	folder := filepath.Dir(file)
	for _, name := range []string{".DS_Store", "notes.txt", filepath.Base(file) + "~", filepath.Base(file) + ".bak", "." + filepath.Base(file) + ".swp", "Thumbs.db"} {
		require.NoError(t, os.WriteFile(filepath.Join(folder, name), []byte("x"), 0o600))
	}
	require.NoError(t, os.Mkdir(filepath.Join(folder, "folder"), 0o700))
	entry := filepath.Join(dir, filestore.EntryOf(key("orders"), noon))
	for _, name := range []string{".DS_Store", "000000.000000+x+y", "+", "++", "2031-05-06~"} {
		require.NoError(t, os.WriteFile(filepath.Join(filepath.Dir(entry), name), []byte("x"), 0o600))
		require.NoError(t, os.WriteFile(filepath.Join(filepath.Dir(filepath.Dir(entry)), name), []byte("x"), 0o600))
	}

	names, errs := listed(s, "acme", kind)
	require.Equal(t, []string{"orders"}, names)
	require.Empty(t, errs)
	due, err := s.Due(t.Context(), kind, noon, 10)
	require.NoError(t, err)
	require.Equal(t, []driver.Key{key("orders")}, due)

	// What looks like a record is named.
	alike := filepath.Join(folder, "x"+filepath.Base(file)[len("orders"):])
	require.NoError(t, os.WriteFile(alike, []byte("x"), 0o600))
	names, errs = listed(s, "acme", kind)
	require.Equal(t, []string{"orders"}, names)
	require.ErrorContains(t, errs[key("")], alike)
}
