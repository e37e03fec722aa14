package amqp

import (
	"context"
	"sync"
	"time"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/internal/replay"
)

// keep keeps the connection: it renews, and dials again.
func (c *core) keep() {
	defer c.end()
	for {
		select {
		case <-c.life.Done():
			return
		case f := <-c.todo:
			f()
		case token := <-c.token:
			if token.AccessToken != c.cur.token.AccessToken {
				c.renew(token)
			}
		case <-c.cur.conn.Done():
			c.lost()
			if !c.redial() {
				return
			}
		}
	}
}

// end ends all links, and the connection.
func (c *core) end() {
	for l := range c.links {
		l.fail(c.over())
	}
	c.cur.leave()
}

// leavePatience is how long a broker may take to say that it has read all.
const leavePatience = time.Second

// leave closes a connection when the broker has read all that was sent on it. Otherwise what has just been settled may be
// lost: a TCP connection that is closed before all was read that has come resets the other side.
func (o *opened) leave() {
	ctx, cancel := context.WithTimeout(context.Background(), leavePatience)
	defer cancel()
	_ = o.session.Close(ctx)
	_ = o.conn.Close()
}

// renew makes the connection one of a new token.
func (c *core) renew(token *outgrant.Token) {
	if c.cur.cbs != nil {
		err := c.put(token)
		if err == nil {
			c.tell(Event{Kind: Renewed})
			return
		}
		c.tell(Event{Kind: Failed, Err: c.failure(err, reveal(token))})
	}
	err := c.move()
	if err == nil || c.life.Err() != nil {
		return
	}
	c.tell(Event{Kind: Failed, Err: c.failure(err, reveal(token))})
	if refusesSecond(err) {
		c.drain(c.cur, c.detachAll())
		c.redial()
		return
	}
	// What there is goes on. It is lost when its token ends, and then the dialling goes on for as long as it takes.
	c.work.Go(func() { c.again(token) })
}

// put renews the connection in place.
func (c *core) put(token *outgrant.Token) error {
	ctx, cancel := context.WithTimeout(c.life, c.opts.DialTimeout)
	defer cancel()
	err := c.cur.cbs.put(ctx, token)
	if err == nil {
		c.cur.token = token
	}
	return err
}

// putAnother renews the connection in place with another token than the one that has ended, and reports whether it could.
func (c *core) putAnother() bool {
	if i, ok := c.src.(outgrant.Invalidator); ok {
		i.Invalidate(c.cur.token)
	}
	ctx, cancel := context.WithTimeout(c.life, c.opts.DialTimeout)
	defer cancel()
	token, err := c.src.Token(ctx)
	if err != nil || token.AccessToken == c.cur.token.AccessToken || c.put(token) != nil {
		return false
	}
	c.tell(Event{Kind: Renewed})
	return true
}

// move opens another connection, attaches all links there, and lets the first drain.
func (c *core) move() error {
	next, err := c.open(c.life)
	if err != nil {
		return err
	}
	swaps := make([]func() func(context.Context), 0, len(c.links))
	for l := range c.links {
		swap, err := c.attach(c.life, l, next)
		if err != nil {
			_ = next.conn.Close()
			return err
		}
		swaps = append(swaps, swap)
	}
	last := c.cur
	drains := make([]func(context.Context), 0, len(swaps))
	for _, swap := range swaps {
		drains = append(drains, swap())
	}
	c.cur = next
	c.tell(Event{Kind: Moved})
	c.work.Go(func() { c.drain(last, drains) })
	return nil
}

// detachAll detaches the links, so that calls wait for the next connection.
func (c *core) detachAll() (drains []func(context.Context)) {
	for l := range c.links {
		drains = append(drains, l.release())
	}
	return drains
}

// drain waits until what is under way on a connection is settled, and closes it.
func (c *core) drain(last *opened, drains []func(context.Context)) {
	ctx, cancel := context.WithTimeout(c.life, c.opts.DrainTimeout)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { _ = last.conn.Close() })
	defer stop()
	var all sync.WaitGroup
	for _, drained := range drains {
		all.Go(func() { drained(ctx) })
	}
	all.Wait()
	last.leave()
}

// lost notes that the connection has ended.
func (c *core) lost() {
	err := c.cur.conn.Err()
	if c.cur.why != nil && c.cur.why() != nil && causeOf(err) == Network {
		err = c.cur.why()
	}
	if err == nil {
		err = errClosed
	}
	cause := causeOf(err)
	if cause == Auth {
		if i, ok := c.src.(outgrant.Invalidator); ok {
			i.Invalidate(c.cur.token)
		}
	}
	for l := range c.links {
		l.detached(c.cur)
	}
	c.tell(Event{Kind: Lost, Cause: cause, Err: c.failure(err, reveal(c.cur.token))})
}

// redial dials until there is a connection with all links, and reports whether there is: not when the Conn is closed.
func (c *core) redial() bool {
	for n := 0; ; n++ {
		next, err := c.open(c.life)
		if err == nil {
			if err = c.attachAll(next); err == nil {
				c.cur = next
				c.tell(Event{Kind: Connected})
				return true
			}
			_ = next.conn.Close()
		}
		if c.life.Err() != nil {
			return false
		}
		pause := c.backoff(n)
		c.tell(Event{Kind: Failed, Err: c.failure(err, ""), Pause: pause})
		if replay.Wait(c.life, pause) != nil {
			return false
		}
	}
}

// attachAll attaches the links to a connection. One that is refused for good is ended.
func (c *core) attachAll(on *opened) error {
	for l := range c.links {
		swap, err := c.attach(c.life, l, on)
		switch {
		case err == nil:
			swap()
		case !permanent(err) || lostConn(on):
			return err
		default:
			c.refuse(l, on, err)
		}
	}
	return nil
}

// refuse ends a link that the broker has refused for good.
func (c *core) refuse(l link, on *opened, err error) {
	delete(c.links, l)
	l.fail(c.failure(err, reveal(on.token)))
}

// detachedPause is how long a link is left alone that its broker has detached, unless it is for the token.
const detachedPause = 200 * time.Millisecond

// reattach attaches a link again that its broker has detached, while the connection goes on. was is what it had there.
func (c *core) reattach(ctx context.Context, l link, was end, err error) {
	on := was.where()
	if !l.has(was) || causeOf(err) != Auth && !lostConn(on) && replay.Wait(ctx, detachedPause) != nil {
		return
	}
	_ = c.do(ctx, func() {
		if !c.links[l] || on != c.cur || lostConn(on) || !l.has(was) {
			return // it has moved on, or will
		}
		l.detached(on)
		swap, err := c.attach(c.life, l, on)
		if err != nil && causeOf(err) == Auth && on.cbs != nil { // the token has ended before it was renewed
			if !c.putAnother() {
				_ = on.conn.Close() // and all is tried again, with pauses
				return
			}
			swap, err = c.attach(c.life, l, on)
		}
		switch {
		case err == nil:
			swap()
		case lostConn(on):
		case permanent(err):
			c.refuse(l, on, err)
		default:
			_ = on.conn.Close() // and all is tried again, with pauses
		}
	})
}
