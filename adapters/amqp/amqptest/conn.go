package amqptest

import (
	"bufio"
	"encoding/binary"
	"io"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/coder/websocket"

	"github.com/outgrant/outgrant"
)

// conn is a connection of a client. What it has is guarded by the broker's mu, except for what its reader alone uses.
type conn struct {
	*Broker
	stream net.Conn
	ws     *websocket.Conn // nil: over TCP
	token  outgrant.Secret // "": put to $cbs
	cut    func()

	in        *bufio.Reader
	out       []byte // what its writer has yet to write
	more      *sync.Cond
	over      bool // nothing more is read
	ended     bool // close was sent
	frameSize uint32
	idle      time.Duration // the client's idle timeout
	sessions  map[uint16]*session
	grants    map[string]outgrant.Secret // by address: what was put to $cbs
	answers   queue                      // of $cbs
}

// maxFrame is the largest frame that is taken.
const maxFrame = 1 << 20

// serve serves a connection until it ends.
func (b *Broker) serve(c *conn) {
	c.in, c.more = bufio.NewReader(c.stream), sync.NewCond(&b.mu)
	c.sessions, c.grants, c.frameSize = map[uint16]*session{}, map[string]outgrant.Secret{}, 512
	b.mu.Lock()
	if b.state.closed {
		c.cut()
	}
	b.state.conns[c] = true
	b.mu.Unlock()
	var helpers sync.WaitGroup
	done := make(chan struct{})
	helpers.Go(c.write)
	helpers.Go(func() { c.look(done) })
	_ = c.read()
	b.mu.Lock()
	for _, s := range c.sessions {
		s.end()
	}
	c.over = true
	c.more.Signal()
	delete(b.state.conns, c)
	b.mu.Unlock()
	close(done)
	helpers.Wait()
	c.cut()
}

// write writes what there is to write.
func (c *conn) write() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for {
		for len(c.out) == 0 && !c.over {
			c.more.Wait()
		}
		if len(c.out) == 0 {
			return
		}
		out := c.out
		c.out = nil
		c.mu.Unlock()
		_, err := c.stream.Write(out)
		c.mu.Lock()
		if err != nil {
			c.over = true
			return
		}
	}
}

// look looks after the token, and keeps the client from thinking that nobody is there.
func (c *conn) look(done <-chan struct{}) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	beat := time.Now()
	for {
		select {
		case <-done:
			return
		case <-tick.C:
		}
		c.mu.Lock()
		c.expire()
		if c.idle > 0 && time.Since(beat) > c.idle/2 {
			c.frame(0, 0, nil)
			beat = time.Now()
		}
		c.mu.Unlock()
	}
}

// expire ends what a token was for that has ended. mu is held.
func (c *conn) expire() {
	ended := c.token != "" && !c.opts.Check(c.token)
	for address, token := range c.grants {
		if !c.opts.Check(token) {
			delete(c.grants, address)
			ended = true
			if c.opts.Expiry == DetachLinks {
				c.detach(address)
			}
		}
	}
	if !ended || c.ended || c.opts.Expiry == Ignore || c.opts.Expiry == DetachLinks {
		return
	}
	c.ended = true
	c.state.expired++
	if c.opts.Expiry == CloseWebSocket && c.ws != nil {
		c.serving.Go(func() { _ = c.ws.Close(websocket.StatusPolicyViolation, "the token has ended") })
		return
	}
	c.perform(0, opClose, condition("amqp:unauthorized-access", "the token has ended"))
}

// detach detaches the links to an address, whose token has ended.
func (c *conn) detach(address string) {
	for _, s := range c.sessions {
		for _, l := range s.links {
			if l.address == address && l.detach("amqp:unauthorized-access", "the token has ended") {
				c.state.expired++
			}
		}
	}
}

// perform sends a performative. mu is held.
func (c *conn) perform(channel uint16, op uint64, args ...any) {
	c.frame(0, channel, encode(nil, described{code: op, value: args}))
}

// frame sends a frame. mu is held.
func (c *conn) frame(kind byte, channel uint16, body []byte) {
	if c.over {
		return
	}
	c.out = binary.BigEndian.AppendUint32(c.out, uint32(8+len(body)))
	c.out = append(c.out, 2, kind)
	c.out = binary.BigEndian.AppendUint16(c.out, channel)
	c.out = append(c.out, body...)
	c.more.Signal()
}

// send sends bytes that are no frame.
func (c *conn) send(b ...byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.out = append(c.out, b...)
	c.more.Signal()
}

func condition(name symbol, description string) any {
	return described{code: opError, value: []any{name, description}}
}

// header is how a protocol starts: 0 is AMQP, 3 is SASL.
func header(protocol byte) []byte { return []byte{'A', 'M', 'Q', 'P', protocol, 1, 0, 0} }

// read reads until the connection ends.
func (c *conn) read() error {
	start := make([]byte, 8)
	if _, err := io.ReadFull(c.in, start); err != nil {
		return err
	}
	if string(start) == string(header(3)) {
		if ok, err := c.login(); err != nil || !ok {
			return err
		}
		if _, err := io.ReadFull(c.in, start); err != nil {
			return err
		}
	} else if c.ws == nil {
		return errMalformed // nobody has logged in
	}
	if string(start) != string(header(0)) {
		return errMalformed
	}
	c.send(header(0)...)
	for {
		_, channel, body, err := c.next()
		if err != nil {
			return err
		}
		if len(body) == 0 {
			continue // the client lives
		}
		more, err := c.handle(channel, body)
		if err != nil || !more {
			return err
		}
	}
}

// next reads a frame.
func (c *conn) next() (kind byte, channel uint16, body []byte, err error) {
	var head [8]byte
	if _, err := io.ReadFull(c.in, head[:]); err != nil {
		return 0, 0, nil, err
	}
	size, offset := binary.BigEndian.Uint32(head[:]), uint32(head[4])*4
	if size < 8 || size > maxFrame || offset < 8 || offset > size {
		return 0, 0, nil, errMalformed
	}
	body = make([]byte, size-8)
	if _, err := io.ReadFull(c.in, body); err != nil {
		return 0, 0, nil, err
	}
	return head[5], binary.BigEndian.Uint16(head[6:]), body[offset-8:], nil
}

// performative decodes that of a frame, and returns what follows.
func performative(body []byte) (op uint64, args fields, payload []byte, err error) {
	v, payload, err := decode(body, 0)
	d, ok := v.(described)
	list, isList := d.value.([]any)
	if err != nil || !ok || !isList {
		return 0, nil, nil, errMalformed
	}
	return d.code, list, payload, nil
}

// login does SASL, and reports whether the client is logged in.
func (c *conn) login() (bool, error) {
	c.send(header(3)...)
	c.sasl(opMechanisms, []symbol{"PLAIN", "XOAUTH2", "ANONYMOUS"})
	op, args, err := c.nextSASL()
	if err != nil || op != opInit {
		return false, errMalformed
	}
	mechanism, _ := args.at(0).(symbol)
	response, _ := args.at(1).([]byte)
	if c.opts.Silent(SASL) {
		return c.silence()
	}
	token := ""
	switch mechanism {
	case "ANONYMOUS":
		c.sasl(opOutcome, uint8(0))
		return true, nil
	case "PLAIN":
		if parts := strings.Split(string(response), "\x00"); len(parts) == 3 {
			token = parts[2]
		}
	case "XOAUTH2":
		for part := range strings.SplitSeq(string(response), "\x01") {
			if after, ok := strings.CutPrefix(part, "auth=Bearer "); ok {
				token = after
			}
		}
	}
	if c.take(outgrant.Secret(token)) {
		c.token = outgrant.Secret(token)
		c.sasl(opOutcome, uint8(0))
		return true, nil
	}
	if mechanism == "XOAUTH2" {
		c.sasl(opChallenge, []byte(`{"status":"401","schemes":"bearer"}`))
		if _, _, err := c.nextSASL(); err != nil {
			return false, err
		}
	}
	c.sasl(opOutcome, uint8(1))
	return false, nil
}

func (c *conn) sasl(op uint64, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.frame(1, 0, encode(nil, described{code: op, value: args}))
}

func (c *conn) nextSASL() (op uint64, args fields, err error) {
	kind, _, body, err := c.next()
	if err != nil || kind != 1 {
		return 0, nil, errMalformed
	}
	op, args, _, err = performative(body)
	return op, args, err
}

// silence reads on and answers nothing, until the client is gone.
func (c *conn) silence() (bool, error) {
	_, err := io.Copy(io.Discard, c.in)
	return false, err
}

// handle handles a frame, and reports whether there may be more.
func (c *conn) handle(channel uint16, body []byte) (more bool, err error) {
	op, args, payload, err := performative(body)
	if err != nil {
		return false, err
	}
	if step, ok := map[uint64]Step{opOpen: Open, opBegin: Begin, opAttach: Attach, opTransfer: Transfer, opDetach: Detach, opClose: Close}[op]; ok && c.opts.Silent(step) {
		return c.silence()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch op {
	case opOpen:
		c.open(args)
		return true, nil
	case opClose:
		if !c.ended {
			c.ended = true
			c.perform(0, opClose)
		}
		return false, nil
	case opBegin:
		c.sessions[channel] = newSession(c, channel, args)
		return true, nil
	}
	s := c.sessions[channel]
	if s == nil {
		return false, errMalformed
	}
	if op == opEnd {
		s.end()
		delete(c.sessions, channel)
		c.perform(channel, opEnd)
		return true, nil
	}
	return true, s.handle(op, args, payload)
}

func (c *conn) open(args fields) {
	if n := args.number(2); n >= 512 {
		c.frameSize = n
	} else {
		c.frameSize = 1 << 16
	}
	c.idle = time.Duration(args.number(4)) * time.Millisecond
	c.perform(0, opOpen, "amqptest", nil, uint32(maxFrame), uint16(1000))
	if c.opts.Connections > 0 && len(c.state.conns) > c.opts.Connections {
		c.ended = true
		c.perform(0, opClose, condition("amqp:resource-limit-exceeded", "too many connections"))
	}
}
