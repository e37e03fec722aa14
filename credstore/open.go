package credstore

import (
	"crypto/cipher"
	"crypto/rand"
	"fmt"
	"path/filepath"

	"github.com/outgrant/outgrant/credstore/filestore"
	"github.com/outgrant/outgrant/credstore/memstore"
)

// OpenDir opens a store in a folder of encrypted files, which is made if it is not there. opts may be nil: then several
// processes of one user can share the folder as it is. See package filestore for what it wants of the file system, and
// Options.Keeper for where the key is. It waits for the disk and the Keeper: up to a minute.
func OpenDir(dir string, opts *Options) (*Store, error) {
	o := opts.withDefaults()
	drv, err := filestore.Open(dir, nil)
	if err != nil {
		return nil, fmt.Errorf("credstore: OpenDir: %w", err)
	}
	if o.Keeper == nil {
		if o.Keeper, err = LocalKeeper(filepath.Join(dir, "keeper.key")); err != nil {
			_ = drv.Close()
			return nil, err
		}
	}
	s, err := Open(drv, o)
	if err != nil {
		_ = drv.Close()
		return nil, err
	}
	return s, nil
}

// OpenMemory returns an empty store that forgets everything when the process ends, for tests and demos.
func OpenMemory() *Store {
	s, err := Open(memstore.New(), &Options{Keeper: memoryKeeper()})
	if err != nil {
		panic(err) // nothing in it can fail
	}
	return s
}

// memoryKeeper has a key that ends with the process.
func memoryKeeper() Keeper {
	key := make([]byte, keySize)
	_, _ = rand.Read(key) // never fails
	aead := newAEAD(key)
	return localKeeper{name: "credstore.OpenMemory", key: "the key of a store in memory", aead: func(bool) (cipher.AEAD, error) { return aead, nil }}
}
