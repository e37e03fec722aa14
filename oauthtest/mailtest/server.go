// Package mailtest is a mail server for tests: SMTP to send and POP3 to read, with access tokens.
//
// Use this when your program sends or reads mail with tokens and you test it: start a [Server], point the mail library at its
// addresses, and look at what arrived. It takes XOAUTH2 and OAUTHBEARER and nothing else, is as strict about them as RFC 7628
// and RFC 4954, and refuses as Google, Microsoft and Dovecot do. It keeps all mail in one mailbox, in memory.
package mailtest

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/outgrant/outgrant"
)

// Options describe a server. The zero value, and nil, suit most tests.
type Options struct {
	// Check decides whether a token opens a user's mailbox, such as the Live method of an oauthtest.Server. Default nil: each does.
	Check func(user string, token outgrant.Secret) bool

	// Mechanisms are what is offered. Default XOAUTH2 and OAUTHBEARER.
	Mechanisms []string

	// Challenge is what a refused client is told. Default JSON as RFC 7628 3.2.2 says.
	Challenge string

	// Bare refuses without a challenge. Default false.
	Bare bool

	// LongestLine is how many bytes a command may have, and a response likewise. Default 12,288 (RFC 4954 4.5).
	LongestLine int
}

// Message is a mail that was sent.
type Message struct {
	User string // who was logged in
	From string
	To   []string
	Data []byte // as it was sent, with CRLF line ends
}

// Server is a mail server on 127.0.0.1. It is safe for concurrent use. Close it at the end. It prints its addresses.
type Server struct {
	opts       Options
	smtp, pop3 net.Listener
	serving    sync.WaitGroup

	mu     sync.Mutex
	state  *state
	closed bool
}

// state is behind a pointer, where fmt does not look.
type state struct {
	messages []Message
	logins   []string
	refused  int
	conns    map[net.Conn]bool
}

// NewServer starts a server. It copies opts, which may be nil. It panics if nothing can listen on 127.0.0.1.
func NewServer(opts *Options) *Server {
	s := &Server{state: &state{conns: map[net.Conn]bool{}}}
	if opts != nil {
		s.opts = *opts
	}
	if s.opts.Mechanisms == nil {
		s.opts.Mechanisms = []string{"XOAUTH2", "OAUTHBEARER"}
	}
	if s.opts.Challenge == "" {
		s.opts.Challenge = `{"status":"401","schemes":"bearer","scope":"https://mail.example/"}`
	}
	if s.opts.LongestLine == 0 {
		s.opts.LongestLine = 12288
	}
	s.smtp = s.listen(func(c *conn) { c.serveSMTP() })
	s.pop3 = s.listen(func(c *conn) { c.servePOP3() })
	return s
}

// SMTPAddr is where mail is sent, as host:port.
func (s *Server) SMTPAddr() string { return s.smtp.Addr().String() }

// POP3Addr is where mail is read, as host:port.
func (s *Server) POP3Addr() string { return s.pop3.Addr().String() }

// Messages returns what was sent, in order.
func (s *Server) Messages() []Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.state.messages)
}

// Logins returns who has logged in, in order.
func (s *Server) Logins() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.state.logins)
}

// Refused returns how many logins were refused.
func (s *Server) Refused() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state.refused
}

// Close ends the server and its connections.
func (s *Server) Close() {
	s.mu.Lock()
	s.closed = true
	for c := range s.state.conns {
		_ = c.Close()
	}
	s.mu.Unlock()
	_ = s.smtp.Close()
	_ = s.pop3.Close()
	s.serving.Wait()
}

func (s *Server) listen(serve func(*conn)) net.Listener {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(fmt.Sprintf("mailtest: %v", err))
	}
	s.serving.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			s.mu.Lock()
			if s.closed {
				_ = c.Close()
			}
			s.state.conns[c] = true
			s.mu.Unlock()
			s.serving.Go(func() {
				defer func() {
					_ = c.Close()
					s.mu.Lock()
					delete(s.state.conns, c)
					s.mu.Unlock()
				}()
				_ = c.SetDeadline(time.Now().Add(time.Minute))
				serve(&conn{Server: s, in: bufio.NewReaderSize(c, s.opts.LongestLine+2), out: c})
			})
		}
	})
	return l
}

func (s *Server) String() string {
	return fmt.Sprintf("mailtest.Server(SMTP %s, POP3 %s)", s.SMTPAddr(), s.POP3Addr())
}

// Format prints the addresses, for every verb and flag.
func (s *Server) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, s.String()) }

// LogValue logs the addresses.
func (s *Server) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalJSON encodes the addresses.
func (s *Server) MarshalJSON() ([]byte, error) { return json.Marshal(s.String()) }
