package outgrant_test

import (
	"context"
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"
	oauth2cc "golang.org/x/oauth2/clientcredentials"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/oauthtest"
)

// Allocations are the same everywhere, so they are held in every run.
func TestAllocations(t *testing.T) {
	cached := outgrant.Cached(&oauthtest.Source{}, nil)
	ctx := t.Context()
	_, err := cached.Token(ctx)
	require.NoError(t, err)
	token := testing.AllocsPerRun(1000, func() { _, _ = cached.Token(ctx) })
	require.Zero(t, token)

	resp := &http.Response{StatusCode: http.StatusOK, Body: http.NoBody}
	transport := &outgrant.Transport{Source: cached, Base: roundTripFunc(func(*http.Request) (*http.Response, error) { return resp, nil })}
	req, err := http.NewRequest(http.MethodGet, "https://receiver.test/", nil)
	require.NoError(t, err)
	req.Header.Set("Accept", "application/json")
	roundTrip := testing.AllocsPerRun(1000, func() { _, _ = transport.RoundTrip(req) })
	require.LessOrEqual(t, roundTrip, 3.0)
	t.Logf("allocations: %v for a cached token, %v for a round trip", token, roundTrip)
}

func soak(t *testing.T) {
	t.Helper()
	if os.Getenv("OUTGRANT_SOAK") == "" {
		t.Skip("takes a quiet machine and time: set OUTGRANT_SOAK=1, as .ci/soak does")
	}
}

// TestRatios holds the times against x/oauth2's: interleaved, and the least of several, as times are noisy.
func TestRatios(t *testing.T) {
	soak(t)
	least := func(b func(*testing.B)) func(best float64) float64 {
		return func(best float64) float64 {
			r := testing.Benchmark(b)
			return min(best, float64(r.T.Nanoseconds())/float64(r.N))
		}
	}
	for name, c := range map[string]struct {
		ours, theirs func(*testing.B)
		most         float64
	}{
		"cached Token, in parallel": {benchmarkCached, benchmarkReuse, 0.25},
		"RoundTrip on a no-op base": {benchmarkOurTransport, benchmarkTheirTransport, 0.65},
	} {
		ours, theirs := 1e12, 1e12
		for range 5 {
			ours, theirs = least(c.ours)(ours), least(c.theirs)(theirs)
		}
		t.Logf("%s: %.1f ns, x/oauth2 %.1f ns: %.2f of its time, at most %.2f", name, ours, theirs, ours/theirs, c.most)
		require.LessOrEqual(t, ours/theirs, c.most)
	}
}

// TestDeadlineBesideOAuth2 calls with a deadline of 100 ms while the token service takes 2 s, on the real clock.
func TestDeadlineBesideOAuth2(t *testing.T) {
	soak(t)
	server := oauthtest.NewServer(nil)
	defer server.Close()
	server.Inject(oauthtest.Lasting(oauthtest.Together(oauthtest.Delay(2*time.Second), oauthtest.Status(500))))
	call := func(rt http.RoundTripper) time.Duration {
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://receiver.test/", nil)
		require.NoError(t, err)
		start := time.Now()
		_, err = rt.RoundTrip(req)
		require.Error(t, err)
		return time.Since(start)
	}
	ours := call(&outgrant.Transport{Source: outgrant.Cached(secretSource(server), nil)})
	require.LessOrEqual(t, ours, 120*time.Millisecond)
	cfg := oauth2cc.Config{ClientID: "id", ClientSecret: "secret", TokenURL: server.TokenURL(), AuthStyle: oauth2.AuthStyleInHeader}
	theirs := call(&oauth2.Transport{Source: cfg.TokenSource(t.Context())})
	cfg.AuthStyle = oauth2.AuthStyleAutoDetect
	probing := call(&oauth2.Transport{Source: cfg.TokenSource(t.Context())})
	t.Logf("a deadline of 100 ms: back after %s (x/oauth2: %s, and %s when it probes)", ours, theirs, probing)
}
