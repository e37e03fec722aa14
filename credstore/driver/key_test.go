package driver_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant/credstore/driver"
)

func TestKeyCheck(t *testing.T) {
	t.Parallel()
	longest := strings.Repeat("\u00e9", 512)
	for _, k := range []driver.Key{
		{Kind: "k", Name: "n"},
		{Tenant: longest, Kind: longest, Name: longest},
		{Tenant: "\n", Kind: "..", Name: "\ufffd"},
	} {
		require.NoError(t, k.Check())
	}
	for _, test := range []struct {
		key  driver.Key
		want string
	}{
		{driver.Key{Name: "n"}, "the key of a record has no kind"},
		{driver.Key{Kind: "k"}, "the key of a record has no name"},
		{driver.Key{Kind: "k", Name: longest + "x"}, "the name of a record's key has 1025 bytes, more than 1024: \"\u00e9"},
		{driver.Key{Kind: "k", Name: "n", Tenant: longest + "x"}, "the tenant of a record's key has 1025 bytes"},
		{driver.Key{Kind: "a\x00b", Name: "n"}, `the kind of a record's key has a NUL: "a\x00b"`},
		{driver.Key{Kind: "k", Name: "a\xff"}, `the name of a record's key is not valid UTF-8: "a\xff"`},
	} {
		require.ErrorContains(t, test.key.Check(), test.want)
	}
}

func TestRecordPrintsAsItsKey(t *testing.T) {
	t.Parallel()
	r := driver.Record{Key: driver.Key{Tenant: "acme", Kind: "artifact", Name: "S4"}, Sealed: []byte("sealed"), Info: []byte("info")}
	require.Equal(t, `record "S4" of kind "artifact", tenant "acme"`, fmt.Sprint(r))
	r.Tenant = ""
	require.Equal(t, `record "S4" of kind "artifact"`, fmt.Sprintf("%v", r))
}
