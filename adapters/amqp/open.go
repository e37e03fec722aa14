package amqp

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode"

	goamqp "github.com/Azure/go-amqp"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/adapters"
	"github.com/outgrant/outgrant/internal/origin"
)

// opener opens authorized connections to a broker. It is safe for concurrent use.
type opener struct {
	url  *url.URL
	src  outgrant.TokenSource
	name string // the credential's
	opts Options
}

// opened is a connection that was opened with a token.
type opened struct {
	conn    *goamqp.Conn
	session *goamqp.Session
	token   *outgrant.Token
	cbs     *cbs         // nil: it cannot be renewed in place
	why     func() error // what ended the transport; nil: not known
}

func newOpener(rawURL string, src outgrant.TokenSource, opts *Options) (*opener, error) {
	o := &opener{src: src}
	if opts != nil {
		o.opts = *opts
	}
	if src == nil {
		return nil, errors.New("amqp: the token source is nil")
	}
	if err := adapters.AMQP.Check(src, o.opts.AnyGrant); err != nil {
		return nil, fmt.Errorf("amqp: %w", err)
	}
	if d, ok := src.(outgrant.Describer); ok {
		o.name = d.Describe().Name
	}
	u, err := url.Parse(rawURL)
	if err != nil || u.Host == "" || !slices.Contains([]string{"wss", "ws", "amqps", "amqp"}, u.Scheme) {
		return nil, errors.New("amqp: the URL must be wss://, or amqps:// (ws:// and amqp:// for this machine), with a host")
	}
	o.url = u
	if err := o.check(); err != nil {
		return nil, fmt.Errorf("amqp: %w", err)
	}
	o.setDefaults()
	return o, nil
}

func (o *opener) check() error {
	_, signs := o.src.(outgrant.Authorizer)
	plain := o.url.Scheme == "ws" || o.url.Scheme == "amqp"
	switch {
	case o.url.User != nil:
		return errors.New("the URL has a user, and the token is what authorizes: leave it away")
	case plain && !o.opts.AllowPlaintext && !origin.Loopback(o.url.Hostname()):
		return fmt.Errorf("no token for %s without TLS: use wss or amqps: %w", o.url.Host, outgrant.ErrInsecureURL)
	case signs && (!o.webSocket() || o.opts.Mechanism != "" || o.opts.CBS != nil):
		return errors.New("the source signs requests, and has no token for SASL or $cbs")
	case o.opts.Mechanism != "" && o.opts.Mechanism != XOAUTH2 && o.opts.Mechanism != Plain:
		return errors.New("Mechanism must be XOAUTH2 or Plain")
	case o.opts.CBS != nil && o.opts.CBS.Audience == "":
		return errors.New("CBS.Audience: missing: which address are the tokens for?")
	case strings.ContainsFunc(o.opts.User, unicode.IsControl):
		return errors.New("User has a control character")
	case o.opts.DialTimeout < 0 || o.opts.DrainTimeout < 0 || o.opts.MaxBackoff < 0:
		return errors.New("DialTimeout, DrainTimeout, MaxBackoff: must not be negative")
	}
	return nil
}

func (o *opener) setDefaults() {
	for d, value := range map[*time.Duration]time.Duration{&o.opts.DialTimeout: 30 * time.Second, &o.opts.DrainTimeout: 10 * time.Second, &o.opts.MaxBackoff: 30 * time.Second} {
		if *d == 0 {
			*d = value
		}
	}
	if o.opts.Mechanism == "" && !o.webSocket() {
		o.opts.Mechanism = XOAUTH2
	}
}

func (o *opener) webSocket() bool { return strings.HasPrefix(o.url.Scheme, "ws") }

// open opens a connection. If the broker refuses the token, that is dropped, and another one tried.
func (o *opener) open(ctx context.Context) (*opened, error) {
	c, token, err := o.try(ctx)
	if err == nil || token == nil {
		return c, err
	}
	refusal, ok := errors.AsType[*Error](err)
	if !ok || refusal.Cause != Auth || refusal.Status != 0 { // after a handshake the transport has tried another one
		return nil, err
	}
	i, ok := o.src.(outgrant.Invalidator)
	if !ok {
		return nil, err
	}
	i.Invalidate(token)
	next, nextErr := o.src.Token(ctx)
	if nextErr != nil || next.AccessToken == token.AccessToken {
		return nil, err
	}
	c, _, err = o.try(ctx)
	return c, err
}

// try opens a connection with the source's token, which it returns also if that failed with it.
func (o *opener) try(ctx context.Context) (c *opened, token *outgrant.Token, err error) {
	ctx, cancel := context.WithTimeout(ctx, o.opts.DialTimeout)
	defer cancel()
	c = &opened{}
	var stream net.Conn
	if o.webSocket() {
		stream, c.token, c.why, err = o.upgrade(ctx)
	} else if c.token, err = o.src.Token(ctx); err == nil {
		stream, err = o.dialTCP(ctx)
	} else {
		return nil, nil, err
	}
	if err != nil {
		return nil, c.token, o.failure(err, reveal(c.token))
	}
	if err := o.begin(ctx, c, stream); err != nil {
		_ = stream.Close()
		if c.why != nil && c.why() != nil {
			err = fmt.Errorf("%w: %w", c.why(), err)
		}
		return nil, c.token, o.failure(err, reveal(c.token))
	}
	return c, c.token, nil
}

func reveal(t *outgrant.Token) string {
	if t == nil {
		return ""
	}
	return t.AccessToken.Reveal()
}

// begin opens AMQP on a stream, within ctx.
func (o *opener) begin(ctx context.Context, c *opened, stream net.Conn) (err error) {
	stop := context.AfterFunc(ctx, func() { _ = stream.Close() }) // go-amqp does not look at ctx all the time
	defer stop()
	var opts goamqp.ConnOptions
	if o.opts.Conn != nil {
		opts = *o.opts.Conn
	}
	opts.HostName, opts.TLSConfig, opts.SASLType = o.url.Hostname(), nil, goamqp.SASLTypeAnonymous()
	if o.opts.Mechanism != "" && o.opts.CBS == nil {
		if opts.SASLType, err = o.sasl(c.token); err != nil {
			return err
		}
	}
	if c.conn, err = goamqp.NewConn(ctx, stream, &opts); err != nil {
		return err
	}
	if c.session, err = c.conn.NewSession(ctx, nil); err == nil && o.opts.CBS != nil {
		if c.cbs, err = o.newCBS(ctx, c.conn); err == nil {
			err = c.cbs.put(ctx, c.token)
		}
	}
	if err != nil {
		_ = c.conn.Close()
	}
	return err
}

// sasl returns what presents a token by SASL.
func (o *opener) sasl(token *outgrant.Token) (goamqp.SASLType, error) {
	user := o.opts.User
	if user == "" {
		user = token.User
	}
	if user == "" {
		user = "oauth2" // the token says who it is; a broker that looks at the name is told by Options.User
	}
	if strings.ContainsFunc(user, unicode.IsControl) {
		return nil, errors.New("the token's user has a control character")
	}
	secret := token.AccessToken.Reveal()
	if o.opts.Mechanism == Plain {
		return goamqp.SASLTypePlain(user, secret), nil
	}
	return goamqp.SASLTypeXOAUTH2(user, secret, uint32(len(user)+len(secret)+1024)), nil
}

func (o *opener) dialTCP(ctx context.Context) (net.Conn, error) {
	port := o.url.Port()
	if port == "" {
		port = map[string]string{"amqp": "5672", "amqps": "5671"}[o.url.Scheme]
	}
	addr := net.JoinHostPort(o.url.Hostname(), port)
	if o.url.Scheme == "amqp" {
		return (&net.Dialer{}).DialContext(ctx, "tcp", addr)
	}
	cfg := &tls.Config{}
	if o.opts.TLS != nil {
		cfg = o.opts.TLS.Clone()
	}
	if cfg.ServerName == "" {
		cfg.ServerName = o.url.Hostname()
	}
	return (&tls.Dialer{Config: cfg}).DialContext(ctx, "tcp", addr)
}
