package filestore

import (
	"fmt"
	"syscall"
)

// networkTypes are the file systems, by the numbers that statfs(2) gives them, that several machines may share.
var networkTypes = map[uint32]string{
	0x6969:     "NFS",
	0x517B:     "SMB",
	0xFF534D42: "CIFS",
	0xFE534D42: "SMB2",
	0x01021997: "9P",
	0x564C:     "NCP",
	0x73757245: "Coda",
	0x5346414F: "AFS",
	0x6B414653: "AFS",
	0x00C36400: "Ceph",
	0x0BD00BD0: "Lustre",
	0x47504653: "GPFS",
	0x19830326: "BeeGFS",
	0xAAD7AAEA: "PanFS",
}

// networkFileSystem returns the name of the network file system that a folder is on, "" if it is on another one.
func networkFileSystem(dir string) (string, error) {
	var stat syscall.Statfs_t
	if err := statfs(dir, &stat); err != nil {
		return "", err
	}
	return networkTypes[uint32(stat.Type)], nil
}

func statfs(dir string, stat *syscall.Statfs_t) error {
	for {
		if err := syscall.Statfs(dir, stat); err != syscall.EINTR {
			if err != nil {
				return fmt.Errorf("statfs: %w", err)
			}
			return nil
		}
	}
}
