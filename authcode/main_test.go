package authcode_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant/internal/leakcheck"
)

func TestMain(m *testing.M) { leakcheck.Main(m) }

// readSeeds reads the files of a folder.
func readSeeds(tb testing.TB, folder string) (all []string) {
	tb.Helper()
	files, err := filepath.Glob(folder + "/*")
	if err != nil || len(files) == 0 {
		tb.Fatalf("no seeds in %s", folder)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(tb, err)
		all = append(all, strings.TrimSuffix(string(text), "\n"))
	}
	return all
}
