package mail_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/textproto"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/adapters/mail"
	"github.com/outgrant/outgrant/oauthtest/mailtest"
)

// greeted returns a connection whose greeting has been read.
func greeted(t testing.TB, server *mailtest.Server) net.Conn {
	t.Helper()
	conn := dial(t, server.POP3Addr())
	greeting := make([]byte, len("+OK mailtest\r\n"))
	_, err := io.ReadFull(conn, greeting)
	require.NoError(t, err)
	return conn
}

func TestPOP3(t *testing.T) {
	t.Parallel()
	server := start(t, &mailtest.Options{Check: only("access-2")})
	auth := mail.SMTPAuth(t.Context(), tokens(), "")
	require.NoError(t, auth.Login(func() error { return send(server, auth) }))
	for _, sasl := range []*mail.SASL{xoauth2(t, tokens()), oauthBearer(t, tokens())} {
		conn := greeted(t, server)
		refusals := server.Refused()
		require.NoError(t, sasl.POP3(conn), "the second token, on the same connection")
		require.Equal(t, refusals+1, server.Refused())
		client := textproto.NewConn(conn)
		require.NoError(t, client.PrintfLine("RETR 1"))
		line, err := client.ReadLine()
		require.NoError(t, err)
		require.Equal(t, "+OK", line)
		text, err := client.ReadDotBytes()
		require.NoError(t, err)
		require.Equal(t, "Subject: We are open\n\nAs ever.\n.\n", string(text))
	}
}

func TestPOP3Refused(t *testing.T) {
	t.Parallel()
	for _, bare := range []bool{false, true} {
		server := start(t, &mailtest.Options{Check: only("none"), Bare: bare})
		err := xoauth2(t, tokens(), &mail.Options{Host: "pop.example"}).POP3(greeted(t, server))
		refused := refusedError(t, err)
		require.Equal(t, "pop.example", refused.Host)
		require.Equal(t, !bare, refused.Status == "401")
		require.ErrorContains(t, refused.Err, `the server says "-ERR [AUTH] Authentication failed"`)
		require.Equal(t, 2, server.Refused())
	}
	server := start(t, &mailtest.Options{Mechanisms: []string{"PLAIN"}})
	require.ErrorContains(t, xoauth2(t, tokens()).POP3(greeted(t, server)), `the server says "-ERR Unknown mechanism"`)
	long := outgrant.StaticToken(outgrant.Secret(strings.Repeat("x", 8650)))
	sasl, err := mail.XOAUTH2(t.Context(), long, mailbox)
	require.NoError(t, err)
	require.NoError(t, sasl.POP3(greeted(t, start(t, nil))))
	err = sasl.POP3(greeted(t, start(t, &mailtest.Options{LongestLine: 1000})))
	require.ErrorContains(t, err, "the token has 8650 bytes, and is too long for this server")
}

// scripted is a server that says what it is to say, whatever it is told.
type scripted struct {
	io.Reader
	told strings.Builder
}

func (s *scripted) Write(p []byte) (int, error) { return s.told.Write(p) }

// TestPOP3ReadsNoFurther than the line that ends the login.
func TestPOP3ReadsNoFurther(t *testing.T) {
	t.Parallel()
	server := &scripted{Reader: strings.NewReader("+\r\n+OK\r\n+OK what comes next\r\n")}
	sasl, err := mail.XOAUTH2(ctx, outgrant.StaticToken(outgrant.Secret(strings.Repeat("x", 300))), mailbox)
	require.NoError(t, err)
	require.NoError(t, sasl.POP3(server))
	require.True(t, strings.HasPrefix(server.told.String(), "AUTH XOAUTH2\r\ndXNlcj1vcHNA"), server.told.String())
	rest, err := bufio.NewReader(server.Reader).ReadString(0)
	require.ErrorIs(t, err, io.EOF)
	require.Equal(t, "+OK what comes next\r\n", rest)
}

func TestPOP3BadServers(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ says, want string }{
		"says nothing":         {"", "unexpected EOF"},
		"ends in a line":       {"+O", "unexpected EOF"},
		"has no end of line":   {strings.Repeat("x", 1<<20), "a line of the server has more than"},
		"asks for ever":        {strings.Repeat("+ e30=\r\n", 100), "one challenge after another"},
		"challenges in no way": {"+ %%%\r\n-ERR no\r\n", `the server says "-ERR no"`},
		"speaks SMTP":          {"250 ok\r\n", `the server says "250 ok"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := xoauth2(t, outgrant.StaticToken("x"), &mail.Options{}).POP3(&scripted{Reader: strings.NewReader(c.says)})
			require.ErrorContains(t, err, "give the user name")
			sasl, err := mail.XOAUTH2(ctx, outgrant.StaticToken("x"), mailbox)
			require.NoError(t, err)
			require.ErrorContains(t, sasl.POP3(&scripted{Reader: strings.NewReader(c.says)}), c.want)
		})
	}
}

// TestPOP3SilentServer accepts and says nothing.
func TestPOP3SilentServer(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	ended, cancel := context.WithCancel(t.Context())
	sasl, err := mail.XOAUTH2(ended, tokens(), "")
	require.NoError(t, err)
	conn := dial(t, l.Addr().String())
	over := make(chan error)
	go func() { over <- sasl.POP3(conn) }()
	there, err := l.Accept()
	require.NoError(t, err)
	defer there.Close()
	_, err = bufio.NewReader(there).ReadString('\n') // it has begun
	require.NoError(t, err)
	cancel()
	require.ErrorIs(t, <-over, context.Canceled)
}
