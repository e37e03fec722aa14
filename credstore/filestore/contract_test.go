package filestore_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/outgrant/outgrant/credstore/drivertest"
)

func TestContract(t *testing.T) {
	t.Parallel()
	drivertest.Run(t, &drivertest.Suite{
		Open:     open,
		Place:    filepath.Join(t.TempDir(), "store"),
		TakeOver: 200 * time.Millisecond,
		Long:     os.Getenv("OUTGRANT_SOAK") != "",
	})
}
