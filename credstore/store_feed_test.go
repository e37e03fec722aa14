package credstore_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/credstore"
	"github.com/outgrant/outgrant/credstore/driver"
	"github.com/outgrant/outgrant/oauthtest"
)

// fedBackend is a backend that tells what has changed, and notifies of it if told to.
type fedBackend struct {
	*sharedBackend
	notified chan struct{}
	deaf     atomic.Int64 // how often Listen has failed
}

func (b *fedBackend) Follow() func(context.Context) ([]driver.Key, error) {
	next := b.Store.(driver.Follower).Follow()
	return func(ctx context.Context) ([]driver.Key, error) {
		if err := b.begin(ctx, "follow", driver.Key{}); err != nil {
			return nil, err
		}
		return next(ctx)
	}
}

func (b *fedBackend) Listen(ctx context.Context, changed func()) error {
	if b.deaf.Add(1) == 1 {
		return errDisk
	}
	for {
		select {
		case <-b.notified:
			changed()
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// openFed opens a store on the place's backend, which tells it what has changed.
func (p *place) openFed(t testing.TB) (*credstore.Store, *fedBackend) {
	t.Helper()
	b := &fedBackend{sharedBackend: p.backend, notified: make(chan struct{})}
	return p.openOn(t, b), b
}

// It costs one question in three quarters of a second for all credentials that are used.
func TestFeedCostsOneQuestionForAll(t *testing.T) {
	inBubble(t, oauthtest.ServerOptions{}, func(t *testing.T, p *place) {
		s, _ := p.openFed(t)
		other := p.open(t)
		var sources []outgrant.TokenSource
		for i := range 100 {
			require.NoError(t, other.Deploy(t.Context(), p.clientCredentials(fmt.Sprint("S4-", i))))
			sources = append(sources, sourceOf(t, s, fmt.Sprint("S4-", i)))
		}
		use := func() {
			for range 200 {
				time.Sleep(50 * time.Millisecond)
				for _, src := range sources {
					p.token(t, src)
				}
			}
		}
		use() // what was made before the first answer is compared once
		p.backend.count()
		use()
		require.Equal(t, map[string]int{"follow": 13}, p.backend.count())
		require.NoError(t, other.Deploy(t.Context(), p.clientCredentials("S4-7", withClient("another"))))
		p.backend.count()
		use()
		counts := p.backend.count()
		require.LessOrEqual(t, counts["get"], 4, "what has changed is read, and nothing else: %v", counts)
		require.Equal(t, "another", p.clientOf(t, sources[7]))
	})
}

func TestFeedFollows(t *testing.T) {
	inBubble(t, oauthtest.ServerOptions{}, func(t *testing.T, p *place) {
		s, _ := p.openFed(t)
		other := p.open(t)
		require.NoError(t, other.Deploy(t.Context(), p.clientCredentials("S4_ORDERS", withClient("old"))))
		src := sourceOf(t, s, "S4_ORDERS")
		require.Equal(t, "old", p.clientOf(t, src))
		p.followsInTime(t, src, other)
		require.NoError(t, other.Undeploy(t.Context(), "S4_ORDERS"))
		time.Sleep(time.Second)
		require.ErrorIs(t, errOf(src.Token(t.Context())), credstore.ErrNotFound)
		require.NoError(t, other.Deploy(t.Context(), p.clientCredentials("S4_ORDERS", withClient("again"))))
		time.Sleep(time.Second)
		require.Equal(t, "again", p.clientOf(t, src))
	})
}

// With notification a change is seen at once, also by those who watch.
func TestFeedIsNotified(t *testing.T) {
	inBubble(t, oauthtest.ServerOptions{}, func(t *testing.T, p *place) {
		s, b := p.openFed(t)
		require.NoError(t, s.Deploy(t.Context(), p.clientCredentials("S4_ORDERS", withClient("old"))))
		src := sourceOf(t, s, "S4_ORDERS")
		require.Equal(t, "old", p.clientOf(t, src))
		time.Sleep(2 * time.Second) // it listens, after it could not
		require.Equal(t, "old", p.clientOf(t, src))
		other := p.open(t)
		require.NoError(t, other.Deploy(t.Context(), p.clientCredentials("S4_ORDERS", withClient("new"))))
		b.notified <- struct{}{}
		time.Sleep(60 * time.Millisecond)
		require.Equal(t, "new", p.clientOf(t, src))
		p.backend.count()
		for range 10 { // as many as come at once are one
			b.notified <- struct{}{}
		}
		time.Sleep(100 * time.Millisecond)
		require.LessOrEqual(t, p.backend.count()["follow"], 3)
	})
}

// A backend that cannot tell does not stop calls, and tells later what it could not.
func TestFeedThatFails(t *testing.T) {
	inBubble(t, oauthtest.ServerOptions{}, func(t *testing.T, p *place) {
		s, _ := p.openFed(t)
		other := p.open(t)
		require.NoError(t, other.Deploy(t.Context(), p.clientCredentials("S4_ORDERS", withClient("old"))))
		src := sourceOf(t, s, "S4_ORDERS")
		require.Equal(t, "old", p.clientOf(t, src))
		require.NoError(t, other.Deploy(t.Context(), p.clientCredentials("S4_ORDERS", withClient("new"))))
		p.backend.inject(func(_ context.Context, op string, _ driver.Key) error {
			if op == "follow" {
				return errDisk
			}
			return nil
		})
		p.backend.count()
		for range 100 {
			require.Equal(t, "old", p.clientOf(t, src))
			time.Sleep(100 * time.Millisecond)
		}
		require.LessOrEqual(t, p.backend.count()["follow"], 14)
		p.backend.inject(nil)
		time.Sleep(time.Second)
		require.Equal(t, "new", p.clientOf(t, src))
	})
}

// A deploy that comes between the reading of an artifact and the next question is not missed.
func TestFeedMissesNothing(t *testing.T) {
	inBubble(t, oauthtest.ServerOptions{}, func(t *testing.T, p *place) {
		s, _ := p.openFed(t)
		other := p.open(t)
		require.NoError(t, other.Deploy(t.Context(), p.clientCredentials("FIRST")))
		first := sourceOf(t, s, "FIRST")
		for i := range 20 {
			name := fmt.Sprint("S4-", i)
			require.NoError(t, other.Deploy(t.Context(), p.clientCredentials(name, withClient("old"))))
			slow := make(chan outgrant.TokenSource, 1)
			hold := make(chan struct{})
			p.backend.after(func(op string, k driver.Key) {
				if op == "get" && k.Name == name {
					<-hold
				}
			})
			go func() { slow <- sourceOf(t, s, name) }()
			time.Sleep(time.Millisecond)
			require.NoError(t, p.backend.Store.Delete(t.Context(), driver.Key{Kind: "artifact", Name: name}, ""))
			time.Sleep(time.Second)
			p.token(t, first) // asks
			close(hold)
			src := <-slow
			p.backend.after(nil)
			time.Sleep(time.Second)
			require.ErrorIs(t, errOf(src.Token(t.Context())), credstore.ErrNotFound)
		}
	})
}

// Calls are not held up where a change was told, and the backend does not answer since; nor is it asked at each of them.
func TestFeedThatFailsAfterNews(t *testing.T) {
	for name, fault := range map[string]func(context.Context, string, driver.Key) error{
		"fails": func(context.Context, string, driver.Key) error { return errDisk }, "hangs": hang,
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, oauthtest.ServerOptions{}, func(t *testing.T, p *place) {
				s, b := p.openFed(t)
				other := p.open(t)
				require.NoError(t, other.Deploy(t.Context(), p.clientCredentials("S4_ORDERS", withClient("old"))))
				src := sourceOf(t, s, "S4_ORDERS")
				time.Sleep(2 * time.Second) // it listens
				require.Equal(t, "old", p.clientOf(t, src))
				require.NoError(t, other.Deploy(t.Context(), p.clientCredentials("S4_ORDERS", withClient("new"))))
				b.notified <- struct{}{}
				time.Sleep(100 * time.Millisecond)
				p.backend.inject(fault)
				p.backend.count()
				began := time.Now()
				for range 100 {
					require.Equal(t, "old", p.clientOf(t, src))
				}
				require.LessOrEqual(t, time.Since(began), time.Second)
				require.LessOrEqual(t, p.backend.count()["follow"], 3)
				p.backend.inject(nil)
				time.Sleep(11 * time.Second) // a look that hangs is given up
				require.Equal(t, "new", p.clientOf(t, src))
			})
		})
	}
}
