package amqp

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"sync"

	goamqp "github.com/Azure/go-amqp"

	"github.com/outgrant/outgrant"
)

// cbs puts tokens to the node $cbs of a connection (AMQP Claims-based Security 1.0, working draft; as Azure speaks it).
type cbs struct {
	of       CBS
	sender   *goamqp.Sender
	receiver *goamqp.Receiver

	mu sync.Mutex // one request at a time
	n  uint64
}

// cbsReply is where answers are sent.
const cbsReply = "cbs-reply"

func (o *opener) newCBS(ctx context.Context, conn *goamqp.Conn) (*cbs, error) {
	session, err := conn.NewSession(ctx, nil)
	if err != nil {
		return nil, err
	}
	c := &cbs{of: *o.opts.CBS}
	if c.of.Type == "" {
		c.of.Type = "jwt"
	}
	if c.sender, err = session.NewSender(ctx, "$cbs", &goamqp.SenderOptions{SourceAddress: cbsReply}); err != nil {
		return nil, err
	}
	c.receiver, err = session.NewReceiver(ctx, "$cbs", &goamqp.ReceiverOptions{TargetAddress: cbsReply, Credit: 10})
	return c, err
}

// put puts a token, for what its connection does until the token ends.
func (c *cbs) put(ctx context.Context, token *outgrant.Token) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.n++
	id := "put-token-" + strconv.FormatUint(c.n, 10)
	reply := cbsReply
	msg := &goamqp.Message{
		Properties:            &goamqp.MessageProperties{MessageID: id, ReplyTo: &reply},
		ApplicationProperties: map[string]any{"operation": "put-token", "type": c.of.Type, "name": c.of.Audience},
		Value:                 token.AccessToken.Reveal(),
	}
	if !token.Expiry.IsZero() {
		msg.ApplicationProperties["expiration"] = token.Expiry
	}
	if err := c.sender.Send(ctx, msg, nil); err != nil {
		return err
	}
	for {
		answer, err := c.receiver.Receive(ctx, nil)
		if err != nil {
			return err
		}
		if err := c.receiver.AcceptMessage(ctx, answer); err != nil {
			return err
		}
		if answer.Properties != nil && answer.Properties.CorrelationID != nil && answer.Properties.CorrelationID != id {
			continue // to a request that was given up
		}
		return putFailure(answer.ApplicationProperties)
	}
}

func putFailure(answer map[string]any) error {
	code, ok := number(answer, "status-code", "statusCode")
	if !ok {
		return errors.New("the broker's answer to put-token has no status code")
	}
	if code >= 200 && code < 300 {
		return nil
	}
	condition := goamqp.ErrCondInternalError
	if code == 401 || code == 403 {
		condition = goamqp.ErrCondUnauthorizedAccess
	}
	description, _ := answer["status-description"].(string)
	return &goamqp.Error{Condition: condition, Description: fmt.Sprintf("put-token was answered %d %.200s", code, description)}
}

func number(m map[string]any, names ...string) (int64, bool) {
	for _, name := range names {
		switch v := reflect.ValueOf(m[name]); {
		case v.CanInt():
			return v.Int(), true
		case v.CanUint():
			return int64(v.Uint()), true
		}
	}
	return 0, false
}
