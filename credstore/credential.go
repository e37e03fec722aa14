package credstore

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/authcode"
	"github.com/outgrant/outgrant/credstore/driver"
	"github.com/outgrant/outgrant/internal/engine"
)

// credential is what a store has in memory of a name: an engine that follows what is deployed.
type credential struct {
	core *core
	name nameOf

	engine engine.Engine
	built  atomic.Pointer[built] // what the engine was made of

	seen    atomic.Uint64 // core.changes when it was last compared
	checked atomic.Int64  // when that was, since began
	news    atomic.Uint64 // how often the feed has told of it
	heard   atomic.Uint64 // of these, how many there were when it was last compared, or that was tried
	known   atomic.Uint64 // of these, how many there were when it was last compared
	looks   looks

	rejected string // the version of the rejections that were noticed; for one look at a time
}

// built is what was made of an artifact.
type built struct {
	artifact artifact // nil: it is gone, or broken
	from     []stored // the records that it was made of
	source   engine.Source
	refusal  error               // why it has no tokens of its own, or nil
	users    outgrant.UserSource // nil: it does not act for users
	code     *authcode.Client    // nil: it is no authorization code
}

// stored is a record as it was seen: by its deployment, or for a grant by its consent. Its version tells too much, as
// refreshes and new keys change it.
type stored struct {
	key  driver.Key
	mark string
}

// credential returns what is in memory of a name, or an error if there is no such artifact, or a broken one.
func (s *Store) credential(ctx context.Context, name string) (*credential, error) {
	n := s.name(name)
	s.mu.RLock()
	c, closed := s.credentials[n], s.closed
	s.mu.RUnlock()
	switch {
	case closed:
		return nil, errClosed
	case c != nil:
		c.follow(ctx)
		return c, nil
	}
	if err := s.begin(); err != nil {
		return nil, err
	}
	defer s.running.Done()
	c = &credential{core: s.core, name: n}
	rounds := s.feed.rounds.Load()
	if err := c.build(ctx); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if other := s.credentials[n]; other != nil {
		return other, nil
	}
	s.credentials[n] = c
	c.missed(rounds)
	return c, nil
}

// build makes the first engine.
func (c *credential) build(ctx context.Context) error {
	changes, now := c.core.changes.Load(), sinceBegan()
	b, err := c.core.buildFor(ctx, c.name, inCompany)
	if err != nil {
		return c.name.failure(err)
	}
	c.replace(b)
	c.seen.Store(changes)
	c.checked.Store(now)
	return nil
}

// rebuild makes the engine of what is stored now: one that fails, if that cannot be used. It is an error, and changes
// nothing, where it cannot be told what is stored.
func (c *credential) rebuild(ctx context.Context) error {
	b, err := c.core.buildFor(ctx, c.name, inCompany)
	if errors.Is(err, errUnavailable) {
		return err
	}
	if err != nil {
		err = c.name.failure(err)
		if last := c.built.Load(); last.artifact == nil && last.refusal.Error() == err.Error() {
			return nil // it is as broken as before, which is no news
		}
		b = &built{}
		b.refuse(outgrant.Credential{Name: c.name.name}, err)
	}
	c.replace(b)
	return nil
}

// replace makes b what is used. A refresh that the last one has under way goes on to its end.
func (c *credential) replace(b *built) {
	last := c.built.Swap(b)
	c.engine.Replace(b.source)
	if last != nil && last.code != nil {
		c.core.running.Go(func() { _ = last.code.Close() }) // its hooks have told what was wrong
	}
}

// current returns what is used now, after a look at what is stored.
func (c *credential) current(ctx context.Context) *built {
	c.follow(ctx)
	return c.built.Load()
}

// Close waits for a refresh that is under way.
func (c *credential) Close() error {
	if code := c.built.Load().code; code != nil {
		return code.Close()
	}
	return nil
}

// usersOf returns the sources of users.
func (c *credential) usersOf(b *built) (outgrant.UserSource, error) {
	switch {
	case b.users != nil:
		return b.users, nil
	case b.artifact == nil:
		return nil, b.refusal
	}
	return nil, c.name.failure(notOffered(b.artifact, "which acts for itself: use TokenSource"))
}

// refuse makes it one that has no tokens of its own.
func (b *built) refuse(of outgrant.Credential, err error) {
	b.refusal, b.source = err, &noSource{of, err}
}

// notOffered is the error of an artifact that is asked for what it is not.
func notOffered(a artifact, what string) error {
	return fmt.Errorf("%w: it is of the type %q, %s", outgrant.ErrUnsupportedGrant, a.Type(), what)
}
