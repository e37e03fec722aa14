// Package amqp_test tests adapters/amqp against a broker on rhea, with tokens of oidc-provider.
package amqp_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	goamqp "github.com/Azure/go-amqp"
	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/adapters/amqp"
	"github.com/outgrant/outgrant/clientcredentials"
	"github.com/outgrant/outgrant/internal/leakcheck"
	"github.com/outgrant/outgrant/internal/peers/peer"
)

func TestMain(m *testing.M) { leakcheck.Main(m) }

var publisher = peer.SecretClient("publisher", "a secret")

func startAuthServer(t testing.TB, lifetime time.Duration) *peer.AuthServer {
	return peer.StartAuthServer(t, peer.AuthServerOptions{TokenLifetime: lifetime, Clients: []peer.Client{publisher}})
}

func newSource(t testing.TB, s *peer.AuthServer) *outgrant.CachedSource {
	t.Helper()
	src, err := clientcredentials.New(&clientcredentials.Config{
		Name: "MESH", TokenURL: s.TokenURL, ClientID: publisher.ID, ClientSecret: outgrant.Secret(publisher.Secret), HTTPClient: &http.Client{Transport: s.Transport(t)},
	})
	require.NoError(t, err)
	return src
}

// events collects what a connection tells.
type events struct {
	mu  sync.Mutex
	all []amqp.Event
}

func (e *events) note(event amqp.Event) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.all = append(e.all, event)
}

func (e *events) count(kind amqp.EventKind) (n int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, event := range e.all {
		if event.Kind == kind {
			n++
		}
	}
	return n
}

func (e *events) String() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return fmt.Sprintf("%v", e.all)
}

func dial(t testing.TB, url string, src outgrant.TokenSource, opts amqp.Options) (*amqp.Conn, *events) {
	t.Helper()
	e := &events{}
	opts.Notify = e.note
	base := &http.Transport{}
	t.Cleanup(base.CloseIdleConnections)
	opts.Base = base
	conn, err := amqp.Dial(t.Context(), url, src, &opts)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, conn.Close()) })
	return conn, e
}

// way is a way to present a token.
type way struct {
	url  string
	opts amqp.Options
}

func ways(b *peer.Broker) map[string]way {
	return map[string]way{
		"WebSocket": {b.URL, amqp.Options{}},
		"XOAUTH2":   {b.TCPURL, amqp.Options{}},
		"PLAIN":     {b.TCPURL, amqp.Options{Mechanism: amqp.Plain}},
		"CBS":       {b.TCPURL, amqp.Options{CBS: &amqp.CBS{Audience: "queue:CBS"}}},
	}
}

func TestPublishAndConsume(t *testing.T) {
	t.Parallel()
	s := startAuthServer(t, time.Minute)
	b := peer.StartBroker(t, s, peer.BrokerOptions{})
	for name, c := range ways(b) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conn, _ := dial(t, c.url, newSource(t, s), c.opts)
			sender, err := conn.NewSender(t.Context(), "queue:"+name, nil)
			require.NoError(t, err)
			receiver, err := conn.NewReceiver(t.Context(), "queue:"+name, &goamqp.ReceiverOptions{Credit: 10})
			require.NoError(t, err)
			for i := range 100 {
				text := fmt.Sprint("message ", i)
				require.NoError(t, sender.Send(t.Context(), goamqp.NewMessage([]byte(text)), nil))
				msg, err := receiver.Receive(t.Context())
				require.NoError(t, err)
				require.Equal(t, text, string(msg.GetData()))
				require.NoError(t, receiver.AcceptMessage(t.Context(), msg))
			}
			_, err = conn.NewSender(t.Context(), "queue:missing", nil)
			e, ok := errors.AsType[*amqp.Error](err)
			require.True(t, ok, "%v", err)
			require.Equal(t, "amqp:not-found", e.Condition)
			require.NoError(t, sender.Close(t.Context()))
			require.NoError(t, receiver.Close(t.Context()))
			require.ErrorContains(t, sender.Send(t.Context(), goamqp.NewMessage(nil), nil), "the sender is closed")
		})
	}
}

// TestRefused has tokens that the broker does not take: the first of two, and then all.
func TestRefused(t *testing.T) {
	t.Parallel()
	s := startAuthServer(t, time.Minute)
	b := peer.StartBroker(t, s, peer.BrokerOptions{})
	for name, c := range ways(b) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			good, err := newSource(t, s).Token(t.Context())
			require.NoError(t, err)
			calls := 0
			dialWith := func(tokens ...outgrant.Secret) error {
				calls = 0
				src := outgrant.Cached(outgrant.TokenSourceFunc(func(context.Context) (*outgrant.Token, error) {
					calls++
					return &outgrant.Token{AccessToken: tokens[min(calls, len(tokens))-1], Expiry: time.Now().Add(time.Hour)}, nil
				}), nil)
				opts := c.opts
				conn, err := amqp.Dial(t.Context(), c.url, src, &opts)
				if err == nil {
					require.NoError(t, conn.Close())
				}
				return err
			}
			require.NoError(t, dialWith("a-token-that-ended", good.AccessToken))
			require.Equal(t, 2, calls)
			err = dialWith("a-token-that-ended", "another-that-ended", good.AccessToken)
			e, ok := errors.AsType[*amqp.Error](err)
			require.True(t, ok, "%v", err)
			require.Equal(t, amqp.Auth, e.Cause, "%v", err)
			require.NotContains(t, err.Error(), "that-ended")
			require.Equal(t, 2, calls)
			t.Log(err)
		})
	}
}

// TestRollOver sends and receives while the token rolls over, and the broker closes connections whose token has ended.
func TestRollOver(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		expiry string
		tcp    bool
		opts   amqp.Options
	}{
		"AMQP close":      {expiry: "amqp"},
		"WebSocket close": {expiry: "1008"},
		"CBS":             {expiry: "detach", tcp: true, opts: amqp.Options{CBS: &amqp.CBS{Audience: "queue:orders"}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := startAuthServer(t, peer.Short(4*time.Second, 5*time.Second)) // whose ends are whole seconds
			b := peer.StartBroker(t, s, peer.BrokerOptions{Expiry: c.expiry})
			url := b.URL
			if c.tcp {
				url = b.TCPURL
			}
			conn, e := dial(t, url, newSource(t, s), c.opts)
			renewals := func() int { return e.count(amqp.Moved) + e.count(amqp.Renewed) }
			flow(t, conn, "queue:orders", peer.Short(500, 10_000), func() bool { return renewals() >= peer.Short(3, 10) })
			require.Zero(t, e.count(amqp.Lost), "renewed ahead of the end: %v", e)
			require.Zero(t, b.Logged("EXPIRED"))
			t.Logf("%d renewals", renewals())
		})
	}
}

// flow sends at least so many messages, until enough says so, and receives them all.
func flow(t *testing.T, conn *amqp.Conn, queue string, atLeast int, enough func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	sender, err := conn.NewSender(ctx, queue, nil)
	require.NoError(t, err)
	receiver, err := conn.NewReceiver(ctx, queue, &goamqp.ReceiverOptions{Credit: 20})
	require.NoError(t, err)
	var sent int
	var pauses []time.Duration
	var sending sync.WaitGroup
	total := make(chan int, 1)
	sending.Go(func() {
		for sent < atLeast || !enough() {
			start := time.Now()
			if err := sender.Send(ctx, goamqp.NewMessage([]byte(fmt.Sprint(sent))), nil); err != nil {
				t.Errorf("Send: %v", err)
				break
			}
			pauses = append(pauses, time.Since(start))
			sent++
		}
		total <- sent
	})
	seen := map[string]int{}
	want, redelivered := -1, 0
	for want < 0 || len(seen) < want {
		patience, stop := context.WithTimeout(ctx, 200*time.Millisecond)
		msg, err := receiver.Receive(patience)
		stop()
		select {
		case want = <-total:
		default:
		}
		if ctx.Err() != nil {
			t.Fatalf("of %d messages %d arrived", want, len(seen))
		}
		if err != nil {
			require.ErrorIs(t, err, context.DeadlineExceeded)
			continue
		}
		seen[string(msg.GetData())]++
		if err := receiver.AcceptMessage(ctx, msg); err != nil {
			require.ErrorIs(t, err, amqp.ErrRedelivered)
			redelivered++
		}
	}
	sending.Wait()
	duplicates := 0
	for _, n := range seen {
		duplicates += n - 1
	}
	slices.Sort(pauses)
	t.Logf("%d messages, %d duplicates (%d redelivered), the longest Send %v, p99 %v", want, duplicates, redelivered, pauses[len(pauses)-1], pauses[len(pauses)*99/100])
}

// TestDropped has the connections cut: all goes on, and nothing is lost.
func TestDropped(t *testing.T) {
	t.Parallel()
	s := startAuthServer(t, time.Minute)
	b := peer.StartBroker(t, s, peer.BrokerOptions{})
	conn, e := dial(t, b.URL, newSource(t, s), amqp.Options{})
	drops := 0
	flow(t, conn, "queue:orders", 0, func() bool {
		if n := e.count(amqp.Connected); n > drops && drops < 3 {
			drops = n
			b.Drop(t)
		}
		return e.count(amqp.Lost) >= 3 && e.count(amqp.Connected) > 3
	})
	require.Equal(t, amqp.Network, e.all[1].Cause, "%v", e)
}

// TestExclusive: where the broker refuses the second receiver, the first connection is closed before.
func TestExclusive(t *testing.T) {
	t.Parallel()
	for name, opts := range map[string]peer.BrokerOptions{
		"a queue for one": {Expiry: "amqp", Exclusive: []string{"queue:orders"}},
		"one connection":  {Expiry: "amqp", Connections: 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := startAuthServer(t, 4*time.Second)
			b := peer.StartBroker(t, s, opts)
			conn, e := dial(t, b.URL, newSource(t, s), amqp.Options{})
			flow(t, conn, "queue:orders", 300, func() bool { return e.count(amqp.Connected) >= 3 })
			require.Zero(t, b.Logged("EXPIRED"), "%v", e)
		})
	}
}
