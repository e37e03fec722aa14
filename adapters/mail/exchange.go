package mail

import (
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"unicode"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/adapters"
	"github.com/outgrant/outgrant/internal/origin"
	"github.com/outgrant/outgrant/internal/withheld"
)

const (
	// longestLine is how long a command may be, line end included, that every server takes: RFC 5321 4.5.3.1.4 for SMTP,
	// RFC 2449 4 for POP3. Some take more, and some fail with a misleading answer.
	longestLine = 255
	// mostChallenges is how many a server may send in one login; each of the mechanisms has two at most.
	mostChallenges = 4
	// longestChallenge bounds what is read of one.
	longestChallenge = 16 << 10
)

// login is whom to log in, and how. It is what a SASL and an Auth share.
type login struct {
	ctx  context.Context
	src  outgrant.TokenSource
	user string
	opts Options

	mu sync.Mutex
	exchange
}

// exchange is one login.
type exchange struct {
	mechanism  string
	host       string
	mailbox    string          // whose
	token      *outgrant.Token // nil: it has not begun
	response   []byte          // the initial response, until it is sent
	sent       bool            // the token was, maybe
	challenges int
	refused    *RefusedError
	done       bool // the server has said that the login was successful
	imap       bool // the mail library is go-imap
}

func newLogin(ctx context.Context, src outgrant.TokenSource, user string, opts []*Options) (*login, error) {
	l := &login{ctx: ctx, src: src, user: user}
	switch {
	case len(opts) > 1:
		return nil, errors.New("mail: more than one Options")
	case src == nil:
		return nil, errors.New("mail: the token source is nil")
	case ctx == nil:
		return nil, errors.New("mail: the context is nil")
	}
	if len(opts) == 1 && opts[0] != nil {
		l.opts = *opts[0]
	}
	if err := adapters.Mail.Check(src, l.opts.AnyGrant); err != nil {
		return nil, fmt.Errorf("mail: %w", err)
	}
	if err := checkUser(user); err != nil {
		return nil, err
	}
	if strings.ContainsFunc(l.opts.Host, unicode.IsControl) {
		return nil, errors.New("mail: Host has a control character")
	}
	return l, nil
}

// checkUser refuses a name that would end its field.
func checkUser(user string) error {
	if strings.ContainsFunc(user, unicode.IsControl) {
		return errors.New("mail: the user name has a control character: give the mailbox's address")
	}
	return nil
}

// begin begins a login and returns the initial response, or nil if the server must ask for it.
func (l *login) begin(mechanism, host string, imap bool) ([]byte, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.exchange = exchange{mechanism: mechanism, host: host, imap: imap}
	if l.host == "" {
		l.host = l.opts.Host
	}
	token, err := l.src.Token(l.ctx)
	if err != nil {
		return nil, fmt.Errorf("mail: no token for %s: %w", l.where(), err)
	}
	user := l.user
	if user == "" {
		user = token.User
	}
	switch {
	case user == "":
		return nil, errors.New("mail: whose mailbox? The token does not tell its user: give the user name")
	case token.AccessToken == "" || strings.ContainsFunc(token.AccessToken.Reveal(), func(r rune) bool { return r <= ' ' || r > '~' }):
		return nil, errors.New("mail: the token is empty, or has a character that no token has")
	case token.Type != "" && !strings.EqualFold(token.Type, "Bearer"):
		return nil, fmt.Errorf("mail: the token has the type %.20q, and mail servers take bearer tokens", token.Type)
	}
	if err := checkUser(user); err != nil {
		return nil, err
	}
	l.mailbox, l.token = user, token
	l.response = l.initial()
	if imap || len("AUTH ")+len(mechanism)+len(" ")+base64.StdEncoding.EncodedLen(len(l.response))+len("\r\n") <= longestLine {
		return l.answer(), nil
	}
	return nil, nil
}

// initial returns the initial response.
func (l *login) initial() []byte {
	var b strings.Builder
	if l.mechanism == xoauth2 {
		fmt.Fprintf(&b, "user=%s\x01", l.mailbox)
	} else {
		fmt.Fprintf(&b, "n,a=%s,\x01", strings.NewReplacer("=", "=3D", ",", "=2C").Replace(l.mailbox)) // RFC 5801 4
		if l.opts.Host != "" {
			fmt.Fprintf(&b, "host=%s\x01", l.opts.Host)
		}
		if l.opts.Port != 0 {
			fmt.Fprintf(&b, "port=%d\x01", l.opts.Port)
		}
	}
	fmt.Fprintf(&b, "auth=Bearer %s\x01\x01", l.token.AccessToken.Reveal())
	return []byte(b.String())
}

// answer hands out the initial response. l.mu is held.
func (l *login) answer() []byte {
	response := l.response
	l.response, l.sent = nil, true
	return response
}

// next answers a challenge: one that asks for the initial response, or one that tells why the token was refused. The mechanisms
// want that answered, too, for the server's last word.
func (l *login) next(challenge []byte) ([]byte, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.challenges++
	switch {
	case l.token == nil:
		return nil, errors.New("mail: the server sent a challenge before the login began")
	case l.response != nil:
		return l.answer(), nil
	case l.challenges > mostChallenges:
		return nil, fmt.Errorf("mail: %s sends one challenge after another in a login by %s: it is given up", l.where(), l.mechanism)
	}
	l.refuse(challenge)
	if l.mechanism == oauthbearer || l.imap {
		return []byte{1}, nil // RFC 7628 3.2.3
	}
	return []byte{}, nil
}

// refuse notes that the token was refused, and drops it, so that the next login has another. l.mu is held.
func (l *login) refuse(challenge []byte) {
	if l.refused != nil {
		return
	}
	l.refused = newRefusedError(l, challenge)
	if i, ok := l.src.(outgrant.Invalidator); ok {
		i.Invalidate(l.token)
	}
}

// finished notes that the server has accepted the token.
func (l *login) finished() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.done = true
}

// where is the server, as errors call it.
func (l *login) where() string { return named(l.host) }

func named(host string) string { return cmp.Or(host, "the mail server") }

// run runs login, and once more with another token if the server refused the first.
func (l *login) run(attempt func() error) error {
	for first := (*RefusedError)(nil); ; {
		l.mu.Lock()
		l.exchange = exchange{}
		l.mu.Unlock()
		err := attempt()
		if err == nil {
			return nil
		}
		refused, token := l.outcome(err)
		switch {
		case refused == nil && first != nil:
			return fmt.Errorf("%w; and once more, with another token: %w", first, err)
		case refused == nil:
			return err
		case first != nil:
			return refused
		}
		next, tokenErr := l.src.Token(l.ctx)
		if tokenErr != nil {
			return fmt.Errorf("%w; another token cannot be had: %w", refused, tokenErr)
		}
		if next.AccessToken == token.AccessToken {
			return refused
		}
		first = refused
	}
}

// outcome returns why the server refused the token, if that is what err is about.
func (l *login) outcome(err error) (*RefusedError, *outgrant.Token) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.sent || l.done {
		return nil, nil
	}
	if l.refused == nil {
		if !saysRefused(err) && !l.tooLong(err) {
			return nil, nil
		}
		l.refuse(nil)
	}
	refused := *l.refused
	refused.Err = withheld.Cause(withheld.Secrets{l.token.AccessToken.Reveal()}.Line(err.Error(), longestMember), err)
	refused.TooLong = l.tooLong(err)
	return &refused, l.token
}

// checkConn refuses a connection that others could read.
func (l *login) checkConn(conn net.Conn) error {
	if l.opts.AllowPlaintext || encrypted(conn) || local(conn) {
		return nil
	}
	return insecure(l.opts.Host)
}

func insecure(host string) error {
	return fmt.Errorf("mail: no token for %s over a connection that is not encrypted: use TLS, or STARTTLS before the login: %w", named(host), outgrant.ErrInsecureURL)
}

func local(conn net.Conn) bool {
	switch addr := conn.RemoteAddr().(type) {
	case nil:
		return false
	case *net.TCPAddr:
		return origin.Loopback(addr.IP.String())
	default:
		return addr.Network() == "unix" || addr.Network() == "pipe"
	}
}
