package amqp_test

import (
	"context"
	"fmt"

	"github.com/outgrant/outgrant/adapters/amqp"
	"github.com/outgrant/outgrant/adapters/amqp/amqptest"
	"github.com/outgrant/outgrant/clientcredentials"
	"github.com/outgrant/outgrant/oauthtest"
)

// A message is published and consumed. The source is most often a credential of a store: store.TokenSource(ctx, "EVENT_MESH"). The
// connection goes on when its token ends.
func ExampleDial() {
	service := oauthtest.NewServer(nil)
	defer service.Close()
	broker := amqptest.NewBroker(&amqptest.Options{Check: service.Live})
	defer broker.Close()

	ctx := context.Background()
	source, err := clientcredentials.New(&clientcredentials.Config{Name: "EVENT_MESH", TokenURL: service.TokenURL(), ClientID: "id", ClientSecret: "secret"})
	if err != nil {
		fmt.Println(err)
		return
	}
	conn, err := amqp.Dial(ctx, broker.URL(), source, nil)
	if err != nil {
		fmt.Println(err) // an *amqp.Error says whether it was the token, the network or the broker, and what to do
		return
	}
	defer conn.Close()
	sender, err := conn.NewSender(ctx, "queue:acme/orders", nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := sender.Send(ctx, amqp.NewMessage([]byte("an order")), nil); err != nil {
		fmt.Println(err)
		return
	}

	receiver, err := conn.NewReceiver(ctx, "queue:acme/orders", nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	msg, err := receiver.Receive(ctx)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%s\n", msg.GetData())
	if err := receiver.AcceptMessage(ctx, msg); err != nil {
		fmt.Println(err) // matches amqp.ErrRedelivered if the message comes again
	}
	// Output: an order
}
