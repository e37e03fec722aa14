package drivertest_test

import (
	"testing"

	"github.com/outgrant/outgrant/credstore/drivertest"
	"github.com/outgrant/outgrant/internal/leakcheck"
)

func TestMain(m *testing.M) {
	drivertest.Worker(openFaulty)
	leakcheck.Main(m)
}
