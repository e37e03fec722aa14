package codeflow_test

import (
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/authcode"
	"github.com/outgrant/outgrant/internal/peers/peer"
)

// gate is a transport that holds its first answer back after the server has given it.
type gate struct {
	base       http.RoundTripper
	first      sync.Once
	came, open chan struct{}
}

func (g *gate) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := g.base.RoundTrip(req)
	g.first.Do(func() {
		close(g.came)
		<-g.open
	})
	return resp, err
}

// A user who authorizes again while a refresh is under way keeps what was authorized then: the refresh ends without a
// trace, and without a revocation that would end all that the user ever granted to this client.
func TestAuthorizedDuringRefresh(t *testing.T) {
	t.Parallel()
	a := startApp(t)
	c := peer.SecretClient("web", secret).ForUsers(a.callbacks("")...)
	s := startServer(t, time.Minute, c)
	cfg := configFor(t, s, c)
	client := newClient(t, cfg)
	a.mount(client, "")
	browser := peer.NewBrowser(t, "alice", s.Transport(t))
	require.Equal(t, http.StatusOK, browser.Visit(t, a.URL+"/authorize").Status)

	slow := &gate{base: s.Transport(t), came: make(chan struct{}), open: make(chan struct{})}
	other := *cfg
	other.HTTPClient = &http.Client{Transport: slow}
	events := &events{}
	other.Cache = &outgrant.CacheOptions{Hooks: &outgrant.Hooks{AuthorizationChanged: events.add}}
	refreshing := newClient(t, &other)
	refreshing.Invalidate(tokenOf(t, refreshing))
	go func() { _, _ = refreshing.Token(t.Context()) }()
	<-slow.came
	require.Equal(t, http.StatusOK, browser.Visit(t, a.URL+"/authorize").Status)
	close(slow.open)
	require.NoError(t, refreshing.Close())
	t.Log(events.all())

	requireState(t, client, authcode.Deployed)
	token := tokenOf(t, client)
	require.True(t, askAbout(t, s, token).Active, "it was revoked")
	another(t, client, token)
	requireState(t, client, authcode.Deployed)
}

// Who consents to a credential that is another user's keeps what they authorized for their own.
func TestWrongUserKeepsTheirOwn(t *testing.T) {
	t.Parallel()
	a := startApp(t)
	c := peer.SecretClient("web", secret).ForUsers(a.callbacks("/alice", "/bob")...)
	s := startServer(t, time.Minute, c)
	ofAlice := configFor(t, s, c)
	ofBob := *ofAlice
	ofBob.Name, ofBob.User, ofBob.RedirectURL = "BOB", "bob@acme.example", c.Redirects[1]
	theirs, others := newClient(t, &ofBob), newClient(t, ofAlice)
	a.mount(theirs, "/bob")
	a.mount(others, "/alice")
	browser := peer.NewBrowser(t, "bob", s.Transport(t))
	require.Equal(t, http.StatusOK, browser.Visit(t, a.URL+"/bob/authorize").Status)
	token := tokenOf(t, theirs)
	require.Equal(t, http.StatusForbidden, browser.Visit(t, a.URL+"/alice/authorize").Status)
	requireState(t, others, authcode.Unauthorized)

	require.True(t, askAbout(t, s, token).Active, "it was revoked")
	another(t, theirs, token)
}
