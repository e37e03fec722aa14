package console_test

import (
	"testing"

	"github.com/outgrant/outgrant/internal/leakcheck"
)

func TestMain(m *testing.M) { leakcheck.Main(m) }
