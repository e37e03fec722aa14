package main

import (
	"context"
	"fmt"
	"net/smtp"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/adapters/mail"
	"github.com/outgrant/outgrant/oauthtest"
	"github.com/outgrant/outgrant/oauthtest/mailtest"
)

// sendMail sends a mail with net/smtp at a server that no longer takes the token that was had first.
func sendMail(ctx context.Context) error {
	source := outgrant.Cached(&oauthtest.Source{User: "ops@acme.example"}, nil) // as an authorization code of a store
	ended, err := source.Token(ctx)
	if err != nil {
		return err
	}
	server := mailtest.NewServer(&mailtest.Options{Check: func(_ string, token outgrant.Secret) bool { return token != ended.AccessToken }})
	defer server.Close()

	auth := mail.SMTPAuth(ctx, source, "") // the user is the token's
	err = auth.Login(func() error {
		return smtp.SendMail(server.SMTPAddr(), auth, "ops@acme.example", []string{"all@acme.example"}, []byte("Subject: We are open\r\n\r\nAs ever.\r\n"))
	})
	if err != nil {
		return err
	}
	fmt.Printf("a mail sent as %s, whose first token was refused: mails that arrived: %d\n", server.Messages()[0].User, len(server.Messages()))
	return nil
}
