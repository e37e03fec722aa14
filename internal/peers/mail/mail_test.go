package mail_test

import (
	"errors"
	"fmt"
	"net/textproto"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/adapters/mail"
	"github.com/outgrant/outgrant/internal/peers/peer"
	"github.com/outgrant/outgrant/oauthtest"
)

// tokens hands out first until it is rejected, then second.
func tokens(first, second string) outgrant.TokenSource {
	token := func(text string) oauthtest.Step {
		return oauthtest.Step{Token: &outgrant.Token{AccessToken: outgrant.Secret(text), User: mailbox, Expiry: time.Now().Add(time.Hour)}}
	}
	return outgrant.Cached(&oauthtest.Source{Script: []oauthtest.Step{token(first), token(second)}}, nil)
}

func refusedError(t testing.TB, err error) *mail.RefusedError {
	t.Helper()
	refused, ok := errors.AsType[*mail.RefusedError](err)
	require.True(t, ok, "%v", err)
	return refused
}

// everyWay runs f for each library, server and mechanism. It logs in, and sends a mail where it can.
func everyWay(t *testing.T, b bench, f func(t *testing.T, name string, login func(src outgrant.TokenSource) error)) {
	run := func(name string, login func(t testing.TB, src outgrant.TokenSource) error) {
		t.Run(name, func(t *testing.T) {
			f(t, name, func(src outgrant.TokenSource) error { return login(t, src) })
		})
	}
	for server, addr := range map[string]string{"Postfix": b.SMTP, "Dovecot": b.Submission} {
		for library, send := range senders {
			for _, m := range mechanisms {
				if library == "go-smtp" || m.name == "XOAUTH2" {
					run(fmt.Sprintf("%s/%s/%s", library, server, m.name), func(t testing.TB, src outgrant.TokenSource) error {
						return send(t, b, addr, src, m, t.Name())
					})
				}
			}
		}
	}
	for _, m := range mechanisms {
		run("go-imap/Dovecot/"+m.name, func(t testing.TB, src outgrant.TokenSource) error {
			client, err := openIMAP(t, b, src, m)
			if err == nil {
				_, err = client.Select("INBOX", nil).Wait()
			}
			return err
		})
		run("POP3/Dovecot/"+m.name, func(t testing.TB, src outgrant.TokenSource) error {
			_, err := openPOP3(t, b, src, m)
			return err
		})
	}
}

func TestEveryWay(t *testing.T) {
	t.Parallel()
	b := startBench(t, peer.MailOptions{})
	b.Accept("good-token", mailbox)
	t.Run("in", func(t *testing.T) {
		everyWay(t, b, func(t *testing.T, _ string, login func(outgrant.TokenSource) error) {
			require.NoError(t, login(tokens("good-token", "")))
		})
	})
	t.Run("refused, and in with another token", func(t *testing.T) {
		everyWay(t, b, func(t *testing.T, _ string, login func(outgrant.TokenSource) error) {
			require.NoError(t, login(tokens("a-token-that-ended", "good-token")))
		})
	})
	t.Run("refused", func(t *testing.T) {
		everyWay(t, b, func(t *testing.T, name string, login func(outgrant.TokenSource) error) {
			refused := refusedError(t, login(tokens("a-token-that-ended", "another-that-ended")))
			t.Log(refused)
			require.NotEmpty(t, refused.Status)
			require.Equal(t, mailbox, refused.User)
			require.False(t, refused.TooLong)
			oauthtest.AssertNoSecrets(t, []string{"a-token-that-ended", "another-that-ended"}, refused)
		})
	})
}

// TestTokenSizes has tokens of the sizes that services issue.
func TestTokenSizes(t *testing.T) {
	t.Parallel()
	b := startBench(t, peer.MailOptions{})
	for _, n := range []int{638, 1450, 1717, 4650, 8650} {
		token := strings.Repeat("x", n)
		b.Accept(token, mailbox)
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			everyWay(t, b, func(t *testing.T, name string, login func(outgrant.TokenSource) error) {
				err := login(tokens(token, token))
				if n < 8192*3/4 || strings.Contains(name, "Postfix") { // Dovecot takes 8192 bytes in base64
					require.NoError(t, err)
					return
				}
				require.True(t, refusedError(t, err).TooLong)
				require.ErrorContains(t, err, fmt.Sprintf("the token has %d bytes, and is too long for this server", n))
			})
		})
	}
}

// TestSendAndRead sends a mail and reads it by IMAP and by POP3.
func TestSendAndRead(t *testing.T) {
	t.Parallel()
	b := startBench(t, peer.MailOptions{})
	b.Accept("good-token", mailbox)
	src := tokens("good-token", "")
	require.NoError(t, senders["go-mail"](t, b, b.SMTP, src, mechanisms[0], "We are open"))

	client, err := openIMAP(t, b, src, mechanisms[0])
	require.NoError(t, err)
	for deadline := time.Now().Add(10 * time.Second); ; {
		inbox, err := client.Select("INBOX", nil).Wait()
		require.NoError(t, err)
		if inbox.NumMessages > 0 {
			break
		}
		require.True(t, time.Now().Before(deadline), "it does not arrive")
	}
	all, err := client.Fetch(imap.SeqSetNum(1), &imap.FetchOptions{Envelope: true}).Collect()
	require.NoError(t, err)
	require.Equal(t, "We are open", all[0].Envelope.Subject)

	conn, err := openPOP3(t, b, src, mechanisms[1])
	require.NoError(t, err)
	pop := textproto.NewConn(conn)
	require.NoError(t, pop.PrintfLine("RETR 1"))
	_, err = pop.ReadLine()
	require.NoError(t, err)
	text, err := pop.ReadDotBytes()
	require.NoError(t, err)
	require.Contains(t, string(text), "Subject: We are open")
}

// TestOtherServers are those that take no tokens, or are asked without TLS.
func TestOtherServers(t *testing.T) {
	t.Parallel()
	b := startBench(t, peer.MailOptions{WithoutTokens: true})
	src := tokens("good-token", "")
	err := senders["net/smtp"](t, b, b.Submission, src, mechanisms[0], "no")
	require.ErrorContains(t, err, "localhost offers")
	require.ErrorContains(t, err, "and neither XOAUTH2 nor OAUTHBEARER")
	_, err = openIMAP(t, b, src, mechanisms[0])
	require.Error(t, err)
	_, err = openPOP3(t, b, src, mechanisms[0])
	require.Error(t, err)
	t.Log(err)
}
