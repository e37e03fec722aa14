// Package amqp connects to AMQP 1.0 brokers with access tokens, and keeps the connection authorized when they end.
//
// Use this when you publish to or consume from SAP Event Mesh, or another broker that takes tokens: over WebSocket, where the
// token goes with the handshake (sub-protocol amqp), or over TCP by SASL. Messages and the options of links are those of
// github.com/Azure/go-amqp.
//
//	conn, err := amqp.Dial(ctx, "wss://enterprise-messaging.example/protocols/amqp10ws", source, nil)
//	...
//	defer conn.Close()
//	sender, err := conn.NewSender(ctx, "queue:acme/orders", nil)
//	...
//	err = sender.Send(ctx, amqp.NewMessage(body), nil)
//
// # When a token ends
//
// Brokers close a connection whose token has ended. So ahead of that, when the source has the next token, a [Conn] renews: in
// place where the broker can ([Options.CBS]), otherwise by a second connection: it is opened, senders and receivers are
// attached there, and the first is closed when what was under way on it has been settled. Users of a [Sender] or [Receiver]
// notice nothing. Where the broker refuses the second (a queue for one consumer, a limit of connections), the first is closed
// before.
//
// A connection that is lost is dialled again, with growing pauses, for as long as it takes; calls wait for that, each until
// its context ends.
//
// # What is delivered
//
// A message that was sent, and whose outcome was lost with a connection, is sent again: it may arrive twice, and is not
// lost. A message that was received and not settled when its connection ended is delivered again by the broker, and settling
// it is an error that says so ([ErrRedelivered]).
package amqp

import (
	"context"

	"github.com/outgrant/outgrant"
)

// Dial connects to a broker at a URL with the scheme wss or amqps, or to this machine with ws or amqp. The token is that of src,
// also for all later connections. A broker that refuses it is tried once more with another. ctx is for this call alone: the
// connection lives until [Conn.Close]. It copies opts, which may be nil.
func Dial(ctx context.Context, url string, src outgrant.TokenSource, opts *Options) (*Conn, error) {
	o, err := newOpener(url, src, opts)
	if err != nil {
		return nil, err
	}
	return newConn(ctx, o)
}
