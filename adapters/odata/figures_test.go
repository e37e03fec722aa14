package odata_test

import (
	"net/http"
	"os"
	"testing"

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
	req := get(service + "/Books")
	req.Method = http.MethodPost
	_, err := rt.RoundTrip(req)
	require.NoError(t, err)
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
}

// Allocations are the same everywhere, so they are held in every run.
func TestAllocations(t *testing.T) {
	for name, c := range map[string]struct {
		rt   http.RoundTripper
		most float64
	}{
		"plain": {plain(), 3}, "odata": {ours(t, odata.Options{}), 5}, "odata in a session": {inSession(t), 5},
	} {
		req := get(service + "/Books(1)")
		n := testing.AllocsPerRun(1000, func() { _, _ = c.rt.RoundTrip(req) })
		require.LessOrEqual(t, n, c.most, name)
	}
}

// TestReadRatio holds the time against the plain transport's: interleaved, and the least of several, as times are noisy.
func TestReadRatio(t *testing.T) {
	if os.Getenv("OUTGRANT_SOAK") == "" {
		t.Skip("takes a quiet machine and time: set OUTGRANT_SOAK=1, as .ci/soak does")
	}
	least := func(best float64, rt http.RoundTripper) float64 {
		r := testing.Benchmark(func(b *testing.B) { benchmarkRead(b, rt) })
		return min(best, float64(r.T.Nanoseconds())/float64(r.N))
	}
	with, without, session := 1e12, 1e12, 1e12
	for range 5 {
		with, without, session = least(with, ours(t, odata.Options{})), least(without, plain()), least(session, inSession(t))
	}
	t.Logf("a read: %.0f ns, in a session %.0f ns; the plain transport %.0f ns: %.2f and %.2f of its time", with, session, without, with/without, session/without)
	require.LessOrEqual(t, with/without, 1.3)
}
