package secrettext_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant/internal/secrettext"
)

func TestQuoting(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("0123456789abcdef", 10)
	quotes := secrettext.Quoting("a secret/x", long, "abc")
	for text, want := range map[string]bool{
		"": false, "nothing": false, "it is a secret/x.": true, "a%20secret%2Fx": true,
		"begins " + long[:48] + "...": true, long[:40]: false, "abc": false,
	} {
		require.Equal(t, want, quotes(text), text)
	}
	require.False(t, secrettext.Quoting()("text"))
}
