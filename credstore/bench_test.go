package credstore_test

import (
	"context"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/credstore"
	"github.com/outgrant/outgrant/oauthtest"
)

// fill deploys n artifacts into a folder: one in ten is an authorization code.
func fill(t testing.TB, dir string, n int) {
	t.Helper()
	s, err := credstore.OpenDir(dir, &credstore.Options{Limits: credstore.Limits{AuthorizationCodes: -1}})
	require.NoError(t, err)
	var all sync.WaitGroup
	for worker := range 8 {
		all.Go(func() {
			for i := worker; i < n; i += 8 {
				var a credstore.Artifact = credstore.ClientCredentials{Name: artifactName(i), TokenServiceURL: "https://acme.example/oauth/token", ClientID: "sb-1", ClientSecret: clientSecret}
				if i%10 == 1 {
					a = credstore.AuthorizationCode{Name: artifactName(i), AuthorizationURL: "https://idp.example/authorize", TokenServiceURL: "https://idp.example/token",
						ClientID: fmt.Sprintf("app-%d", i), ClientSecret: clientSecret}
				}
				if err := s.Deploy(context.Background(), a); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	require.NoError(t, s.Close())
}

func artifactName(i int) string { return fmt.Sprintf("ARTIFACT_%05d", i) }

// The folder is large enough to see what depends on its size, or as large as promised.
func TestFigures(t *testing.T) {
	t.Parallel()
	n := 100
	if os.Getenv("OUTGRANT_SOAK") == "1" {
		n = 10_000
	}
	dir := t.TempDir()
	fill(t, dir, n)

	began := time.Now()
	s, err := credstore.OpenDir(dir, nil)
	require.NoError(t, err)
	t.Cleanup(func() { _ = s.Close() })
	opened := time.Since(began)
	require.Less(t, opened, time.Second)

	began = time.Now()
	list, err := s.List(t.Context())
	require.NoError(t, err)
	listed := time.Since(began)
	require.Len(t, list, n)
	require.Less(t, listed, time.Second)

	began = time.Now()
	for i := range n {
		if i%10 != 1 {
			sourceOf(t, s, artifactName(i))
		}
	}
	cold := time.Since(began) / time.Duration(n*9/10)
	require.Less(t, cold, 5*time.Millisecond, "much more than it takes: others may be busy, too")
	t.Logf("%d artifacts: opened in %s, listed in %s, a source in %s", n, opened, listed, cold)
}

// What is called for each request allocates nothing, and asks nobody.
func TestWarmCallsAllocateNothing(t *testing.T) {
	p := newPlace(t, oauthtest.ServerOptions{})
	s := p.open(t, func(o *credstore.Options) { o.PollInterval = time.Hour })
	p.authorized(t, s, "MAILBOX")
	require.NoError(t, s.Deploy(t.Context(), p.clientCredentials("S4_ORDERS")))
	ctx := t.Context()
	for _, name := range []string{"MAILBOX", "S4_ORDERS"} {
		src := sourceOf(t, s, name)
		p.token(t, src)
		p.backend.count()
		require.Zero(t, testing.AllocsPerRun(100, func() { _, _ = s.TokenSource(ctx, name) }))
		require.Zero(t, testing.AllocsPerRun(100, func() { _, _ = src.Token(ctx) }))
		require.Empty(t, p.backend.count())
	}
}

// What each call asks of the backend.
func TestWhatIsRead(t *testing.T) {
	inBubble(t, oauthtest.ServerOptions{}, func(t *testing.T, p *place) {
		for i := range 50 {
			require.NoError(t, p.open(t).Deploy(t.Context(), p.clientCredentials(artifactName(i))))
		}
		require.NoError(t, p.open(t).Deploy(t.Context(), p.authorizationCode("MAILBOX")))
		p.backend.count()
		s := p.open(t)
		require.Equal(t, map[string]int{"list": 1, "get": 1}, p.backend.count(), "the data keys")
		sourceOf(t, s, artifactName(7))
		require.Equal(t, map[string]int{"get": 1}, p.backend.count())
		sourceOf(t, s, "MAILBOX")
		require.Equal(t, map[string]int{"get": 2}, p.backend.count(), "the artifact and its grant")
		_, err := s.List(t.Context())
		require.NoError(t, err)
		require.Equal(t, map[string]int{"list": 2}, p.backend.count(), "artifacts and grants")
		require.NoError(t, s.Deploy(t.Context(), p.clientCredentials(artifactName(7))))
		require.Equal(t, map[string]int{"get": 1}, p.backend.count(), "nothing has changed")
		require.NoError(t, s.Deploy(t.Context(), p.clientCredentials(artifactName(7), withClient("another"))))
		require.Equal(t, map[string]int{"get": 2, "put": 1}, p.backend.count(), "what was there, and whether there is a grant")
	})
}

func BenchmarkTenThousandArtifacts(b *testing.B) {
	dir := b.TempDir()
	fill(b, dir, 10_000)
	open := func() *credstore.Store {
		s, err := credstore.OpenDir(dir, nil)
		require.NoError(b, err)
		return s
	}
	ctx := b.Context()
	b.Run("open", func(b *testing.B) {
		for b.Loop() {
			require.NoError(b, open().Close())
		}
	})
	b.Run("list", func(b *testing.B) {
		s := open()
		defer s.Close()
		for b.Loop() {
			list, err := s.List(ctx)
			require.NoError(b, err)
			require.Len(b, list, 10_000)
		}
	})
	b.Run("source cold", func(b *testing.B) {
		s := open()
		i := 0
		for b.Loop() {
			if i == 10_000 {
				b.StopTimer()
				_ = s.Close()
				s, i = open(), 0
				b.StartTimer()
			}
			_, err := s.TokenSource(ctx, artifactName(i))
			if err != nil {
				b.Fatal(err)
			}
			i++
		}
		_ = s.Close()
	})
	s := open()
	defer s.Close()
	b.Run("source warm", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := s.TokenSource(ctx, "ARTIFACT_00000"); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkToken(b *testing.B) {
	p := newPlace(b, oauthtest.ServerOptions{})
	s := p.open(b)
	require.NoError(b, s.Deploy(b.Context(), p.clientCredentials("S4_ORDERS")))
	src := sourceOf(b, s, "S4_ORDERS")
	p.token(b, src)
	ctx := b.Context()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := src.Token(ctx); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDeploy(b *testing.B) {
	s, err := credstore.OpenDir(b.TempDir(), nil)
	require.NoError(b, err)
	defer s.Close()
	a := credstore.ClientCredentials{Name: "S4_ORDERS", TokenServiceURL: "https://acme.example/oauth/token", ClientID: "sb-1", ClientSecret: outgrant.Secret(clientSecret)}
	for b.Loop() {
		if err := s.Deploy(b.Context(), a); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkListOfAuthorizationCodes lists as many as promised, each of which a user has authorized.
func BenchmarkListOfAuthorizationCodes(b *testing.B) {
	s, err := credstore.OpenDir(b.TempDir(), &credstore.Options{Limits: credstore.Limits{AuthorizationCodes: -1}})
	require.NoError(b, err)
	defer s.Close()
	const n = 10_000
	var all sync.WaitGroup
	for worker := range 8 {
		all.Go(func() {
			for i := worker; i < n; i += 8 {
				err := s.Deploy(b.Context(), credstore.AuthorizationCode{Name: artifactName(i), AuthorizationURL: "https://idp.example/authorize",
					TokenServiceURL: "https://idp.example/token", ClientID: fmt.Sprintf("app-%d", i), ClientSecret: clientSecret})
				if err == nil {
					_, err = s.Vault().Save(b.Context(), artifactName(i), "", consented("S3NTINEL-refresh"))
				}
				if err != nil {
					b.Error(err)
				}
			}
		})
	}
	all.Wait()
	for b.Loop() {
		list, err := s.List(b.Context())
		require.NoError(b, err)
		require.Len(b, list, n)
	}
}
