package filestore_test

import (
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant/credstore/filestore"
)

// Not in parallel, as it changes what a network file system is.
func TestNetworkFileSystem(t *testing.T) {
	dir := newDir(t)
	openStore(t, dir)
	var stat syscall.Statfs_t
	require.NoError(t, syscall.Statfs(dir, &stat))
	number := uint32(stat.Type)
	filestore.NetworkTypes[number] = "a share"
	defer delete(filestore.NetworkTypes, number)

	_, err := filestore.Open(dir, nil)
	require.ErrorContains(t, err, dir)
	require.ErrorContains(t, err, "a share")
	require.ErrorContains(t, err, "a refresh token is spent twice")
	require.ErrorContains(t, err, "AllowNetworkFileSystem")

	s, err := filestore.Open(dir, &filestore.Options{AllowNetworkFileSystem: true})
	require.NoError(t, err)
	put(t, s, record("orders"), "")
	require.NoError(t, s.Close())
}
