package amqp

import (
	"crypto/tls"
	"net/http"
	"time"

	goamqp "github.com/Azure/go-amqp"
)

// Mechanism is how a token is presented by SASL.
type Mechanism string

// The mechanisms.
const (
	XOAUTH2 Mechanism = "XOAUTH2"
	Plain   Mechanism = "PLAIN" // with the token as password, as RabbitMQ wants it
)

// Options of a connection. The zero value, and nil, suit most brokers.
type Options struct {
	// Base sends the WebSocket handshake: any transport will do that leaves the body of a 101 answer alone. Default
	// http.DefaultTransport.
	Base http.RoundTripper

	// AnyGrant takes a source of any grant. Default false: client credentials, and sources that are not ours.
	AnyGrant bool

	// Mechanism presents the token by SASL. Default XOAUTH2 over TCP, and none over WebSocket, where the handshake has it: SASL
	// is ANONYMOUS there.
	Mechanism Mechanism

	// User is the user name of SASL. Default the token's user, or "oauth2".
	User string

	// CBS presents tokens by claims-based security, and renews them in place. Default nil: the broker cannot.
	CBS *CBS

	// TLS is for amqps. Default that of crypto/tls, with the URL's host.
	TLS *tls.Config

	// Conn is for what else an AMQP connection has: container id, idle timeout, frame size, properties. Its SASLType, HostName
	// and TLSConfig are set here. Default nil.
	Conn *goamqp.ConnOptions

	// AllowPlaintext lets the token go to other machines without TLS. Default false.
	AllowPlaintext bool

	// DialTimeout bounds each attempt to connect, and to attach a sender or receiver. Default 30 seconds.
	DialTimeout time.Duration

	// DrainTimeout bounds how long a connection that was replaced is kept for what is under way on it. Default 10 seconds.
	DrainTimeout time.Duration

	// MaxBackoff bounds the pauses between attempts to connect again, which grow from 100 milliseconds. Default 30 seconds.
	MaxBackoff time.Duration

	// Notify is called as things happen to the connection, one call at a time. It returns at once. Default nil.
	Notify func(Event)
}

// CBS is AMQP claims-based security: tokens are put to the node $cbs.
type CBS struct {
	// Audience is the address that the token is for, as the broker names it. Required.
	Audience string

	// Type is the type of the token. Default "jwt".
	Type string
}

// Event is something that happened to a connection.
type Event struct {
	Kind  EventKind
	Cause Cause         // of Lost: why
	Err   error         // of Lost and Failed; it holds no secret
	Pause time.Duration // of Failed: until the next attempt
}

// EventKind says what happened.
type EventKind string

// The kinds of events.
const (
	Connected EventKind = "connected" // the first connection, or one after a loss
	Renewed   EventKind = "renewed"   // a token was put in place
	Moved     EventKind = "moved"     // senders and receivers are on a new connection
	Lost      EventKind = "lost"      // the connection ended by itself
	Failed    EventKind = "failed"    // a connection could not be made, or renewed
)
