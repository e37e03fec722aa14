package authcode_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant/authcode"
	"github.com/outgrant/outgrant/oauthtest"
)

// warm is a client that has a token.
func warm(tb testing.TB) *authcode.Client {
	tb.Helper()
	b := newBed(tb, oauthtest.ServerOptions{})
	c := b.authorized(tb)
	b.token(tb, c)
	return c
}

// TestAllocations: they are the same everywhere, so they are held in every run.
func TestAllocations(t *testing.T) {
	c, ctx := warm(t), t.Context()
	require.Zero(t, testing.AllocsPerRun(1000, func() { _, _ = c.Token(ctx) }))
}

// BenchmarkToken is a token from memory.
func BenchmarkToken(b *testing.B) {
	c, ctx := warm(b), b.Context()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Token(ctx); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkRefresh is a whole rotation, on a vault in memory and without a network: lock, load, mark, request, save.
func BenchmarkRefresh(b *testing.B) {
	bed := newBed(b, oauthtest.ServerOptions{})
	c := bed.authorized(b, func(cfg *authcode.Config) {
		cfg.RefreshTokenExpiry = 10 * day
		cfg.Vault, cfg.Cache, cfg.HTTPClient = alwaysDue{authcode.NewMemoryVault()}, nil, &http.Client{Transport: bed.Client().Transport}
	})
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Renew(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
	require.Equal(b, b.N, bed.TokenRequests()-1)
	require.Zero(b, bed.Reuses())
}
