package socialoauth_test

import (
	"fmt"
	"net/http"
	"net/url"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant/socialoauth"
)

// twenty is a request with twenty parameters.
func twenty(t testing.TB) *http.Request {
	query := url.Values{}
	for i := range 20 {
		query.Set(fmt.Sprintf("parameter.%d", i), fmt.Sprintf("value %d & ü/%%", i))
	}
	return newRequest(t, http.MethodGet, "https://api.x.com/2/tweets/search/recent?"+query.Encode(), nil)
}

// Allocations are the same everywhere, so they are held in every run.
func TestAllocations(t *testing.T) {
	src, req, ctx := socialoauth.Twitter(twitterKeys()), twenty(t), t.Context()
	allocations := testing.AllocsPerRun(1000, func() { _ = src.Authorize(ctx, req) })
	require.NoError(t, src.Authorize(ctx, req))
	require.LessOrEqual(t, allocations, 60.0)
	t.Logf("allocations: %v for a signature with 20 parameters", allocations)
}

func BenchmarkSignature(b *testing.B) {
	src, req, ctx := socialoauth.Twitter(twitterKeys()), twenty(b), b.Context()
	b.ReportAllocs()
	for b.Loop() {
		if err := src.Authorize(ctx, req); err != nil {
			b.Fatal(err)
		}
	}
}

// TestTime holds the time of a signature, the least of many short runs: one that nothing else interrupted.
func TestTime(t *testing.T) {
	if os.Getenv("OUTGRANT_SOAK") == "" {
		t.Skip("takes a quiet machine: set OUTGRANT_SOAK=1, as .ci/soak does")
	}
	src, req, ctx := socialoauth.Twitter(twitterKeys()), twenty(t), t.Context()
	const runs, signatures = 500, 200
	least := time.Hour
	for range runs {
		began := time.Now()
		for range signatures {
			_ = src.Authorize(ctx, req)
		}
		least = min(least, time.Since(began)/signatures)
	}
	require.NoError(t, src.Authorize(ctx, req))
	t.Logf("%v for a signature with 20 parameters", least)
	require.LessOrEqual(t, least, 12*time.Microsecond)
}
