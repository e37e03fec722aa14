package outgrant_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant"
)

func TestTokenErrorTemporary(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		err  outgrant.TokenError
		want bool
	}{
		"network":                     {outgrant.TokenError{Err: &net.OpError{Op: "dial", Err: errors.New("refused")}}, true},
		"deadline":                    {outgrant.TokenError{Err: context.DeadlineExceeded}, true},
		"500":                         {outgrant.TokenError{StatusCode: 500}, true},
		"503 with a permanent code":   {outgrant.TokenError{StatusCode: 503, Code: "invalid_grant"}, true},
		"408":                         {outgrant.TokenError{StatusCode: 408}, true},
		"429 with a code":             {outgrant.TokenError{StatusCode: 429, Code: "invalid_client"}, true},
		"server_error":                {outgrant.TokenError{StatusCode: 400, Code: "server_error"}, true},
		"temporarily_unavailable":     {outgrant.TokenError{StatusCode: 400, Code: "temporarily_unavailable"}, true},
		"4xx that says nothing":       {outgrant.TokenError{StatusCode: 403}, true},
		"4xx with an unknown code":    {outgrant.TokenError{StatusCode: 400, Code: "quota"}, true},
		"200 that says nothing":       {outgrant.TokenError{StatusCode: 200, Err: errors.New("empty")}, true},
		"invalid_client":              {outgrant.TokenError{StatusCode: 401, Code: "invalid_client"}, false},
		"invalid_grant":               {outgrant.TokenError{StatusCode: 400, Code: "invalid_grant"}, false},
		"invalid_request in 200":      {outgrant.TokenError{StatusCode: 200, Code: "invalid_request"}, false},
		"unauthorized_client":         {outgrant.TokenError{StatusCode: 400, Code: "unauthorized_client"}, false},
		"unsupported_grant_type":      {outgrant.TokenError{StatusCode: 400, Code: "unsupported_grant_type"}, false},
		"invalid_scope":               {outgrant.TokenError{StatusCode: 400, Code: "invalid_scope"}, false},
		"redirect":                    {outgrant.TokenError{StatusCode: 307}, false},
		"a token that cannot be sent": {outgrant.TokenError{StatusCode: 200, Err: fmt.Errorf("%w: mac", outgrant.ErrUnsupportedTokenType)}, false},
		"not authorized":              {outgrant.TokenError{Err: outgrant.ErrNotAuthorized}, false},
		"no user":                     {outgrant.TokenError{Err: outgrant.ErrUserRequired}, false},
		"a cause that lasts":          {outgrant.TokenError{Err: lasting(true)}, false},
		"a cause that lasts, wrapped": {outgrant.TokenError{Err: fmt.Errorf("a: %w", errors.Join(errors.New("b"), lasting(true)))}, false},
		"a cause that may pass":       {outgrant.TokenError{Err: lasting(false)}, true},
		"500 with a cause that lasts": {outgrant.TokenError{StatusCode: 500, Err: lasting(true)}, true},
	} {
		require.Equal(t, c.want, c.err.Temporary(), name)
	}
}

// lasting is an error that says itself whether it lasts.
type lasting bool

func (lasting) Error() string     { return "lasting" }
func (l lasting) Permanent() bool { return bool(l) }

// TestPermanentErrorsOfSources: also one that is no TokenError sets the pace.
func TestPermanentErrorsOfSources(t *testing.T) {
	t.Parallel()
	for _, permanent := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			cached := outgrant.Cached(outgrant.TokenSourceFunc(func(context.Context) (*outgrant.Token, error) { return nil, lasting(permanent) }), nil)
			_, err := cached.Token(t.Context())
			require.ErrorIs(t, err, lasting(permanent))
			pause := time.Until(cached.Health().NextAttempt)
			require.Equal(t, permanent, pause > 500*time.Millisecond, pause)
		})
	}
}

func TestTokenErrorSaysWhatToDo(t *testing.T) {
	t.Parallel()
	err := error(&outgrant.TokenError{Grant: outgrant.ClientCredentials, Credential: "S4_ORDERS", TokenURL: "https://acme.example/oauth/token",
		StatusCode: 401, Code: "invalid_client", Description: "bad"})
	require.Equal(t, `outgrant: no token for "S4_ORDERS" (client_credentials at acme.example): answer 401 invalid_client (bad); `+
		`check client id, secret or certificate, and the client authentication method`, err.Error())
	require.EqualError(t, &outgrant.TokenError{}, "outgrant: no token for an unnamed credential")
	require.ErrorIs(t, &outgrant.TokenError{Err: outgrant.ErrNotAuthorized}, outgrant.ErrNotAuthorized)
}
