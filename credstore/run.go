package credstore

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/outgrant/outgrant/authcode"
	"github.com/outgrant/outgrant/credstore/driver"
	"github.com/outgrant/outgrant/internal/origin"
)

const (
	// runEvery is how often Run looks for what is due.
	runEvery = time.Minute
	// runAtOnce is how many renewals are under way at once, and runBatch how many are looked up at once.
	runAtOnce, runBatch = 8, 100
	// runAgain is how long a credential is left alone whose renewal failed without a word in the store, and runAgainGone one
	// that there is not: what was authorized for it is a program's own (Store.Vault), or left over.
	runAgain, runAgainGone = 10 * time.Minute, time.Hour
	// runPatience is how long a backend may fail to tell what is due.
	runPatience = time.Hour
)

// Run is the scheduled job: it renews the refresh tokens of all tenants before they end. It runs until ctx ends and returns
// ctx.Err(), or until the store is closed, or until the backend has failed for an hour to tell what is due: report that
// error, and start it again. Start it in a goroutine of its own, in as many processes as there are: they share the work out
// where the backend can ([driver.Claimer]), and each renewal is made once. It reads what is due and nothing else, and is
// gentle to token services: at most eight renewals at once in each process, and a tenth of a second between two at one host
// by all processes together. Failures are told by the hooks and by [Store.List], and tried again. It also forgets what has
// ended of the tokens that Options.ShareTokens has left, and the histories of what was undeployed long ago.
func (s *Store) Run(ctx context.Context) error {
	job := &job{core: s.core, failed: map[driver.Key]time.Time{}, pacer: pacer{core: s.core, hosts: map[string]*pace{}}}
	for {
		for more := true; more; {
			if err := s.begin(); err != nil {
				return err
			}
			more = job.round(ctx)
			job.forget(ctx)
			s.running.Done()
		}
		if job.failing != nil && time.Since(job.failingSince) >= runPatience {
			return fmt.Errorf("credstore: Run: for an hour it could not be told what is due: %w; start it again", job.failing)
		}
		next := time.NewTimer(runEvery - rand.N(runEvery/10)) // so that processes which start together do not stay together
		select {
		case <-next.C:
		case <-ctx.Done():
			next.Stop()
			return ctx.Err()
		case <-s.life.Done():
			next.Stop()
			return errClosed
		}
	}
}

type job struct {
	core  *core
	pacer pacer

	failing      error // why it cannot be told what is due; nil: it can
	failingSince time.Time

	mu     sync.Mutex
	failed map[driver.Key]time.Time // until when to leave it alone
}

// round renews what is due, up to a bound, and reports whether there may be more.
func (j *job) round(ctx context.Context) bool {
	now := time.Now()
	most := runBatch + j.leaveAlone(now)
	due, err := j.core.drv.claim(ctx, grantKind, now, most, runAgain)
	if err != nil && len(due) == 0 && !errors.Is(err, driver.ErrDamaged) { // else some cannot be read, and the others can be renewed
		if ctx.Err() == nil {
			j.note(err, now)
		}
		return false
	}
	j.failing = nil
	rand.Shuffle(len(due), func(a, b int) { due[a], due[b] = due[b], due[a] }) // other processes do the same work
	work := make(chan driver.Key)
	var workers sync.WaitGroup
	for range min(runAtOnce, len(due)) {
		workers.Go(func() {
			for k := range work {
				j.renew(ctx, k)
			}
		})
	}
	for _, k := range due {
		if ctx.Err() == nil && !j.hasFailed(k) {
			work <- k
		}
	}
	close(work)
	workers.Wait()
	return len(due) == most && ctx.Err() == nil
}

// note notes that it could not be told what is due.
func (j *job) note(err error, now time.Time) {
	if j.failing == nil {
		j.failingSince = now
	}
	j.failing = err
}

// renew renews the refresh token of a credential. What was authorized for a program's own configuration ([Store.Vault]) is
// for that program to renew.
func (j *job) renew(ctx context.Context, k driver.Key) {
	if r, err := j.core.drv.Get(ctx, k); err == nil && (r.Due.IsZero() || r.Due.After(time.Now())) {
		return // another process was quicker
	}
	client, done, err := j.client(ctx, nameOf{k.Tenant, k.Name})
	if err != nil {
		pause := runAgain
		if errors.Is(err, ErrNotFound) {
			pause = runAgainGone
		}
		j.leave(k, time.Now().Add(pause))
		return
	}
	defer done()
	host := origin.Host(client.Describe().TokenURL)
	if until, rests := j.pacer.rests(host); rests {
		j.leave(k, until)
		return
	}
	if err = j.pacer.wait(ctx, host); err == nil {
		_, err = client.Renew(ctx)
		j.pacer.note(host, err)
	}
	if err != nil {
		j.leave(k, time.Now().Add(runAgain))
	}
}

// leave leaves a credential alone until then.
func (j *job) leave(k driver.Key, until time.Time) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.failed[k] = until
}

// forget removes shared tokens that have ended, and histories of what is long gone.
func (j *job) forget(ctx context.Context) {
	if j.core.opts.ShareTokens {
		j.forgetAll(ctx, tokenKind)
	}
	if j.core.opts.History {
		j.forgetAll(ctx, historyKind)
	}
}

// forgetAll removes the records of a kind that are due.
func (j *job) forgetAll(ctx context.Context, kind string) {
	for {
		now := time.Now().Add(j.core.clock.offset(ctx))
		ended, err := j.core.drv.claim(ctx, kind, now, runBatch, runAgain)
		removed := 0
		for _, k := range ended {
			r, err := j.core.drv.Get(ctx, k)
			if err == nil && !r.Due.After(now) && j.core.drv.Delete(ctx, k, r.Version) == nil { // else there is another by now
				removed++
			}
		}
		if err != nil || removed < runBatch {
			return
		}
	}
}

// client returns the client of a credential: the one in memory, or else one for this renewal alone, so that the job keeps
// nothing of the many that nobody uses.
func (j *job) client(ctx context.Context, n nameOf) (client *authcode.Client, done func(), err error) {
	j.core.mu.RLock()
	used := j.core.credentials[n] != nil
	j.core.mu.RUnlock()
	if used {
		client, err = j.core.client(ctx, n.id())
		return client, func() {}, err
	}
	b, err := j.core.buildFor(ctx, n, inCompany)
	if err != nil {
		return nil, nil, n.failure(err)
	}
	if b.code == nil {
		return nil, nil, n.failure(notOffered(b.artifact, "which no user authorizes"))
	}
	return b.code, func() { _ = b.code.Close() }, nil // its hooks have told what was wrong
}

// leaveAlone forgets failures that are long ago, and returns how many are not.
func (j *job) leaveAlone(now time.Time) int {
	j.mu.Lock()
	defer j.mu.Unlock()
	maps.DeleteFunc(j.failed, func(_ driver.Key, until time.Time) bool { return now.After(until) })
	return len(j.failed)
}

func (j *job) hasFailed(k driver.Key) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	_, failed := j.failed[k]
	return failed
}
