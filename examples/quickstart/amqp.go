package main

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/adapters/amqp"
	"github.com/outgrant/outgrant/adapters/amqp/amqptest"
	"github.com/outgrant/outgrant/oauthtest"
)

// publish sends messages to a broker over WebSocket while the token rolls over three times.
func publish(ctx context.Context) error {
	source := outgrant.Cached(&oauthtest.Source{Lifetime: time.Second}, nil) // as client credentials of a store
	broker := amqptest.NewBroker(nil)
	defer broker.Close()
	var moved atomic.Int64
	conn, err := amqp.Dial(ctx, broker.URL(), source, &amqp.Options{Notify: func(e amqp.Event) {
		if e.Kind == amqp.Moved {
			moved.Add(1)
		}
	}})
	if err != nil {
		return err
	}
	defer conn.Close()
	sender, err := conn.NewSender(ctx, "queue:acme/orders", nil)
	if err != nil {
		return err
	}
	sent := 0
	for ; moved.Load() < 3; sent++ {
		if err := sender.Send(ctx, amqp.NewMessage([]byte("an order")), nil); err != nil {
			return err
		}
	}
	fmt.Printf("%d messages published while the connection moved %d times, ahead of its token's end: messages in the queue: %d\n",
		sent, moved.Load(), len(broker.Messages("queue:acme/orders")))
	return nil
}
