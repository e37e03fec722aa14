package filestore

import (
	"path/filepath"
	"strings"
	"syscall"
	"unsafe"
)

// networkFileSystem returns what kind of network drive a folder is on, "" if it is on another one.
func networkFileSystem(dir string) (string, error) {
	const remote = 4 // DRIVE_REMOTE
	volume := filepath.VolumeName(dir)
	if strings.HasPrefix(volume, `\\`) && !strings.HasPrefix(volume, `\\?\`) && !strings.HasPrefix(volume, `\\.\`) {
		return "a share", nil
	}
	name, err := syscall.UTF16PtrFromString(volume + `\`)
	if err != nil {
		return "", err
	}
	if kind, _, _ := getDriveType.Call(uintptr(unsafe.Pointer(name))); kind == remote {
		return "a network drive", nil
	}
	return "", nil
}
