package credstore_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/authcode"
	"github.com/outgrant/outgrant/credstore"
	"github.com/outgrant/outgrant/credstore/driver"
	"github.com/outgrant/outgrant/oauthtest"
)

func sharing(o *credstore.Options) { o.ShareTokens = true }

// fleet opens stores of several processes that share tokens, and returns the sources of a credential there.
func (p *place) fleet(t testing.TB, n int, name string) (sources []outgrant.TokenSource) {
	t.Helper()
	for range n {
		sources = append(sources, sourceOf(t, p.open(t, sharing), name))
	}
	return sources
}

// Each token is fetched once for all processes, which use it from memory.
func TestSharedTokens(t *testing.T) {
	inBubble(t, oauthtest.ServerOptions{TokenLifetime: 30 * time.Second}, func(t *testing.T, p *place) {
		require.NoError(t, p.open(t).Deploy(t.Context(), p.clientCredentials("S4_ORDERS")))
		sources := p.fleet(t, 8, "S4_ORDERS")
		var working sync.WaitGroup
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
		defer cancel()
		for i, src := range sources {
			working.Go(func() {
				time.Sleep(time.Duration(i) * 3 * time.Second) // some come later
				for ctx.Err() == nil {
					token, err := src.Token(context.Background())
					require.NoError(t, err)
					require.True(t, p.Live(token.AccessToken))
					time.Sleep(100 * time.Millisecond)
				}
			})
		}
		working.Wait()
		require.LessOrEqual(t, p.TokenRequests(), 1+5*60/15, "one at half of each token's life")
	})
}

// A token that a receiver rejects is dropped by all, and one other is fetched.
func TestSharedTokenThatIsRejected(t *testing.T) {
	inBubble(t, oauthtest.ServerOptions{}, func(t *testing.T, p *place) {
		require.NoError(t, p.open(t).Deploy(t.Context(), p.clientCredentials("S4_ORDERS")))
		sources := p.fleet(t, 4, "S4_ORDERS")
		var first outgrant.Secret
		for _, src := range sources {
			first = p.token(t, src)
		}
		require.Equal(t, 1, p.TokenRequests())
		sources[2].(outgrant.Invalidator).Invalidate(&outgrant.Token{AccessToken: first})
		second := p.token(t, sources[2])
		require.NotEqual(t, first, second)
		time.Sleep(time.Second)
		for _, src := range sources {
			require.Equal(t, second, p.token(t, src))
		}
		require.Equal(t, 2, p.TokenRequests())
		for _, src := range sources { // all find out at once, and one by one
			src.(outgrant.Invalidator).Invalidate(&outgrant.Token{AccessToken: second})
		}
		var asking sync.WaitGroup
		for _, src := range sources {
			asking.Go(func() { require.NotEqual(t, second, p.token(t, src)) })
		}
		asking.Wait()
		require.Equal(t, 3, p.TokenRequests())
	})
}

// A token of an artifact that was deployed again is nobody's.
func TestSharedTokenOfAnotherDeployment(t *testing.T) {
	inBubble(t, oauthtest.ServerOptions{}, func(t *testing.T, p *place) {
		s := p.open(t, sharing)
		require.NoError(t, s.Deploy(t.Context(), p.clientCredentials("S4_ORDERS", withClient("old"))))
		require.Equal(t, "old", p.clientOf(t, sourceOf(t, s, "S4_ORDERS")))
		require.NoError(t, s.Deploy(t.Context(), p.clientCredentials("S4_ORDERS", withClient("new"))))
		require.Equal(t, "new", p.clientOf(t, sourceOf(t, p.open(t, sharing), "S4_ORDERS")))
		require.Equal(t, "new", p.clientOf(t, sourceOf(t, s, "S4_ORDERS")))
		require.Equal(t, 2, p.TokenRequests())
		require.NoError(t, s.Undeploy(t.Context(), "S4_ORDERS"))
		require.ErrorIs(t, errOf(p.backend.Get(t.Context(), driver.Key{Kind: "token", Name: "S4_ORDERS/"})), driver.ErrNotFound)
	})
}

// Where the store does not answer, each process fetches its own token.
func TestSharedTokensWithoutTheStore(t *testing.T) {
	inBubble(t, oauthtest.ServerOptions{TokenLifetime: 30 * time.Second}, func(t *testing.T, p *place) {
		require.NoError(t, p.open(t).Deploy(t.Context(), p.clientCredentials("S4_ORDERS")))
		sources := p.fleet(t, 3, "S4_ORDERS")
		for name, fault := range map[string]func(context.Context, string, driver.Key) error{
			"fails": func(context.Context, string, driver.Key) error { return errDisk }, "hangs": hang,
		} {
			p.backend.inject(fault)
			for range 100 {
				for _, src := range sources {
					token, err := src.Token(t.Context())
					require.NoError(t, err, name)
					require.True(t, p.Live(token.AccessToken), name)
				}
				time.Sleep(time.Second)
			}
			p.backend.inject(nil)
			time.Sleep(time.Minute)
		}
		before := p.TokenRequests()
		for range 100 {
			for _, src := range sources {
				p.token(t, src)
			}
			time.Sleep(time.Second)
		}
		require.LessOrEqual(t, p.TokenRequests()-before, 1+100/15, "shared again")
	})
}

// A record that is damaged is replaced.
func TestSharedTokenThatIsDamaged(t *testing.T) {
	inBubble(t, oauthtest.ServerOptions{}, func(t *testing.T, p *place) {
		require.NoError(t, p.open(t).Deploy(t.Context(), p.clientCredentials("S4_ORDERS")))
		sources := p.fleet(t, 3, "S4_ORDERS")
		k := driver.Key{Kind: "token", Name: "S4_ORDERS/"}
		_, err := p.backend.Put(t.Context(), driver.Record{Key: k, Sealed: []byte("half a page")}, "")
		require.NoError(t, err)
		damaged := true
		p.backend.inject(func(_ context.Context, op string, of driver.Key) error {
			if of != k || !damaged {
				return nil
			}
			if op == "get" {
				return driver.ErrDamaged
			}
			damaged = op != "delete"
			return nil
		})
		for _, src := range sources {
			p.token(t, src)
		}
		require.Equal(t, 1, p.TokenRequests())
	})
}

// A process that is stopped while it fetches keeps the others for ten seconds at most.
func TestSharedTokenWhoseHolderIsStopped(t *testing.T) {
	inBubble(t, oauthtest.ServerOptions{}, func(t *testing.T, p *place) {
		require.NoError(t, p.open(t).Deploy(t.Context(), p.clientCredentials("S4_ORDERS")))
		lock, err := p.backend.Lock(t.Context(), driver.Key{Kind: "token", Name: "S4_ORDERS/"})
		require.NoError(t, err)
		defer func() { _ = lock.Unlock() }()
		src := sourceOf(t, p.open(t, sharing), "S4_ORDERS")
		start := time.Now()
		p.token(t, src)
		require.LessOrEqual(t, time.Since(start), 11*time.Second)
	})
}

// Where the store takes no writes, who fetches a token has it at once, and keeps the others waiting a moment each.
func TestSharedTokensWhereWritesStall(t *testing.T) {
	inBubble(t, oauthtest.ServerOptions{}, func(t *testing.T, p *place) {
		require.NoError(t, p.open(t).Deploy(t.Context(), p.clientCredentials("S4_ORDERS")))
		sources := p.fleet(t, 8, "S4_ORDERS")
		p.backend.inject(func(ctx context.Context, op string, k driver.Key) error {
			if op != "put" || k.Kind != "token" {
				return nil
			}
			return hang(ctx, op, k)
		})
		start := time.Now()
		var waited []time.Duration
		var mu sync.Mutex
		var calls sync.WaitGroup
		for _, src := range sources {
			calls.Go(func() {
				p.token(t, src)
				mu.Lock()
				defer mu.Unlock()
				waited = append(waited, time.Since(start))
			})
		}
		calls.Wait()
		require.Zero(t, slices.Min(waited), "nobody waits for its own write")
		require.LessOrEqual(t, slices.Max(waited), 2*time.Second)
		p.backend.inject(nil)
	})
}

// clockBackend is a backend with a clock of its own, seen from a machine whose clock is wrong.
type clockBackend struct {
	*sharedBackend
	ahead time.Duration // of this machine's
}

func (b *clockBackend) Now(context.Context) (time.Time, error) { return time.Now().Add(b.ahead), nil }

// Machines whose clocks are minutes apart agree on how long a token lives. Here they seem to have one clock, and the store
// seems to have several; what is read with another offset is off by it, as it would be with another clock.
func TestSharedTokensGoByTheStoresClock(t *testing.T) {
	inBubble(t, oauthtest.ServerOptions{TokenLifetime: time.Minute}, func(t *testing.T, p *place) {
		require.NoError(t, p.open(t).Deploy(t.Context(), p.clientCredentials("S4_ORDERS")))
		open := func(ahead time.Duration) outgrant.TokenSource {
			return sourceOf(t, p.openOn(t, &clockBackend{p.backend, ahead}, sharing), "S4_ORDERS")
		}
		token, err := open(time.Hour).Token(t.Context())
		require.NoError(t, err)
		require.WithinDuration(t, time.Now().Add(time.Minute), token.Expiry, time.Second)
		same, err := open(time.Hour).Token(t.Context())
		require.NoError(t, err)
		require.True(t, same.Expiry.Equal(token.Expiry))
		require.Equal(t, 1, p.TokenRequests())
		// A machine that is 10 minutes behind reads an end 10 minutes earlier by its own clock: as if it had ended.
		p.token(t, open(time.Hour+10*time.Minute))
		require.Equal(t, 2, p.TokenRequests())
	})
}

// Ended tokens are forgotten by the job.
func TestSharedTokensAreForgotten(t *testing.T) {
	inBubble(t, oauthtest.ServerOptions{TokenLifetime: time.Minute}, func(t *testing.T, p *place) {
		s := p.open(t, sharing)
		for i := range 250 {
			name := fmt.Sprint("S4-", i)
			require.NoError(t, s.Deploy(t.Context(), p.clientCredentials(name)))
			p.token(t, sourceOf(t, s, name))
		}
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { _ = s.Run(ctx) })
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		for r := range p.backend.Store.List(t.Context(), "", "token") {
			t.Fatal(r.Key)
		}
		cancel()
		running.Wait()
	})
}

// Each user's token is fetched once for all processes, and is no other's.
func TestSharedTokensOfUsers(t *testing.T) {
	inBubble(t, oauthtest.ServerOptions{}, func(t *testing.T, p *place) {
		one, two := p.open(t, sharing), p.open(t, sharing)
		for _, a := range eachType(t, p) {
			require.NoError(t, one.Deploy(t.Context(), a))
		}
		of := func(s *credstore.Store, user string) outgrant.TokenSource {
			users, err := s.UserSource(t.Context(), "users")
			require.NoError(t, err)
			return users.ForUser(user)
		}
		before := p.TokenRequests()
		alice, bob := p.token(t, of(one, "alice")), p.token(t, of(two, "bob"))
		require.NotEqual(t, alice, bob)
		require.Equal(t, alice, p.token(t, of(two, "alice")))
		require.Equal(t, bob, p.token(t, of(one, "bob")))
		require.Equal(t, 2, p.TokenRequests()-before)
		token, err := of(two, "alice").Token(t.Context())
		require.NoError(t, err)
		require.Equal(t, "alice", token.User)

		of(two, "alice").(outgrant.Invalidator).Invalidate(token)
		another := p.token(t, of(two, "alice"))
		require.NotEqual(t, alice, another)
		time.Sleep(time.Second)
		require.Equal(t, another, p.token(t, of(one, "alice")))
		require.Equal(t, bob, p.token(t, of(one, "bob")))
		require.Equal(t, 3, p.TokenRequests()-before)

		for _, kind := range []string{"token", "rejected"} { // at rest
			found := 0
			for listed := range p.backend.Store.List(t.Context(), "", kind) {
				r, err := p.backend.Store.Get(t.Context(), listed.Key)
				require.NoError(t, err)
				p.show(string(r.Info), string(r.Sealed))
				found++
			}
			require.Positive(t, found, kind)
		}
	})
}

// A refresh that another machine has begun is left alone for as long as it may take, by the store's clock: the machines' own
// clocks may be wrong.
func TestMarksGoByTheStoresClock(t *testing.T) {
	inBubble(t, oauthtest.ServerOptions{}, func(t *testing.T, p *place) {
		open := func(ahead time.Duration) *credstore.Store {
			return p.openOn(t, &clockBackend{p.backend, ahead})
		}
		a := consented("S3NTINEL-refresh")
		a.Mark = &authcode.Mark{Holder: "another", Started: time.Now(), Until: time.Now().Add(time.Minute)}
		a.Token, a.TokenIssued = &outgrant.Token{AccessToken: "S3NTINEL-access", Expiry: time.Now().Add(time.Hour)}, time.Now()
		_, err := open(5*time.Minute).Vault().Save(t.Context(), "MAILBOX", "", a)
		require.NoError(t, err)
		for _, ahead := range []time.Duration{5 * time.Minute, 0, -time.Hour} {
			b, err := open(ahead).Vault().Load(t.Context(), "MAILBOX")
			require.NoError(t, err)
			off := 5*time.Minute - ahead // by how much this machine's clock is ahead of the other's
			require.WithinDuration(t, a.Mark.Until.Add(off), b.Mark.Until, time.Second)
			require.WithinDuration(t, a.Mark.Started.Add(off), b.Mark.Started, time.Second)
			require.WithinDuration(t, a.Token.Expiry.Add(off), b.Token.Expiry, time.Second)
			require.True(t, b.Authorized.Equal(a.Authorized))
		}
	})
}
