package main

import (
	"context"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/oauthtest"
	"github.com/outgrant/outgrant/oauthtest/mailtest"
)

// demo has a server that refuses the first token that it sees.
func demo(ctx context.Context) error {
	var once sync.Once
	var refused outgrant.Secret
	server := mailtest.NewServer(&mailtest.Options{Check: func(_ string, token outgrant.Secret) bool {
		once.Do(func() { refused = token })
		return token != refused
	}})
	defer server.Close()
	source := outgrant.Cached(&oauthtest.Source{User: "ops@acme.example"}, nil) // a credential of a store in your program

	if err := send(ctx, source, server.SMTPAddr(), "all@acme.example"); err != nil {
		return err
	}
	fmt.Printf("logins that were refused: %d, and tried again with another token\n", server.Refused())
	conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "tcp", server.POP3Addr())
	if err != nil {
		return err
	}
	defer conn.Close()
	return read(ctx, source, conn)
}
