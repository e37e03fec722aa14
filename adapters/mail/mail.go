// Package mail logs in to mail servers with access tokens: SMTP, IMAP and POP3 by the mechanisms XOAUTH2 and OAUTHBEARER, and
// HTTP mail APIs.
//
// Use this when the mailbox is at Microsoft 365, Google or any server that takes tokens, with the mail library that you have:
//
//	net/smtp                      smtp.SendMail(addr, mail.SMTPAuth(ctx, src, ""), from, to, msg)
//	github.com/wneessen/go-mail   mail.WithSMTPAuthCustom(outgrantmail.SMTPAuthFor[smtp.ServerInfo](ctx, src, ""))
//	github.com/emersion/go-smtp   client.Auth(sasl), with a sasl of XOAUTH2 or OAuthBearer
//	github.com/emersion/go-imap   client.Authenticate(sasl), likewise
//	any POP3 client               sasl.POP3(conn), before the client gets the connection
//	Microsoft Graph, Gmail API    an http.Client with NewTransport
//
// The token is read when a login begins, and never kept: a value that was made once logs in for as long as its source has
// tokens. A connection that is logged in lives on when its token ends, as far as its server lets it: log in again when it
// is closed.
//
// # When the server refuses
//
// Mail libraries report a refusal as the server's last line, which says little. The reason is in a [RefusedError], which
// Login of a [SASL] or an [Auth] returns; Login also tries once more with another token:
//
//	auth := mail.SMTPAuth(ctx, src, "")
//	err := auth.Login(func() error { return smtp.SendMail(addr, auth, from, to, msg) })
package mail

import (
	"context"
	"net"
	"net/http"

	"github.com/outgrant/outgrant"
)

// The mechanisms.
const (
	xoauth2     = "XOAUTH2"     // https://developers.google.com/workspace/gmail/imap/xoauth2-protocol
	oauthbearer = "OAUTHBEARER" // RFC 7628
)

// Options of a login, or of a transport. The zero value, and nil, suit most servers.
type Options struct {
	// Base sends the requests of [NewTransport]; nothing else uses it. Default http.DefaultTransport.
	Base http.RoundTripper

	// AnyGrant takes a source of any grant. Default false: authorization codes, and sources that are not ours.
	AnyGrant bool

	// Host and Port are those of the server as the client sees it. OAUTHBEARER tells them to the server, and errors name the
	// host. Default: not told; errors name the host if SMTP tells it.
	Host string
	Port int

	// Conn is the connection that a [SASL] logs in on, if it is at hand: then Start refuses one that is neither encrypted
	// nor to this machine. Default nil: the mail library sees to it that there is TLS, as it does where its function is
	// called DialTLS or DialStartTLS. SMTPAuth and POP3 know by themselves.
	Conn net.Conn

	// AllowPlaintext lets the token go over connections that are not encrypted, and requests of [NewTransport] go over plain
	// http, to other machines. Whoever sees it can read and send that user's mail. Default false.
	AllowPlaintext bool
}

// XOAUTH2 returns the client side of XOAUTH2. The token is that of src when a login begins, read with ctx. user is the mailbox,
// such as ops@acme.example; "" takes the token's user. At most one of opts is used, which may be nil.
func XOAUTH2(ctx context.Context, src outgrant.TokenSource, user string, opts ...*Options) (*SASL, error) {
	return newSASL(ctx, src, user, opts, xoauth2)
}

// OAuthBearer returns the client side of OAUTHBEARER (RFC 7628). Otherwise it is as [XOAUTH2].
func OAuthBearer(ctx context.Context, src outgrant.TokenSource, user string, opts ...*Options) (*SASL, error) {
	return newSASL(ctx, src, user, opts, oauthbearer)
}
