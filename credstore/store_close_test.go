package credstore_test

import (
	"context"
	"errors"
	"iter"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/credstore"
	"github.com/outgrant/outgrant/credstore/driver"
	"github.com/outgrant/outgrant/oauthtest"
)

// A hundred jobs of 50 ms use one refresh token, each of which ends within a rotation: none is lost.
func TestShortJobsLoseNothing(t *testing.T) {
	inBubble(t, oauthtest.ServerOptions{}, func(t *testing.T, p *place) {
		s := p.open(t)
		p.authorized(t, s, "MAILBOX")
		require.NoError(t, s.Close())
		for range 100 {
			time.Sleep(61 * time.Minute)
			p.Inject(oauthtest.Delay(100 * time.Millisecond))
			job := p.open(t)
			src := sourceOf(t, job, "MAILBOX")
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			_, err := src.Token(ctx)
			require.ErrorIs(t, err, context.DeadlineExceeded)
			cancel()
			require.NoError(t, job.Close())
		}
		require.Len(t, p.requests("refresh_token"), 100)
		require.Zero(t, p.Reuses())
		s = p.open(t)
		p.requireStatus(t, s, "MAILBOX", credstore.Deployed)
		p.tokenOf(t, s, "MAILBOX")
	})
}

// What every method does after Close.
func afterClose(t *testing.T, s *credstore.Store) map[string]error {
	ctx := t.Context()
	vault := s.Vault()
	return map[string]error{
		"Deploy":          s.Deploy(ctx, credstore.SecureParameter{Name: "another", Value: "S3NTINEL-parameter"}),
		"Undeploy":        s.Undeploy(ctx, "code"),
		"List":            errOf(s.List(ctx)),
		"Info":            errOf(s.Info(ctx, "code")),
		"Artifact":        errOf(s.Artifact(ctx, "code")),
		"TokenSource":     errOf(s.TokenSource(ctx, "code")),
		"a new source":    errOf(s.TokenSource(ctx, "another")),
		"UserSource":      errOf(s.UserSource(ctx, "users")),
		"Client":          errOf(s.Client(ctx, "code")),
		"SecureParameter": errOf(s.SecureParameter(ctx, "parameter")),
		"RotateKeys":      s.RotateKeys(ctx),
		"Run":             s.Run(ctx),
		"Vault.Load":      errOf(vault.Load(ctx, "code")),
		"Vault.Lock":      errOf(vault.Lock(ctx, "code")),
		"Vault.Save":      errOf(vault.Save(ctx, "code", "", consented("S3NTINEL-refresh"))),
	}
}

func TestClose(t *testing.T) {
	inBubble(t, oauthtest.ServerOptions{}, func(t *testing.T, p *place) {
		s := p.open(t)
		for _, a := range eachType(t, p) {
			require.NoError(t, s.Deploy(t.Context(), a))
		}
		require.NoError(t, p.consent(t, s, s, "code"))
		code, client := sourceOf(t, s, "code"), sourceOf(t, s, "client")
		users, err := s.UserSource(t.Context(), "users")
		require.NoError(t, err)
		had := map[outgrant.TokenSource]outgrant.Secret{}
		for _, src := range []outgrant.TokenSource{code, client, users.ForUser("alice")} {
			had[src] = p.token(t, src)
		}
		require.NoError(t, s.Tenant("acme").Close(), "of all views")
		p.backend.count()
		for range 2 {
			for name, err := range afterClose(t, s) {
				require.ErrorContains(t, err, "the store is closed", name)
			}
			for name, err := range afterClose(t, s.Tenant("acme")) {
				require.ErrorContains(t, err, "the store is closed", name)
			}
			require.NoError(t, s.Close())
		}
		require.Contains(t, start(s, "code").Body.String(), "the store is closed")
		time.Sleep(30 * time.Minute)
		for src, secret := range had {
			require.Equal(t, secret, p.token(t, src))
		}
		time.Sleep(time.Hour)
		_, err = code.Token(t.Context())
		require.ErrorContains(t, err, "is closed")
		p.token(t, client)
		require.Empty(t, p.requests("refresh_token"))
		require.Empty(t, p.backend.count())
		require.Equal(t, `credstore.Store(tenant "")`, s.String())
	})
}

// watchedBackend tells whether it is closed while it is used, or used when it is closed.
type watchedBackend struct {
	driver.Store
	t      testing.TB
	used   atomic.Int64
	closed atomic.Int64
}

func (b *watchedBackend) use() func() {
	b.used.Add(1)
	if b.closed.Load() > 0 {
		b.t.Error("the backend is used after it was closed")
	}
	return func() { b.used.Add(-1) }
}

func (b *watchedBackend) Close() error {
	if b.closed.Add(1) > 1 {
		b.t.Error("the backend is closed twice")
	}
	if n := b.used.Load(); n > 0 {
		b.t.Errorf("the backend is closed while it is used %d times", n)
	}
	return nil
}

func (b *watchedBackend) Get(ctx context.Context, k driver.Key) (driver.Record, error) {
	defer b.use()()
	return b.Store.Get(ctx, k)
}

func (b *watchedBackend) Put(ctx context.Context, r driver.Record, ifVersion string) (string, error) {
	defer b.use()()
	return b.Store.Put(ctx, r, ifVersion)
}

func (b *watchedBackend) Delete(ctx context.Context, k driver.Key, ifVersion string) error {
	defer b.use()()
	return b.Store.Delete(ctx, k, ifVersion)
}

func (b *watchedBackend) List(ctx context.Context, tenant, kind string) iter.Seq2[driver.Record, error] {
	return func(yield func(driver.Record, error) bool) {
		defer b.use()()
		b.Store.List(ctx, tenant, kind)(yield)
	}
}

func (b *watchedBackend) Due(ctx context.Context, kind string, before time.Time, limit int) ([]driver.Key, error) {
	defer b.use()()
	return b.Store.Due(ctx, kind, before, limit)
}

func (b *watchedBackend) Lock(ctx context.Context, k driver.Key) (driver.Lock, error) {
	defer b.use()()
	return b.Store.Lock(ctx, k)
}

// Everything is under way when the store is closed. Nothing is lost, and the backend is left alone afterwards.
func TestCloseAmongEverything(t *testing.T) {
	t.Parallel()
	p := newPlace(t, oauthtest.ServerOptions{})
	setup := p.open(t)
	for _, a := range eachType(t, p) {
		require.NoError(t, setup.Deploy(t.Context(), a))
	}
	require.NoError(t, p.consent(t, setup, setup, "code"))
	for i := range 20 {
		b := &watchedBackend{Store: p.backend, t: t}
		s, err := credstore.Open(b, p.options(func(o *credstore.Options) { o.PollInterval = time.Microsecond }))
		require.NoError(t, err)
		var all sync.WaitGroup
		ctx, cancel := context.WithCancel(t.Context())
		loop := func(call func() error) {
			all.Go(func() {
				for ctx.Err() == nil {
					if err := call(); err != nil && !errors.Is(err, context.Canceled) {
						if s.Info(ctx, "keys"); !assert.ErrorContains(t, err, "is closed") {
							return
						}
						return
					}
				}
			})
		}
		code, err := s.TokenSource(t.Context(), "code")
		require.NoError(t, err)
		loop(func() error {
			token, err := code.Token(ctx)
			if err == nil {
				code.(outgrant.Invalidator).Invalidate(token)
			}
			return err
		})
		loop(func() error { return errOf(code.Token(ctx)) })
		loop(func() error { return errOf(s.TokenSource(ctx, "client")) })
		loop(func() error { return s.Deploy(ctx, p.clientCredentials("client")) })
		loop(func() error { return s.Deploy(ctx, p.authorizationCode("code")) })
		loop(func() error { return errOf(s.List(ctx)) })
		loop(func() error { return errOf(s.Info(ctx, "code")) })
		loop(func() error { return s.RotateKeys(ctx) })
		loop(func() error { return s.Run(ctx) })
		time.Sleep(time.Duration(i) * time.Millisecond)
		var closing sync.WaitGroup
		for range 3 {
			closing.Go(func() { assert.NoError(t, s.Close()) })
		}
		closing.Wait()
		require.EqualValues(t, 1, b.closed.Load())
		cancel()
		all.Wait()
	}
	require.Zero(t, p.Reuses())
	p.tokenOf(t, setup, "code")
}

// What waits for a lock does not keep a program from ending, and the backend is not closed under it.
func TestCloseEndsWhatWaits(t *testing.T) {
	inBubble(t, oauthtest.ServerOptions{}, func(t *testing.T, p *place) {
		b := &watchedBackend{Store: p.backend, t: t}
		s, err := credstore.Open(b, p.options())
		require.NoError(t, err)
		held, err := p.open(t).Vault().Lock(t.Context(), "MAILBOX")
		require.NoError(t, err)
		defer held.Unlock()
		var waiting sync.WaitGroup
		for range 20 {
			waiting.Go(func() { assert.Error(t, errOf(s.Vault().Lock(context.Background(), "MAILBOX"))) })
		}
		time.Sleep(time.Second)
		began := time.Now()
		require.NoError(t, s.Close())
		require.Zero(t, time.Since(began))
		waiting.Wait()
	})
}

// A second Close waits, too: who returns from it may exit.
func TestCloseTwiceAtOnce(t *testing.T) {
	inBubble(t, oauthtest.ServerOptions{}, func(t *testing.T, p *place) {
		s := p.open(t)
		p.authorized(t, s, "MAILBOX")
		time.Sleep(61 * time.Minute)
		p.Inject(oauthtest.Delay(10 * time.Second))
		src := sourceOf(t, s, "MAILBOX")
		go func() { _, _ = src.Token(t.Context()) }()
		time.Sleep(time.Second)
		began := time.Now()
		var all sync.WaitGroup
		for range 3 {
			all.Go(func() {
				assert.NoError(t, s.Close())
				assert.Equal(t, 9*time.Second, time.Since(began))
			})
		}
		all.Wait()
		p.tokenOf(t, p.open(t), "MAILBOX")
	})
}

// A redeploy leaves a refresh behind that is under way, and Close waits for it.
func TestCloseAfterARedeployDuringARefresh(t *testing.T) {
	inBubble(t, oauthtest.ServerOptions{}, func(t *testing.T, p *place) {
		s := p.open(t)
		p.authorized(t, s, "MAILBOX")
		time.Sleep(61 * time.Minute)
		p.Inject(oauthtest.Delay(10 * time.Second))
		src := sourceOf(t, s, "MAILBOX")
		go func() { _, _ = src.Token(t.Context()) }()
		time.Sleep(time.Second)
		require.NoError(t, s.Deploy(t.Context(), p.authorizationCode("MAILBOX", func(a *credstore.AuthorizationCode) { a.Description = "another" })))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.ErrorIs(t, errOf(src.Token(ctx)), context.DeadlineExceeded, "it waits for the one that is under way")
		require.NoError(t, s.Close())
		require.Zero(t, p.Reuses())
		require.Len(t, p.requests("refresh_token"), 1)
		p.tokenOf(t, p.open(t), "MAILBOX")
	})
}

// A backend that does not answer does not keep a program from ending.
func TestCloseIsBounded(t *testing.T) {
	inBubble(t, oauthtest.ServerOptions{}, func(t *testing.T, p *place) {
		s := p.open(t)
		p.authorized(t, s, "MAILBOX")
		src := sourceOf(t, s, "MAILBOX")
		p.token(t, src)
		stuck := make(chan struct{})
		p.backend.inject(func(context.Context, string, driver.Key) error { // whatever its context says
			<-stuck
			return errDisk
		})
		time.Sleep(2 * time.Second)
		p.token(t, src) // which has looked
		go func() { _ = s.Deploy(t.Context(), p.clientCredentials("client")) }()
		time.Sleep(time.Second)
		began := time.Now()
		require.NoError(t, s.Close())
		require.LessOrEqual(t, time.Since(began), time.Minute)
		close(stuck)
	})
}

// What was learned and could not be stored is said to be lost.
func TestCloseWhereItCannotBeStored(t *testing.T) {
	inBubble(t, oauthtest.ServerOptions{}, func(t *testing.T, p *place) {
		s := p.open(t)
		p.authorized(t, s, "MAILBOX")
		time.Sleep(61 * time.Minute)
		src := sourceOf(t, s, "MAILBOX")
		puts := 0
		p.backend.inject(func(_ context.Context, op string, k driver.Key) error {
			if op == "put" && k.Kind == "grant" {
				if puts++; puts > 1 { // the mark was written
					return errDisk
				}
			}
			return nil
		})
		p.token(t, src)
		require.Contains(t, p.changes(), outgrant.NotStored)
		info, err := s.Info(t.Context(), "MAILBOX")
		require.NoError(t, err)
		require.Equal(t, credstore.Deployed, info.Status)
		require.Contains(t, info.Reason, "could not be stored yet")
		all, err := s.List(t.Context())
		require.NoError(t, err)
		require.Equal(t, info.Reason, all[0].Reason)
		info, err = p.open(t).Info(t.Context(), "MAILBOX")
		require.NoError(t, err)
		require.NotContains(t, info.Reason, "could not be stored yet", "others cannot know")
		err = s.Close()
		require.ErrorContains(t, err, `"MAILBOX"`)
		require.ErrorContains(t, err, "could not be stored")
		p.show(err)
		require.Equal(t, err, s.Close())
	})
}
