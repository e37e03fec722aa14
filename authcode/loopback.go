package authcode

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/outgrant/outgrant/internal/origin"
)

// AuthorizeLoopback authorizes from a program on the command line (RFC 8252 7.3): it listens on this machine, has open show
// the user a URL in the browser, and returns when the user has decided: nil if the credential is authorized, or why not
// (see [ErrDenied] and its neighbours). It ends with ctx, but a code that has come is made use of all the same.
//
// open must not wait until the browser ends; if it fails, so does AuthorizeLoopback. The URL is of this machine, for one
// user, and leads to the provider.
//
// Config.RedirectURL says where to listen: http, at 127.0.0.1, [::1] or localhost, which is both; a port, or any free one
// if it has none or 0, as providers allow that for native programs. Its default here is http://127.0.0.1/.
func (c *Client) AuthorizeLoopback(ctx context.Context, open func(url string) error) error {
	if open == nil {
		return c.failed(errors.New("AuthorizeLoopback: open is missing: a function that shows the user a URL, by printing it if need be"))
	}
	if err := ctx.Err(); err != nil {
		return c.failed(fmt.Errorf("AuthorizeLoopback: %w", err))
	}
	if c.authURL == nil {
		return c.failed(errNoAuthURL)
	}
	redirectURL, listeners, err := c.listenLoopback(ctx)
	if err != nil {
		return c.failed(fmt.Errorf("AuthorizeLoopback: %w", err))
	}
	l := c.newLoopback(redirectURL)
	stop := l.serve(listeners)
	defer stop()
	startURL := url.URL{Scheme: "http", Host: redirectURL.Host, Path: l.startPath}
	if err := open(startURL.String()); err != nil {
		return c.failed(fmt.Errorf("AuthorizeLoopback: the browser could not be opened: %w", err))
	}
	select {
	case err := <-l.result:
		return err
	case <-ctx.Done():
	}
	stop() // waits for a callback that has come
	select {
	case err := <-l.result:
		return err
	default:
		return c.failed(fmt.Errorf("nobody authorized it: %w", ctx.Err()))
	}
}

// loopback is the server of one authorization.
type loopback struct {
	startPath, callbackPath string
	start, callback         http.Handler
	result                  chan error // takes one

	mu   sync.Mutex // held while a callback is served
	over bool
}

func (c *Client) newLoopback(redirectURL *url.URL) *loopback {
	h := c.handlers()
	h.MayAuthorize, h.redirectURL = nil, redirectURL.String() // LoopbackOnly
	l := &loopback{
		startPath:    "/" + rand.Text(), // for whom it was opened, and for no other user of this machine
		callbackPath: redirectURL.Path, start: h.Authorize(), result: make(chan error, 1),
	}
	if l.callbackPath == "" {
		l.callbackPath = "/"
	}
	l.callback = h.Callback(func(w http.ResponseWriter, r *http.Request, err error) {
		t := takenOf(r)
		if t != nil {
			t.attempt.Start = "" // no page is served any more
			l.over = true
			defer func() { l.result <- err }()
		}
		w.Header().Set("Connection", "close")
		secure(w.Header())
		resultPage(w, r, t, err)
	})
	return l
}

func (l *loopback) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case l.startPath:
		l.start.ServeHTTP(w, r)
	case l.callbackPath:
		l.mu.Lock()
		defer l.mu.Unlock()
		if !l.over {
			l.callback.ServeHTTP(w, r)
			return
		}
		fallthrough
	default:
		http.NotFound(w, r)
	}
}

// serve serves until the returned function is called, which waits for a callback that is being served.
func (l *loopback) serve(listeners []net.Listener) (stop func()) {
	server := &http.Server{Handler: l, ReadHeaderTimeout: 10 * time.Second, ErrorLog: log.New(io.Discard, "", 0)}
	var serving sync.WaitGroup
	for _, listener := range listeners {
		serving.Go(func() { _ = server.Serve(listener) }) // returns when the server is stopped
	}
	return func() {
		// The last page gets out; connections that a browser opened in advance are not waited for.
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = server.Shutdown(ctx)
		_ = server.Close()
		serving.Wait()
		l.mu.Lock()
		l.over = true
		l.mu.Unlock()
	}
}

// listenLoopback listens where RedirectURL says, and returns it with the port that it is.
func (c *Client) listenLoopback(ctx context.Context) (*url.URL, []net.Listener, error) {
	raw := c.cfg.RedirectURL
	if raw == "" {
		raw = "http://127.0.0.1/"
	}
	u, err := url.Parse(raw)
	if err != nil || u.Scheme != "http" || !origin.Loopback(u.Hostname()) {
		return nil, nil, errors.New("RedirectURL: must begin with http://127.0.0.1, http://[::1] or http://localhost")
	}
	port := u.Port()
	if port == "" {
		port = "0"
	}
	listeners, err := listenAt(ctx, u.Hostname(), port)
	if err != nil {
		return nil, nil, fmt.Errorf("RedirectURL: cannot listen: %w", err)
	}
	u.Host = net.JoinHostPort(u.Hostname(), portOf(listeners[0]))
	return u, listeners, nil
}

func portOf(l net.Listener) string { return strconv.Itoa(l.Addr().(*net.TCPAddr).Port) }

func listenAt(ctx context.Context, host, port string) ([]net.Listener, error) {
	var lc net.ListenConfig
	if !strings.EqualFold(host, "localhost") {
		l, err := lc.Listen(ctx, "tcp", net.JoinHostPort(host, port))
		return []net.Listener{l}, err
	}
	// A browser tries one address and then the other, so nobody else may have the port at either.
	var err error
	for range 10 {
		var v4, v6 net.Listener
		if v4, err = lc.Listen(ctx, "tcp4", "127.0.0.1:"+port); err != nil {
			return nil, err
		}
		if v6, err = lc.Listen(ctx, "tcp6", "[::1]:"+portOf(v4)); err == nil {
			return []net.Listener{v4, v6}, nil
		}
		if probe, errProbe := lc.Listen(ctx, "tcp6", "[::1]:0"); errProbe != nil { // there is no IPv6 here
			return []net.Listener{v4}, nil
		} else {
			_ = probe.Close()
		}
		_ = v4.Close()
		if port != "0" {
			break
		}
	}
	return nil, err
}
