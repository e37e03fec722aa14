package codeflow_test

import (
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/authcode"
	"github.com/outgrant/outgrant/internal/peers/peer"
)

// An answer that is lost on the wire leaves a refresh token that the server calls used. It is tried again, and when the
// server refuses it the status tells what has happened.
func TestLostAnswer(t *testing.T) {
	t.Parallel()
	a := startApp(t)
	var clients []peer.Client
	for _, name := range []string{"timeout", "reset", "503"} {
		clients = append(clients, peer.SecretClient(name, secret).ForUsers(a.callbacks("/"+name)...))
	}
	s := startServer(t, time.Minute, clients...)
	for name, lose := range map[string]func(*http.Response) (*http.Response, error){
		"timeout": func(*http.Response) (*http.Response, error) { return nil, os.ErrDeadlineExceeded },
		"reset":   func(*http.Response) (*http.Response, error) { return nil, io.ErrUnexpectedEOF },
		"503": func(resp *http.Response) (*http.Response, error) {
			resp.StatusCode, resp.Header, resp.Body = http.StatusServiceUnavailable, http.Header{}, io.NopCloser(strings.NewReader("no upstream"))
			return resp, nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := configFor(t, s, clients[slices.IndexFunc(clients, func(c peer.Client) bool { return c.ID == name })])
			wire := &wire{base: s.Transport(t), lose: lose}
			cfg.HTTPClient = &http.Client{Transport: wire}
			events := &events{}
			cfg.Cache = &outgrant.CacheOptions{Hooks: &outgrant.Hooks{AuthorizationChanged: events.add}}
			a.mount(newClient(t, cfg), "/"+name)
			browser := peer.NewBrowser(t, "alice", s.Transport(t))
			times := peer.Short(2, 67)
			var changes []outgrant.AuthorizationChange
			for range times {
				require.Equal(t, http.StatusOK, browser.Visit(t, a.URL+"/"+name+"/authorize").Status)
				client := newClient(t, cfg)
				first := tokenOf(t, client)
				wire.loseNext()
				client.Invalidate(first)
				require.Equal(t, first, tokenOf(t, client), "better than none")
				require.Contains(t, requireState(t, client, authcode.Deployed).Reason, "unknown")

				again := newClient(t, cfg)
				again.Invalidate(tokenOf(t, again))
				_, err := again.Token(t.Context())
				require.ErrorIs(t, err, outgrant.ErrNotAuthorized)
				require.NoError(t, client.Close()) // by then the hooks were told
				require.NoError(t, again.Close())
				status := requireState(t, client, authcode.Unauthorized)
				require.Contains(t, status.Reason, "invalid_grant")
				require.Contains(t, status.Reason, "unknown")
				changes = append(changes, outgrant.Authorized, outgrant.OutcomeUnknown, outgrant.Unauthorized)
			}
			require.Equal(t, changes, events.all())
			require.Equal(t, peer.Refreshes{Requests: 2 * times, Granted: times, Reused: times}, s.Refreshes(t, name))
		})
	}
}

// wire is a transport that can lose an answer after the server has given it.
type wire struct {
	base http.RoundTripper
	lose func(*http.Response) (*http.Response, error)

	mu   sync.Mutex
	next bool // is lost
}

func (w *wire) loseNext() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.next = true
}

func (w *wire) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := w.base.RoundTrip(req)
	w.mu.Lock()
	defer w.mu.Unlock()
	if err != nil || !w.next {
		return resp, err
	}
	w.next = false
	if err := resp.Body.Close(); err != nil {
		return nil, err
	}
	return w.lose(resp)
}
