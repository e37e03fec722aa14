package tokenclient_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/internal/tokenclient"
	"github.com/outgrant/outgrant/oauthtest"
)

// closedPort is an address where nobody listens.
func closedPort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, l.Close())
	return l.Addr().String()
}

// TestWasSent tests what a failure without an answer says about the request.
func TestWasSent(t *testing.T) {
	t.Parallel()
	cutting := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }))
	t.Cleanup(cutting.Close)
	untrusted := httptest.NewUnstartedServer(http.NotFoundHandler())
	untrusted.Config.ErrorLog = log.New(io.Discard, "", 0)
	untrusted.StartTLS()
	t.Cleanup(untrusted.Close)
	nobody := closedPort(t)
	proxied := &http.Transport{Proxy: http.ProxyURL(&url.URL{Scheme: "http", Host: nobody})}
	failing := func(err error) http.RoundTripper {
		return roundTripFunc(func(*http.Request) (*http.Response, error) { return nil, err })
	}
	dialing := func(err error) http.RoundTripper {
		return &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
			return nil, &net.OpError{Op: "dial", Net: "tcp", Err: err}
		}}
	}
	secret := outgrant.ClientAuth{Secret: clientSecret}
	for _, tc := range []struct {
		name      string
		tokenURL  string
		transport http.RoundTripper
		auth      outgrant.ClientAuth
		authErr   error
		sent      bool
	}{
		{"connection refused", "http://" + nobody, &http.Transport{}, secret, nil, false},
		{"no such host", tokenURL, dialing(&net.DNSError{Err: "no such host", Name: "token.example"}), secret, nil, false},
		{"a proxy that is down", tokenURL, proxied, secret, nil, false},
		{"a certificate that is not trusted", untrusted.URL, &http.Transport{}, secret, nil, false},
		{"a certificate of another host", "https://localhost.localdomain:1", &http.Transport{
			DialContext: func(context.Context, string, string) (net.Conn, error) {
				return net.Dial("tcp", untrusted.Listener.Addr().String())
			},
			TLSClientConfig: untrusted.Client().Transport.(*http.Transport).TLSClientConfig,
		}, secret, nil, false},
		{"no client authentication", tokenURL, failing(io.EOF), secret, errors.New("the secrets are sealed"), false},
		{"client authentication that is wrong", tokenURL, failing(io.EOF), outgrant.ClientAuth{}, nil, false},

		{"a connection that is cut", cutting.URL, &http.Transport{}, secret, nil, true},
		{"a connection that is reset", tokenURL, failing(&net.OpError{Op: "read", Net: "tcp", Err: syscall.ECONNRESET}), secret, nil, true},
		{"a write that fails", tokenURL, failing(&net.OpError{Op: "write", Net: "tcp", Err: syscall.EPIPE}), secret, nil, true},
		{"a TLS alert", tokenURL, failing(&net.OpError{Op: "remote error", Err: tls.AlertError(42)}), secret, nil, true},
		{"an error that says nothing", tokenURL, failing(errors.New("something went wrong")), secret, nil, true},
		{"a timeout", tokenURL, failing(context.DeadlineExceeded), secret, nil, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			client, err := tokenclient.New(tokenclient.Config{Name: "CRED", TokenURL: tc.tokenURL, ClientID: "id",
				Auth:       func(context.Context) (outgrant.ClientAuth, error) { return tc.auth, tc.authErr },
				HTTPClient: &http.Client{Transport: tc.transport}})
			require.NoError(t, err)
			answer, err := client.Ask(t.Context(), &tokenclient.Request{})
			require.Error(t, err)
			require.Nil(t, answer)
			require.Equal(t, tc.sent, tokenclient.WasSent(err), "%v", err)
			te, ok := errors.AsType[*outgrant.TokenError](err)
			require.True(t, ok)
			require.Zero(t, te.StatusCode)
			require.True(t, te.Temporary())
			oauthtest.AssertNoSecrets(t, []string{clientSecret}, err)
			if pool, ok := tc.transport.(*http.Transport); ok {
				pool.CloseIdleConnections()
			}
		})
	}
}

// TestSecondTryThatIsLost tests that a request that was tried again with the client authentication that was accepted
// before says what became of the second one: the first was refused, and did nothing.
func TestSecondTryThatIsLost(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name   string
		err    error
		status int
		code   string
		sent   bool
	}{
		{"on the way", io.ErrUnexpectedEOF, 0, "", true},
		{"before it was sent", &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}, 0, "", false},
		{"in a 503", nil, 503, "", true},
		{"for the grant", nil, 400, "invalid_grant", true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			current := outgrant.ClientAuth{Secret: "old-secret"}
			second := false
			service := oauthtest.HandlerTransport(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				switch _, secret, _ := r.BasicAuth(); {
				case secret != "old-secret":
					second = true
					answering(401, "application/json", `{"error":"invalid_client"}`)(w, r)
				case second:
					answering(tc.status, "application/json", `{"error":"`+tc.code+`"}`)(w, r)
				default:
					answering(200, "application/json", `{"access_token":"access"}`)(w, r)
				}
			}))
			client, err := tokenclient.New(tokenclient.Config{TokenURL: tokenURL, ClientID: "id",
				Auth: func(context.Context) (outgrant.ClientAuth, error) { return current, nil },
				HTTPClient: &http.Client{Transport: roundTripFunc(func(req *http.Request) (*http.Response, error) {
					if second && tc.err != nil {
						return nil, tc.err
					}
					return service.RoundTrip(req)
				})}})
			require.NoError(t, err)
			_, err = client.Ask(t.Context(), &tokenclient.Request{})
			require.NoError(t, err)
			current.Secret = "new-secret"
			_, err = client.Ask(t.Context(), &tokenclient.Request{})
			te, ok := errors.AsType[*outgrant.TokenError](err)
			require.True(t, ok)
			require.Equal(t, []any{tc.status, tc.code}, []any{te.StatusCode, te.Code})
			require.Equal(t, tc.sent, tokenclient.WasSent(err))
		})
	}
}

// TestHalfAnAnswer tests answers whose refresh token is all that is of use: it comes beside the error.
func TestHalfAnAnswer(t *testing.T) {
	t.Parallel()
	for body, half := range map[string]bool{
		`{"access_token":"access","token_type":"DPoP","refresh_token":"sentinel-refresh","id_token":"sentinel-id"}`: true,
		`{"refresh_token":"sentinel-refresh"}`:                                               true,
		`{"access_token":"","refresh_token":"sentinel-refresh"}`:                             true,
		`{"access_token":"a\u0000b","refresh_token":"sentinel-refresh"}`:                     true,
		`{"access_token":"access","token_type":"DPoP"}`:                                      false,
		`{"access_token":"access","token_type":"DPoP","refresh_token":""}`:                   false,
		`{"access_token":"access","token_type":"DPoP","refresh_token":7}`:                    false,
		`{"error":"invalid_grant","refresh_token":"sentinel-refresh"}`:                       false,
		`{"error":{"a":"b"},"access_token":"access","refresh_token":"sentinel-refresh"}`:     false,
		`{"access_token":"access","token_type":"DPoP","refresh_token":"sentinel-refresh"} x`: false,
		`{"access_token":"access","token_type":"DPoP","refresh_token":"sentinel-refresh"`:    false,
	} {
		answer, err := ask(t, answering(200, "application/json", body))
		require.Error(t, err, body)
		require.Equal(t, half, answer != nil, body)
		if half {
			require.Equal(t, tokenclient.Answer{RefreshToken: "sentinel-refresh"}, *answer)
		}
		oauthtest.AssertNoSecrets(t, []string{"sentinel-refresh", "sentinel-id"}, err)
	}
	answer, err := ask(t, answering(400, "application/json", `{"refresh_token":"sentinel-refresh"}`))
	require.Error(t, err)
	require.Nil(t, answer)
}

// TestATimeoutWasSent tests the client's own timeout.
func TestATimeoutWasSent(t *testing.T) {
	t.Parallel()
	hangs := roundTripFunc(func(req *http.Request) (*http.Response, error) {
		<-req.Context().Done()
		return nil, req.Context().Err()
	})
	client, err := tokenclient.New(tokenclient.Config{TokenURL: tokenURL, ClientID: "id", Timeout: time.Millisecond,
		Auth: func(context.Context) (outgrant.ClientAuth, error) {
			return outgrant.ClientAuth{Secret: clientSecret}, nil
		},
		HTTPClient: &http.Client{Transport: hangs}})
	require.NoError(t, err)
	_, err = client.Ask(t.Context(), &tokenclient.Request{})
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.True(t, tokenclient.WasSent(err))
}
