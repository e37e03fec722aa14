package amqp

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"

	"github.com/coder/websocket"

	"github.com/outgrant/outgrant"
)

// upgrade opens a WebSocket with the token on its handshake. why tells what ended it.
func (o *opener) upgrade(ctx context.Context) (stream net.Conn, token *outgrant.Token, why func() error, err error) {
	used := &recorded{TokenSource: o.src}
	client := &http.Client{
		Transport:     &outgrant.Transport{Source: used.source(), Base: o.opts.Base, AllowInsecureHTTP: o.opts.AllowPlaintext},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	target := *o.url
	target.Scheme = map[string]string{"ws": "http", "wss": "https"}[o.url.Scheme]
	ws, resp, err := websocket.Dial(ctx, target.String(), &websocket.DialOptions{HTTPClient: client, Subprotocols: []string{"amqp"}, CompressionMode: websocket.CompressionDisabled})
	if err != nil {
		return nil, used.last(), nil, o.notUpgraded(resp, err)
	}
	if ws.Subprotocol() != "amqp" {
		_ = ws.CloseNow()
		return nil, used.last(), nil, &Error{Host: o.url.Host, Credential: o.name, Cause: Peer, Status: resp.StatusCode, Err: errors.New("the server speaks no AMQP: it did not agree to the sub-protocol amqp")}
	}
	ws.SetReadLimit(-1) // AMQP has its own
	w := &watched{Conn: websocket.NetConn(context.Background(), ws, websocket.MessageBinary), ws: ws}
	return w, used.last(), w.why, nil
}

// notUpgraded is about a handshake that failed.
func (o *opener) notUpgraded(resp *http.Response, err error) error {
	if resp == nil || resp.StatusCode == http.StatusSwitchingProtocols {
		return err
	}
	e := &Error{Host: o.url.Host, Credential: o.name, Cause: Peer, Status: resp.StatusCode,
		Err: fmt.Errorf("the WebSocket handshake was answered %d %s", resp.StatusCode, http.StatusText(resp.StatusCode))}
	if resp.StatusCode == http.StatusUnauthorized || resp.StatusCode == http.StatusForbidden {
		e.Cause = Auth
	}
	return e
}

// recorded is a source that knows which token it gave last.
type recorded struct {
	outgrant.TokenSource

	mu    sync.Mutex
	token *outgrant.Token
}

func (r *recorded) last() *outgrant.Token {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.token
}

func (r *recorded) Token(ctx context.Context) (*outgrant.Token, error) {
	token, err := r.TokenSource.Token(ctx)
	r.mu.Lock()
	defer r.mu.Unlock()
	if err == nil {
		r.token = token
	}
	return token, err
}

// Invalidate passes it on.
func (r *recorded) Invalidate(rejected *outgrant.Token) {
	if i, ok := r.TokenSource.(outgrant.Invalidator); ok {
		i.Invalidate(rejected)
	}
}

// source returns r, or what it wraps if that authorizes requests itself.
func (r *recorded) source() outgrant.TokenSource {
	if a, ok := r.TokenSource.(outgrant.Authorizer); ok {
		return a
	}
	return r
}

// watched is a stream that remembers what ended it: go-amqp does not tell.
type watched struct {
	net.Conn
	ws *websocket.Conn

	mu    sync.Mutex
	cause error
}

func (w *watched) Read(p []byte) (int, error) {
	n, err := w.Conn.Read(p)
	if err != nil {
		w.mu.Lock()
		if w.cause == nil {
			w.cause = err
		}
		w.mu.Unlock()
	}
	return n, err
}

// Close does not wait for the other side: AMQP has said all.
func (w *watched) Close() error { return w.ws.CloseNow() }

func (w *watched) why() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.cause
}
