package credstore_test

import (
	"context"
	"encoding/base64"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant/credstore"
	"github.com/outgrant/outgrant/oauthtest"
)

// The key and its forms, of which none may be seen.
const sentinelKey = "sentinel-key-of-thirty-two-bytes"

var sentinelKeyText = base64.StdEncoding.EncodeToString([]byte(sentinelKey))

// requireSame shows that two Keepers have the same key.
func requireSame(t testing.TB, one, other credstore.Keeper) {
	t.Helper()
	sealed, err := one.Encrypt(t.Context(), []byte("text"))
	require.NoError(t, err)
	plain, err := other.Decrypt(t.Context(), sealed)
	require.NoError(t, err)
	require.Equal(t, "text", string(plain))
}

func TestEnvKeeper(t *testing.T) {
	const name = "OUTGRANT_TEST_KEY"
	t.Setenv(name, sentinelKeyText)
	want, err := credstore.EnvKeeper(name)
	require.NoError(t, err)

	for form, text := range map[string]string{
		"bare":            sentinelKeyText,
		"as in a file":    "outgrant-key-1:" + sentinelKeyText,
		"with a line end": sentinelKeyText + "\r\n",
		"with blanks":     "  outgrant-key-1:" + sentinelKeyText + " ",
	} {
		t.Run(form, func(t *testing.T) {
			t.Setenv(name, text)
			keeper, err := credstore.EnvKeeper(name)
			require.NoError(t, err)
			requireSame(t, want, keeper)
			requireSame(t, keeper, want)
		})
	}
	for form, text := range map[string]string{
		"empty":      "",
		"blank":      " \n",
		"not base64": "sentinel",
		"too short":  base64.StdEncoding.EncodeToString([]byte(sentinelKey[:31])),
		"too long":   base64.StdEncoding.EncodeToString([]byte(sentinelKey + "x")),
		"truncated":  sentinelKeyText[:len(sentinelKeyText)-1],
		"loose bits": sentinelKeyText[:len(sentinelKeyText)-2] + "N=",
		"hex":        strings.Repeat("0123456789abcdef", 4),
		"twice":      sentinelKeyText + "\n" + sentinelKeyText,
		"newer":      "outgrant-key-2:" + sentinelKeyText,
		"redacted":   "[redacted]",
	} {
		t.Run(form, func(t *testing.T) {
			t.Setenv(name, text)
			keeper, err := credstore.EnvKeeper(name)
			require.Nil(t, keeper)
			require.ErrorContains(t, err, `environment variable "OUTGRANT_TEST_KEY"`)
			require.ErrorContains(t, err, "openssl rand -base64 32")
			require.NotContains(t, err.Error(), "sentinel")
			require.NotContains(t, err.Error(), sentinelKeyText[:10])
		})
	}
	_, err = credstore.EnvKeeper("OUTGRANT_TEST_NO_KEY")
	require.ErrorContains(t, err, `"OUTGRANT_TEST_NO_KEY" is not set`)
}

func TestLocalKeeperRefusesWhatItDidNotEncrypt(t *testing.T) {
	t.Parallel()
	keeper, other := newKeeper(t), newKeeper(t)
	sealed, err := keeper.Encrypt(t.Context(), []byte("sentinel-plain"))
	require.NoError(t, err)
	require.NotContains(t, string(sealed), "sentinel")
	again, err := keeper.Encrypt(t.Context(), []byte("sentinel-plain"))
	require.NoError(t, err)
	require.NotEqual(t, sealed, again)

	refused := func(keeper credstore.Keeper, sealed []byte) {
		plain, err := keeper.Decrypt(t.Context(), sealed)
		require.Nil(t, plain)
		require.ErrorContains(t, err, "the key in the file ")
		require.NotContains(t, err.Error(), "sentinel")
	}
	for i := range sealed {
		refused(keeper, sealed[:i])
		for bit := range 8 {
			refused(keeper, flipped(sealed, i, bit))
		}
	}
	refused(keeper, append(sealed[:len(sealed):len(sealed)], 0))
	require.NoError(t, errOf(other.Encrypt(t.Context(), nil))) // makes its key
	refused(other, sealed)

	ended, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, errOf(keeper.Encrypt(ended, nil)), context.Canceled)
	require.ErrorIs(t, errOf(keeper.Decrypt(ended, sealed)), context.Canceled)
}

// holder has a Keeper where fmt does not call methods.
type holder struct{ keeper credstore.Keeper }

func TestKeepersPrintWhereTheirKeyIs(t *testing.T) {
	t.Setenv("OUTGRANT_TEST_KEY", sentinelKeyText)
	env, err := credstore.EnvKeeper("OUTGRANT_TEST_KEY")
	require.NoError(t, err)
	path := keyFile(t, "outgrant-key-1:"+sentinelKeyText+"\n", 0o600)
	local, err := credstore.LocalKeeper(path)
	require.NoError(t, err)
	requireSame(t, env, local)

	outputs := []any{env, local, &env, &local, []credstore.Keeper{env, local}, holder{env}, &holder{local}}
	oauthtest.AssertNoSecrets(t, []string{sentinelKey, sentinelKeyText}, outputs...)
	for want, keeper := range map[string]credstore.Keeper{`credstore.EnvKeeper("OUTGRANT_TEST_KEY")`: env, `credstore.LocalKeeper("` + path + `")`: local} {
		if !strings.Contains(path, `\`) {
			requirePrints(t, want, keeper)
		}
	}
}
