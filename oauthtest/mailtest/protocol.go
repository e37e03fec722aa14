package mailtest

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/outgrant/outgrant"
)

// conn is a connection of a client.
type conn struct {
	*Server
	in   *bufio.Reader
	out  net.Conn
	user string // "": not logged in
}

func (c *conn) say(format string, args ...any) { _, _ = fmt.Fprintf(c.out, format+"\r\n", args...) }

var errTooLong = errors.New("the line is too long")

// line reads a line; one that is too long is read to its end.
func (c *conn) line() (string, error) {
	text, err := c.in.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		for errors.Is(err, bufio.ErrBufferFull) {
			_, err = c.in.ReadSlice('\n')
		}
		if err == nil {
			err = errTooLong
		}
	}
	return strings.TrimRight(string(text), "\r\n"), err
}

// words are what a protocol says in an AUTH.
type words struct{ prompt, fine, refused, malformed, unknown string }

// auth runs an AUTH command.
func (c *conn) auth(args string, w words) error {
	mechanism, initial, _ := strings.Cut(args, " ")
	mechanism = strings.ToUpper(mechanism)
	if !slices.Contains(c.opts.Mechanisms, mechanism) {
		c.say("%s", w.unknown)
		return nil
	}
	if initial == "" {
		c.say("%s", w.prompt)
		var err error
		if initial, err = c.line(); err != nil {
			return err
		}
	}
	text, err := base64.StdEncoding.DecodeString(initial)
	user, token, ok := parse(mechanism, string(text))
	if err != nil || !ok {
		c.say("%s", w.malformed)
		return nil
	}
	if c.opts.Check == nil || c.opts.Check(user, outgrant.Secret(token)) {
		c.mu.Lock()
		c.state.logins = append(c.state.logins, user)
		c.mu.Unlock()
		c.user = user
		c.say("%s", w.fine)
		return nil
	}
	c.mu.Lock()
	c.state.refused++
	c.mu.Unlock()
	if !c.opts.Bare {
		c.say("%s%s", w.prompt, base64.StdEncoding.EncodeToString([]byte(c.opts.Challenge)))
		answer, err := c.line()
		if err != nil {
			return err
		}
		if want := map[string]string{"XOAUTH2": "", "OAUTHBEARER": "AQ=="}[mechanism]; answer != want {
			c.say("%s", w.malformed)
			return nil
		}
	}
	c.say("%s", w.refused)
	return nil
}

// parse reads a client's response.
func parse(mechanism, text string) (user, token string, ok bool) {
	fields, ended := strings.CutSuffix(text, "\x01\x01")
	parts := strings.Split(fields, "\x01")
	if mechanism == "XOAUTH2" {
		user, ok = strings.CutPrefix(parts[0], "user=")
	} else if user, ok = strings.CutPrefix(parts[0], "n,a="); ok {
		user, ok = strings.CutSuffix(user, ",")
		user = strings.NewReplacer("=2C", ",", "=3D", "=").Replace(user)
	}
	for _, part := range parts[1:] {
		key, value, _ := strings.Cut(part, "=")
		switch {
		case key == "auth" && strings.HasPrefix(value, "Bearer ") && token == "":
			token = strings.TrimPrefix(value, "Bearer ")
		case mechanism == "OAUTHBEARER" && (key == "host" || key == "port"):
		default:
			return "", "", false
		}
	}
	return user, token, ok && ended && user != "" && token != ""
}

func (c *conn) serveSMTP() {
	c.say("220 mailtest ESMTP")
	var m Message
	for {
		text, err := c.line()
		if errors.Is(err, errTooLong) {
			c.say("500 5.5.6 Line too long")
			continue
		}
		if err != nil {
			return
		}
		command, args, _ := strings.Cut(text, " ")
		switch command = strings.ToUpper(command); {
		case command == "EHLO" || command == "HELO":
			c.say("250-mailtest\r\n250 AUTH %s", strings.Join(c.opts.Mechanisms, " "))
		case command == "QUIT":
			c.say("221 2.0.0 Bye")
			return
		case command == "RSET" || command == "NOOP":
			m = Message{}
			c.say("250 2.0.0 Ok")
		case command == "AUTH" && c.user == "":
			err = c.auth(args, words{"334 ", "235 2.7.0 Accepted", "535 5.7.8 Error: authentication failed", "501 5.5.2 Malformed", "504 5.5.4 Unrecognized mechanism"})
			if errors.Is(err, errTooLong) {
				c.say("500 5.5.6 Line too long")
			} else if err != nil {
				return
			}
		case c.user == "":
			c.say("530 5.7.0 Authentication required")
		case command == "MAIL":
			m = Message{User: c.user, From: address(args)}
			c.say("250 2.1.0 Ok")
		case command == "RCPT" && m.User != "":
			m.To = append(m.To, address(args))
			c.say("250 2.1.5 Ok")
		case command == "DATA" && len(m.To) > 0:
			c.say("354 End with a dot")
			if m.Data, err = c.data(); err != nil {
				return
			}
			c.mu.Lock()
			c.state.messages = append(c.state.messages, m)
			c.mu.Unlock()
			m = Message{}
			c.say("250 2.0.0 Ok")
		default:
			c.say("503 5.5.1 Bad sequence of commands")
		}
	}
}

// address takes an address out of FROM:<a@b> and TO:<a@b>.
func address(args string) string {
	_, rest, _ := strings.Cut(args, "<")
	a, _, _ := strings.Cut(rest, ">")
	return a
}

// data reads a mail to the dot.
func (c *conn) data() ([]byte, error) {
	var all bytes.Buffer
	for {
		text, err := c.in.ReadString('\n')
		switch {
		case err != nil:
			return nil, err
		case text == ".\r\n":
			return all.Bytes(), nil
		}
		all.WriteString(strings.TrimPrefix(text, "."))
	}
}

func (c *conn) servePOP3() {
	c.say("+OK mailtest")
	for {
		text, err := c.line()
		if err != nil {
			return
		}
		command, args, _ := strings.Cut(text, " ")
		messages := c.Messages()
		n, _ := strconv.Atoi(args)
		switch command = strings.ToUpper(command); {
		case command == "QUIT":
			c.say("+OK Bye")
			return
		case command == "CAPA":
			c.say("+OK\r\nSASL %s\r\n.", strings.Join(c.opts.Mechanisms, " "))
		case command == "AUTH" && c.user == "":
			if c.auth(args, words{"+ ", "+OK Logged in", "-ERR [AUTH] Authentication failed", "-ERR Malformed", "-ERR Unknown mechanism"}) != nil {
				return
			}
		case c.user == "":
			c.say("-ERR Log in first")
		case command == "STAT":
			size := 0
			for _, m := range messages {
				size += len(m.Data)
			}
			c.say("+OK %d %d", len(messages), size)
		case command == "RETR" && n >= 1 && n <= len(messages):
			c.say("+OK")
			for l := range strings.Lines(string(messages[n-1].Data)) {
				if strings.HasPrefix(l, ".") {
					l = "." + l
				}
				_, _ = c.out.Write([]byte(l))
			}
			c.say(".")
		default:
			c.say("-ERR What is that?")
		}
	}
}
