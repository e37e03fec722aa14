package filestore

import (
	"crypto/sha256"
	"encoding/hex"
	"path"
	"strings"

	"github.com/outgrant/outgrant/credstore/driver"
)

// The folders of a store.
const (
	recordsDir = "records"
	dueDir     = "due"
	locksDir   = "locks"
	shardsDir  = "shards"
	tmpDir     = "tmp"
)

// A place is where a record is: records/FOLDER/FILE. Names of records may be anything, so a file's name is a part for
// people to read, which file systems of all kinds can hold, and a hash, which makes it the name of one record.
type place struct{ folder, file string }

func placeOf(k driver.Key) place {
	return place{folderOf(k.Tenant, k.Kind), fileName(label(k.Name, 32), k.Tenant, k.Kind, k.Name)}
}

// folderOf returns the folder of a tenant's records of a kind.
func folderOf(tenant, kind string) string {
	readable := label(kind, 20)
	if tenant != "" {
		readable += "-" + label(tenant, 20)
	}
	return fileName(readable, tenant, kind)
}

func (p place) record() string { return path.Join(recordsDir, p.folder, p.file) }

// shard is the lock file under which a record is written.
func (p place) shard() string { return path.Join(shardsDir, hashOf(p.file)[:2]) }

func lockOf(k driver.Key) string { return path.Join(locksDir, placeOf(k).file) }

// fileName is readable, then the hash of the parts. No part has a NUL, so they can be told apart.
func fileName(readable string, parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return readable + "-" + hex.EncodeToString(sum[:])
}

// isFileName tells what fileName makes from other files, such as a file manager's.
func isFileName(name string) bool {
	if len(name) <= 2*sha256.Size || name[len(name)-2*sha256.Size-1] != '-' {
		return false
	}
	return strings.Trim(hashOf(name), "0123456789abcdef") == ""
}

// hashOf returns the hash in a file's name.
func hashOf(name string) string { return name[len(name)-2*sha256.Size:] }

// label is the part of a file's name that is for people to read.
func label(s string, most int) string {
	return strings.Map(func(r rune) rune {
		switch {
		case 'a' <= r && r <= 'z', '0' <= r && r <= '9', r == '-':
			return r
		case 'A' <= r && r <= 'Z':
			return r - 'A' + 'a'
		default:
			return '_'
		}
	}, s[:min(len(s), most)])
}
