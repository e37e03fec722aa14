package mail

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"
)

// longestReply bounds a line of a POP3 server.
const longestReply = 2 * longestChallenge

// POP3 logs in on a connection to a POP3 server (AUTH of RFC 5034), whose greeting has been read and to which nothing is under
// way: with the token, and once more on the same connection if the server refuses it and the source has another. It reads
// no byte beyond the server's last line, so any POP3 client can go on with the connection. If the token was refused in the end,
// the error is a [*RefusedError].
//
// On a [net.Conn] the login ends with the context that s was made with, and the connection must be encrypted or to this
// machine; of another conn both is the caller's business.
func (s *SASL) POP3(conn io.ReadWriter) error {
	if s.login == nil {
		return errEmpty
	}
	l := s.login()
	if c, ok := conn.(net.Conn); ok {
		if err := l.checkConn(c); err != nil {
			return err
		}
		stop := context.AfterFunc(l.ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) })
		defer stop()
	}
	err := l.run(func() error { return s.auth(conn) })
	if err != nil && l.ctx.Err() != nil {
		return fmt.Errorf("mail: the login at %s ended: %w", l.where(), l.ctx.Err())
	}
	return err
}

// auth runs one exchange.
func (s *SASL) auth(conn io.ReadWriter) error {
	l := s.login()
	response, err := l.begin(s.mechanism, "", false)
	if err != nil {
		return err
	}
	command := "AUTH " + s.mechanism
	if response != nil {
		command += " " + base64.StdEncoding.EncodeToString(response)
	}
	for {
		if _, err := io.WriteString(conn, command+"\r\n"); err != nil {
			return fmt.Errorf("mail: POP3: %w", err)
		}
		line, err := readLine(conn)
		if err != nil {
			return fmt.Errorf("mail: POP3: %w", err)
		}
		challenge, more := strings.CutPrefix(line, "+ ")
		switch {
		case strings.HasPrefix(line, "+OK"):
			l.finished()
			return nil
		case line == "+":
		case !more:
			return &pop3Error{line}
		}
		text, err := base64.StdEncoding.DecodeString(challenge)
		if err != nil {
			text = nil // why the token was refused cannot be read
		}
		if response, err = l.next(text); err != nil {
			return err
		}
		command = base64.StdEncoding.EncodeToString(response)
	}
}

// pop3Error is a server's last word.
type pop3Error struct{ line string }

func (e *pop3Error) Error() string {
	return fmt.Sprintf("mail: POP3: the server says %.200q", e.line)
}

// readLine reads a line byte by byte: what comes after it is not ours.
func readLine(conn io.Reader) (string, error) {
	var line []byte
	for b := make([]byte, 1); ; {
		n, err := conn.Read(b)
		switch {
		case n == 1 && b[0] == '\n':
			return strings.TrimSuffix(string(line), "\r"), nil
		case n == 1:
			line = append(line, b[0])
		case errors.Is(err, io.EOF):
			return "", io.ErrUnexpectedEOF
		case err != nil:
			return "", err
		}
		if len(line) > longestReply {
			return "", fmt.Errorf("a line of the server has more than %d bytes", longestReply)
		}
	}
}
