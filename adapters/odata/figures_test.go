package odata_test

import (
	"net/http"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/adapters/odata"
	"github.com/outgrant/outgrant/oauthtest"
)

// answering answers each request with the same answer, and a fetch with a session.
func answering() http.RoundTripper {
	fetched := &http.Response{StatusCode: http.StatusOK, Body: http.NoBody, Header: http.Header{
		"X-Csrf-Token": {"csrf-token"}, "Set-Cookie": {"SAP_SESSIONID_GWD_100=session-id; path=/", "sap-usercontext=sap-client=100; path=/"}}}
	resp := &http.Response{StatusCode: http.StatusOK, Body: http.NoBody}
	return roundTripFunc(func(req *http.Request) (*http.Response, error) {
		if req.Header["X-Csrf-Token"] != nil {
			copied := *fetched
			return &copied, nil
		}
		return resp, nil
	})
}

func get(url string) *http.Request {
	req, _ := http.NewRequest(http.MethodGet, url, nil)
	req.Header.Set("Accept", "application/json")
	return req
}

func plain() http.RoundTripper {
	return &outgrant.Transport{Source: outgrant.Cached(&oauthtest.Source{}, nil), Base: answering()}
}

func ours(t testing.TB, opts odata.Options) http.RoundTripper {
	opts.Base = answering()
	rt, err := odata.NewV2(outgrant.Cached(&oauthtest.Source{}, nil), &opts)
	require.NoError(t, err)
	return rt
}

// inSession is ours after a change, so that there are cookies to send.
func inSession(t testing.TB) http.RoundTripper {
	rt := ours(t, odata.Options{ServiceURL: service})
	change(t, rt)
	return rt
}

func change(t testing.TB, rt http.RoundTripper) {
	req := get(service + "/Books")
	req.Method = http.MethodPost
	_, err := rt.RoundTrip(req)
	require.NoError(t, err)
}

// one is a user source that has a source already, as those that keep them do.
type one struct{ src outgrant.TokenSource }

func (o one) ForUser(string) outgrant.TokenSource { return o.src }

// forUser is ours in the session of a user.
func forUser(t testing.TB) http.RoundTripper {
	rt, err := odata.NewV2(nil, &odata.Options{Base: answering(), ServiceURL: service, Users: one{outgrant.Cached(&oauthtest.Source{}, nil)},
		User: func(*http.Request) (string, error) { return "alice", nil }})
	require.NoError(t, err)
	change(t, rt)
	return rt
}

func benchmarkRead(b *testing.B, rt http.RoundTripper) {
	req := get(service + "/Books(1)")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := rt.RoundTrip(req); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkRead(b *testing.B) {
	b.Run("plain", func(b *testing.B) { benchmarkRead(b, plain()) })
	b.Run("odata", func(b *testing.B) { benchmarkRead(b, ours(b, odata.Options{})) })
	b.Run("odata-session", func(b *testing.B) { benchmarkRead(b, inSession(b)) })
	b.Run("odata-user", func(b *testing.B) { benchmarkRead(b, forUser(b)) })
}

// Allocations are the same everywhere, so they are held in every run.
func TestAllocations(t *testing.T) {
	for name, rt := range map[string]http.RoundTripper{
		"plain": plain(), "odata": ours(t, odata.Options{}), "odata in a session": inSession(t), "odata in a user's session": forUser(t),
	} {
		req := get(service + "/Books(1)")
		n := testing.AllocsPerRun(1000, func() { _, _ = rt.RoundTrip(req) })
		require.LessOrEqual(t, n, 3.0, name)
	}
}

// TestReadRatio holds the time against the plain transport's: interleaved, and the least of many, as times are noisy.
func TestReadRatio(t *testing.T) {
	if os.Getenv("OUTGRANT_SOAK") == "" {
		t.Skip("takes a quiet machine and time: set OUTGRANT_SOAK=1, as .ci/soak does")
	}
	const rounds, reads = 200, 10_000
	all := []http.RoundTripper{plain(), ours(t, odata.Options{}), inSession(t), forUser(t)}
	least := slices.Repeat([]time.Duration{time.Hour}, len(all))
	for range rounds {
		for i, rt := range all {
			req := get(service + "/Books(1)")
			start := time.Now()
			for range reads {
				_, _ = rt.RoundTrip(req)
			}
			least[i] = min(least[i], time.Since(start)/reads)
		}
	}
	ratio := func(i int) float64 { return float64(least[i]) / float64(least[0]) }
	t.Logf("a read by the plain transport takes %v; by ours %.2f of that, in a session %.2f, in a user's session %.2f", least[0], ratio(1), ratio(2), ratio(3))
	require.LessOrEqual(t, ratio(1), 1.3)
	require.LessOrEqual(t, ratio(2), 1.3, "in a session")
}
