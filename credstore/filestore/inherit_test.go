//go:build unix

package filestore_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func init() {
	children["lock and start a child"] = lockAndStartChild
	children["wait"] = func(string) error {
		_, err := io.Copy(io.Discard, os.Stdin)
		return err
	}
}

// lockAndStartChild starts a process that outlives it, as a program may that calls another one.
func lockAndStartChild(dir string) error {
	s, err := open(dir)
	if err != nil {
		return err
	}
	if _, err := s.Lock(context.Background(), key("orders")); err != nil {
		return err
	}
	program, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.Command(program)
	cmd.Env = append(os.Environ(), childVariable+"=wait")
	cmd.Stdin = os.Stdin
	if err := cmd.Start(); err != nil {
		return err
	}
	fmt.Println(cmd.Process.Pid)
	return cmd.Wait()
}

func TestChildrenInheritNoLock(t *testing.T) {
	t.Parallel()
	dir := newDir(t)
	s := openStore(t, dir)
	cmd := childCommand(t, "lock and start a child", dir)
	in, keepsWaiting, err := os.Pipe()
	require.NoError(t, err)
	defer keepsWaiting.Close()
	cmd.Stdin = in
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	in.Close()
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	grandchild, err := strconv.Atoi(strings.TrimSpace(line))
	require.NoError(t, err)
	_, ok, err := s.TryLock(t.Context(), key("orders"))
	require.NoError(t, err)
	require.False(t, ok)

	require.NoError(t, cmd.Process.Kill())
	killed := time.Now()
	l, err := s.Lock(t.Context(), key("orders"))
	require.NoError(t, err)
	require.Less(t, time.Since(killed), 200*time.Millisecond)
	require.NoError(t, syscall.Kill(grandchild, 0), "the child of the holder is still there")
	require.NoError(t, l.Unlock())
	_ = cmd.Wait()
}
