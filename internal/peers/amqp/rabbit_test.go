package amqp_test

import (
	"context"
	"errors"
	"testing"
	"time"

	goamqp "github.com/Azure/go-amqp"
	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/adapters/amqp"
	"github.com/outgrant/outgrant/internal/peers/peer"
)

// rabbitSource supplies tokens of a RabbitMQ, which live so many seconds.
func rabbitSource(t testing.TB, r *peer.RabbitMQ, life time.Duration) *outgrant.CachedSource {
	return outgrant.Cached(outgrant.TokenSourceFunc(func(context.Context) (*outgrant.Token, error) {
		ends := time.Now().Add(life).Truncate(time.Second)
		return &outgrant.Token{AccessToken: outgrant.Secret(r.Token(t, ends)), Expiry: ends, User: peer.RabbitUser}, nil
	}), nil)
}

// TestRabbitMQ has RabbitMQ over TCP, with the token as password, and behind a WebSocket tunnel that closes at the token's end.
//
// There are duplicates: RabbitMQ 3.10 ends a session with an error when a message crosses the question of a receiver that is
// drained (function_clause in rabbit_classic_queue), and delivers again what was accepted just then.
func TestRabbitMQ(t *testing.T) {
	t.Parallel()
	r := peer.StartRabbitMQ(t)
	plain := amqp.Options{Mechanism: amqp.Plain}
	t.Run("the token ends", func(t *testing.T) {
		for name, c := range map[string]struct {
			url  string
			opts amqp.Options
		}{"TCP": {r.TCPURL, plain}, "WebSocket": {r.URL, plain}} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				conn, e := dial(t, c.url, rabbitSource(t, r, peer.Short(4*time.Second, 6*time.Second)), c.opts)
				flow(t, conn, "/queue/"+name, peer.Short(500, 10_000), func() bool { return e.count(amqp.Moved) >= peer.Short(3, 10) })
				require.Zero(t, e.count(amqp.Lost), "%v", e)
			})
		}
	})
	t.Run("refused", func(t *testing.T) {
		t.Parallel()
		for url, opts := range map[string]amqp.Options{r.TCPURL: plain, r.URL: plain} {
			_, err := amqp.Dial(t.Context(), url, outgrant.StaticToken("a-token-of-another"), &opts)
			e, ok := errors.AsType[*amqp.Error](err)
			require.True(t, ok, "%v", err)
			require.Equal(t, amqp.Auth, e.Cause, "%v", err)
			require.NotContains(t, err.Error(), "a-token-of")
		}
	})
}

// TestRabbitMQGone kills the broker and starts it again 5 seconds later: what was reported as sent is there.
func TestRabbitMQGone(t *testing.T) {
	t.Parallel()
	r := peer.StartRabbitMQ(t)
	conn, e := dial(t, r.TCPURL, rabbitSource(t, r, time.Hour), amqp.Options{Mechanism: amqp.Plain, MaxBackoff: time.Second})
	sender, err := conn.NewSender(t.Context(), "/queue/orders", &goamqp.SenderOptions{TargetDurability: goamqp.DurabilityUnsettledState})
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	sent := 0
	send := func() {
		msg := goamqp.NewMessage([]byte{byte(sent >> 8), byte(sent)})
		msg.Header = &goamqp.MessageHeader{Durable: true}
		require.NoError(t, sender.Send(ctx, msg, nil))
		sent++
	}
	for range 200 {
		send()
	}
	r.Kill(t)
	back := make(chan time.Time, 1)
	time.AfterFunc(5*time.Second, func() {
		r.Start(t)
		back <- time.Now()
	})
	for range 200 {
		send()
	}
	require.Less(t, time.Since(<-back), 3*time.Second, "reconnected within its back-off of a second, and all sent")
	require.Equal(t, 1, e.count(amqp.Lost), "%v", e)
	receiver, err := conn.NewReceiver(ctx, "/queue/orders", &goamqp.ReceiverOptions{Credit: 100, SourceDurability: goamqp.DurabilityUnsettledState})
	require.NoError(t, err)
	seen, duplicates := map[[2]byte]bool{}, 0
	for len(seen) < sent {
		msg, err := receiver.Receive(ctx)
		require.NoError(t, err, "%d of %d", len(seen), sent)
		require.NoError(t, receiver.AcceptMessage(ctx, msg))
		body := [2]byte(msg.GetData())
		if seen[body] {
			duplicates++
		}
		seen[body] = true
	}
	t.Logf("%d messages, %d duplicates, %d attempts", sent, duplicates, e.count(amqp.Failed))
}
