package amqp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	goamqp "github.com/Azure/go-amqp"

	"github.com/outgrant/outgrant"
)

// Conn is a connection that stays authorized. It is made by [Dial], and is safe for concurrent use. Close it at the end.
type Conn struct{ core func() *core } // a function, where fmt does not look

// core is what a Conn is made of. One goroutine, keep, makes all that changes cur and links.
type core struct {
	*opener
	life  context.Context
	close context.CancelFunc
	work  sync.WaitGroup // of goroutines
	todo  chan func()    // for keep
	token chan *outgrant.Token

	cur   *opened       // keep's; the last one, where there is none
	links map[link]bool // keep's

	mu  sync.Mutex
	err error // why the Conn has ended; nil: it has not
}

func newConn(ctx context.Context, o *opener) (*Conn, error) {
	first, err := o.open(ctx)
	if err != nil {
		return nil, err
	}
	c := &core{opener: o, cur: first, links: map[link]bool{}, todo: make(chan func()), token: make(chan *outgrant.Token, 1)}
	c.life, c.close = context.WithCancel(context.Background())
	c.tell(Event{Kind: Connected})
	c.work.Go(c.keep)
	c.work.Go(c.watch)
	return &Conn{func() *core { return c }}, nil
}

// Close closes the connection, its senders and receivers. What was not settled is delivered again by the broker; what
// waits for an outcome gets an error.
func (c *Conn) Close() error {
	if c.core == nil {
		return nil
	}
	core := c.core()
	core.mu.Lock()
	if core.err == nil {
		core.err = errClosed
	}
	core.mu.Unlock()
	core.close()
	core.work.Wait()
	return nil
}

// NewSender returns a sender to a node, such as queue:acme/orders or topic:acme/news. opts may be nil. It waits until there is
// a connection, or ctx ends.
func (c *Conn) NewSender(ctx context.Context, target string, opts *goamqp.SenderOptions) (*Sender, error) {
	if c.core == nil {
		return nil, errEmpty
	}
	if opts != nil && opts.DynamicAddress {
		return nil, errDynamic
	}
	s := newSender(c.core(), target, opts)
	if err := c.core().add(ctx, s); err != nil {
		return nil, err
	}
	return s, nil
}

// NewReceiver returns a receiver from a node. opts may be nil; its Credit is how many messages may be on their way, default 1.
// It waits until there is a connection, or ctx ends.
func (c *Conn) NewReceiver(ctx context.Context, source string, opts *goamqp.ReceiverOptions) (*Receiver, error) {
	if c.core == nil {
		return nil, errEmpty
	}
	if opts != nil && opts.DynamicAddress {
		return nil, errDynamic
	}
	r := newReceiver(c.core(), source, opts)
	if err := c.core().add(ctx, r); err != nil {
		return nil, err
	}
	return r, nil
}

var (
	errEmpty   = errors.New("amqp: the Conn is empty: make it by Dial")
	errDynamic = errors.New("amqp: DynamicAddress: a node that the broker makes for one connection ends with it: name one")
)

// do has keep do something, and waits for it.
func (c *core) do(ctx context.Context, f func()) error {
	done := make(chan struct{})
	select {
	case c.todo <- func() { defer close(done); f() }:
	case <-ctx.Done():
		return ended(ctx, "waiting for a connection")
	case <-c.life.Done():
		return c.over()
	}
	select {
	case <-done:
		return nil
	case <-c.life.Done():
		return c.over()
	}
}

func (c *core) over() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// add attaches a new link.
func (c *core) add(ctx context.Context, l link) error {
	for {
		var err error
		retry := false
		doErr := c.do(ctx, func() {
			if ctx.Err() != nil {
				err = ended(ctx, "waiting for a connection")
				return
			}
			var swap func() func(context.Context)
			if swap, err = c.attach(ctx, l, c.cur); err == nil {
				swap()
				c.links[l] = true
				return
			}
			retry = lostConn(c.cur)
			err = c.failure(err, reveal(c.cur.token))
		})
		if doErr != nil {
			return doErr
		}
		if !retry {
			return err
		}
	}
}

func lostConn(on *opened) bool {
	select {
	case <-on.conn.Done():
		return true
	default:
		return false
	}
}

// attach attaches a link to a connection. swap has it use that one.
func (c *core) attach(ctx context.Context, l link, on *opened) (swap func() func(context.Context), err error) {
	ctx, cancel := context.WithTimeout(ctx, c.opts.DialTimeout)
	defer cancel()
	return l.attach(ctx, on)
}

func (c *core) tell(e Event) {
	if c.opts.Notify != nil {
		c.opts.Notify(e)
	}
}

// backoff returns the pause before an attempt, of which there were n that failed.
func (c *core) backoff(n int) time.Duration {
	pause := min(100*time.Millisecond<<min(n, 20), c.opts.MaxBackoff)
	return pause/2 + rand.N(pause/2+1)
}

func (c Conn) String() string {
	if c.core == nil {
		return "amqp.Conn()"
	}
	return "amqp.Conn(" + c.core().url.Host + ")"
}

// Format prints the type and the broker, for every verb and flag.
func (c Conn) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, c.String()) }

// LogValue logs the type and the broker.
func (c Conn) LogValue() slog.Value { return slog.StringValue(c.String()) }

// MarshalJSON encodes the type and the broker.
func (c Conn) MarshalJSON() ([]byte, error) { return json.Marshal(c.String()) }
