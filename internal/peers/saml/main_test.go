// Package saml_test tests samlbearer's assertions with the software of others that verifies them, and hands on assertions
// that such software made.
package saml_test

import (
	"testing"

	"github.com/outgrant/outgrant/internal/leakcheck"
)

func TestMain(m *testing.M) { leakcheck.Main(m) }
