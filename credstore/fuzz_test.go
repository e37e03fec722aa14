package credstore_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant/credstore"
)

// FuzzParseArtifacts: what parses, formats and parses again; it is sealed and opened again; and its grant takes it.
func FuzzParseArtifacts(f *testing.F) {
	for _, folder := range []string{"artifacts", "destinations"} {
		for _, data := range jsonFiles(f, folder) {
			f.Add(data)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		artifacts, err := credstore.ParseArtifacts(data)
		if err != nil {
			require.Nil(t, artifacts)
			return
		}
		formatted, err := credstore.FormatArtifacts(artifacts)
		require.NoError(t, err)
		again, err := credstore.ParseArtifacts(withSecrets(t, formatted, artifacts))
		require.NoError(t, err)
		require.Equal(t, artifacts, again)
		for _, a := range artifacts {
			sealed, err := credstore.Encode(a)
			require.NoError(t, err)
			opened, err := credstore.Decode(sealed)
			require.NoError(t, err)
			require.Equal(t, a, opened)
			_, err = credstore.ConfigOf(a, fittingPair(t, a))
			require.NoError(t, err)
		}
	})
}
