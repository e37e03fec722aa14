package console_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/credstore"
	"github.com/outgrant/outgrant/credstore/console"
	"github.com/outgrant/outgrant/credstore/memstore"
)

// BenchmarkFirstPage opens the list of 10,000 credentials with their histories: in memory and in a folder, where the first time
// costs more than the next ones.
func BenchmarkFirstPage(b *testing.B) {
	fill := func(b *testing.B, s *credstore.Store) {
		var deploying sync.WaitGroup
		for worker := range 8 {
			deploying.Go(func() {
				for i := worker; i < 10_000; i += 8 {
					err := s.As("alice").Deploy(b.Context(), &credstore.ClientCredentials{Name: fmt.Sprintf("S4_ORDERS_%05d", i), Description: "Orders of the S/4HANA system",
						TokenServiceURL: fmt.Sprintf("https://tenant-%d.authentication.acme.example/oauth/token", i), ClientID: fmt.Sprintf("sb-%d", i), ClientSecret: secret})
					if err != nil {
						b.Error(err)
					}
				}
			})
		}
		deploying.Wait()
	}
	open := func(b *testing.B, h http.Handler) {
		r := httptest.NewRequest(http.MethodGet, "http://127.0.0.1/credentials/", nil)
		r.RemoteAddr = "127.0.0.1:4711"
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		require.Equal(b, http.StatusOK, w.Code)
		b.ReportMetric(float64(w.Body.Len())/1024, "KiB")
	}
	b.Run("memory", func(b *testing.B) {
		s, err := credstore.Open(memstore.New(), &credstore.Options{Keeper: noKeeper{}, History: true})
		require.NoError(b, err)
		defer s.Close()
		fill(b, s)
		h := console.New(s, nil)
		for b.Loop() {
			open(b, h)
		}
	})
	b.Run("folder", func(b *testing.B) {
		dir := b.TempDir()
		opts := &credstore.Options{History: true, Hooks: &outgrant.Hooks{}}
		s, err := credstore.OpenDir(dir, opts)
		require.NoError(b, err)
		fill(b, s)
		require.NoError(b, s.Close())
		b.Run("first", func(b *testing.B) {
			for range b.N {
				b.StopTimer()
				s, err := credstore.OpenDir(dir, opts)
				require.NoError(b, err)
				b.StartTimer()
				open(b, console.New(s, nil))
				b.StopTimer()
				require.NoError(b, s.Close())
			}
		})
		b.Run("next", func(b *testing.B) {
			s, err := credstore.OpenDir(dir, opts)
			require.NoError(b, err)
			defer s.Close()
			h := console.New(s, nil)
			open(b, h)
			b.ResetTimer()
			for range b.N {
				open(b, h)
			}
		})
	})
}
