package peer

import (
	"fmt"
	"regexp"
	"testing"
	"time"
)

// Broker is an AMQP 1.0 broker on rhea, in a process of its own.
type Broker struct {
	URL    string // of WebSockets
	TCPURL string

	*process
}

// BrokerOptions say how a [Broker] works.
type BrokerOptions struct {
	Expiry      string   // what happens when a connection's token ends: amqp, 1008, detach; default nothing
	Exclusive   []string // queues that take one receiver
	Connections int      // how many there may be; default any number
}

var tcpPort = regexp.MustCompile(`(?m)^TCP (\d+) END`)

// StartBroker starts a broker, which accepts the tokens that s calls active. It ends with the test.
func StartBroker(tb testing.TB, s *AuthServer, opts BrokerOptions) *Broker {
	tb.Helper()
	in := s.Introspection()
	config := map[string]any{
		"introspection": map[string]string{"url": in.URL, "id": in.ClientID, "secret": in.Secret, "ca": ChainPEM(s.PKI.Root)},
		"exclusive":     append([]string{}, opts.Exclusive...),
	}
	if opts.Expiry != "" {
		config["expiry"] = opts.Expiry
	}
	if opts.Connections > 0 {
		config["connections"] = opts.Connections
	}
	b := &Broker{}
	b.process, b.URL = startNode(tb, "amqp", config)
	b.TCPURL = fmt.Sprintf("amqp://127.0.0.1:%s", b.await(tb, tcpPort, time.Second)[1])
	return b
}

// Drop cuts all connections.
func (b *Broker) Drop(tb testing.TB) {
	tb.Helper()
	if _, err := fmt.Fprintln(b.stdin, "drop"); err != nil {
		tb.Fatal(err)
	}
}

// Logged returns how often the broker has printed a text.
func (b *Broker) Logged(text string) int {
	return len(regexp.MustCompile(regexp.QuoteMeta(text)).FindAllString(b.printed.String(), -1))
}
