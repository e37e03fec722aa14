package credstore

import (
	"crypto/cipher"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"sync"
)

// LocalKeeper returns a Keeper whose key is in the file at path. If there is no such file, it is made when the key is
// first needed to encrypt, which is when a store is new: readable by its owner only, and by one process if several try at
// once. So a file that was lost is missed, not replaced. Its folder must be there. The file is read once.
//
// Keep a copy of the file elsewhere than those of the store: without it the store cannot be read, and with it anybody can
// who has both. A file that others than its owner may read is refused; on Windows, the folder's permissions are yours to
// set. It prints the path and nothing else.
func LocalKeeper(path string) (Keeper, error) {
	if path == "" {
		return nil, errors.New("credstore: the path of the key file is empty")
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("credstore: the key file: %w", err)
	}
	file := &keyFile{path: path}
	if _, err := file.aead(false); errors.Is(err, fs.ErrNotExist) {
		if _, err := os.Stat(filepath.Dir(path)); err != nil {
			return nil, fmt.Errorf("credstore: the folder of the key file cannot be used: make it first: %w", err)
		}
	} else if err != nil {
		return nil, fmt.Errorf("credstore: %w", err)
	}
	return localKeeper{
		name: fmt.Sprintf("credstore.LocalKeeper(%q)", path),
		key:  fmt.Sprintf("the key in the file %q", path),
		aead: file.aead,
	}, nil
}

// keyFile reads a key file once, and makes it if it must.
type keyFile struct {
	path string

	mu   sync.Mutex
	read cipher.AEAD // nil: not yet
}

func (f *keyFile) aead(mayMake bool) (cipher.AEAD, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.read != nil {
		return f.read, nil
	}
	aead, err := readKeyFile(f.path)
	if errors.Is(err, fs.ErrNotExist) && mayMake {
		if err := makeKeyFile(f.path); err != nil {
			return nil, fmt.Errorf("the key file %q cannot be made: %w; let this program write to its folder, "+
				"or make the file yourself by: openssl rand -base64 32", f.path, err)
		}
		aead, err = readKeyFile(f.path) // it may be another process's
	}
	f.read = aead
	return aead, err
}

const largestKeyFile = 4096

// readKeyFile returns an error that matches fs.ErrNotExist if there is none.
func readKeyFile(path string) (cipher.AEAD, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("there is no key file %q: restore the one that the store was made with: %w", path, fs.ErrNotExist)
	}
	if err != nil {
		return nil, fmt.Errorf("the key file cannot be read: %w", err)
	}
	mode := info.Mode()
	if runtime.GOOS != "windows" && mode.IsRegular() && mode.Perm()&0o077 != 0 {
		return nil, fmt.Errorf("others than its owner may read the key file %q (mode %04o): change its mode to 0600, "+
			"and take another key if somebody may have read this one", path, mode.Perm())
	}
	var text []byte
	if mode.IsRegular() && info.Size() <= largestKeyFile {
		if text, err = os.ReadFile(path); err != nil {
			return nil, fmt.Errorf("the key file cannot be read: %w", err)
		}
	}
	aead, ok := parseKey(string(text))
	if !ok {
		return nil, fmt.Errorf("the file %q does not hold a key, which is a line of 32 bytes in base64: "+
			"restore the one that the store was made with; if there is no store yet, remove the file", path)
	}
	return aead, nil
}

// makeKeyFile makes a file with a new key unless there is one. It appears whole or not at all, and outlives a crash of the machine.
func makeKeyFile(path string) error {
	dir, name := filepath.Split(path)
	temp, err := os.CreateTemp(dir, name+".new-*") // mode 0600
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(temp.Name()) }()
	key := make([]byte, keySize)
	_, _ = rand.Read(key) // never fails
	_, err = temp.WriteString(printKey(key))
	err = errors.Join(err, temp.Sync(), temp.Close())
	if err != nil {
		return err
	}
	if err := os.Link(temp.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return syncFolder(dir)
}

// syncFolder makes sure that the names in a folder outlive a crash of the machine. Windows has nothing of the kind.
func syncFolder(dir string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	folder, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}
