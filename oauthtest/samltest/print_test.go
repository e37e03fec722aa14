package samltest_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant/oauthtest"
	"github.com/outgrant/outgrant/oauthtest/samltest"
)

// TestAssertionPrintsItsIDAlone: an assertion is a credential, and about a person.
func TestAssertionPrintsItsIDAlone(t *testing.T) {
	t.Parallel()
	a, err := samltest.Verify([]byte(signing{key: p256()}.sign(plain().canonical())), p256().cert)
	require.NoError(t, err)
	oauthtest.AssertNoSecrets(t, []string{"alice@acme.test", "https://idp.acme.test", "Groups", "acme.alias"}, a, *a, []samltest.Assertion{*a},
		map[string]any{"assertion": a}, struct{ A *samltest.Assertion }{a})
	for _, v := range []any{*a, a} {
		require.Equal(t, `samltest.Assertion("_a1")`, fmt.Sprintf("%+v", v))
		require.Implements(t, (*fmt.Formatter)(nil), v)
		require.Implements(t, (*fmt.Stringer)(nil), v)
		require.Implements(t, (*slog.LogValuer)(nil), v)
		require.Implements(t, (*json.Marshaler)(nil), v)
	}
}
