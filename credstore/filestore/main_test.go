package filestore_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant/credstore/driver"
	"github.com/outgrant/outgrant/credstore/drivertest"
	"github.com/outgrant/outgrant/credstore/filestore"
	"github.com/outgrant/outgrant/internal/leakcheck"
)

func TestMain(m *testing.M) {
	drivertest.Worker(open)
	if name := os.Getenv(childVariable); name != "" {
		if err := children[name](os.Getenv(dirVariable)); err != nil {
			fmt.Println("child:", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	leakcheck.Main(m)
}

func open(dir string) (driver.Store, error) { return filestore.Open(dir, nil) }

// A child is this program again, for what is done to a whole process. It tells by its error what is wrong.
const (
	childVariable = "OUTGRANT_FILESTORE_CHILD"
	dirVariable   = "OUTGRANT_FILESTORE_DIR"
)

var children = map[string]func(dir string) error{}

func childCommand(t *testing.T, name, dir string) *exec.Cmd {
	t.Helper()
	program, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.Command(program)
	cmd.Env = append(os.Environ(), childVariable+"="+name, dirVariable+"="+dir)
	return cmd
}

// newDir is a folder that Open makes.
func newDir(t testing.TB) string { return filepath.Join(t.TempDir(), "store") }

func openStore(t testing.TB, dir string) *filestore.Store {
	t.Helper()
	s, err := filestore.Open(dir, nil)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

const kind = "artifact"

func key(name string) driver.Key { return driver.Key{Tenant: "acme", Kind: kind, Name: name} }

// record is small, and has all parts.
func record(name string) driver.Record {
	return driver.Record{Key: key(name), Info: []byte("info of " + name), Sealed: []byte("sealed of " + name),
		Due: noon, Expires: noon.Add(time.Hour)}
}

var noon = time.Date(2031, 5, 6, 12, 0, 0, 123456000, time.UTC)

func put(t testing.TB, s driver.Store, r driver.Record, ifVersion string) (version string) {
	t.Helper()
	version, err := s.Put(context.Background(), r, ifVersion)
	require.NoError(t, err)
	return version
}

// fileOf returns the file that has the record.
func fileOf(t testing.TB, dir, name string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "records", "*", strings.ToLower(name)+"-*"))
	require.NoError(t, err)
	require.Len(t, files, 1)
	return files[0]
}

// files returns the names of all files below a folder, of one kind of them if it is not "".
func files(t testing.TB, dir string, below ...string) []string {
	t.Helper()
	var all []string
	root := filepath.Join(append([]string{dir}, below...)...)
	require.NoError(t, filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if os.IsNotExist(err) {
			return nil
		}
		if err == nil && !d.IsDir() {
			all = append(all, path)
		}
		return err
	}))
	return all
}

// listed returns the names that List yields without an error, and the errors.
func listed(s driver.Store, tenant, kind string) (names []string, errs map[driver.Key]error) {
	errs = map[driver.Key]error{}
	for r, err := range s.List(context.Background(), tenant, kind) {
		if err != nil {
			errs[r.Key] = err
		} else {
			names = append(names, r.Name)
		}
	}
	return names, errs
}
