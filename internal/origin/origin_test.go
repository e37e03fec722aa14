package origin_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant/internal/leakcheck"
	"github.com/outgrant/outgrant/internal/origin"
)

func TestMain(m *testing.M) { leakcheck.Main(m) }

func TestHost(t *testing.T) {
	t.Parallel()
	const none = "an unreadable URL"
	for raw, want := range map[string]string{
		"https://token.example/oauth/token?key=S3NTINEL#S3NTINEL": "token.example",
		"https://S3NTINEL:S3NTINEL@token.example:8443/S3NTINEL":   "token.example:8443",
		"http://[::1]:8080/":         "[::1]:8080",
		"":                           none,
		"S3NTINEL":                   none,
		"/S3NTINEL":                  none,
		"https:S3NTINEL":             none,
		"https:///S3NTINEL":          none,
		"https://token.example/%zzS": none,
		"https://a b/S3NTINEL":       none,
		"://S3NTINEL":                none,
		"\x00S3NTINEL":               none,
	} {
		require.Equal(t, want, origin.Host(raw), "%q", raw)
	}
}

func TestBare(t *testing.T) {
	t.Parallel()
	req, err := http.NewRequest(http.MethodGet, "https://a.test", nil)
	require.NoError(t, err)
	for _, name := range []string{"Authorization", "Cookie", "X-CSRF-Token", "Accept"} {
		req.Header.Set(name, "x")
	}
	require.Equal(t, http.Header{"Accept": {"x"}}, origin.Bare(req).Header)
	require.Len(t, req.Header, 4)
}
