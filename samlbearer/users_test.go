package samlbearer_test

import (
	"context"
	"encoding/base64"
	"encoding/xml"
	"fmt"
	"regexp"
	"runtime"
	"strconv"
	"strings"
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

// oddUsers differ in ways that careless keys do not see.
var oddUsers = []string{"alice", "Alice", "ALICE", "alice ", " alice", "alice\x00", "alice\x00bob", "alice|bob", "alice:bob", "alice/bob", "alice\nbob", "a", "lice",
	"al\u0456ce" /* Cyrillic */, "alíce", "ali\u0301ce", "alice@acme", "alice%40acme", "alice@acme\x00CRED", "\xff", "\xfe", "\ufffd", "ﬁ", "fi", "ss", "ß", "\u200balice"}

// TestUsersAreSeparate: each user has a source and a token, and an assertion of that user.
func TestUsersAreSeparate(t *testing.T) {
	t.Parallel()
	server := inMemory(nil)
	cfg := config(server)
	var asked sync.Map
	cfg.Assertions = assertionFunc(func(_ context.Context, user string) ([]byte, error) {
		_, twice := asked.LoadOrStore(user, true)
		require.False(t, twice, "%q", user)
		return []byte("<a>" + strconv.Quote(user) + "</a>"), nil
	})
	client := newClient(t, cfg)
	tokens, sources := map[outgrant.Secret]string{}, map[outgrant.TokenSource]string{}
	for _, user := range oddUsers {
		granted := token(t, client, user)
		require.Empty(t, tokens[granted.AccessToken], "%q", user)
		require.Empty(t, sources[client.ForUser(user)], "%q", user)
		tokens[granted.AccessToken], sources[client.ForUser(user)] = user, user
		sent := server.Requests()[server.TokenRequests()-1]
		require.Equal(t, "<a>"+strconv.Quote(user)+"</a>", string(sentAssertion(t, sent)))
	}
	for _, user := range oddUsers { // and each finds its own again
		require.Equal(t, user, tokens[token(t, client, user).AccessToken])
	}
	require.Equal(t, len(oddUsers), server.TokenRequests())
}

// TestTenantsAreSeparate: equal ids at two tenants, even at one token service, are two users.
func TestTenantsAreSeparate(t *testing.T) {
	t.Parallel()
	server := inMemory(nil)
	a, b := newClient(t, config(server)), newClient(t, config(server))
	ofA, ofB := token(t, a, "alice"), token(t, b, "alice")
	require.NotEqual(t, ofA.AccessToken, ofB.AccessToken)
	require.NotSame(t, a.ForUser("alice"), b.ForUser("alice"))
	a.ForUser("alice").(outgrant.Invalidator).Invalidate(ofA)
	b.ForUser("alice").(outgrant.Invalidator).Invalidate(ofA)
	require.Equal(t, ofB, token(t, b, "alice"))
	require.NotEqual(t, ofA.AccessToken, token(t, a, "alice").AccessToken)
}

// TestManyCallsForANewUser: one assertion, one token request.
func TestManyCallsForANewUser(t *testing.T) {
	t.Parallel()
	const calls = 10_000
	server := inMemory(nil)
	cfg := config(server)
	var made atomic.Int64
	cfg.Assertions = counted(&made)
	client := newClient(t, cfg)
	server.Inject(oauthtest.Delay(50 * time.Millisecond))
	start, tokens := make(chan struct{}), make([]outgrant.Secret, calls)
	var group sync.WaitGroup
	for i := range calls {
		group.Go(func() {
			<-start
			got, err := client.ForUser("alice").Token(t.Context())
			if err != nil {
				t.Error(err)
				return
			}
			tokens[i] = got.AccessToken
		})
	}
	close(start)
	group.Wait()
	require.Equal(t, int64(1), made.Load(), "assertions")
	require.Equal(t, 1, server.TokenRequests())
	for _, got := range tokens {
		require.Equal(t, tokens[0], got)
	}
}

// TestStorm: 200 users call, have tokens rejected, and are let go, all at once; nobody ever gets another's token.
func TestStorm(t *testing.T) {
	t.Parallel()
	server := oauthtest.NewServer(&oauthtest.ServerOptions{InMemory: true})
	var owner sync.Map // of each token
	server.Handle(samlGrant, func(r *oauthtest.GrantRequest) (*oauthtest.Granted, error) {
		user := must(encodedUser(r.Params.Get("assertion")))
		return &oauthtest.Granted{User: user, Extra: map[string]any{"owner": user}}, nil
	})
	cfg := config(server)
	var made atomic.Int64
	cfg.Assertions, cfg.MaxUsers = counted(&made), 150
	client := newClient(t, cfg)
	var group sync.WaitGroup
	for worker := range 8 {
		group.Go(func() {
			for i := range 1500 {
				user := "user-" + strconv.Itoa((i*7+worker*31)%200)
				src := client.ForUser(user)
				got, err := src.Token(t.Context())
				if err != nil {
					t.Error(err)
					return
				}
				before, seen := owner.LoadOrStore(got.AccessToken, user)
				if got.User != user || got.Extra("owner") != user || seen && before != user {
					t.Errorf("%s got a token of %s, %v, %v", user, got.User, got.Extra("owner"), before)
				}
				if i%97 == 0 {
					src.(outgrant.Invalidator).Invalidate(got)
				}
			}
		})
	}
	group.Wait()
	require.Equal(t, int64(server.TokenRequests()), made.Load())
}

// encodedUser reads an assertion of counted.
func encodedUser(assertion string) (user string, err error) {
	text, err := base64.StdEncoding.DecodeString(assertion)
	if err == nil {
		err = xml.Unmarshal(text, &user)
	}
	return user, err
}

// TestHeldSource: whoever keeps the source of a user whom the client has let go shares with those who ask anew.
func TestHeldSource(t *testing.T) {
	t.Parallel()
	server := inMemory(nil)
	cfg := config(server)
	cfg.MaxUsers = 2
	client := newClient(t, cfg)
	held := client.ForUser("alice")
	first, err := held.Token(t.Context())
	require.NoError(t, err)
	for i := range 10 {
		token(t, client, "one-off-"+strconv.Itoa(i))
	}
	require.NotSame(t, held, client.ForUser("alice"), "alice was let go")
	asked := server.TokenRequests()
	second := token(t, client, "alice")
	again, err := held.Token(t.Context())
	require.NoError(t, err)
	require.Equal(t, second, again, "one token for both")
	require.NotEqual(t, first.AccessToken, second.AccessToken)
	require.Equal(t, asked+1, server.TokenRequests())

	held.(outgrant.Invalidator).Invalidate(again)
	third := token(t, client, "alice")
	require.NotEqual(t, second.AccessToken, third.AccessToken, "the one who shares sees it")
	for i := range 10 { // and once more, with the held one first
		token(t, client, "one-off-"+strconv.Itoa(i))
	}
	fourth, err := held.Token(t.Context())
	require.NoError(t, err)
	require.Equal(t, fourth, token(t, client, "alice"))
	require.True(t, held.(interface{ Health() outgrant.Health }).Health().Valid)
}

func TestUserIdleTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server := inMemory(&oauthtest.ServerOptions{TokenLifetime: 240 * time.Hour})
		cfg := config(server)
		cfg.UserIdleTime = 20 * time.Minute
		client := newClient(t, cfg)
		idle, busy := token(t, client, "idle"), token(t, client, "busy")
		kept, keptSource := token(t, client, "held"), client.ForUser("held")
		for range 19 { // 19 minutes
			time.Sleep(time.Minute)
			require.Equal(t, busy, token(t, client, "busy"))
			_, _ = keptSource.Token(t.Context())
		}
		require.Equal(t, idle, token(t, client, "idle"), "not yet 20 minutes; and that was a use")
		for range 31 { // one and a half of it, and a bit
			time.Sleep(time.Minute)
			require.Equal(t, busy, token(t, client, "busy"))
			_, _ = keptSource.Token(t.Context())
		}
		require.Equal(t, kept, token(t, client, "held"), "a use of a source is a use")
		require.Equal(t, 3, server.TokenRequests())
		require.NotEqual(t, idle.AccessToken, token(t, client, "idle").AccessToken)
	})
}

func TestUserIdleTimeDefault(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server := inMemory(&oauthtest.ServerOptions{TokenLifetime: 240 * time.Hour})
		client := newClient(t, config(server))
		first := token(t, client, "alice")
		time.Sleep(time.Hour - time.Second)
		require.Equal(t, first, token(t, client, "alice"))
		time.Sleep(90*time.Minute + time.Second)
		require.NotEqual(t, first.AccessToken, token(t, client, "alice").AccessToken)
	})
}

// TestFloodOfUsers: those who call all the time keep their tokens while many come once.
func TestFloodOfUsers(t *testing.T) {
	t.Parallel()
	server := inMemory(nil)
	cfg := config(server)
	var made atomic.Int64
	cfg.Assertions, cfg.MaxUsers = counted(&made), 100
	client := newClient(t, cfg)
	const hot = 20
	for i := range 5000 {
		if i%10 == 0 {
			for h := range hot {
				token(t, client, "hot-"+strconv.Itoa(h))
			}
		}
		token(t, client, "one-off-"+strconv.Itoa(i))
	}
	// When the first hundred are there, all of them have just been used, and the hot ones are as likely to go as any: once.
	require.LessOrEqual(t, made.Load(), int64(5000+2*hot))
}

// TestNothingIsLeft: no goroutine while no token is fetched, and no timer when no user is kept. A bubble ends only when
// its goroutines have ended, and its clock stands still when nothing waits for it.
func TestNothingIsLeft(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server := inMemory(nil)
		client := newClient(t, config(server))
		before := goroutines()
		for i := range 100 {
			token(t, client, "user-"+strconv.Itoa(i))
		}
		synctest.Wait()
		require.Equal(t, before, goroutines())
		time.Sleep(2 * time.Hour) // all are let go
		synctest.Wait()
		require.Equal(t, before, goroutines())
		asked := server.TokenRequests()
		time.Sleep(100 * time.Hour)
		require.Equal(t, asked, server.TokenRequests(), "nothing is refreshed that nobody uses")
		token(t, client, "user-1")
		require.Equal(t, asked+1, server.TokenRequests())
	})
}

// goroutines counts those of this bubble.
func goroutines() int {
	buf := make([]byte, 4<<20)
	stacks := strings.Split(string(buf[:runtime.Stack(buf, true)]), "\n\n")
	bubble := regexp.MustCompile(`synctest bubble \d+`).FindString(stacks[0]) + "]"
	n := 0
	for _, stack := range stacks {
		if head, _, _ := strings.Cut(stack, "\n"); strings.Contains(head, bubble) {
			n++
		}
	}
	return n
}

// TestWrapIsPerUser, as Config.Cache says.
func TestWrapIsPerUser(t *testing.T) {
	t.Parallel()
	server := inMemory(nil)
	cfg := config(server)
	var wrapped []outgrant.TokenSource
	cfg.Cache = &outgrant.CacheOptions{Wrap: func(src outgrant.TokenSource) outgrant.TokenSource { wrapped = append(wrapped, src); return src }}
	client := newClient(t, cfg)
	for range 3 {
		token(t, client, "alice")
		token(t, client, "bob")
	}
	require.Len(t, wrapped, 2)
	require.NotSame(t, wrapped[0], wrapped[1])
	for i, user := range []string{"alice", "bob"} { // what is shared between processes must tell users apart
		require.Equal(t, user, wrapped[i].(outgrant.Describer).Describe().User)
	}
	require.Equal(t, 2, server.TokenRequests())
}

// TestManyUsersStayWithinTheBound, however they come.
func TestManyUsersStayWithinTheBound(t *testing.T) {
	t.Parallel()
	server := inMemory(nil)
	cfg := config(server)
	var made atomic.Int64
	cfg.Assertions, cfg.MaxUsers = counted(&made), 50
	client := newClient(t, cfg)
	for i := range 51 {
		token(t, client, fmt.Sprint("user-", i))
	}
	again := 0
	for i := range 51 {
		src, asked := client.ForUser(fmt.Sprint("user-", i)), made.Load()
		_, err := src.Token(t.Context())
		require.NoError(t, err)
		again += int(made.Load() - asked)
	}
	require.Positive(t, again, "51 users do not fit")
}

var _ outgrant.UserSource = (*samlbearer.Client)(nil)
