package amqp

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	goamqp "github.com/Azure/go-amqp"
)

// Receiver receives messages from a node, over whichever connection is there. It is safe for concurrent use.
type Receiver struct {
	core    *core
	source  string
	opts    goamqp.ReceiverOptions
	credit  uint32
	settled bool // the broker settles messages as it sends them

	place[*receiving]
	last []*receiving                   // that are drained; place's mu is of these, too
	of   map[*goamqp.Message]*receiving // of messages that are not settled: where they came
}

// receiving is a receiver on one connection.
type receiving struct {
	attached
	link    *goamqp.Receiver
	calls   int               // of Receive that wait for a message
	owed    int               // messages that were received and not settled
	drained bool              // no more come
	queue   []*goamqp.Message // that came, and wait for Receive
	over    chan struct{}     // closed when there is nothing more to it
}

func (r *receiving) detach(ctx context.Context) error { return r.link.Close(ctx) }

func newReceiver(c *core, source string, opts *goamqp.ReceiverOptions) *Receiver {
	r := &Receiver{core: c, source: source, of: map[*goamqp.Message]*receiving{}, place: place[*receiving]{changed: make(chan struct{})}}
	if opts != nil {
		r.opts = *opts
	}
	r.credit = uint32(max(r.opts.Credit, 1))
	r.settled = r.opts.RequestedSenderSettleMode != nil && *r.opts.RequestedSenderSettleMode == goamqp.SenderSettleModeSettled
	r.opts.Credit = -1 // credit is given here, so that a connection which is drained gets none
	return r
}

// Receive returns the next message, or an error when ctx ends. It must be settled by one of the methods below, unless the
// options ask for messages that come settled (RequestedSenderSettleMode). While there is no connection it waits for one.
func (r *Receiver) Receive(ctx context.Context) (*goamqp.Message, error) {
	for {
		msg, cur, changed, err := r.next()
		if msg != nil || err != nil {
			return msg, err
		}
		if cur == nil {
			select {
			case <-changed:
				continue
			case <-ctx.Done():
				return nil, ended(ctx, "waiting for a connection")
			}
		}
		msg, err = receiveUntil(ctx, changed, cur.link)
		r.received(msg, cur)
		switch {
		case err == nil:
			return msg, nil
		case ctx.Err() != nil:
			return nil, ended(ctx, "waiting for a message")
		case broken(err):
			r.core.reattach(ctx, r, cur, err)
			select {
			case <-changed:
			case <-ctx.Done():
				return nil, ended(ctx, "waiting for a connection")
			}
		case !errors.Is(err, context.Canceled):
			return nil, err
		}
	}
}

// receiveUntil receives until there is another connection.
func receiveUntil(ctx context.Context, changed <-chan struct{}, l *goamqp.Receiver) (*goamqp.Message, error) {
	if msg := l.Prefetched(); msg != nil {
		return msg, nil
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	received := make(chan struct{})
	go func() {
		defer cancel()
		select {
		case <-changed:
		case <-received:
		}
	}()
	defer close(received)
	return l.Receive(ctx, nil)
}

// next returns a message that came over a connection which is drained, or what to receive by.
func (r *Receiver) next() (*goamqp.Message, *receiving, <-chan struct{}, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err != nil {
		return nil, nil, nil, r.err
	}
	for _, l := range r.last {
		if len(l.queue) > 0 {
			msg := l.queue[0]
			l.queue = l.queue[1:]
			r.note(msg, l)
			r.checkOver(l)
			return msg, nil, nil, nil
		}
	}
	if r.cur != nil {
		r.cur.calls++
	}
	return nil, r.cur, r.changed, nil
}

// received ends a call that waited for a message, which is nil if there was none.
func (r *Receiver) received(msg *goamqp.Message, l *receiving) {
	r.mu.Lock()
	defer r.mu.Unlock()
	l.calls--
	if msg != nil {
		r.note(msg, l)
	}
	r.checkOver(l)
}

// note notes whose a message is, until it is settled. r.mu is held.
func (r *Receiver) note(msg *goamqp.Message, l *receiving) {
	if r.settled {
		r.another(l)
		return
	}
	r.of[msg] = l
	l.owed++
}

// another asks for one more message, for one that is settled. r.mu is held.
func (r *Receiver) another(l *receiving) {
	if l == r.cur {
		_ = l.link.IssueCredit(1) // if it fails the link is gone, which Receive notices
	}
}

// AcceptMessage tells the broker that a message was processed. If its connection is gone, the error matches [ErrRedelivered].
func (r *Receiver) AcceptMessage(ctx context.Context, msg *goamqp.Message) error {
	return r.settle(msg, func(l *goamqp.Receiver) error { return l.AcceptMessage(ctx, msg) })
}

// RejectMessage tells the broker that a message is invalid. e may be nil. Otherwise it is as AcceptMessage.
func (r *Receiver) RejectMessage(ctx context.Context, msg *goamqp.Message, e *goamqp.Error) error {
	return r.settle(msg, func(l *goamqp.Receiver) error { return l.RejectMessage(ctx, msg, e) })
}

// ReleaseMessage gives a message back. Otherwise it is as AcceptMessage.
func (r *Receiver) ReleaseMessage(ctx context.Context, msg *goamqp.Message) error {
	return r.settle(msg, func(l *goamqp.Receiver) error { return l.ReleaseMessage(ctx, msg) })
}

// ModifyMessage gives a message back, changed. Otherwise it is as AcceptMessage.
func (r *Receiver) ModifyMessage(ctx context.Context, msg *goamqp.Message, opts *goamqp.ModifyMessageOptions) error {
	return r.settle(msg, func(l *goamqp.Receiver) error { return l.ModifyMessage(ctx, msg, opts) })
}

func (r *Receiver) settle(msg *goamqp.Message, settle func(*goamqp.Receiver) error) error {
	r.mu.Lock()
	l := r.of[msg]
	delete(r.of, msg)
	r.mu.Unlock()
	if l == nil {
		return errors.New("amqp: the message was settled before, or is not of this receiver")
	}
	err := settle(l.link)
	r.mu.Lock()
	defer r.mu.Unlock()
	l.owed--
	r.checkOver(l)
	if err == nil {
		r.another(l)
	}
	if err != nil && broken(err) {
		return fmt.Errorf("amqp: %w", ErrRedelivered)
	}
	return err
}

// checkOver notes that there is nothing more to a connection. r.mu is held.
func (r *Receiver) checkOver(l *receiving) {
	if !l.drained || l.calls > 0 || len(l.queue) > 0 || l.owed > 0 {
		return
	}
	r.forget(l)
	select {
	case <-l.over:
	default:
		close(l.over)
	}
}

// forget forgets a connection that was drained. r.mu is held.
func (r *Receiver) forget(l *receiving) {
	r.last = slices.DeleteFunc(r.last, func(other *receiving) bool { return other == l })
}

// detached notes that the connection is gone. Messages that were settled when they were sent do not come again: they are kept.
func (r *Receiver) detached(on *opened) {
	r.mu.Lock()
	if l := r.cur; r.settled && l != nil && l.on == on {
		for msg := l.link.Prefetched(); msg != nil; msg = l.link.Prefetched() {
			l.queue = append(l.queue, msg)
		}
		l.drained = true
		r.last = append(r.last, l)
		r.checkOver(l)
	}
	r.mu.Unlock()
	r.place.detached(on)
}

// Close detaches the receiver. What was not settled is delivered again.
func (r *Receiver) Close(ctx context.Context) error {
	return r.close(ctx, r.core, r, errors.New("amqp: the receiver is closed"))
}

func (r *Receiver) attach(ctx context.Context, on *opened) (func() func(context.Context), error) {
	opts := r.opts
	l, err := on.session.NewReceiver(ctx, r.source, &opts)
	if err != nil {
		return nil, err
	}
	return func() func(context.Context) {
		drained := r.become(&receiving{attached: attached{on}, link: l, over: make(chan struct{})})
		_ = l.IssueCredit(r.credit)
		return drained
	}, nil
}

// become replaces what is there, and returns what drains that.
func (r *Receiver) become(next *receiving) func(context.Context) {
	r.mu.Lock()
	defer r.mu.Unlock()
	last := r.replace(next)
	if last != nil {
		r.last = append(r.last, last)
	}
	return func(ctx context.Context) {
		if last != nil {
			r.drain(ctx, last)
		}
	}
}

// drainPatience is how long a broker may take to answer that it sends no more. Some never do, if a message crosses the question.
const drainPatience = 500 * time.Millisecond

// drain takes back the credit of a connection, and waits until what came over it is received and settled.
func (r *Receiver) drain(ctx context.Context, l *receiving) {
	asked, cancel := context.WithTimeout(ctx, drainPatience)
	var moving sync.WaitGroup
	moving.Go(func() {
		for {
			msg, err := l.link.Receive(asked, nil)
			if err != nil {
				return
			}
			r.queue(l, msg)
		}
	})
	_ = l.link.DrainCredit(asked, nil) // if it fails, no more will come either
	cancel()
	moving.Wait()
	for msg := l.link.Prefetched(); msg != nil; msg = l.link.Prefetched() {
		r.queue(l, msg)
	}
	r.mu.Lock()
	l.drained = true
	r.checkOver(l)
	r.mu.Unlock()
	select {
	case <-l.over:
	case <-ctx.Done():
	case <-l.on.conn.Done():
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.forget(l)
}

// queue has a message of a connection that is drained wait for Receive.
func (r *Receiver) queue(l *receiving, msg *goamqp.Message) {
	r.mu.Lock()
	defer r.mu.Unlock()
	l.queue = append(l.queue, msg)
	r.wake()
}

func (r *Receiver) release() func(context.Context) { return r.become(nil) }
