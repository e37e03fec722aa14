package samltest_test

import (
	"encoding/json"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant/oauthtest/samltest"
)

type c14nVector struct {
	Name, XML, ID, Canonical string
	Prefixes                 []string
}

func c14nVectors(t testing.TB) (all []c14nVector) {
	t.Helper()
	text, err := os.ReadFile("testdata/c14n.json")
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(text, &all))
	require.NotEmpty(t, all)
	return all
}

// TestCanonical compares with what libxml2 makes of the same documents.
func TestCanonical(t *testing.T) {
	t.Parallel()
	for _, v := range c14nVectors(t) {
		t.Run(v.Name, func(t *testing.T) {
			t.Parallel()
			got, err := samltest.Canonical(v.XML, v.ID, v.Prefixes)
			require.NoError(t, err)
			require.Equal(t, v.Canonical, got)
		})
	}
}

// FuzzCanonical holds that the canonical form of a canonical form is itself: nothing changes its meaning on the way.
func FuzzCanonical(f *testing.F) {
	for _, v := range c14nVectors(f) {
		f.Add(v.XML)
	}
	for _, text := range vectors(f) {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		once, err := samltest.Canonical(text, "", nil)
		if err != nil || len(once) > 256<<10 {
			return
		}
		twice, err := samltest.Canonical(once, "", nil)
		require.NoError(t, err)
		require.Equal(t, once, twice)
	})
}
