package amqp

import (
	"context"
	"sync"
)

// link is a sender or a receiver: what must be attached to each new connection.
type link interface {
	// attach attaches it to a connection, beside the one it is attached to. swap has it use that one.
	attach(ctx context.Context, on *opened) (swap func() (drained func(ctx context.Context)), err error)
	// release detaches it from its connection, which is drained.
	release() (drained func(ctx context.Context))
	// has reports whether this is still what it has on a connection.
	has(was end) bool
	// detached notes that its connection is gone.
	detached(on *opened)
	// fail ends it.
	fail(err error)
}

// end is what a link has on one connection.
type end interface {
	where() *opened
	detach(ctx context.Context) error
}

// attached is where an end is.
type attached struct{ on *opened }

func (a attached) where() *opened { return a.on }

// place is where a link is now: at one end after another. The zero end is none.
type place[E interface {
	comparable
	end
}] struct {
	mu      sync.Mutex
	cur     E             // zero: there is no connection
	changed chan struct{} // closed when there is news
	err     error         // why the link has ended
}

// replace makes next the end, unless the link has ended, and returns the one before. p.mu is held.
func (p *place[E]) replace(next E) (last E) {
	if p.err != nil {
		return last
	}
	last, p.cur = p.cur, next
	p.wake()
	return last
}

// wake lets those look again who wait for news. p.mu is held.
func (p *place[E]) wake() {
	close(p.changed)
	p.changed = make(chan struct{})
}

func (p *place[E]) has(was end) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return was == end(p.cur)
}

func (p *place[E]) detached(on *opened) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var none E
	if p.cur != none && p.cur.where() == on {
		p.replace(none)
	}
}

// close takes the link away, which ends with err.
func (p *place[E]) close(ctx context.Context, c *core, l link, err error) error {
	p.mu.Lock()
	cur := p.cur
	p.mu.Unlock()
	removed := c.do(ctx, func() { delete(c.links, l) })
	p.fail(err)
	var none E
	if removed != nil || cur == none {
		return removed
	}
	return cur.detach(ctx)
}

func (p *place[E]) fail(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var none E
	p.replace(none)
	if p.err == nil {
		p.err = err
	}
}
