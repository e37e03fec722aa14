package withheld_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant/internal/leakcheck"
	"github.com/outgrant/outgrant/internal/withheld"
)

func TestMain(m *testing.M) { leakcheck.Main(m) }

const hidden = "(not shown: it quotes a secret)"

func TestOfRequest(t *testing.T) {
	t.Parallel()
	req, err := http.NewRequest(http.MethodGet, "https://x.test/?proof=f00df00d&other=shown&proof=second-proof", nil)
	require.NoError(t, err)
	req.Header.Add("Authorization", "Bearer the-bearer")
	req.Header.Add("Authorization", `OAuth oauth_consumer_key="the%20key", oauth_token="the-token", oauth_signature="c2ln%2Bbm0%3D", oauth_version="1.0", oauth_nonce="the-nonce",oauth_verifier="the-verifier"`)
	s := withheld.OfRequest(req, "proof")
	for _, secret := range []string{"the-bearer", "the key", "the%20key", "the-token", "c2ln+bm0=", "the-nonce", "the-verifier", "f00df00d", "second-proof"} {
		require.Equal(t, hidden, s.Line("it said "+secret+".", 100), secret)
		require.Equal(t, hidden, s.Line("it said "+url.QueryEscape(secret)+".", 100), secret)
	}
	for _, text := range []string{"other=shown", "1.0", "oauth_token", "OAuth", ""} {
		require.Equal(t, text, s.Line(text, 100))
	}
	require.Empty(t, withheld.OfRequest(&http.Request{}, "proof"))
}

func TestLine(t *testing.T) {
	t.Parallel()
	s := withheld.Secrets{"sentinel"}
	require.Equal(t, "two lines", s.Line(" two\nlines\x00", 100))
	require.Equal(t, "xxxxx...", s.Line(strings.Repeat("x", 1<<20), 5))
	require.Equal(t, "xx...", withheld.Secrets(nil).Line("xxx", 2))
	for blanks := range 90 { // blanks are taken off, so that what is behind them is seen up to the end
		require.Equal(t, hidden, s.Line(strings.Repeat(" ", blanks)+"sentinel", 10), blanks)
	}
}

func TestError(t *testing.T) {
	t.Parallel()
	s := withheld.Secrets{"sentinel"}
	for _, err := range []error{
		&url.Error{Op: "Get", URL: "https://x.test/?a=query", Err: fmt.Errorf("cannot send sentinel: %w", context.Canceled)},
		fmt.Errorf("sentinel: %w", &fs.PathError{Op: "open", Path: "p", Err: context.Canceled}),
	} {
		shown := s.Error(err)
		require.Equal(t, hidden, fmt.Sprintf("%+v", shown))
		require.NotContains(t, fmt.Sprintf("%#v", shown), "sentinel")
		require.ErrorIs(t, shown, context.Canceled)
	}
	_, ok := errors.AsType[*fs.PathError](s.Error(&fs.PathError{Op: "open", Path: "p", Err: context.Canceled}))
	require.True(t, ok)
	require.EqualError(t, s.Error(&url.Error{Op: "Get", URL: "https://x.test/?a=query", Err: errors.New("refused")}), "refused")
}
