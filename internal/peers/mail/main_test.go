// Package mail_test tests adapters/mail against Dovecot and Postfix, with the mail libraries that Go programs use.
package mail_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	netsmtp "net/smtp"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2/imapclient"
	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
	"github.com/stretchr/testify/require"
	gomail "github.com/wneessen/go-mail"
	gomailsmtp "github.com/wneessen/go-mail/smtp"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/adapters/mail"
	"github.com/outgrant/outgrant/internal/leakcheck"
	"github.com/outgrant/outgrant/internal/peers/peer"
)

func TestMain(m *testing.M) { leakcheck.Main(m) }

const mailbox = "ops@acme.example"

var (
	_ sasl.Client     = (*mail.SASL)(nil)
	_ netsmtp.Auth    = (*mail.Auth[netsmtp.ServerInfo])(nil)
	_ gomailsmtp.Auth = (*mail.Auth[gomailsmtp.ServerInfo])(nil)
)

// mechanism is a way to make a SASL.
type mechanism struct {
	name string
	new  func(context.Context, outgrant.TokenSource, string, ...*mail.Options) (*mail.SASL, error)
}

var mechanisms = []mechanism{{"XOAUTH2", mail.XOAUTH2}, {"OAUTHBEARER", mail.OAuthBearer}}

func (m mechanism) open(t testing.TB, src outgrant.TokenSource) *mail.SASL {
	t.Helper()
	s, err := m.new(t.Context(), src, "", &mail.Options{Host: "localhost"})
	require.NoError(t, err)
	return s
}

// bench is the servers, and whom they trust.
type bench struct {
	*peer.MailServer
	tls *tls.Config
}

func startBench(t *testing.T, opts peer.MailOptions) bench {
	t.Helper()
	opts.PKI = peer.NewPKI(t)
	return bench{peer.StartMailServer(t, opts), &tls.Config{RootCAs: opts.PKI.Pool(), ServerName: "localhost"}}
}

// message is a mail with a subject.
func message(subject string) string {
	return fmt.Sprintf("From: %s\r\nTo: %s\r\nSubject: %s\r\n\r\nHello.\r\n", mailbox, mailbox, subject)
}

// senders are the libraries that send mail. Each sends one to the mailbox itself.
var senders = map[string]func(t testing.TB, b bench, addr string, src outgrant.TokenSource, m mechanism, subject string) error{
	"net/smtp": func(t testing.TB, b bench, addr string, src outgrant.TokenSource, _ mechanism, subject string) error {
		auth := mail.SMTPAuth(t.Context(), src, "")
		return auth.Login(func() error {
			conn, err := net.Dial("tcp", addr)
			require.NoError(t, err)
			client, err := netsmtp.NewClient(conn, "localhost")
			require.NoError(t, err)
			defer client.Close()
			require.NoError(t, client.StartTLS(b.tls))
			if err := client.Auth(auth); err != nil {
				return err
			}
			require.NoError(t, client.Mail(mailbox))
			require.NoError(t, client.Rcpt(mailbox))
			data, err := client.Data()
			require.NoError(t, err)
			_, err = data.Write([]byte(message(subject)))
			require.NoError(t, err)
			return data.Close()
		})
	},
	"go-mail": func(t testing.TB, b bench, addr string, src outgrant.TokenSource, _ mechanism, subject string) error {
		host, port := split(t, addr)
		auth := mail.SMTPAuthFor[gomailsmtp.ServerInfo](t.Context(), src, "")
		return auth.Login(func() error {
			client, err := gomail.NewClient(host, gomail.WithPort(port), gomail.WithTLSConfig(b.tls), gomail.WithTLSPolicy(gomail.TLSMandatory),
				gomail.WithSMTPAuthCustom(auth), gomail.WithTimeout(10*time.Second), gomail.WithHELO("localhost"))
			if err != nil {
				return err
			}
			msg := gomail.NewMsg()
			require.NoError(t, msg.From(mailbox))
			require.NoError(t, msg.To(mailbox))
			msg.Subject(subject)
			msg.SetBodyString(gomail.TypeTextPlain, "Hello.")
			return client.DialAndSendWithContext(t.Context(), msg)
		})
	},
	"go-smtp": func(t testing.TB, b bench, addr string, src outgrant.TokenSource, m mechanism, subject string) error {
		s := m.open(t, src)
		var client *smtp.Client
		err := s.Login(func() (err error) {
			if client, err = smtp.DialStartTLS(addr, b.tls); err == nil {
				t.Cleanup(func() { _ = client.Close() })
				err = client.Auth(s)
			}
			return err
		})
		if err != nil {
			return err
		}
		return client.SendMail(mailbox, []string{mailbox}, strings.NewReader(message(subject)))
	},
}

func split(t testing.TB, addr string) (host string, port int) {
	t.Helper()
	a, err := net.ResolveTCPAddr("tcp", addr)
	require.NoError(t, err)
	return a.IP.String(), a.Port
}

// openIMAP returns a client that is logged in.
func openIMAP(t testing.TB, b bench, src outgrant.TokenSource, m mechanism) (*imapclient.Client, error) {
	t.Helper()
	client, err := imapclient.DialTLS(b.IMAPS, &imapclient.Options{TLSConfig: b.tls})
	require.NoError(t, err)
	t.Cleanup(func() { _ = client.Close() })
	require.NoError(t, client.WaitGreeting())
	s := m.open(t, src)
	return client, s.Login(func() error { return client.Authenticate(s) })
}

// openPOP3 returns a connection that is logged in.
func openPOP3(t testing.TB, b bench, src outgrant.TokenSource, m mechanism) (net.Conn, error) {
	t.Helper()
	conn, err := tls.Dial("tcp", b.POP3S, b.tls)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	greeting := make([]byte, 1)
	for greeting[0] != '\n' {
		_, err := conn.Read(greeting)
		require.NoError(t, err)
	}
	return conn, m.open(t, src).POP3(conn)
}
