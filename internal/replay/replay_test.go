package replay_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant/internal/replay"
)

func TestBody(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		body           io.Reader
		has, possible  bool
		text, wantFail string
	}{
		"none":         {nil, false, true, "", ""},
		"NoBody":       {http.NoBody, false, true, "", ""},
		"a text":       {strings.NewReader("text"), true, true, "text", ""},
		"a plain read": {io.MultiReader(strings.NewReader("text")), true, false, "", "cannot be read again"},
	} {
		req, err := http.NewRequest("POST", "https://a.test", c.body)
		require.NoError(t, err)
		require.Equal(t, c.has, replay.HasBody(req), name)
		require.Equal(t, c.possible, replay.Possible(req), name)
		for range 2 {
			body, err := replay.Body(req)
			if c.wantFail != "" {
				require.ErrorContains(t, err, c.wantFail)
				continue
			}
			require.NoError(t, err)
			if body != nil {
				text, _ := io.ReadAll(body)
				require.Equal(t, c.text, string(text), name)
			}
		}
		replay.CloseBody(req)
	}
}

func TestWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		require.True(t, replay.Fits(t.Context(), time.Hour))
		require.True(t, replay.Fits(ctx, 9*time.Second))
		require.False(t, replay.Fits(ctx, 10*time.Second))
		require.NoError(t, replay.Wait(ctx, 9*time.Second))
		require.Equal(t, 9*time.Second, time.Since(start))
		require.ErrorIs(t, replay.Wait(ctx, time.Hour), context.DeadlineExceeded)
		require.Equal(t, 10*time.Second, time.Since(start))
	})
}
