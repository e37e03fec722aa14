package credstore_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/credstore"
	"github.com/outgrant/outgrant/credstore/driver"
	"github.com/outgrant/outgrant/oauthtest"
)

// slowBackend is a backend far away: what it answers was so a while ago.
type slowBackend struct {
	*sharedBackend
	delay atomic.Int64
}

func (b *slowBackend) Get(ctx context.Context, k driver.Key) (driver.Record, error) {
	r, err := b.sharedBackend.Get(ctx, k)
	late := time.NewTimer(time.Duration(b.delay.Load()))
	defer late.Stop()
	select {
	case <-late.C:
		return r, err
	case <-ctx.Done():
		return driver.Record{}, ctx.Err()
	}
}

// openSlow opens a store on the place's backend, which is far away from it.
func (p *place) openSlow(t testing.TB) (*credstore.Store, *slowBackend) {
	t.Helper()
	b := &slowBackend{sharedBackend: p.backend}
	return p.openOn(t, b), b
}

// A comparison that began before a deploy must not hide it.
func TestRedeployDuringAComparison(t *testing.T) {
	inBubble(t, oauthtest.ServerOptions{}, func(t *testing.T, p *place) {
		s, backend := p.openSlow(t)
		require.NoError(t, s.Deploy(t.Context(), p.clientCredentials("S4_ORDERS", withClient("old"))))
		src := sourceOf(t, s, "S4_ORDERS")
		require.Equal(t, "old", p.clientOf(t, src))
		time.Sleep(2 * time.Second)
		backend.delay.Store(int64(50 * time.Millisecond))
		var comparing sync.WaitGroup
		comparing.Go(func() { _, _ = src.Token(t.Context()) })
		synctest.Wait() // it has read the old artifact
		backend.delay.Store(0)
		require.NoError(t, s.Deploy(t.Context(), p.clientCredentials("S4_ORDERS", withClient("new"))))
		require.Equal(t, "new", p.clientOf(t, src))
		comparing.Wait()
	})
}

// Nor must a caller that leaves.
func TestRedeployAndACallerThatHasLeft(t *testing.T) {
	inBubble(t, oauthtest.ServerOptions{}, func(t *testing.T, p *place) {
		s := p.open(t)
		require.NoError(t, s.Deploy(t.Context(), p.clientCredentials("S4_ORDERS", withClient("old"))))
		src := sourceOf(t, s, "S4_ORDERS")
		require.Equal(t, "old", p.clientOf(t, src))
		require.NoError(t, s.Deploy(t.Context(), p.clientCredentials("S4_ORDERS", withClient("new"))))
		gone, leave := context.WithCancel(t.Context())
		leave()
		_, _ = src.Token(gone)
		require.Equal(t, "new", p.clientOf(t, src))
	})
}

func TestOtherProcessesFollow(t *testing.T) {
	inBubble(t, oauthtest.ServerOptions{}, func(t *testing.T, p *place) {
		one, two := p.open(t), p.open(t)
		require.NoError(t, one.Deploy(t.Context(), p.clientCredentials("S4_ORDERS", withClient("old"))))
		src := sourceOf(t, two, "S4_ORDERS")
		require.Equal(t, "old", p.clientOf(t, src))
		for i := range 5 {
			version := fmt.Sprintf("version-%d", i)
			require.NoError(t, one.Deploy(t.Context(), p.clientCredentials("S4_ORDERS", withClient(version))))
			time.Sleep(time.Second)
			require.Equal(t, version, p.clientOf(t, src))
		}
		require.NoError(t, one.Undeploy(t.Context(), "S4_ORDERS"))
		time.Sleep(time.Second)
		require.ErrorIs(t, errOf(src.Token(t.Context())), credstore.ErrNotFound)
		require.ErrorIs(t, errOf(two.TokenSource(t.Context(), "S4_ORDERS")), credstore.ErrNotFound)
		require.NoError(t, one.Deploy(t.Context(), p.clientCredentials("S4_ORDERS", withClient("again"))))
		time.Sleep(time.Second)
		require.Equal(t, "again", p.clientOf(t, src), "the source from before")
		require.Equal(t, src, sourceOf(t, two, "S4_ORDERS"))
	})
}

// followsInTime requires that the source sees what another store deploys, within a second, whenever that is.
func (p *place) followsInTime(t testing.TB, src outgrant.TokenSource, other *credstore.Store) {
	t.Helper()
	for i := range 40 {
		version := fmt.Sprintf("version-%d", i)
		require.NoError(t, other.Deploy(t.Context(), p.clientCredentials("S4_ORDERS", withClient(version))))
		changed := time.Now()
		for p.clientOf(t, src) != version {
			time.Sleep(time.Millisecond)
		}
		require.LessOrEqual(t, time.Since(changed), time.Second)
		time.Sleep(time.Duration(i) * 37 * time.Millisecond)
		p.token(t, src)
	}
}

// A change is seen a second after it was made, whenever that is, also where the backend takes its time.
func TestOtherProcessesFollowInTime(t *testing.T) {
	inBubble(t, oauthtest.ServerOptions{}, func(t *testing.T, p *place) {
		s, backend := p.openSlow(t)
		other := p.open(t)
		require.NoError(t, other.Deploy(t.Context(), p.clientCredentials("S4_ORDERS")))
		src := sourceOf(t, s, "S4_ORDERS")
		backend.delay.Store(int64(50 * time.Millisecond)) // for each of two reads
		p.followsInTime(t, src, other)
	})
}

// It costs one read in three quarters of a second for each credential that is used, however much it is used.
func TestFollowingCostsOneReadInAWhile(t *testing.T) {
	inBubble(t, oauthtest.ServerOptions{}, func(t *testing.T, p *place) {
		s := p.open(t)
		require.NoError(t, s.Deploy(t.Context(), p.clientCredentials("S4_ORDERS")))
		src := sourceOf(t, s, "S4_ORDERS")
		p.backend.count()
		for range 1000 {
			time.Sleep(10 * time.Millisecond)
			p.token(t, src)
		}
		require.Equal(t, map[string]int{"get": 13}, p.backend.count())
		time.Sleep(time.Hour / 2)
		require.Empty(t, p.backend.count(), "what is not used is not read")
	})
}

// Callers do not wait for a backend that is slow, and follow it all the same.
func TestOtherProcessesFollowASlowBackend(t *testing.T) {
	inBubble(t, oauthtest.ServerOptions{}, func(t *testing.T, p *place) {
		s, backend := p.openSlow(t)
		other := p.open(t)
		require.NoError(t, other.Deploy(t.Context(), p.clientCredentials("S4_ORDERS", withClient("old"))))
		src := sourceOf(t, s, "S4_ORDERS")
		require.Equal(t, "old", p.clientOf(t, src))
		require.NoError(t, other.Deploy(t.Context(), p.clientCredentials("S4_ORDERS", withClient("new"))))
		backend.delay.Store(int64(300 * time.Millisecond)) // for each of two reads
		time.Sleep(time.Second)
		began := time.Now()
		require.Equal(t, "old", p.clientOf(t, src))
		require.Equal(t, 250*time.Millisecond, time.Since(began))
		require.Equal(t, "old", p.clientOf(t, src))
		require.Equal(t, 250*time.Millisecond, time.Since(began), "it has waited enough")
		time.Sleep(400 * time.Millisecond)
		require.Equal(t, "new", p.clientOf(t, src))
	})
}

func TestWatchFollows(t *testing.T) {
	inBubble(t, oauthtest.ServerOptions{}, func(t *testing.T, p *place) {
		s, other := p.open(t), p.open(t)
		types, later := eachType(t, p), eachType(t, p)
		users := later["users"].(credstore.SAMLBearerAssertion)
		users.Description = "later"
		later["users"], later["client"] = users, p.clientCredentials("client", withClient("later"))
		require.NoError(t, s.Deploy(t.Context(), types["keys"]))
		require.NoError(t, s.Deploy(t.Context(), types["users"]))
		require.NoError(t, s.Deploy(t.Context(), types["client"]))
		propagating, err := s.UserSource(t.Context(), "users")
		require.NoError(t, err)
		for name, src := range map[string]outgrant.TokenSource{"client": sourceOf(t, s, "client"), "users": propagating.ForUser("alice")} {
			ctx, stop := context.WithCancel(t.Context())
			news := make(chan error, 100)
			var watching sync.WaitGroup
			watching.Go(func() {
				for _, err := range src.(outgrant.Watcher).Watch(ctx) {
					news <- err
				}
			})
			one := func() error {
				t.Helper()
				time.Sleep(time.Second)
				require.Len(t, news, 1, name)
				return <-news
			}
			require.NoError(t, one())
			p.Inject(oauthtest.Member("access_token", "another-token-of-"+name))
			require.NoError(t, other.Deploy(t.Context(), later[name]))
			require.NoError(t, one())
			require.NoError(t, other.Undeploy(t.Context(), name))
			require.ErrorIs(t, one(), credstore.ErrNotFound)
			time.Sleep(time.Minute)
			require.Empty(t, news, "once is enough")
			require.NoError(t, other.Deploy(t.Context(), types[name]))
			require.NoError(t, one())
			stop()
			watching.Wait()
		}
	})
}

// One caller a second waits for a slow backend, and the others do not.
func TestOneCallerWaitsForASlowBackend(t *testing.T) {
	inBubble(t, oauthtest.ServerOptions{}, func(t *testing.T, p *place) {
		s, backend := p.openSlow(t)
		require.NoError(t, s.Deploy(t.Context(), p.clientCredentials("S4_ORDERS")))
		src := sourceOf(t, s, "S4_ORDERS")
		p.token(t, src)
		backend.delay.Store(int64(100 * time.Millisecond))
		for range 5 {
			time.Sleep(time.Second)
			var waited atomic.Int64
			var all sync.WaitGroup
			for range 100 {
				all.Go(func() {
					began := time.Now()
					if _, err := src.Token(t.Context()); err != nil {
						t.Error(err)
					}
					if time.Since(began) > 0 {
						waited.Add(1)
					}
				})
			}
			all.Wait()
			require.EqualValues(t, 1, waited.Load())
		}
	})
}
