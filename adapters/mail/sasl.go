package mail

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"

	"github.com/outgrant/outgrant"
)

// SASL is the client side of XOAUTH2 or OAUTHBEARER. It satisfies the Client interface of github.com/emersion/go-sasl, for
// go-smtp, go-imap and others. It is made by [XOAUTH2] or [OAuthBearer], and is for one login after another, not for
// several at once.
type SASL struct {
	mechanism string
	login     func() *login // a function, where fmt does not look
}

func newSASL(ctx context.Context, src outgrant.TokenSource, user string, opts []*Options, mechanism string) (*SASL, error) {
	l, err := newLogin(ctx, src, user, opts)
	if err != nil {
		return nil, err
	}
	return &SASL{mechanism, func() *login { return l }}, nil
}

// Start begins a login: it reads the token. Where the command would be too long for some servers with the initial response,
// that is nil and goes out at the server's first challenge; but go-imap gets it at once, as it knows no such challenge.
func (s *SASL) Start() (mechanism string, initialResponse []byte, err error) {
	if s.login == nil {
		return "", nil, errEmpty
	}
	l := s.login()
	if l.opts.Conn != nil {
		if err := l.checkConn(l.opts.Conn); err != nil {
			return "", nil, err
		}
	}
	response, err := l.begin(s.mechanism, "", calledByIMAP())
	if err != nil {
		return "", nil, err
	}
	return s.mechanism, response, nil
}

var errEmpty = errors.New("mail: the SASL is empty: make it by XOAUTH2 or OAuthBearer")

// Next answers a challenge of the server. The first after a login that failed tells why: it is answered as the mechanism
// demands, so that the server's last word comes, and the token is invalidated.
func (s *SASL) Next(challenge []byte) (response []byte, err error) {
	if s.login == nil {
		return nil, errEmpty
	}
	return s.login().next(challenge)
}

// Login calls login, which logs in with s, and once more if the server refused the token and the source has another. login may
// connect first, but what it does must end with the login: it is repeated. If the token was refused in the end, the
// error is a [*RefusedError]. With go-smtp it had better connect: that says a word too many after a refusal, at which Postfix
// hangs up.
func (s *SASL) Login(login func() error) error {
	if s.login == nil {
		return errEmpty
	}
	return s.login().run(login)
}

func (s SASL) String() string { return "mail.SASL(" + s.mechanism + ")" }

// Format prints the type and the mechanism, for every verb and flag.
func (s SASL) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, s.String()) }

// LogValue logs the type and the mechanism.
func (s SASL) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalJSON encodes the type and the mechanism.
func (s SASL) MarshalJSON() ([]byte, error) { return json.Marshal(s.String()) }

// encrypted reports whether a connection is one of TLS, or wraps one and says so.
func encrypted(conn net.Conn) bool {
	_, ok := conn.(interface{ ConnectionState() tls.ConnectionState })
	return ok
}
