package amqp

import (
	"context"
	"errors"
	"fmt"
	"sync"

	goamqp "github.com/Azure/go-amqp"
)

// Sender sends messages to a node, over whichever connection is there. It is safe for concurrent use.
type Sender struct {
	core   *core
	target string
	opts   goamqp.SenderOptions

	place[*sending]
}

// sending is a sender on one connection.
type sending struct {
	attached
	link *goamqp.Sender
	busy sync.WaitGroup // sends that wait for their outcome
}

func (s *sending) detach(ctx context.Context) error { return s.link.Close(ctx) }

func newSender(c *core, target string, opts *goamqp.SenderOptions) *Sender {
	s := &Sender{core: c, target: target, place: place[*sending]{changed: make(chan struct{})}}
	if opts != nil {
		s.opts = *opts
	}
	return s
}

// Send sends a message and waits until the broker has settled it, or ctx ends: then it may have been sent. While there is no
// connection it waits for one. A message whose outcome was lost with a connection is sent again, and may arrive twice. opts may
// be nil. An error that the broker gives for this message is a [*goamqp.Error].
func (s *Sender) Send(ctx context.Context, msg *goamqp.Message, opts *goamqp.SendOptions) error {
	for {
		cur, changed, err := s.current()
		if err != nil {
			return err
		}
		if cur == nil {
			select {
			case <-changed:
				continue
			case <-ctx.Done():
				return ended(ctx, "waiting for a connection")
			}
		}
		err = cur.link.Send(ctx, msg, opts)
		cur.busy.Done()
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return fmt.Errorf("amqp: the call ended before the broker settled the message, which may have been sent: %w", ctx.Err())
		case !broken(err):
			return err
		}
		s.core.reattach(ctx, s, cur, err)
		select { // the next round is with another one
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("amqp: the connection was lost before the broker settled the message, which may have been sent, and the call ended before there was another: %w", ctx.Err())
		}
	}
}

// current returns what to send by, which is busy until its caller says Done; or a channel that is closed when there is another.
func (s *Sender) current() (*sending, <-chan struct{}, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cur != nil {
		s.cur.busy.Add(1)
	}
	return s.cur, s.changed, s.err
}

// Close detaches the sender. Calls under way end with an error.
func (s *Sender) Close(ctx context.Context) error {
	return s.close(ctx, s.core, s, errors.New("amqp: the sender is closed"))
}

func (s *Sender) attach(ctx context.Context, on *opened) (func() func(context.Context), error) {
	opts := s.opts
	l, err := on.session.NewSender(ctx, s.target, &opts)
	if err != nil {
		return nil, err
	}
	return func() func(context.Context) { return s.become(&sending{attached: attached{on}, link: l}) }, nil
}

// become replaces what is there, and returns what waits for that.
func (s *Sender) become(next *sending) func(context.Context) {
	s.mu.Lock()
	defer s.mu.Unlock()
	last := s.replace(next)
	return func(context.Context) {
		if last != nil {
			last.busy.Wait() // it ends when the connection does
		}
	}
}

func (s *Sender) release() func(context.Context) { return s.become(nil) }
