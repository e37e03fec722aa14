package mail_test

import (
	"context"
	"fmt"
	"net/smtp"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/adapters/mail"
	"github.com/outgrant/outgrant/clientcredentials"
	"github.com/outgrant/outgrant/oauthtest"
	"github.com/outgrant/outgrant/oauthtest/mailtest"
)

// A mail is sent with net/smtp. The source is most often a credential of a store: store.TokenSource(ctx, "MAILBOX").
func ExampleSMTPAuth() {
	service := oauthtest.NewServer(nil)
	defer service.Close()
	server := mailtest.NewServer(&mailtest.Options{Check: func(_ string, token outgrant.Secret) bool { return service.Live(token) }})
	defer server.Close()

	source, err := clientcredentials.New(&clientcredentials.Config{Name: "MAILBOX", TokenURL: service.TokenURL(), ClientID: "id", ClientSecret: "secret"})
	if err != nil {
		fmt.Println(err)
		return
	}
	auth := mail.SMTPAuth(context.Background(), source, "ops@acme.example", &mail.Options{AnyGrant: true}) // no person has authorized it
	message := []byte("Subject: We are open\r\n\r\nAs ever.\r\n")
	err = auth.Login(func() error {
		return smtp.SendMail(server.SMTPAddr(), auth, "ops@acme.example", []string{"all@acme.example"}, message)
	})
	if err != nil {
		fmt.Println(err) // a *mail.RefusedError says why, and what to do
		return
	}
	for _, m := range server.Messages() {
		fmt.Println(m.User, "to", m.To)
	}
	// Output: ops@acme.example to [all@acme.example]
}

// A refusal says why, in the server's words, and what to do next.
func ExampleRefusedError() {
	server := mailtest.NewServer(&mailtest.Options{Check: func(string, outgrant.Secret) bool { return false }})
	defer server.Close()

	auth := mail.SMTPAuth(context.Background(), outgrant.StaticToken("a-token"), "ops@acme.example")
	err := auth.Login(func() error {
		return smtp.SendMail(server.SMTPAddr(), auth, "ops@acme.example", []string{"all@acme.example"}, nil)
	})
	fmt.Println(err)
	// Output: mail: 127.0.0.1 refused the token for ops@acme.example (XOAUTH2, status 401, schemes bearer, scope https://mail.example/): 535 "5.7.8 Error: authentication failed"; authorize the credential again with the scope that the server names, as ops@acme.example
}
