//go:build darwin || freebsd

package filestore

import (
	"fmt"
	"syscall"
)

// mntLocal is MNT_LOCAL of sys/mount.h.
const mntLocal = 0x1000

// networkFileSystem returns the name of the network file system that a folder is on, "" if it is on another one.
func networkFileSystem(dir string) (string, error) {
	var stat syscall.Statfs_t
	if err := syscall.Statfs(dir, &stat); err != nil {
		return "", fmt.Errorf("statfs: %w", err)
	}
	if stat.Flags&mntLocal != 0 {
		return "", nil
	}
	var name []byte
	for _, c := range stat.Fstypename {
		if c == 0 {
			break
		}
		name = append(name, byte(c))
	}
	return string(name), nil
}
