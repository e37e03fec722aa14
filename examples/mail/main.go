// Mail sends a mail with an access token, and reads the mailbox.
//
//	go run ./examples/mail
//
// needs no account: it talks to a token service and a mail server in this process, where the first token is refused. Against a
// real one the credential is an OAuth2 Authorization Code that has been authorized, such as by examples/authorize in the same
// store:
//
//	go run ./examples/mail -store DIR -credential MAILBOX -smtp smtp.office365.com:587 -to ops@acme.example
//	go run ./examples/mail -store DIR -credential MAILBOX -pop3 outlook.office365.com:995
package main

import (
	"context"
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/smtp"
	"net/textproto"
	"os"
	"os/signal"
	"time"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/adapters/mail"
	"github.com/outgrant/outgrant/credstore"
)

func main() {
	dir := flag.String("store", "", "`folder` of the credential store; default: servers in this process")
	name := flag.String("credential", "MAILBOX", "`name` of the credential")
	smtpAddr := flag.String("smtp", "", "`host:port` to send a mail at")
	to := flag.String("to", "", "`address` to send it to; default: the mailbox itself")
	pop3Addr := flag.String("pop3", "", "`host:port` to read the mailbox at, with TLS")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	if err := run(ctx, *dir, *name, *smtpAddr, *to, *pop3Addr); err != nil {
		fmt.Fprintln(os.Stderr, "mail:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, dir, name, smtpAddr, to, pop3Addr string) error {
	switch {
	case dir == "" && smtpAddr == "" && pop3Addr == "":
		return demo(ctx)
	case dir == "" || smtpAddr == "" && pop3Addr == "":
		return errors.New("-store goes with -smtp, with -pop3, or with both")
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
	if smtpAddr != "" {
		if err := send(ctx, source, smtpAddr, to); err != nil {
			return err
		}
	}
	if pop3Addr == "" {
		return nil
	}
	conn, err := (&tls.Dialer{}).DialContext(ctx, "tcp", pop3Addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	return read(ctx, source, conn)
}

// send sends a mail with net/smtp, which uses STARTTLS.
func send(ctx context.Context, source outgrant.TokenSource, addr, to string) error {
	token, err := source.Token(ctx)
	if err != nil {
		return err
	}
	from := token.User
	if to == "" {
		to = from
	}
	message := fmt.Sprintf("From: %s\r\nTo: %s\r\nSubject: We are open\r\n\r\nAs ever.\r\n", from, to)
	auth := mail.SMTPAuth(ctx, source, "")
	if err := auth.Login(func() error { return smtp.SendMail(addr, auth, from, []string{to}, []byte(message)) }); err != nil {
		return err
	}
	fmt.Printf("sent a mail from %s to %s\n", from, to)
	return nil
}

// read tells what is in the mailbox. The connection could be any POP3 client's.
func read(ctx context.Context, source outgrant.TokenSource, conn net.Conn) error {
	sasl, err := mail.XOAUTH2(ctx, source, "")
	if err != nil {
		return err
	}
	if err := readGreeting(conn); err != nil {
		return err
	}
	if err := sasl.POP3(conn); err != nil {
		return err
	}
	client := textproto.NewConn(conn)
	if err := client.PrintfLine("STAT"); err != nil {
		return err
	}
	line, err := client.ReadLine()
	if err != nil {
		return err
	}
	var mails, size int
	if _, err := fmt.Sscanf(line, "+OK %d %d", &mails, &size); err != nil {
		return fmt.Errorf("the server says %q", line)
	}
	fmt.Printf("the mailbox has %d mails of %d bytes\n", mails, size)
	return client.PrintfLine("QUIT")
}

// readGreeting reads a line, and no byte more.
func readGreeting(conn net.Conn) error {
	for b := make([]byte, 1); b[0] != '\n'; {
		if _, err := conn.Read(b); err != nil {
			return err
		}
	}
	return nil
}
