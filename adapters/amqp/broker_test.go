package amqp_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	goamqp "github.com/Azure/go-amqp"
	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/adapters/amqp"
	"github.com/outgrant/outgrant/adapters/amqp/amqptest"
)

// issuer issues tokens, and knows which ones live.
type issuer struct {
	life  time.Duration
	grace time.Duration // how long they live after the end that is told

	mu   sync.Mutex
	n    int
	ends map[outgrant.Secret]time.Time
}

func (s *issuer) Token(context.Context) (*outgrant.Token, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.n++
	token := &outgrant.Token{AccessToken: outgrant.Secret(fmt.Sprintf("a-token-%d", s.n)), Expiry: time.Now().Add(s.life)}
	if s.ends == nil {
		s.ends = map[outgrant.Secret]time.Time{}
	}
	s.ends[token.AccessToken] = token.Expiry
	return token, nil
}

func (s *issuer) live(token outgrant.Secret) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return time.Now().Before(s.ends[token].Add(s.grace))
}

func (s *issuer) issued() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.n
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

func (e *events) count(kinds ...amqp.EventKind) (n int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, event := range e.all {
		for _, kind := range kinds {
			if event.Kind == kind {
				n++
			}
		}
	}
	return n
}

func (e *events) String() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return fmt.Sprint(e.all)
}

func newBroker(t testing.TB, opts amqptest.Options) *amqptest.Broker {
	t.Helper()
	b := amqptest.NewBroker(&opts)
	t.Cleanup(b.Close)
	return b
}

func connect(t testing.TB, url string, src outgrant.TokenSource, opts amqp.Options) (*amqp.Conn, *events) {
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

// links are the options of a flow's links.
type links struct {
	send    *goamqp.SenderOptions
	receive *goamqp.ReceiverOptions
	settled bool // when it is sent
}

// flow sends until enough says so, and receives all. It returns how many messages that were, and how many came twice.
func flow(t *testing.T, conn *amqp.Conn, queue string, with links, enough func(sent int) bool) (sent, duplicates int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if with.receive == nil {
		with.receive = &goamqp.ReceiverOptions{Credit: 10}
	}
	sender, err := conn.NewSender(ctx, queue, with.send)
	require.NoError(t, err)
	receiver, err := conn.NewReceiver(ctx, queue, with.receive)
	require.NoError(t, err)
	total := make(chan int, 1)
	var sending sync.WaitGroup
	defer sending.Wait()
	defer cancel()
	sending.Go(func() {
		n := 0
		for ; !enough(n) && ctx.Err() == nil; n++ {
			if err := sender.Send(ctx, goamqp.NewMessage([]byte(fmt.Sprint(n))), nil); err != nil {
				t.Errorf("Send: %v", err)
				break
			}
		}
		total <- n
	})
	seen := map[string]int{}
	for sent = -1; sent < 0 || len(seen) < sent; {
		patience, stop := context.WithTimeout(ctx, 100*time.Millisecond)
		msg, err := receiver.Receive(patience)
		stop()
		select {
		case sent = <-total:
		default:
		}
		require.NoError(t, ctx.Err(), "of %d messages %d arrived", sent, len(seen))
		if err != nil {
			require.ErrorIs(t, err, context.DeadlineExceeded)
			continue
		}
		seen[string(msg.GetData())]++
		if with.settled {
			continue
		}
		if err := receiver.AcceptMessage(ctx, msg); err != nil {
			t.Logf("accepting %s: %v", msg.GetData(), err)
			require.ErrorIs(t, err, amqp.ErrRedelivered)
		}
	}
	for text, n := range seen {
		if n > 1 {
			t.Logf("%s came %d times", text, n)
		}
		duplicates += n - 1
	}
	return sent, duplicates
}

// way is a way to present a token.
type way struct {
	url    string
	opts   amqp.Options
	expiry amqptest.Expiry
}

var ways = map[string]way{
	"AMQP":      {opts: amqp.Options{}, expiry: amqptest.CloseAMQP},
	"WebSocket": {opts: amqp.Options{}, expiry: amqptest.CloseWebSocket},
	"XOAUTH2":   {url: "tcp", opts: amqp.Options{}, expiry: amqptest.CloseAMQP},
	"PLAIN":     {url: "tcp", opts: amqp.Options{Mechanism: amqp.Plain}, expiry: amqptest.CloseAMQP},
	"both":      {opts: amqp.Options{Mechanism: amqp.Plain}, expiry: amqptest.CloseAMQP}, // with the handshake, and by SASL
	"CBS":       {url: "tcp", opts: amqp.Options{CBS: &amqp.CBS{Audience: "queue:orders"}}, expiry: amqptest.DetachLinks},
}

func (w way) of(b *amqptest.Broker) string {
	if w.url == "tcp" {
		return b.TCPURL()
	}
	return b.URL()
}

// TestRollOver sends and receives while tokens of half a second roll over. The broker ends what they were for a second later: by
// then nothing of it is left, also where a machine is slow.
func TestRollOver(t *testing.T) {
	t.Parallel()
	for name, w := range ways {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tokens := &issuer{life: 500 * time.Millisecond, grace: time.Second}
			b := newBroker(t, amqptest.Options{Check: tokens.live, Expiry: w.expiry})
			conn, e := connect(t, w.of(b), outgrant.Cached(tokens, nil), w.opts)
			sent, duplicates := flow(t, conn, "queue:orders", links{}, func(int) bool { return e.count(amqp.Moved, amqp.Renewed) >= 10 })
			require.Zero(t, duplicates)
			require.Zero(t, b.Expired(), "%v", e)
			require.Zero(t, e.count(amqp.Lost, amqp.Failed), "%v", e)
			t.Logf("%d messages", sent)
		})
	}
}

// TestLinkOptions: what links are asked to be, they are on each connection.
func TestLinkOptions(t *testing.T) {
	t.Parallel()
	settled, unsettled, second := goamqp.SenderSettleModeSettled, goamqp.SenderSettleModeUnsettled, goamqp.ReceiverSettleModeSecond
	for name, c := range map[string]struct {
		links
		opts amqp.Options
	}{
		"sent unsettled":             {links: links{send: &goamqp.SenderOptions{SettlementMode: &unsettled}}},
		"sent settled":               {links: links{send: &goamqp.SenderOptions{SettlementMode: &settled}}},
		"sent, settled second":       {links: links{send: &goamqp.SenderOptions{RequestedReceiverSettleMode: &second}}},
		"received, settled second":   {links: links{receive: &goamqp.ReceiverOptions{SettlementMode: &second}}},
		"received settled":           {links: links{receive: &goamqp.ReceiverOptions{RequestedSenderSettleMode: &settled, Credit: 10}, settled: true}},
		"names that are always same": {links: links{send: &goamqp.SenderOptions{Name: "out"}, receive: &goamqp.ReceiverOptions{Name: "in"}}, opts: amqp.Options{Conn: &goamqp.ConnOptions{ContainerID: "one"}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tokens := &issuer{life: 500 * time.Millisecond, grace: time.Second}
			b := newBroker(t, amqptest.Options{Check: tokens.live})
			conn, e := connect(t, b.URL(), outgrant.Cached(tokens, nil), c.opts)
			sent, duplicates := flow(t, conn, "queue:orders", c.links, func(int) bool { return e.count(amqp.Moved) >= 4 })
			require.Zero(t, duplicates)
			require.Zero(t, e.count(amqp.Lost, amqp.Failed), "%v", e)
			t.Logf("%d messages", sent)
		})
	}
}

// TestOneAtATime: where the broker refuses a second receiver, or connection, the first is closed before.
func TestOneAtATime(t *testing.T) {
	t.Parallel()
	for name, opts := range map[string]amqptest.Options{
		"a queue for one": {Exclusive: []string{"queue:orders"}},
		"one connection":  {Connections: 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tokens := &issuer{life: time.Second, grace: time.Second}
			opts.Check = tokens.live
			b := newBroker(t, opts)
			conn, e := connect(t, b.URL(), outgrant.Cached(tokens, nil), amqp.Options{})
			flow(t, conn, "queue:orders", links{}, func(int) bool { return e.count(amqp.Connected) >= 4 })
			require.Zero(t, e.count(amqp.Lost), "%v", e)
			require.Zero(t, b.Expired(), "%v", e)
		})
	}
}

// TestDropped has the connections cut: all goes on, and nothing is lost.
func TestDropped(t *testing.T) {
	t.Parallel()
	for name, w := range ways {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tokens := &issuer{life: time.Minute}
			b := newBroker(t, amqptest.Options{Check: tokens.live, Expiry: w.expiry})
			conn, e := connect(t, w.of(b), outgrant.Cached(tokens, nil), w.opts)
			drops := 0
			flow(t, conn, "queue:orders", links{}, func(int) bool {
				if n := e.count(amqp.Connected); n > drops && drops < 3 {
					drops = n
					b.Drop()
				}
				return e.count(amqp.Connected) > 3
			})
			require.Equal(t, amqp.Network, e.all[1].Cause, "%v", e)
			require.Equal(t, 1, tokens.issued())
		})
	}
}

// TestExpired has a source whose tokens end without a word ahead: the connection is lost, and there is one with another.
func TestExpired(t *testing.T) {
	t.Parallel()
	for name, w := range ways {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var mu sync.Mutex
			tokens, revoked := &issuer{life: time.Hour}, map[outgrant.Secret]bool{}
			live := func(token outgrant.Secret) bool {
				mu.Lock()
				defer mu.Unlock()
				return tokens.live(token) && !revoked[token]
			}
			b := newBroker(t, amqptest.Options{Check: live, Expiry: w.expiry})
			source := outgrant.Cached(tokens, nil)
			conn, e := connect(t, w.of(b), source, w.opts)
			first, err := source.Token(t.Context())
			require.NoError(t, err)
			flow(t, conn, "queue:orders", links{}, func(sent int) bool {
				mu.Lock()
				defer mu.Unlock()
				revoked[first.AccessToken] = revoked[first.AccessToken] || sent == 10
				return sent > 10 && e.count(amqp.Connected, amqp.Renewed, amqp.Moved) > 1
			})
			require.Equal(t, 2, tokens.issued(), "%v", e)
			if name != "CBS" { // there the connection stays
				require.Equal(t, amqp.Auth, e.all[1].Cause, "%v", e)
			}
		})
	}
}

func TestMissingQueue(t *testing.T) {
	t.Parallel()
	b := newBroker(t, amqptest.Options{Queues: []string{"queue:orders"}})
	conn, _ := connect(t, b.URL(), outgrant.StaticToken("a-token"), amqp.Options{})
	_, err := conn.NewSender(t.Context(), "queue:missing", nil)
	e, ok := errors.AsType[*amqp.Error](err)
	require.True(t, ok, "%v", err)
	require.Equal(t, "amqp:not-found", e.Condition)
	_, err = conn.NewReceiver(t.Context(), "queue:orders", nil)
	require.NoError(t, err)
}
