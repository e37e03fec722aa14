package credstore

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/credstore/driver"
)

const (
	// sharePatience is how long another process may take that fetches the same token.
	sharePatience = 10 * time.Second
	// shareTimeout bounds each call of the backend: without it there is a token all the same.
	shareTimeout = 2 * time.Second
	// shareHold is how long the others wait until a token is stored that was fetched. Where that takes longer, each fetches its own,
	// and keeps those who have waited already for leastHold more.
	shareHold, leastHold = time.Second, 100 * time.Millisecond
	// shareAttempts is how often a record is written that others write, too.
	shareAttempts = 3
)

// shared is the source of a credential's tokens, or of a user's: each token is fetched once, by one of the processes that
// share the store, and kept there for the others (Options.ShareTokens). The cache of each process stands before it. It
// holds nothing up: where the store does not answer, it fetches.
type shared struct {
	core *core
	name nameOf
	user string // "": the credential acts for itself
	from string // what the source was made of: tokens of another deployment are not its
	src  outgrant.TokenSource

	mu  sync.Mutex
	had string // the version of the record whose token this process has had
}

// sharedToken is what is sealed in a record of the kind token.
type sharedToken struct {
	From        string         `json:"from"`
	AccessToken string         `json:"accessToken,omitempty"` // "": a receiver has rejected it
	Type        string         `json:"type,omitempty"`
	Expiry      time.Time      `json:"expiry,omitzero"` // by the store's clock, as Fetched
	Fetched     time.Time      `json:"fetched"`
	Scopes      []string       `json:"scopes,omitempty"`
	User        string         `json:"user,omitempty"`
	Extra       map[string]any `json:"extra,omitempty"`
}

// share returns what wraps the sources of a credential, if its tokens are shared.
func (c *core) share(n nameOf, b *built) func(outgrant.TokenSource) outgrant.TokenSource {
	if !c.opts.ShareTokens {
		return nil
	}
	var marks []string
	for _, record := range b.from {
		marks = append(marks, record.mark)
	}
	from := strings.Join(marks, " ")
	return func(src outgrant.TokenSource) outgrant.TokenSource {
		s := &shared{core: c, name: n, from: from, src: src}
		if d, ok := src.(outgrant.Describer); ok {
			s.user = d.Describe().User
		}
		return s
	}
}

// key is where the token is. A name of an artifact has no slash.
func (s *shared) key() driver.Key {
	return driver.Key{Tenant: s.name.tenant, Kind: tokenKind, Name: s.name.name + "/" + s.user}
}

func (s *shared) Token(ctx context.Context) (*outgrant.Token, error) { return s.Refresh(ctx, nil) }

// Refresh returns the token that another process has fetched since the last time, or fetches one.
func (s *shared) Refresh(ctx context.Context, rejected *outgrant.Token) (*outgrant.Token, error) {
	if err := s.core.begin(); err != nil { // the store is closed, and the source goes on
		return refresh(ctx, s.src, rejected)
	}
	defer s.core.running.Done()
	if rejected != nil {
		s.reject(ctx, rejected)
	}
	token, _, err := s.adopt(ctx, rejected)
	if token != nil {
		return token, nil
	}
	if err != nil {
		return refresh(ctx, s.src, rejected)
	}
	patience, cancel := context.WithTimeout(ctx, sharePatience)
	defer cancel()
	unlock, began := func() {}, time.Now()
	if lock, err := s.core.drv.Lock(patience, s.key()); err == nil {
		unlock = sync.OnceFunc(func() { _ = lock.Unlock() })
	}
	hold := max(shareHold-time.Since(began), leastHold)
	token, version, _ := s.adopt(ctx, rejected)
	if token != nil {
		unlock()
		return token, nil
	}
	token, err = refresh(ctx, s.src, rejected)
	if err != nil || token == nil {
		unlock()
		return token, err
	}
	s.core.running.Go(func() { // nobody here waits for the backend
		enough := time.AfterFunc(hold, unlock)
		s.keep(ctx, token, version)
		enough.Stop()
		unlock()
	})
	return token, nil
}

// refresh has a source fetch a token, and not the one that was rejected.
func refresh(ctx context.Context, src outgrant.TokenSource, rejected *outgrant.Token) (*outgrant.Token, error) {
	if r, ok := src.(outgrant.Refresher); ok {
		return r.Refresh(ctx, rejected)
	}
	return src.Token(ctx)
}

// adopt returns the token in the store, if this process has not had it, and it is good for something; and the record's version.
func (s *shared) adopt(ctx context.Context, rejected *outgrant.Token) (token *outgrant.Token, version string, err error) {
	ctx, cancel := context.WithTimeout(ctx, shareTimeout)
	defer cancel()
	version, is, err := s.load(ctx)
	if err != nil || is.AccessToken == "" || is.From != s.from || rejected != nil && rejected.AccessToken.Reveal() == is.AccessToken {
		return nil, version, err
	}
	offset := s.core.clock.offset(ctx)
	now := time.Now().Add(offset)
	if life, left := is.Expiry.Sub(is.Fetched), is.Expiry.Sub(now); !is.Expiry.IsZero() && left <= min(life/10, 10*time.Second) {
		return nil, version, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.had == version {
		return nil, version, err
	}
	s.had = version
	t := &outgrant.Token{AccessToken: outgrant.Secret(is.AccessToken), Type: is.Type, Scopes: is.Scopes, User: is.User}
	if !is.Expiry.IsZero() {
		t.Expiry = is.Expiry.Add(-offset)
	}
	return t.WithExtra(is.Extra), version, nil
}

// load returns what is stored: the zero value if there is nothing, or nothing that can be read.
func (s *shared) load(ctx context.Context) (version string, is sharedToken, err error) {
	r, plain, err := s.core.get(ctx, s.key())
	if errors.Is(err, errUnavailable) {
		return "", is, err
	}
	_ = s.core.clear(ctx, s.key(), err) // what is damaged would be in the way for ever
	if err != nil || json.Unmarshal(plain, &is) != nil {
		return r.Version, sharedToken{}, nil
	}
	return r.Version, is, nil
}

// keep stores a token that was fetched in place of what has the version. Who has stored another one meanwhile has a newer one.
func (s *shared) keep(ctx context.Context, t *outgrant.Token, version string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), shareTimeout)
	defer cancel()
	offset := s.core.clock.offset(ctx)
	is := sharedToken{From: s.from, AccessToken: t.AccessToken.Reveal(), Type: t.Type, Scopes: t.Scopes, User: t.User, Extra: t.Extras(), Fetched: time.Now().Add(offset)}
	if !t.Expiry.IsZero() {
		is.Expiry = t.Expiry.Add(offset)
	}
	if version, err := s.put(ctx, is, version); err == nil {
		s.mu.Lock()
		s.had = version
		s.mu.Unlock()
	}
}

// put writes a record. The job forgets it when its token has ended.
func (s *shared) put(ctx context.Context, is sharedToken, version string) (string, error) {
	plain, err := json.Marshal(is)
	if err != nil {
		return "", err
	}
	return s.core.put(ctx, driver.Record{Key: s.key(), Due: is.Expiry, Expires: is.Expiry}, plain, version)
}

// reject takes away a token that a receiver has rejected, and tells the other processes.
func (s *shared) reject(ctx context.Context, rejected *outgrant.Token) {
	ctx, cancel := context.WithTimeout(ctx, shareTimeout)
	defer cancel()
	for range shareAttempts {
		version, is, err := s.load(ctx)
		if err != nil || is.AccessToken != rejected.AccessToken.Reveal() {
			return // somebody else was quicker
		}
		is.AccessToken = ""
		if _, err = s.put(ctx, is, version); err == nil {
			s.core.noteRejection(ctx, s.name, s.user, rejected)
			return
		}
		if !errors.Is(err, driver.ErrConflict) {
			return
		}
	}
}

// rejection is a token that a receiver has rejected.
type rejection struct {
	User        string `json:"user,omitempty"`
	AccessToken string `json:"accessToken"`
}

// mostRejections is how many are kept of a credential: others notice them all at the same time.
const mostRejections = 20

// noteRejection has the other processes drop a token.
func (c *core) noteRejection(ctx context.Context, n nameOf, user string, rejected *outgrant.Token) {
	for range shareAttempts {
		version, all, err := c.rejections(ctx, n)
		if err != nil {
			return
		}
		all = append(all, rejection{user, rejected.AccessToken.Reveal()})
		all = slices.Delete(all, 0, max(len(all)-mostRejections, 0))
		plain, err := json.Marshal(all)
		if err == nil {
			_, err = c.put(ctx, driver.Record{Key: n.key(rejectedKind)}, plain, version)
		}
		if !errors.Is(err, driver.ErrConflict) {
			return
		}
	}
}

// rejections returns what receivers have rejected of a credential's tokens, the latest last.
func (c *core) rejections(ctx context.Context, n nameOf) (version string, all []rejection, err error) {
	r, plain, err := c.get(ctx, n.key(rejectedKind))
	if errors.Is(err, errUnavailable) {
		return "", nil, err
	}
	if err != nil || json.Unmarshal(plain, &all) != nil {
		all = nil
	}
	return r.Version, all, nil
}

// dropRejected drops the tokens that receivers of other processes have rejected.
func (c *credential) dropRejected(ctx context.Context) error {
	if !c.core.opts.ShareTokens {
		return nil
	}
	version, all, err := c.core.rejections(ctx, c.name)
	if err != nil || version == c.rejected {
		return err
	}
	c.rejected = version
	b := c.built.Load()
	for _, r := range all {
		token := &outgrant.Token{AccessToken: outgrant.Secret(r.AccessToken)}
		if b.users != nil && r.User != "" {
			sourceOf(b.users.ForUser(r.User), b.source.Describe()).Invalidate(token)
		} else {
			c.engine.Invalidate(token)
		}
	}
	return nil
}

// forgetShared removes what was shared of a credential that is gone. The tokens of users are left to the job.
func (c *core) forgetShared(ctx context.Context, n nameOf) {
	if !c.opts.ShareTokens {
		return
	}
	s := shared{name: n}
	_ = c.drv.Delete(ctx, s.key(), "")
	_ = c.drv.Delete(ctx, n.key(rejectedKind), "")
}
