package amqptest

import (
	"slices"

	goamqp "github.com/Azure/go-amqp"

	"github.com/outgrant/outgrant"
)

// session is a session of a connection. The broker's mu is held at all its methods.
type session struct {
	conn    *conn
	channel uint16
	links   map[uint32]*link // by the client's handle, which is ours too

	nextIn, nextOut uint32
	window          uint32 // how many transfers the client takes
	sent            map[uint32]*delivery
}

// link is a link of a session.
type link struct {
	session  *session
	handle   uint32
	address  string
	receives bool // the client receives
	settled  bool // transfers are settled when they are sent
	second   bool // the receiver settles second

	credit, count uint32
	partial       []byte // of a message that has not all come
	gone          bool
}

// windowSize is how many transfers a client may send; credit is how many messages, a link.
const (
	windowSize = 1 << 30
	linkCredit = 100
)

func newSession(c *conn, channel uint16, args fields) *session {
	s := &session{conn: c, channel: channel, links: map[uint32]*link{}, nextIn: args.number(1), window: args.number(2), sent: map[uint32]*delivery{}}
	c.perform(channel, opBegin, channel, s.nextOut, uint32(windowSize), uint32(windowSize), uint32(1000))
	return s
}

// end gives back what the session's links have not settled.
func (s *session) end() {
	for _, l := range s.links {
		l.leave()
	}
	clear(s.links)
}

func (s *session) handle(op uint64, args fields, payload []byte) error {
	switch op {
	case opAttach:
		s.attach(args)
		return nil
	case opDisposition:
		s.disposition(args)
		return nil
	case opFlow:
		s.flow(args)
		return nil
	}
	l := s.links[args.number(0)]
	switch {
	case l == nil: // it crossed our detach
	case op == opTransfer:
		return l.receive(args, payload)
	case op == opDetach:
		l.leave()
		delete(s.links, l.handle)
		if !l.gone {
			s.conn.perform(s.channel, opDetach, l.handle, true)
		}
	}
	return nil
}

// attach attaches a link, or refuses to: then it has no source, or target (2.6.3).
func (s *session) attach(args fields) {
	c := s.conn
	name, _ := args.at(0).(string)
	l := &link{session: s, handle: args.number(1), receives: args.true(2), settled: args.number(3) == 1, second: args.number(4) == 1}
	source, target := args.at(5), args.at(6)
	l.address = address(target)
	if l.receives {
		l.address = address(source)
	}
	refusal, why := l.refusal()
	if refusal != "" && l.receives {
		source = nil
	} else if refusal != "" {
		target = nil
	}
	c.perform(s.channel, opAttach, name, l.handle, !l.receives, uint8(args.number(3)), uint8(args.number(4)), source, target, nil, nil, uint32(0))
	s.links[l.handle] = l
	if refusal != "" {
		l.detach(refusal, why)
		return
	}
	if l.receives {
		l.queue().join(l)
		return
	}
	l.credit = linkCredit
	l.tell(false)
}

// refusal returns why a link is refused, or "".
func (l *link) refusal() (name symbol, why string) {
	c := l.session.conn
	switch {
	case l.address == "$cbs":
	case c.token == "" && c.grants[l.address] == "":
		return "amqp:unauthorized-access", "no token was put for this address"
	case !c.exists(l.address):
		return "amqp:not-found", "there is no such queue"
	case l.receives && slices.Contains(c.opts.Exclusive, l.address) && len(l.queue().receivers) > 0:
		return "amqp:resource-locked", "the queue has a receiver"
	}
	return "", ""
}

// tell tells a client the state of a link.
func (l *link) tell(drain bool) {
	s := l.session
	s.conn.perform(s.channel, opFlow, s.nextIn, uint32(windowSize), s.nextOut, uint32(windowSize), l.handle, l.count, l.credit, nil, drain)
}

// detach ends a link with an error, and reports whether it was there.
func (l *link) detach(name symbol, description string) bool {
	if l.gone {
		return false
	}
	l.gone = true
	l.leave()
	l.session.conn.perform(l.session.channel, opDetach, l.handle, true, condition(name, description))
	return true
}

// queue returns where the link's messages come from, or go.
func (l *link) queue() *queue {
	if l.address == "$cbs" {
		return &l.session.conn.answers
	}
	return l.session.conn.queue(l.address)
}

func (l *link) leave() {
	if l.receives {
		l.queue().leave(l)
	}
}

// flow takes a client's state.
func (s *session) flow(args fields) {
	if window := args.number(1); args.at(0) != nil {
		s.window = args.number(0) + window - s.nextOut
	} else {
		s.window = window
	}
	l := s.links[args.number(4)]
	if args.at(4) != nil && l != nil && l.receives {
		l.credit = uint32(max(int32(args.number(5)+args.number(6)-l.count), 0)) // less than none: what crossed our answer to a drain
	}
	for _, l := range s.links {
		if l.receives && !l.gone {
			l.queue().pump()
		}
	}
	if l != nil && l.receives && args.true(8) && !s.conn.opts.Silent(Drain) {
		l.count += l.credit
		l.credit = 0
		l.tell(true)
	}
}

// ready reports whether a client takes a message.
func (l *link) ready() bool { return l.credit > 0 && l.session.window > 0 && !l.gone }

// send sends a message to a client, and reports whether the client will settle it.
func (l *link) send(d *delivery) bool {
	s := l.session
	id := s.nextOut
	tag := []byte{byte(id >> 24), byte(id >> 16), byte(id >> 8), byte(id)}
	l.credit--
	l.count++
	for first, rest := true, d.payload; first || len(rest) > 0; first = false {
		n := min(len(rest), int(s.conn.frameSize)-100)
		part := rest[:n]
		rest = rest[n:]
		body := encode(nil, described{code: opTransfer, value: []any{l.handle, id, tag, uint32(0), l.settled, len(rest) > 0}})
		s.conn.frame(0, s.channel, append(body, part...))
		s.nextOut++
		s.window--
	}
	if !l.settled {
		s.sent[id] = d
	}
	return !l.settled
}

// receive takes a transfer of a client.
func (l *link) receive(args fields, payload []byte) error {
	s := l.session
	s.nextIn++
	l.partial = append(l.partial, payload...)
	if args.true(5) { // more
		return nil
	}
	payload, l.partial = l.partial, nil
	l.count++
	if l.credit--; l.credit < linkCredit/2 {
		l.credit = linkCredit
		l.tell(false)
	}
	if l.gone {
		return nil
	}
	if !args.true(4) {
		id := args.number(1)
		s.conn.perform(s.channel, opDisposition, true, id, id, !l.second, described{code: opAccepted, value: []any{}})
	}
	if l.address == "$cbs" {
		return s.conn.put(payload)
	}
	l.queue().put(payload)
	return nil
}

// disposition takes outcomes.
func (s *session) disposition(args fields) {
	if !args.true(0) { // of the sender: it has seen that we have accepted
		return
	}
	first, last := args.number(1), args.number(2)
	if args.at(2) == nil {
		last = first
	}
	outcome, _ := args.at(4).(described)
	again := outcome.code == opReleased || outcome.code == opModified
	for id := first; id-first <= last-first; id++ {
		d := s.sent[id]
		if d == nil {
			continue
		}
		delete(s.sent, id)
		q := d.of.queue()
		q.settle(d, again)
		if !args.true(3) { // the client settles second
			s.conn.perform(s.channel, opDisposition, false, id, id, true, outcome)
		}
		q.pump()
	}
}

// put takes a token for an address (claims-based security), and answers.
func (c *conn) put(payload []byte) error {
	var asked goamqp.Message
	if err := asked.UnmarshalBinary(payload); err != nil || asked.Properties == nil {
		return errMalformed
	}
	if c.opts.Silent(PutToken) {
		return nil
	}
	name, _ := asked.ApplicationProperties["name"].(string)
	text, _ := asked.Value.(string)
	status, description := int32(202), "Accepted"
	if token := outgrant.Secret(text); token != "" && c.opts.Check(token) {
		c.grants[name] = token
		c.state.opened++
	} else {
		status, description = 401, "Unauthorized"
		c.state.refused++
	}
	answer := goamqp.Message{
		Properties:            &goamqp.MessageProperties{CorrelationID: asked.Properties.MessageID},
		ApplicationProperties: map[string]any{"status-code": status, "status-description": description},
	}
	encoded, err := answer.MarshalBinary()
	if err != nil {
		return err
	}
	c.answers.put(encoded)
	return nil
}
