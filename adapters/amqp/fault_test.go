package amqp_test

import (
	"context"
	"fmt"
	"iter"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	goamqp "github.com/Azure/go-amqp"
	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/adapters/amqp"
	"github.com/outgrant/outgrant/adapters/amqp/amqptest"
)

// switched is a step that is left without an answer, while it is set.
type switched struct{ step atomic.Value }

func (s *switched) set(step amqptest.Step)         { s.step.Store(step) }
func (s *switched) silent(step amqptest.Step) bool { return s.step.Load() == step }

// renewing are the steps of a client that renews, over WebSocket and with $cbs.
var renewing = map[string][]amqptest.Step{
	"AMQP":    {amqptest.Handshake, amqptest.SASL, amqptest.Open, amqptest.Begin, amqptest.Attach, amqptest.Drain, amqptest.Detach, amqptest.Close},
	"XOAUTH2": {amqptest.SASL, amqptest.Open, amqptest.Begin, amqptest.Attach, amqptest.Drain, amqptest.Close},
	"CBS":     {amqptest.PutToken},
}

// atEachStep runs a test for each step of each of these.
func atEachStep(t *testing.T, test func(t *testing.T, silent *switched, step amqptest.Step, w way)) {
	t.Parallel()
	for name, steps := range renewing {
		for _, step := range steps {
			t.Run(fmt.Sprint(name, " ", step), func(t *testing.T) {
				t.Parallel()
				test(t, &switched{}, step, ways[name])
			})
		}
	}
}

// TestSilentInRollOver has a broker that falls silent at some step of a roll-over, and answers again later: nothing is lost.
func TestSilentInRollOver(t *testing.T) {
	atEachStep(t, func(t *testing.T, silent *switched, step amqptest.Step, w way) {
		tokens := &issuer{life: time.Second}
		b := newBroker(t, amqptest.Options{Check: tokens.live, Expiry: w.expiry, Silent: silent.silent})
		w.opts.DialTimeout, w.opts.MaxBackoff, w.opts.DrainTimeout = 500*time.Millisecond, 100*time.Millisecond, 500*time.Millisecond
		conn, e := connect(t, w.of(b), outgrant.Cached(tokens, nil), w.opts)
		renewals := func() int { return e.count(amqp.Moved, amqp.Renewed, amqp.Connected) }
		later := time.AfterFunc(1500*time.Millisecond, func() { silent.set("") }) // the token has ended by then
		defer later.Stop()
		start := time.Now()
		flow(t, conn, "queue:orders", links{}, func(sent int) bool {
			if sent == 10 {
				silent.set(step)
			}
			return time.Since(start) > 1500*time.Millisecond && renewals() > 3
		})
	})
}

// TestCloseInRollOver closes while a broker is silent at some step of a roll-over: it does not wait for the broker.
func TestCloseInRollOver(t *testing.T) {
	atEachStep(t, func(t *testing.T, silent *switched, step amqptest.Step, w way) {
		tokens := &issuer{life: time.Hour}
		b := newBroker(t, amqptest.Options{Check: tokens.live, Expiry: w.expiry, Silent: silent.silent})
		source := &pushed{TokenSource: tokens, next: make(chan *outgrant.Token)}
		conn, _ := connect(t, w.of(b), source, w.opts)
		receiver, err := conn.NewReceiver(t.Context(), "queue:orders", nil)
		require.NoError(t, err)
		silent.set(step)
		token, err := tokens.Token(t.Context())
		require.NoError(t, err)
		source.next <- token
		waiting := make(chan error)
		go func() {
			_, err := receiver.Receive(t.Context())
			waiting <- err
		}()
		start := time.Now()
		require.NoError(t, conn.Close())
		require.Less(t, time.Since(start), 5*time.Second)
		require.ErrorContains(t, <-waiting, "the connection is closed")
	})
}

// pushed is a source whose next tokens are told by the test.
type pushed struct {
	outgrant.TokenSource
	next chan *outgrant.Token
}

func (p *pushed) Watch(ctx context.Context) iter.Seq2[*outgrant.Token, error] {
	return func(yield func(*outgrant.Token, error) bool) {
		for {
			select {
			case token := <-p.next:
				if !yield(token, nil) {
					return
				}
			case <-ctx.Done():
				return
			}
		}
	}
}

// TestCloseSettles: what was accepted before Close is gone from the queue, though there is more on its way.
func TestCloseSettles(t *testing.T) {
	t.Parallel()
	b := newBroker(t, amqptest.Options{})
	for round := range 20 {
		queue := fmt.Sprint("queue:", round)
		for range 400 {
			require.NoError(t, b.Publish(queue, goamqp.NewMessage(make([]byte, 4096))))
		}
		conn, _ := connect(t, b.URL(), outgrant.StaticToken("a-token"), amqp.Options{})
		receiver, err := conn.NewReceiver(t.Context(), queue, &goamqp.ReceiverOptions{Credit: 300})
		require.NoError(t, err)
		for range 50 {
			msg, err := receiver.Receive(t.Context())
			require.NoError(t, err)
			require.NoError(t, receiver.AcceptMessage(t.Context(), msg))
		}
		require.NoError(t, conn.Close())
		require.Len(t, b.Messages(queue), 350)
	}
}

// TestContexts has calls whose contexts end: before anything was sent, and after.
func TestContexts(t *testing.T) {
	t.Parallel()
	silent := &switched{}
	b := newBroker(t, amqptest.Options{Silent: silent.silent})
	conn, e := connect(t, b.URL(), outgrant.StaticToken("a-token"), amqp.Options{MaxBackoff: time.Millisecond, DialTimeout: time.Second})
	sender, err := conn.NewSender(t.Context(), "queue:orders", nil)
	require.NoError(t, err)
	receiver, err := conn.NewReceiver(t.Context(), "queue:orders", nil)
	require.NoError(t, err)
	soon := func() context.Context {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		t.Cleanup(cancel)
		return ctx
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, sender.Send(ended, goamqp.NewMessage(nil), nil), context.Canceled)
	require.Empty(t, b.Messages("queue:orders"))
	_, err = receiver.Receive(soon())
	require.ErrorIs(t, err, context.DeadlineExceeded)

	silent.set(amqptest.Transfer)
	err = sender.Send(soon(), goamqp.NewMessage(nil), nil)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.ErrorContains(t, err, "may have been sent")

	silent.set(amqptest.Handshake)
	b.Drop()
	require.Eventually(t, func() bool { return e.count(amqp.Lost) == 1 }, 5*time.Second, time.Millisecond)
	err = sender.Send(soon(), goamqp.NewMessage(nil), nil)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.ErrorContains(t, err, "waiting for a connection")
	_, err = receiver.Receive(soon())
	require.ErrorContains(t, err, "waiting for a connection")
	_, err = conn.NewSender(soon(), "queue:orders", nil)
	require.ErrorContains(t, err, "waiting for a connection")

	silent.set("")
	require.NoError(t, sender.Send(t.Context(), goamqp.NewMessage([]byte("at last")), nil))
	msg, err := receiver.Receive(t.Context())
	require.NoError(t, err)
	require.Equal(t, "at last", string(msg.GetData()))
	b.Drop()
	require.Eventually(t, func() bool { return e.count(amqp.Lost) == 2 }, 5*time.Second, time.Millisecond)
	require.ErrorIs(t, receiver.AcceptMessage(t.Context(), msg), amqp.ErrRedelivered)
}

// TestCycles dials, rolls over and closes a hundred times: goroutines and sockets are as before the first.
func TestCycles(t *testing.T) {
	b := newBroker(t, amqptest.Options{})
	cycle := func(w way) {
		source := &pushed{TokenSource: &issuer{life: time.Hour}, next: make(chan *outgrant.Token)}
		conn, e := connect(t, w.of(b), source, w.opts)
		sender, err := conn.NewSender(t.Context(), "queue:orders", nil)
		require.NoError(t, err)
		receiver, err := conn.NewReceiver(t.Context(), "queue:orders", nil)
		require.NoError(t, err)
		for round := range 2 {
			require.NoError(t, sender.Send(t.Context(), goamqp.NewMessage(nil), nil))
			msg, err := receiver.Receive(t.Context())
			require.NoError(t, err)
			require.NoError(t, receiver.AcceptMessage(t.Context(), msg))
			if round == 0 {
				source.next <- &outgrant.Token{AccessToken: "the-next", Expiry: time.Now().Add(time.Hour)}
				require.Eventually(t, func() bool { return e.count(amqp.Moved, amqp.Renewed) == 1 }, 5*time.Second, time.Millisecond, "%v", e)
			}
		}
		require.NoError(t, conn.Close())
	}
	settled := func() int {
		require.Eventually(t, func() bool { return b.Connections() == 0 }, 5*time.Second, time.Millisecond)
		n := runtime.NumGoroutine()
		for range 100 { // what ends is given time, until it gets no better
			time.Sleep(time.Millisecond)
			n = min(n, runtime.NumGoroutine())
		}
		return n
	}
	for name, w := range ways {
		cycle(w)
		before := settled()
		for range 20 {
			cycle(w)
		}
		require.LessOrEqual(t, settled(), before, name)
	}
}
