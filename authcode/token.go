package authcode

import (
	"context"
	"errors"
	"iter"
	"sync/atomic"
	"time"

	"github.com/outgrant/outgrant"
)

// Token returns a valid access token: from memory, or from the vault if another process has refreshed it, or by a refresh.
// It waits only while there is none, and never beyond the end of ctx. [outgrant.CachedSource] says what callers can rely
// on. Where a user has to authorize first, or again, the error matches [outgrant.ErrNotAuthorized].
func (c *Client) Token(ctx context.Context) (*outgrant.Token, error) { return c.tokens.Token(ctx) }

// Invalidate drops the access token that a receiver rejected, if it is still the current one.
func (c *Client) Invalidate(rejected *outgrant.Token) { c.tokens.Invalidate(rejected) }

// Watch yields the current access token and then each new one, as [outgrant.CachedSource.Watch] does.
func (c *Client) Watch(ctx context.Context) iter.Seq2[*outgrant.Token, error] {
	return c.tokens.Watch(ctx)
}

// reset forgets the access token in memory, and failures: there is another authorization.
func (c *Client) reset() { c.tokens.Replace(outgrant.Cached(&source{client: c}, c.cache)) }

// source is what stands below the cache of a client.
type source struct {
	client *Client
	last   atomic.Value // an outgrant.Secret: the access token that it supplied last
}

func (s *source) Token(ctx context.Context) (*outgrant.Token, error) { return s.Refresh(ctx, nil) }

func (s *source) Refresh(ctx context.Context, rejected *outgrant.Token) (*outgrant.Token, error) {
	last := s.last.Load()
	token, err := s.client.refresh(ctx, func(t *outgrant.Token) bool {
		return t.AccessToken != last && (rejected == nil || t.AccessToken != rejected.AccessToken)
	})
	if err == nil {
		s.last.Store(token.AccessToken)
	}
	return token, err
}

func (s *source) Describe() outgrant.Credential { return s.client.Describe() }

// RefreshNow uses the refresh token now, whatever is left of the access token, to see whether it works. It returns the new
// access token, which callers of Token get when they would have refreshed. Where somebody else refreshes at the same time,
// that one's will do.
func (c *Client) RefreshNow(ctx context.Context) (*outgrant.Token, error) {
	a, err := c.newest(ctx)
	if err != nil {
		return nil, err
	}
	return c.refresh(ctx, func(t *outgrant.Token) bool { return a.Token == nil || t.AccessToken != a.Token.AccessToken })
}

// Status tells how the credential is doing, from what the vault has: it asks no token service.
func (c *Client) Status(ctx context.Context) (Status, error) {
	a, err := c.cfg.Vault.Load(ctx, c.cfg.Name)
	if err != nil {
		return Status{}, c.vaultError("cannot be read", err)
	}
	s := a.Status(time.Now())
	if s.Authorized.IsZero() {
		return s, nil
	}
	if a.Binding != c.binding {
		s.State, s.Reason = Unauthorized, changedSince
	} else if pending := c.Pending(); s.State == Deployed && pending != "" {
		s.Reason = pending
	}
	return s, nil
}

// Pending says, for people, that the refresh token that came last could not be stored yet; "" if it is stored. It asks
// nobody. [Client.Status] says so, too.
func (c *Client) Pending() string {
	if c.notStored() == nil {
		return ""
	}
	return "the refresh token that came last could not be stored yet: it is in the memory of this process alone"
}

const changedSince = "client id, URLs, user or scopes have changed since the credential was authorized: authorize again"

// storing is how long after a request to the token service its answer may take to be stored before Close gives up.
const storing = 10 * time.Second

// Close waits until a refresh that is under way has ended and its tokens are stored, for as long as a request to the token
// service may take and ten seconds. From its beginning on nothing is refreshed; access tokens in memory are served on. It
// returns an error if a refresh token was lost: it came, and could not be stored. A short job that ends without Close can
// lose its authorization. Further calls return the same.
func (c *Client) Close() error {
	c.mu.Lock()
	first := !c.closed
	c.closed = true
	c.mu.Unlock()
	if first {
		patience := time.AfterFunc(c.cache.FetchTimeout+storing, func() { close(c.closing) })
		defer patience.Stop()
	}
	c.running.Wait()
	if c.notStored() != nil {
		return c.token.Fail(errors.New("the refresh token that came last could not be stored, and is lost if the token service does not take the one before: authorize again if it does not"))
	}
	return nil
}
