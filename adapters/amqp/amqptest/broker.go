// Package amqptest is an AMQP 1.0 broker for tests, which wants access tokens as SAP Event Mesh and RabbitMQ do.
//
// Use this when your program publishes or consumes with tokens and you test it: start a [Broker], dial its URL, and look at
// what arrived. It takes tokens with the WebSocket handshake, by SASL (PLAIN, XOAUTH2) or at the node $cbs, ends connections
// whose token has ended, refuses a second receiver or connection if it is told to, and falls silent or drops all at a word.
// Its queues are in memory. It has no topics, filters or transactions.
package amqptest

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	goamqp "github.com/Azure/go-amqp"
	"github.com/coder/websocket"

	"github.com/outgrant/outgrant"
)

// Expiry is what a broker does when the token of a connection is no longer taken.
type Expiry string

// What a broker does.
const (
	CloseAMQP      Expiry = "AMQP"      // it closes the connection with amqp:unauthorized-access; also over TCP
	CloseWebSocket Expiry = "WebSocket" // it closes the WebSocket with 1008
	DetachLinks    Expiry = "links"     // it detaches the links for which the token was put to $cbs
	Ignore         Expiry = "nothing"
)

// Step is something a client does that a broker answers.
type Step string

// The steps of a client, in order.
const (
	Handshake Step = "handshake" // of the WebSocket
	SASL      Step = "sasl"
	Open      Step = "open"
	Begin     Step = "begin"
	Attach    Step = "attach"
	PutToken  Step = "put-token"
	Transfer  Step = "transfer"
	Drain     Step = "drain"
	Detach    Step = "detach"
	Close     Step = "close"
)

// Options describe a broker. The zero value, and nil, suit most tests.
type Options struct {
	// Check decides whether a token is taken, such as the Live method of an oauthtest.Server. It is asked at the login, and then
	// again and again. It is called by several goroutines, returns at once, and calls no method of the broker. Default nil: each is, for ever.
	Check func(token outgrant.Secret) bool

	// Expiry is what happens to a connection when Check no longer takes its token. Default CloseAMQP.
	Expiry Expiry

	// Exclusive are queues that take one receiver. Default none.
	Exclusive []string

	// Connections is how many there may be at a time. Default 0: any number.
	Connections int

	// Queues are those that there are. Default nil: each name makes one.
	Queues []string

	// Silent decides whether a step of a client is left without an answer. It returns at once. Default nil: none is.
	Silent func(Step) bool
}

// Broker is an AMQP broker on 127.0.0.1. It is safe for concurrent use. Close it at the end. It prints its URL.
type Broker struct {
	opts    Options
	web     *http.Server
	webAddr string
	tcp     net.Listener
	serving sync.WaitGroup

	mu    sync.Mutex
	state *state
}

// state is behind a pointer, where fmt does not look.
type state struct {
	closed  bool
	conns   map[*conn]bool
	queues  map[string]*queue
	opened  int
	refused int
	expired int
}

// NewBroker starts a broker. It copies opts, which may be nil. It panics if nothing can listen on 127.0.0.1.
func NewBroker(opts *Options) *Broker {
	b := &Broker{state: &state{conns: map[*conn]bool{}, queues: map[string]*queue{}}}
	if opts != nil {
		b.opts = *opts
	}
	if b.opts.Check == nil {
		b.opts.Check = func(outgrant.Secret) bool { return true }
	}
	if b.opts.Silent == nil {
		b.opts.Silent = func(Step) bool { return false }
	}
	if b.opts.Expiry == "" {
		b.opts.Expiry = CloseAMQP
	}
	b.tcp = listen()
	b.serving.Go(b.serveTCP)
	web := listen()
	b.webAddr = web.Addr().String()
	b.web = &http.Server{Handler: http.HandlerFunc(b.serveWebSocket), ReadHeaderTimeout: time.Minute}
	b.serving.Go(func() { _ = b.web.Serve(web) })
	return b
}

func listen() net.Listener {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(fmt.Sprintf("amqptest: %v", err))
	}
	return l
}

// URL is where WebSockets are taken.
func (b *Broker) URL() string { return "ws://" + b.webAddr + "/protocols/amqp10ws" }

// TCPURL is where TCP connections are taken.
func (b *Broker) TCPURL() string { return "amqp://" + b.tcp.Addr().String() }

// Publish puts a message into a queue, as somebody else would.
func (b *Broker) Publish(queue string, msg *goamqp.Message) error {
	payload, err := msg.MarshalBinary()
	if err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.queue(queue).put(payload)
	return nil
}

// Messages returns what is in a queue, in order: what nobody has accepted or rejected.
func (b *Broker) Messages(queue string) []*goamqp.Message {
	b.mu.Lock()
	defer b.mu.Unlock()
	var messages []*goamqp.Message
	for _, payload := range b.queue(queue).all() {
		var msg goamqp.Message
		if msg.UnmarshalBinary(payload) == nil {
			messages = append(messages, &msg)
		}
	}
	return messages
}

// Opened returns how many connections were opened with a token that was taken.
func (b *Broker) Opened() int { return b.count(func(s *state) int { return s.opened }) }

// Refused returns how many tokens were not taken.
func (b *Broker) Refused() int { return b.count(func(s *state) int { return s.refused }) }

// Expired returns how many connections or links have ended because their token had.
func (b *Broker) Expired() int { return b.count(func(s *state) int { return s.expired }) }

// Connections returns how many there are.
func (b *Broker) Connections() int { return b.count(func(s *state) int { return len(s.conns) }) }

func (b *Broker) count(of func(*state) int) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return of(b.state)
}

// Drop cuts all connections, as a network that is gone.
func (b *Broker) Drop() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for c := range b.state.conns {
		c.cut()
	}
}

// Close ends the broker and its connections.
func (b *Broker) Close() {
	b.mu.Lock()
	b.state.closed = true
	b.mu.Unlock()
	_ = b.tcp.Close()
	_ = b.web.Close()
	b.Drop()
	b.serving.Wait()
}

// take reports whether a token is taken at a login.
func (b *Broker) take(token outgrant.Secret) bool {
	ok := token != "" && b.opts.Check(token)
	b.mu.Lock()
	defer b.mu.Unlock()
	if ok {
		b.state.opened++
	} else {
		b.state.refused++
	}
	return ok
}

func (b *Broker) serveTCP() {
	for {
		stream, err := b.tcp.Accept()
		if err != nil {
			return
		}
		b.serving.Go(func() { b.serve(&conn{Broker: b, stream: stream, cut: func() { _ = stream.Close() }}) })
	}
}

func (b *Broker) serveWebSocket(w http.ResponseWriter, r *http.Request) {
	b.serving.Add(1) // http.Server.Close does not wait for what was hijacked
	defer b.serving.Done()
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	switch {
	case b.opts.Silent(Handshake):
		<-r.Context().Done()
		return
	case !strings.EqualFold(scheme, "Bearer") || !b.take(outgrant.Secret(token)):
		w.WriteHeader(http.StatusUnauthorized) // without a WWW-Authenticate header, as SAP Event Mesh
		return
	}
	ws, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{"amqp"}})
	if err != nil {
		return
	}
	ws.SetReadLimit(-1)
	c := &conn{Broker: b, stream: websocket.NetConn(r.Context(), ws, websocket.MessageBinary), ws: ws, token: outgrant.Secret(token), cut: func() { _ = ws.CloseNow() }}
	b.serve(c)
}

// queue returns a queue, which is made if there is none. b.mu is held.
func (b *Broker) queue(name string) *queue {
	q := b.state.queues[name]
	if q == nil {
		q = &queue{}
		b.state.queues[name] = q
	}
	return q
}

func (b *Broker) exists(name string) bool {
	return b.opts.Queues == nil || slices.Contains(b.opts.Queues, name)
}

func (b *Broker) String() string { return "amqptest.Broker(" + b.URL() + ", " + b.TCPURL() + ")" }

// Format prints the URLs, for every verb and flag.
func (b *Broker) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, b.String()) }

// LogValue logs the URLs.
func (b *Broker) LogValue() slog.Value { return slog.StringValue(b.String()) }

// MarshalJSON encodes the URLs.
func (b *Broker) MarshalJSON() ([]byte, error) { return json.Marshal(b.String()) }
