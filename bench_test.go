package outgrant_test

import (
	"net/http"
	"testing"
	"time"

	"golang.org/x/oauth2"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/oauthtest"
)

// The figures of CachedSource and Transport, each beside golang.org/x/oauth2's in the same run.

func BenchmarkCachedToken(b *testing.B) {
	b.Run("outgrant", benchmarkCached)
	b.Run("x-oauth2", benchmarkReuse)
}

func benchmarkCached(b *testing.B) {
	src := outgrant.Cached(&oauthtest.Source{}, nil)
	ctx := b.Context()
	inParallel(b, func() error { _, err := src.Token(ctx); return err })
}

func benchmarkReuse(b *testing.B) {
	src := oauth2.ReuseTokenSource(nil, outgrant.ToOAuth2(b.Context(), &oauthtest.Source{}))
	inParallel(b, func() error { _, err := src.Token(); return err })
}

func inParallel(b *testing.B, call func() error) {
	_ = call()
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if err := call(); err != nil {
				b.Error(err)
			}
		}
	})
}

func BenchmarkTransport(b *testing.B) {
	b.Run("outgrant", benchmarkOurTransport)
	b.Run("x-oauth2", benchmarkTheirTransport)
}

func benchmarkOurTransport(b *testing.B) {
	benchmarkRoundTrip(b, func(src outgrant.TokenSource, base http.RoundTripper) http.RoundTripper {
		return &outgrant.Transport{Source: src, Base: base}
	})
}

func benchmarkTheirTransport(b *testing.B) {
	benchmarkRoundTrip(b, func(src outgrant.TokenSource, base http.RoundTripper) http.RoundTripper {
		return &oauth2.Transport{Source: oauth2.ReuseTokenSource(nil, outgrant.ToOAuth2(b.Context(), src)), Base: base}
	})
}

func benchmarkRoundTrip(b *testing.B, transport func(outgrant.TokenSource, http.RoundTripper) http.RoundTripper) {
	resp := &http.Response{StatusCode: http.StatusOK, Body: http.NoBody}
	rt := transport(outgrant.Cached(&oauthtest.Source{}, nil), roundTripFunc(func(*http.Request) (*http.Response, error) { return resp, nil }))
	req, _ := http.NewRequest(http.MethodGet, "https://receiver.test/", nil)
	req.Header.Set("Accept", "application/json")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := rt.RoundTrip(req); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkRollOver has 50 callers call for three roll-overs of a token, with a token service that takes 200 ms, on
// the real clock. x/oauth2 counts a token as ended 10 s early, so its tokens live that much longer.
func BenchmarkRollOver(b *testing.B) {
	const life = 2 * time.Second
	run := func(b *testing.B, call func() error) {
		if err := call(); err != nil {
			b.Fatal(err)
		}
		for b.Loop() {
			longest, stalled, err := callDuring(50, 3*life+life/2, call)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(float64(longest.Microseconds())/1000, "longest-ms")
			b.ReportMetric(float64(stalled), "stalled-calls")
		}
	}
	b.Run("outgrant", func(b *testing.B) {
		src := outgrant.Cached(&oauthtest.Source{Lifetime: life - 200*time.Millisecond, Delay: 200 * time.Millisecond}, nil)
		run(b, func() error { _, err := src.Token(b.Context()); return err })
	})
	b.Run("x-oauth2", func(b *testing.B) {
		src := oauth2.ReuseTokenSource(nil, outgrant.ToOAuth2(b.Context(), &oauthtest.Source{Lifetime: life + 10*time.Second, Delay: 200 * time.Millisecond}))
		run(b, func() error { _, err := src.Token(); return err })
	})
}
