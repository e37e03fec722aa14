package oauthtest_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/oauthtest"
)

var (
	_ outgrant.TokenSource = (*oauthtest.Source)(nil)
	_ outgrant.Invalidator = (*oauthtest.Source)(nil)
)

func access(t *testing.T, src outgrant.TokenSource) string {
	t.Helper()
	token, err := src.Token(t.Context())
	require.NoError(t, err)
	return token.AccessToken.Reveal()
}

func TestSourceSuppliesTokensOfItsOwn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		src := &oauthtest.Source{User: "bob"}
		token, err := src.Token(t.Context())
		require.NoError(t, err)
		require.Equal(t, &outgrant.Token{AccessToken: "access-1", Type: "Bearer", Expiry: time.Now().Add(time.Hour).Round(0), User: "bob"}, token)
		require.Equal(t, "access-2", access(t, src))
		require.Equal(t, 2, src.Calls())
	})
}

func TestSourceLifetime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for lifetime, want := range map[time.Duration]time.Time{
			0: time.Now().Add(time.Hour), time.Minute: time.Now().Add(time.Minute), -1: {},
		} {
			token, err := (&oauthtest.Source{Lifetime: lifetime}).Token(t.Context())
			require.NoError(t, err)
			require.True(t, want.Equal(token.Expiry), "%s: %s", lifetime, token.Expiry)
		}
		start := time.Now()
		token, err := (&oauthtest.Source{Lifetime: time.Minute, Delay: time.Second, Script: []oauthtest.Step{{Delay: 2 * time.Second}}}).Token(t.Context())
		require.NoError(t, err)
		require.True(t, start.Add(63*time.Second).Equal(token.Expiry), "it lives from when it is handed over")
	})
}

func TestSourceScript(t *testing.T) {
	t.Parallel()
	errDown := errors.New("down")
	mine := &outgrant.Token{AccessToken: "mine"}
	src := &oauthtest.Source{Script: []oauthtest.Step{{Token: mine}, {Err: errDown}, {}, {Token: mine, Err: errDown}}}
	token, err := src.Token(t.Context())
	require.NoError(t, err)
	require.Same(t, mine, token)
	token, err = src.Token(t.Context())
	require.ErrorIs(t, err, errDown)
	require.Nil(t, token)
	require.Equal(t, "access-1", access(t, src))
	token, err = src.Token(t.Context())
	require.ErrorIs(t, err, errDown)
	require.Nil(t, token)
	require.Equal(t, "access-2", access(t, src), "the script has run out")
	require.Equal(t, 5, src.Calls())
}

func TestSourceFail(t *testing.T) {
	t.Parallel()
	errDown := errors.New("down")
	src := &oauthtest.Source{Script: []oauthtest.Step{{}, {Token: &outgrant.Token{AccessToken: "second"}}, {Token: &outgrant.Token{AccessToken: "third"}}}}
	require.Equal(t, "access-1", access(t, src))
	src.Fail(errDown)
	token, err := src.Token(t.Context())
	require.ErrorIs(t, err, errDown)
	require.Nil(t, token)
	src.Fail(nil)
	require.Equal(t, "third", access(t, src), "the script goes on meanwhile")
	require.Equal(t, 3, src.Calls())
}

func TestSourceDelay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		errDown := errors.New("down")
		src := &oauthtest.Source{Delay: time.Second, Script: []oauthtest.Step{{Delay: time.Minute}, {Err: errDown}}}
		start := time.Now()
		require.Equal(t, "access-1", access(t, src))
		require.Equal(t, 61*time.Second, time.Since(start))
		start = time.Now()
		_, err := src.Token(t.Context())
		require.ErrorIs(t, err, errDown)
		require.Equal(t, time.Second, time.Since(start), "errors come late too")

		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		start = time.Now()
		token, err := src.Token(ctx)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Nil(t, token)
		require.Equal(t, time.Millisecond, time.Since(start))
		token, err = (&oauthtest.Source{}).Token(ctx)
		require.ErrorIs(t, err, context.DeadlineExceeded, "without a delay too")
		require.Nil(t, token)
	})
}

func TestSourceInvalidate(t *testing.T) {
	t.Parallel()
	src := &oauthtest.Source{}
	require.Empty(t, src.Rejected())
	a, b := &outgrant.Token{AccessToken: "a"}, &outgrant.Token{AccessToken: "b"}
	src.Invalidate(a)
	src.Invalidate(b)
	src.Invalidate(a)
	got := src.Rejected()
	require.Len(t, got, 3)
	require.Same(t, a, got[0])
	require.Same(t, b, got[1])
	require.Same(t, a, got[2])
	got[0] = nil
	require.Same(t, a, src.Rejected()[0], "what is returned is a copy")
	require.Zero(t, src.Calls())
}

func TestSourceConcurrentUse(t *testing.T) {
	t.Parallel()
	src := &oauthtest.Source{Script: make([]oauthtest.Step, 10)}
	seen := sync.Map{}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 25 {
				token, err := src.Token(context.Background())
				if err != nil {
					t.Error(err)
					return
				}
				if _, twice := seen.LoadOrStore(token.AccessToken.Reveal(), true); twice {
					t.Error("the same token twice")
				}
				src.Invalidate(token)
				_, _, _ = src.Calls(), src.Rejected(), src.String()
				src.Fail(nil)
			}
		})
	}
	wg.Wait()
	require.Equal(t, 200, src.Calls())
	require.Len(t, src.Rejected(), 200)
}
