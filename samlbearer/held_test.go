package samlbearer_test

import (
	"context"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/oauthtest"
	"github.com/outgrant/outgrant/samlbearer"
)

// newlyAsked is a client at a service that hands out the same token, unless it is asked for a new one.
func newlyAsked(t *testing.T, change func(*samlbearer.Config)) (*samlbearer.Client, *oauthtest.Server) {
	t.Helper()
	server := inMemory(nil)
	server.Handle(samlGrant, func(r *oauthtest.GrantRequest) (*oauthtest.Granted, error) {
		user, err := encodedUser(r.Params.Get("assertion"))
		return &oauthtest.Granted{User: user, SameToken: r.Params.Get("new_token") != "true"}, err
	})
	cfg := config(server)
	cfg.Assertions = counted(new(atomic.Int64))
	change(cfg)
	return newClient(t, cfg), server
}

func oneUser(c *samlbearer.Config) { c.MaxUsers = 1 }

// source is all that a user's source is.
type source interface {
	outgrant.TokenSource
	outgrant.Invalidator
	outgrant.Watcher
	Health() outgrant.Health
}

func sourceOf(c *samlbearer.Client, user string) source { return c.ForUser(user).(source) }

// TestRefusedWhileLetGo: the user is let go while the request is out, and the receiver refuses the token.
func TestRefusedWhileLetGo(t *testing.T) {
	t.Parallel()
	for name, meanwhile := range map[string]struct {
		users []string
		asked []string // new_token of all requests
	}{
		"nobody takes over":             {[]string{"bob"}, []string{"", "", "true"}},
		"another source has taken over": {[]string{"bob", "alice"}, []string{"", "", "", "true"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client, server := newlyAsked(t, oneUser)
			var refused string
			receiver := oauthtest.HandlerTransport(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				authorization := r.Header.Get("Authorization")
				if refused == "" {
					refused = authorization
					for _, user := range meanwhile.users {
						_, _ = client.ForUser(user).Token(r.Context())
					}
				}
				if authorization == refused {
					w.WriteHeader(http.StatusUnauthorized)
				}
			}))
			resp, err := (&http.Client{Transport: &outgrant.Transport{Source: client.ForUser("alice"), Base: receiver}}).Get("https://receiver.example/")
			require.NoError(t, err)
			require.Equal(t, http.StatusOK, resp.StatusCode)
			var asked []string
			for _, r := range server.Requests() {
				asked = append(asked, r.Params.Get("new_token"))
			}
			require.Equal(t, meanwhile.asked, asked)
		})
	}
}

// TestNoUseNoReturn: what is no use of a source neither brings its user back nor makes another go.
func TestNoUseNoReturn(t *testing.T) {
	t.Parallel()
	client, server := newlyAsked(t, oneUser)
	alice := sourceOf(client, "alice")
	first := token(t, client, "alice")
	bob := client.ForUser("bob")
	token(t, client, "bob")
	require.True(t, alice.Health().Valid, "it still has its token")
	alice.Invalidate(first)
	require.False(t, alice.Health().Valid)
	require.Same(t, bob, client.ForUser("bob"))
	require.Equal(t, 2, server.TokenRequests())
}

// TestHeldSourceBringsItsToken back without a request, and from then on everybody has it.
func TestHeldSourceBringsItsToken(t *testing.T) {
	t.Parallel()
	client, server := newlyAsked(t, oneUser)
	alice, first := sourceOf(client, "alice"), token(t, client, "alice")
	for range 3 {
		bob := token(t, client, "bob")
		again, err := alice.Token(t.Context())
		require.NoError(t, err)
		require.Same(t, first, again)
		require.Same(t, first, token(t, client, "alice"))
		require.Equal(t, "bob", bob.User)
	}
	require.Equal(t, 1+3, server.TokenRequests(), "bob's three; the bound holds for those who come back as well")
}

// TestHeldSourcesAtOnce: whoever keeps a source or asks for one, while users come and go all the time, gets that user's token.
func TestHeldSourcesAtOnce(t *testing.T) {
	t.Parallel()
	client, _ := newlyAsked(t, func(c *samlbearer.Config) { c.MaxUsers = 2 })
	held := make([]source, 5)
	for i := range held {
		held[i] = sourceOf(client, strconv.Itoa(i))
	}
	var group sync.WaitGroup
	for worker := range 8 {
		group.Go(func() {
			for i := range 500 {
				user := (i*3 + worker) % len(held)
				src := held[user]
				if i%4 == 0 {
					src = sourceOf(client, strconv.Itoa(user))
				}
				got, err := src.Token(t.Context())
				if err != nil || got.User != strconv.Itoa(user) {
					t.Errorf("%d got %v, %v", user, got, err)
					return
				}
				if i%50 == 0 {
					src.Invalidate(got)
				}
				src.Health()
			}
		})
	}
	group.Wait()
}

// TestWatchedUserStays within neither bound, as long as it is watched, and can go afterwards.
func TestWatchedUserStays(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change func(*samlbearer.Config)
		press  func(*testing.T, *samlbearer.Client) // until whoever can go is gone
	}{
		"idle time": {func(c *samlbearer.Config) { c.UserIdleTime = 10 * time.Minute }, func(*testing.T, *samlbearer.Client) { time.Sleep(10 * time.Hour) }},
		"number": {oneUser, func(t *testing.T, c *samlbearer.Client) {
			bob := c.ForUser("bob")
			require.Same(t, bob, c.ForUser("bob"), "there is room for who comes")
			token(t, c, "carol")
			require.NotSame(t, bob, c.ForUser("bob"))
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				client, _ := newlyAsked(t, test.change)
				held := sourceOf(client, "alice")
				test.press(t, client)
				require.NotSame(t, held, client.ForUser("alice"), "nobody watches")
				test.press(t, client)

				watch := func() (latest *atomic.Pointer[outgrant.Token], stop func()) {
					latest = &atomic.Pointer[outgrant.Token]{}
					ctx, cancel := context.WithCancel(t.Context())
					go func() {
						for token := range held.Watch(ctx) {
							latest.Store(token)
						}
					}()
					synctest.Wait()
					return latest, func() { cancel(); synctest.Wait() }
				}
				latest, stop := watch() // though its user was let go
				_, stopOther := watch()
				alice := sourceOf(client, "alice")
				test.press(t, client)
				require.Same(t, alice, client.ForUser("alice"))
				stopOther()
				test.press(t, client)
				require.Same(t, alice, client.ForUser("alice"), "one watches yet")

				refused := latest.Load()
				alice.Invalidate(refused)
				synctest.Wait()
				renewed := latest.Load()
				require.NotEqual(t, refused.AccessToken, renewed.AccessToken, "the watcher is told")
				require.Same(t, renewed, token(t, client, "alice"))

				stop()
				test.press(t, client)
				require.NotSame(t, alice, client.ForUser("alice"))
			})
		})
	}
}

// TestWatchedIsUsed: the idle time begins when nobody watches any more.
func TestWatchedIsUsed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		client, _ := newlyAsked(t, func(*samlbearer.Config) {})
		alice := sourceOf(client, "alice")
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Hour)
		defer cancel()
		for range alice.Watch(ctx) {
		}
		time.Sleep(time.Hour - time.Second)
		require.Same(t, alice, client.ForUser("alice"))
	})
}

// TestOneAssertionAtATime for a user: who is let go while a fetch is under way would cause another.
func TestOneAssertionAtATime(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*samlbearer.Config){
		"number": oneUser, "idle time": func(c *samlbearer.Config) { c.UserIdleTime = 2 * time.Second },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				cfg := config(inMemory(nil))
				change(cfg)
				var made atomic.Int64
				cfg.Assertions = assertionFunc(func(_ context.Context, user string) ([]byte, error) {
					if user == "alice" {
						made.Add(1)
						time.Sleep(20 * time.Second)
					}
					return []byte("<a/>"), nil
				})
				client := newClient(t, cfg)
				tokens := make(chan *outgrant.Token, 1)
				go func() { tokens <- token(t, client, "alice") }()
				for range 15 {
					time.Sleep(time.Second)
					token(t, client, "bob")
					token(t, client, "carol")
				}
				require.Equal(t, token(t, client, "alice"), <-tokens)
				require.EqualValues(t, 1, made.Load())
			})
		})
	}
}

// TestWrapIsCalledWithoutALock: it may use the client, and take its time, and nobody else waits for it.
func TestWrapIsCalledWithoutALock(t *testing.T) {
	t.Parallel()
	var client *samlbearer.Client
	entered, release := make(chan struct{}), make(chan struct{})
	client, _ = newlyAsked(t, func(c *samlbearer.Config) {
		c.Cache = &outgrant.CacheOptions{Wrap: func(src outgrant.TokenSource) outgrant.TokenSource {
			switch src.(outgrant.Describer).Describe().User {
			case "chief":
				client.ForUser("deputy")
			case "slow":
				entered <- struct{}{}
				<-release
			}
			return src
		}}
	})
	token(t, client, "deputy")
	token(t, client, "chief")
	slow := make(chan outgrant.TokenSource)
	for range 2 {
		go func() { slow <- client.ForUser("slow") }()
		<-entered
	}
	token(t, client, "chief")
	token(t, client, "newcomer")
	close(release)
	require.Same(t, <-slow, <-slow, "there is one source of a user all the same")
}
