package authserver_test

import (
	"context"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/internal/peers/peer"
)

// Many callers use one credential while its short-lived token rolls over, again and again: nobody notices.
func TestRollOver(t *testing.T) {
	t.Parallel()
	const life, callers, tokens = 10 * time.Second, 16, 5
	s := peer.StartAuthServer(t, peer.AuthServerOptions{Clients: []peer.Client{secretClient}, TokenLifetime: life})
	receiver := peer.StartReceiver(t, s.Introspection(), s.PKI)
	cfg, sent := configFor(t, s, secretClient)
	cfg.ClientSecret = outgrant.Secret(secretClient.Secret)
	cfg.HTTPClient.Transport = far{sent, 500 * time.Millisecond}
	source := newSource(t, cfg)

	began := time.Now()
	first, err := source.Token(t.Context())
	require.NoError(t, err)
	waited := time.Since(began)

	ctx, enough := context.WithTimeout(t.Context(), tokens*life)
	defer enough()
	all := &observed{tokens: map[string]bool{first.AccessToken.Reveal(): true}}
	var running sync.WaitGroup
	for range callers {
		running.Go(func() {
			for tick := time.Tick(time.Millisecond); ctx.Err() == nil; <-tick {
				if all.call(t, source) == tokens || t.Failed() {
					enough()
				}
			}
		})
	}
	running.Go(func() {
		client := &http.Client{Transport: &outgrant.Transport{Source: source, Base: s.Transport(t)}}
		for tick := time.Tick(50 * time.Millisecond); ctx.Err() == nil; <-tick {
			resp, err := client.Get(receiver.URL)
			if assert.NoError(t, err) {
				assert.Equal(t, http.StatusOK, resp.StatusCode)
				assert.NoError(t, resp.Body.Close())
			}
		}
	})
	running.Wait()
	took := time.Since(began)

	requests := len(sent.Requests())
	t.Logf("first call %s; then %d calls in %s, the longest %s; %d tokens, %d token requests; the receiver accepted %d requests",
		waited.Round(time.Millisecond), all.calls, took.Round(time.Millisecond), all.longest.Round(time.Microsecond), len(all.tokens), requests, receiver.Accepted.Load())
	require.Len(t, all.tokens, tokens)
	require.Less(t, all.longest, 200*time.Millisecond, "a call waited for a token while there was one")
	require.LessOrEqual(t, requests, 1+int(took/(life/2)), "a token of 10 seconds is refreshed after 5")
	require.Zero(t, receiver.Refused.Load(), "no token was used after its end")
}

// far makes a token service of this machine one far away, so that a call which waits for it is told from one which
// waits for a processor.
type far struct {
	http.RoundTripper
	distance time.Duration
}

func (f far) RoundTrip(req *http.Request) (*http.Response, error) {
	<-time.After(f.distance)
	return f.RoundTripper.RoundTrip(req)
}

// observed is what callers saw.
type observed struct {
	mu      sync.Mutex
	calls   int
	longest time.Duration
	tokens  map[string]bool
}

// call asks for a token and returns how many different ones were seen so far.
func (o *observed) call(t *testing.T, source outgrant.TokenSource) int {
	began := time.Now()
	token, err := source.Token(t.Context())
	now := time.Now()
	o.mu.Lock()
	defer o.mu.Unlock()
	if !assert.NoError(t, err) {
		return len(o.tokens)
	}
	assert.True(t, token.ValidAt(now), "a token that has ended was served")
	o.calls++
	o.longest = max(o.longest, now.Sub(began))
	o.tokens[token.AccessToken.Reveal()] = true
	return len(o.tokens)
}
