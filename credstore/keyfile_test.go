package credstore_test

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant/credstore"
)

// newKeeper has a key file of its own.
func newKeeper(t testing.TB) credstore.Keeper {
	t.Helper()
	keeper, err := credstore.LocalKeeper(filepath.Join(t.TempDir(), "key"))
	require.NoError(t, err)
	return keeper
}

func keyFile(t testing.TB, text string, mode fs.FileMode) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "key")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	require.NoError(t, os.Chmod(path, mode))
	return path
}

func flipped(b []byte, i, bit int) []byte {
	b = append([]byte(nil), b...)
	b[i] ^= 1 << bit
	return b
}

func errOf(_ any, err error) error { return err }

func requirePrints(t testing.TB, want string, v any) {
	t.Helper()
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		require.Equal(t, want, fmt.Sprintf(verb, v), verb)
	}
	text, err := json.Marshal(v)
	require.NoError(t, err)
	quoted, err := json.Marshal(want)
	require.NoError(t, err)
	require.JSONEq(t, string(quoted), string(text))
}

// The file is made when a key is needed to encrypt, and not sooner: a file that was lost must be missed.
func TestLocalKeeperMakesItsFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "key")
	keeper, err := credstore.LocalKeeper(path)
	require.NoError(t, err)
	err = errOf(keeper.Decrypt(t.Context(), []byte("x")))
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.ErrorContains(t, err, path)
	require.ErrorContains(t, err, "restore")
	require.NoFileExists(t, path)

	sealed, err := keeper.Encrypt(t.Context(), []byte("text"))
	require.NoError(t, err)
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Regexp(t, `^outgrant-key-1:[A-Za-z0-9+/]{43}=\n$`, string(text))
	if runtime.GOOS != "windows" {
		info, err := os.Stat(path)
		require.NoError(t, err)
		require.Equal(t, fs.FileMode(0o600), info.Mode())
	}
	requireAlone(t, path)

	again, err := credstore.LocalKeeper(path)
	require.NoError(t, err)
	plain, err := again.Decrypt(t.Context(), sealed)
	require.NoError(t, err)
	require.Equal(t, "text", string(plain))

	require.NoError(t, os.Remove(path))
	lost, err := credstore.LocalKeeper(path)
	require.NoError(t, err)
	require.ErrorIs(t, errOf(lost.Decrypt(t.Context(), sealed)), fs.ErrNotExist)
	require.NoFileExists(t, path)
	require.NoError(t, errOf(keeper.Decrypt(t.Context(), sealed)), "who has read it keeps it")
}

func requireAlone(t testing.TB, path string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Dir(path))
	require.NoError(t, err)
	require.Len(t, entries, 1, "nothing else is left behind")
}

func TestLocalKeeperTakesKeyFiles(t *testing.T) {
	t.Parallel()
	want, err := credstore.LocalKeeper(keyFile(t, "outgrant-key-1:"+sentinelKeyText+"\n", 0o600))
	require.NoError(t, err)
	for name, text := range map[string]string{
		"edited on Windows": "outgrant-key-1:" + sentinelKeyText + "\r\n",
		"without line end":  "outgrant-key-1:" + sentinelKeyText,
		"made by openssl":   sentinelKeyText + "\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			keeper, err := credstore.LocalKeeper(keyFile(t, text, 0o400))
			require.NoError(t, err)
			requireSame(t, want, keeper)
		})
	}
}

func TestLocalKeeperRefusesKeyFiles(t *testing.T) {
	t.Parallel()
	const badForm, restore = "does not hold a key", "restore the one that the store was made with"
	good := "outgrant-key-1:" + sentinelKeyText + "\n"
	for name, c := range map[string]struct {
		text string
		mode fs.FileMode
		want []string
	}{
		"empty":               {"", 0o600, []string{badForm, restore}},
		"truncated":           {good[:len(good)-5], 0o600, []string{badForm, restore}},
		"truncated by four":   {good[:len(good)-6] + "\n", 0o600, []string{badForm, restore}},
		"of a newer version":  {strings.Replace(good, "-1:", "-2:", 1), 0o600, []string{badForm, restore}},
		"raw bytes":           {sentinelKey, 0o600, []string{badForm, restore}},
		"two keys":            {good + good, 0o600, []string{badForm, restore}},
		"something large":     {good + strings.Repeat(" ", 5000), 0o600, []string{badForm, restore}},
		"the group may read":  {good, 0o640, []string{"mode 0640", "0600"}},
		"others may read":     {good, 0o604, []string{"mode 0604", "0600"}},
		"the group may write": {good, 0o620, []string{"mode 0620", "0600"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if runtime.GOOS == "windows" && c.mode != 0o600 {
				t.Skip("files have no such modes")
			}
			path := keyFile(t, c.text, c.mode)
			keeper, err := credstore.LocalKeeper(path)
			require.Nil(t, keeper)
			for _, part := range append(c.want, path) {
				require.ErrorContains(t, err, part)
			}
			require.NotContains(t, err.Error(), "sentinel")
			require.NotContains(t, err.Error(), sentinelKeyText[:10])
			text, err := os.ReadFile(path)
			require.NoError(t, err)
			require.Equal(t, c.text, string(text), "it is left alone")
		})
	}

	dir := t.TempDir()
	require.ErrorContains(t, errOf(credstore.LocalKeeper("")), "empty")
	require.ErrorContains(t, errOf(credstore.LocalKeeper(dir)), badForm)
	require.ErrorContains(t, errOf(credstore.LocalKeeper(filepath.Join(dir, "none", "key"))), "make it first")
	require.Error(t, errOf(credstore.LocalKeeper(filepath.Join(keyFile(t, good, 0o600), "key"))), "below a file")

	// It was fine when the Keeper was made, and is not when the key is needed.
	keeper, err := credstore.LocalKeeper(filepath.Join(dir, "key"))
	require.NoError(t, err)
	require.NoError(t, os.Mkdir(filepath.Join(dir, "key"), 0o700))
	require.ErrorContains(t, errOf(keeper.Encrypt(t.Context(), nil)), badForm)
	require.NoError(t, os.Remove(filepath.Join(dir, "key")))
	require.NoError(t, os.Remove(dir))
	err = errOf(keeper.Encrypt(t.Context(), nil))
	require.ErrorContains(t, err, "cannot be made")
	require.ErrorContains(t, err, "openssl rand -base64 32")
	require.NoError(t, os.Mkdir(dir, 0o700))
	require.NoError(t, errOf(keeper.Encrypt(t.Context(), nil)), "no failure is remembered")
}

func TestOneKeyFileForAllGoroutines(t *testing.T) {
	t.Parallel()
	for range 20 {
		path := filepath.Join(t.TempDir(), "key")
		sealed := make([][]byte, 8)
		var all sync.WaitGroup
		for i := range sealed {
			keeper, err := credstore.LocalKeeper(path)
			require.NoError(t, err)
			all.Go(func() { sealed[i], _ = keeper.Encrypt(t.Context(), []byte("text")) })
		}
		all.Wait()
		requireAllOpen(t, path, sealed)
	}
}

func requireAllOpen(t testing.TB, path string, sealed [][]byte) {
	t.Helper()
	keeper, err := credstore.LocalKeeper(path)
	require.NoError(t, err)
	for _, s := range sealed {
		plain, err := keeper.Decrypt(t.Context(), s)
		require.NoError(t, err)
		require.Equal(t, "text", string(plain))
	}
	requireAlone(t, path)
}

func TestOneKeyFileForAllProcesses(t *testing.T) {
	const where = "OUTGRANT_TEST_KEY_FILE"
	if path := os.Getenv(where); path != "" { // a helper process
		keeper, err := credstore.LocalKeeper(path)
		require.NoError(t, err)
		fmt.Println("ready")
		_, _ = io.ReadAll(os.Stdin) // until all are let go
		sealed, err := keeper.Encrypt(t.Context(), []byte("text"))
		require.NoError(t, err)
		fmt.Println(base64.StdEncoding.EncodeToString(sealed))
		return
	}
	t.Parallel()
	path := filepath.Join(t.TempDir(), "key")
	gate, opener, err := os.Pipe()
	require.NoError(t, err)
	defer func() { _ = errors.Join(gate.Close(), opener.Close()) }()
	helpers, outputs := make([]*exec.Cmd, 4), make([]*bufio.Reader, 4)
	for i := range helpers {
		helpers[i] = exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestOneKeyFileForAllProcesses$")
		helpers[i].Env = append(os.Environ(), where+"="+path)
		helpers[i].Stdin = gate
		output, err := helpers[i].StdoutPipe()
		require.NoError(t, err)
		outputs[i] = bufio.NewReader(output)
		require.NoError(t, helpers[i].Start())
	}
	for _, output := range outputs {
		line, err := output.ReadString('\n')
		require.NoError(t, err)
		require.Equal(t, "ready\n", line)
	}
	require.NoError(t, opener.Close())
	sealed := make([][]byte, len(helpers))
	for i, output := range outputs {
		line, err := output.ReadString('\n')
		require.NoError(t, err)
		sealed[i], err = base64.StdEncoding.DecodeString(strings.TrimSpace(line))
		require.NoError(t, err, line)
	}
	for i, helper := range helpers {
		_, _ = io.Copy(io.Discard, outputs[i])
		require.NoError(t, helper.Wait())
	}
	requireAllOpen(t, path, sealed)
}
