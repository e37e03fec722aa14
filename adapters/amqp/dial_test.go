package amqp_test

import (
	"context"
	"errors"
	"flag"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	goamqp "github.com/Azure/go-amqp"
	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/adapters/amqp"
	"github.com/outgrant/outgrant/adapters/amqp/amqptest"
	"github.com/outgrant/outgrant/internal/leakcheck"
	"github.com/outgrant/outgrant/oauthtest"
)

func TestMain(m *testing.M) {
	flag.Parse()
	if err := flag.Set("test.parallel", "8"); err != nil { // most of them wait, for tokens to end
		panic(err)
	}
	leakcheck.Main(m)
}

type described struct {
	outgrant.TokenSource
	grant outgrant.Grant
}

func (d described) Describe() outgrant.Credential {
	return outgrant.Credential{Name: "MESH", Grant: d.grant}
}

func (d described) Invalidate(rejected *outgrant.Token) {
	d.TokenSource.(outgrant.Invalidator).Invalidate(rejected)
}

func dial(t testing.TB, url string, src outgrant.TokenSource, opts *amqp.Options) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	conn, err := amqp.Dial(ctx, url, src, opts)
	require.Nil(t, conn)
	return err
}

func TestMisuse(t *testing.T) {
	t.Parallel()
	src := outgrant.StaticToken("a-token")
	for name, c := range map[string]struct {
		url  string
		src  outgrant.TokenSource
		opts amqp.Options
		want string
	}{
		"no source":     {"wss://mesh.test/", nil, amqp.Options{}, "the token source is nil"},
		"http":          {"https://mesh.test/", src, amqp.Options{}, "the URL must be wss://"},
		"no host":       {"wss:///x", src, amqp.Options{}, "with a host"},
		"a user":        {"amqps://guest:secret-password@mesh.test", src, amqp.Options{}, "the URL has a user"},
		"plaintext":     {"ws://mesh.test/", src, amqp.Options{}, "without TLS"},
		"plain TCP":     {"amqp://mesh.test/", src, amqp.Options{}, "without TLS"},
		"the grant":     {"wss://mesh.test/", described{src, outgrant.SAMLBearer}, amqp.Options{}, "AMQP over WebSocket adapter takes client_credentials"},
		"the mechanism": {"amqps://mesh.test/", src, amqp.Options{Mechanism: "LOGIN"}, "must be XOAUTH2 or Plain"},
		"no audience":   {"amqps://mesh.test/", src, amqp.Options{CBS: &amqp.CBS{}}, "CBS.Audience: missing"},
		"the user name": {"amqps://mesh.test/", src, amqp.Options{User: "a\x01auth=Bearer x"}, "User has a control character"},
		"negative":      {"amqps://mesh.test/", src, amqp.Options{DialTimeout: -1}, "must not be negative"},
	} {
		err := dial(t, c.url, c.src, &c.opts)
		require.ErrorContains(t, err, c.want, name)
		require.NotContains(t, err.Error(), "secret-password")
	}
	require.ErrorIs(t, dial(t, "ws://mesh.test/", src, nil), outgrant.ErrInsecureURL)
	require.ErrorIs(t, dial(t, "wss://mesh.test/", described{src, outgrant.SAMLBearer}, nil), outgrant.ErrUnsupportedGrant)
	_, err := (&amqp.Conn{}).NewSender(t.Context(), "x", nil)
	require.ErrorContains(t, err, "make it by Dial")
	require.NoError(t, (&amqp.Conn{}).Close())
}

// TestHandshakes has servers that answer anything but a WebSocket of AMQP.
func TestHandshakes(t *testing.T) {
	t.Parallel()
	status := func(n int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(n) }
	}
	for name, c := range map[string]struct {
		handler http.HandlerFunc
		cause   amqp.Cause
		status  int
		want    string
		calls   int
	}{
		"401 without a header": {status(401), amqp.Auth, 401, "answered 401 Unauthorized; check that the credential is one for this broker", 2},
		"403":                  {status(403), amqp.Auth, 403, "check that the client has the broker's scopes", 1},
		"404":                  {status(404), amqp.Peer, 404, "at SAP Event Mesh it is /protocols/amqp10ws", 1},
		"200":                  {status(200), amqp.Peer, 200, "answered 200 OK", 1},
		"a redirect": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://elsewhere.test/", http.StatusTemporaryRedirect)
		}, amqp.Peer, 307, "answered 307", 1},
		"no sub-protocol": {func(w http.ResponseWriter, r *http.Request) {
			if ws, err := websocket.Accept(w, r, nil); err == nil {
				_ = ws.CloseNow()
			}
		}, amqp.Peer, 101, "did not agree to the sub-protocol amqp", 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(c.handler)
			defer server.Close()
			source := &oauthtest.Source{}
			base := &http.Transport{}
			defer base.CloseIdleConnections()
			err := dial(t, strings.Replace(server.URL, "http", "ws", 1)+"/?secret=in-the-query", described{outgrant.Cached(source, nil), ""}, &amqp.Options{Base: base})
			e, ok := errors.AsType[*amqp.Error](err)
			require.True(t, ok, "%v", err)
			require.Equal(t, c.cause, e.Cause)
			require.Equal(t, c.status, e.Status)
			require.ErrorContains(t, err, c.want)
			require.ErrorContains(t, err, `"MESH"`)
			oauthtest.AssertNoSecrets(t, []string{"access-1", "access-2", "in-the-query"}, err)
			require.Equal(t, c.calls, source.Calls())
		})
	}
}

// TestSilentServers accept, and say nothing: the timeout holds.
func TestSilentServers(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	upgrading := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if ws, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{"amqp"}}); err == nil {
			for err == nil {
				_, _, err = ws.Read(r.Context())
			}
		}
	}))
	defer upgrading.Close()
	base := &http.Transport{}
	defer base.CloseIdleConnections()
	for _, url := range []string{"ws://" + l.Addr().String(), "amqp://" + l.Addr().String(), strings.Replace(upgrading.URL, "http", "ws", 1)} {
		start := time.Now()
		err := dial(t, url, outgrant.StaticToken("a-token"), &amqp.Options{Base: base, DialTimeout: 100 * time.Millisecond})
		require.Error(t, err, url)
		require.Less(t, time.Since(start), 5*time.Second, url)
	}
}

// TestDynamicAddress: what would end with the first connection is refused.
func TestDynamicAddress(t *testing.T) {
	t.Parallel()
	b := newBroker(t, amqptest.Options{})
	conn, _ := connect(t, b.URL(), outgrant.StaticToken("a-token"), amqp.Options{})
	_, err := conn.NewSender(t.Context(), "", &goamqp.SenderOptions{DynamicAddress: true})
	require.ErrorContains(t, err, "DynamicAddress")
	_, err = conn.NewReceiver(t.Context(), "", &goamqp.ReceiverOptions{DynamicAddress: true})
	require.ErrorContains(t, err, "DynamicAddress")
}

func TestNoToken(t *testing.T) {
	t.Parallel()
	source := &oauthtest.Source{}
	source.Fail(&outgrant.TokenError{Code: "invalid_client", Credential: "MESH"})
	for _, url := range []string{"wss://mesh.test/", "amqps://mesh.test/"} {
		err := dial(t, url, source, nil)
		te, ok := errors.AsType[*outgrant.TokenError](err)
		require.True(t, ok, "%v", err)
		require.Equal(t, "invalid_client", te.Code)
	}
}
