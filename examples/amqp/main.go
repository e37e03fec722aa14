// Amqp publishes and consumes messages on a broker while tokens roll over.
//
//	go run ./examples/amqp
//
// needs no account: it talks to a token service and a broker in this process, whose tokens live three seconds. Against a real
// one, such as SAP Event Mesh, the credential is an OAuth2 Client Credentials artifact in a store, and it goes on until you
// interrupt it:
//
//	go run ./examples/amqp -store DIR -credential EVENT_MESH -url wss://HOST/protocols/amqp10ws -address queue:acme/orders
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"sync/atomic"
	"time"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/adapters/amqp"
	"github.com/outgrant/outgrant/adapters/amqp/amqptest"
	"github.com/outgrant/outgrant/clientcredentials"
	"github.com/outgrant/outgrant/credstore"
	"github.com/outgrant/outgrant/oauthtest"
)

func main() {
	dir := flag.String("store", "", "`folder` of the credential store; default: servers in this process")
	name := flag.String("credential", "EVENT_MESH", "`name` of the credential")
	url := flag.String("url", "", "`URL` of the broker")
	address := flag.String("address", "queue:acme/orders", "`address` of the queue")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *dir, *name, *url, *address); err != nil {
		fmt.Fprintln(os.Stderr, "amqp:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, dir, name, url, address string) error {
	if dir == "" && url == "" {
		return demo(ctx, address)
	}
	if dir == "" || url == "" {
		return errors.New("-store and -url go together")
	}
	store, err := credstore.OpenDir(dir, nil)
	if err != nil {
		return err
	}
	defer store.Close()
	source, err := store.TokenSource(ctx, name)
	if err != nil {
		return err
	}
	return flow(ctx, url, source, address)
}

// demo runs for ten seconds with tokens of three.
func demo(ctx context.Context, address string) error {
	service := oauthtest.NewServer(&oauthtest.ServerOptions{TokenLifetime: 3 * time.Second})
	defer service.Close()
	broker := amqptest.NewBroker(&amqptest.Options{Check: service.Live})
	defer broker.Close()
	source, err := clientcredentials.New(&clientcredentials.Config{Name: "EVENT_MESH", TokenURL: service.TokenURL(), ClientID: "sb-mesh", ClientSecret: "the mesh's secret"})
	if err != nil {
		return err
	}
	some, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if err := flow(some, broker.URL(), source, address); err != nil {
		return err
	}
	fmt.Printf("connections: %d; ended by the broker as their token had: %d\n", broker.Opened(), broker.Expired())
	return nil
}

// flow publishes and consumes until ctx ends.
func flow(ctx context.Context, url string, source outgrant.TokenSource, address string) error {
	start := time.Now()
	conn, err := amqp.Dial(ctx, url, source, &amqp.Options{Notify: func(e amqp.Event) {
		fmt.Printf("%5.1fs %s", time.Since(start).Seconds(), e.Kind)
		if e.Err != nil {
			fmt.Print(": ", e.Err)
		}
		fmt.Println()
	}})
	if err != nil {
		return err
	}
	defer conn.Close()
	sender, err := conn.NewSender(ctx, address, nil)
	if err != nil {
		return err
	}
	receiver, err := conn.NewReceiver(ctx, address, nil)
	if err != nil {
		return err
	}

	var sent, received atomic.Int64
	defer func() { fmt.Printf("sent: %d, received: %d\n", sent.Load(), received.Load()) }()
	failed := make(chan error, 1)
	go func() { failed <- publish(ctx, sender, &sent) }()
	if err := consume(ctx, receiver, &received); err != nil {
		return err
	}
	return <-failed
}

// publish sends until ctx ends.
func publish(ctx context.Context, sender *amqp.Sender, sent *atomic.Int64) error {
	for ctx.Err() == nil {
		if err := sender.Send(ctx, amqp.NewMessage(fmt.Appendf(nil, "order %d", sent.Load())), nil); err != nil && ctx.Err() == nil {
			return err
		} else if err == nil {
			sent.Add(1)
		}
	}
	return nil
}

// consume receives until ctx ends.
func consume(ctx context.Context, receiver *amqp.Receiver, received *atomic.Int64) error {
	for ctx.Err() == nil {
		msg, err := receiver.Receive(ctx)
		if err == nil {
			err = receiver.AcceptMessage(ctx, msg)
		}
		switch {
		case err == nil:
			received.Add(1)
		case errors.Is(err, amqp.ErrRedelivered): // it comes again
		case ctx.Err() == nil:
			return err
		}
	}
	return nil
}
