package mail

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/smtp"
	"slices"
	"strings"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/internal/origin"
)

// ServerInfo is [smtp.ServerInfo], or that of a package which was made from net/smtp.
type ServerInfo interface {
	~struct {
		Name string
		TLS  bool
		Auth []string
	}
}

// Auth logs in to an SMTP server: by XOAUTH2, or by OAUTHBEARER where the server offers that alone. With [smtp.ServerInfo] it
// is an [smtp.Auth]. It is made by [SMTPAuth] or [SMTPAuthFor], and is for one login after another, not for several at once.
type Auth[S ServerInfo] struct {
	login func() (*login, error) // a function, where fmt does not look
}

// SMTPAuth returns an [smtp.Auth] for net/smtp. The token is that of src when a login begins, read with ctx. user is the
// mailbox, such as ops@acme.example; "" takes the token's user. At most one of opts is used, which may be nil. What is
// wrong with the arguments is the error of Start, before anything is sent.
//
// A login is refused without TLS, unless the server is this machine.
func SMTPAuth(ctx context.Context, src outgrant.TokenSource, user string, opts ...*Options) *Auth[smtp.ServerInfo] {
	return SMTPAuthFor[smtp.ServerInfo](ctx, src, user, opts...)
}

// SMTPAuthFor is [SMTPAuth] for a package that was made from net/smtp and has a ServerInfo of its own, such as
// github.com/wneessen/go-mail/smtp.
func SMTPAuthFor[S ServerInfo](ctx context.Context, src outgrant.TokenSource, user string, opts ...*Options) *Auth[S] {
	l, err := newLogin(ctx, src, user, opts)
	return &Auth[S]{func() (*login, error) { return l, err }}
}

// Start begins a login: it reads the token. Where the command would be too long for some servers with the initial response,
// that goes out at the server's first challenge.
func (a *Auth[S]) Start(server *S) (mechanism string, initialResponse []byte, err error) {
	l, err := a.open()
	if err != nil {
		return "", nil, err
	}
	info := smtp.ServerInfo(*server)
	if !info.TLS && !l.opts.AllowPlaintext && !origin.Loopback(info.Name) {
		return "", nil, insecure(info.Name)
	}
	mechanism, err = chosen(info)
	if err != nil {
		return "", nil, err
	}
	response, err := l.begin(mechanism, info.Name, false)
	if err != nil {
		return "", nil, err
	}
	return mechanism, response, nil
}

func chosen(info smtp.ServerInfo) (string, error) {
	for _, mechanism := range []string{xoauth2, oauthbearer} {
		if slices.ContainsFunc(info.Auth, func(offered string) bool { return strings.EqualFold(offered, mechanism) }) {
			return mechanism, nil
		}
	}
	offered := "nothing"
	if len(info.Auth) > 0 {
		offered = strings.Join(info.Auth, " ")
	}
	return "", fmt.Errorf("mail: %s offers %.200q to log in by, and neither XOAUTH2 nor OAUTHBEARER: have it take tokens, or connect to the port that does (587 or 465)", info.Name, offered)
}

// Next answers a challenge of the server, as [SASL.Next] does; more is false when the server has accepted the login.
func (a *Auth[S]) Next(challenge []byte, more bool) (response []byte, err error) {
	l, err := a.open()
	if err != nil {
		return nil, err
	}
	if !more {
		l.finished()
		return nil, nil
	}
	return l.next(challenge)
}

// Login calls login, which logs in with a and may go on to send mail, and once more if the server refused the token and the
// source has another. After the server has accepted a token nothing is repeated, so that no mail is sent twice. If the token
// was refused in the end, the error is a [*RefusedError].
func (a *Auth[S]) Login(login func() error) error {
	l, err := a.open()
	if err != nil {
		return err
	}
	return l.run(login)
}

func (a *Auth[S]) open() (*login, error) {
	if a.login == nil {
		return nil, errors.New("mail: the Auth is empty: make it by SMTPAuth or SMTPAuthFor")
	}
	return a.login()
}

func (a Auth[S]) String() string { return "mail.Auth" }

// Format prints the type, for every verb and flag.
func (a Auth[S]) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, a.String()) }

// LogValue logs the type.
func (a Auth[S]) LogValue() slog.Value { return slog.StringValue(a.String()) }

// MarshalJSON encodes the type.
func (a Auth[S]) MarshalJSON() ([]byte, error) { return json.Marshal(a.String()) }
