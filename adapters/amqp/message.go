package amqp

import goamqp "github.com/Azure/go-amqp"

// Message is a message, of github.com/Azure/go-amqp, with whatever AMQP 1.0 has in one. GetData returns its body.
type Message = goamqp.Message

// NewMessage returns a message with a body.
func NewMessage(data []byte) *Message { return goamqp.NewMessage(data) }
