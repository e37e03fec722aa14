package samlbearer

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"strings"
	"sync/atomic"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/internal/bounded"
)

// user is the source of a user's tokens. Whoever keeps it while the client lets the user go brings it back by using it,
// or is served by the source that the user has by then: there is one for each user at any time.
type user struct {
	client   *Client
	place    *bounded.Entry[string, user] // its key is the user's name, which fmt does not find there
	tokens   *outgrant.CachedSource
	watchers atomic.Int32
}

// user returns the source of a user's tokens.
func (c *Client) user(name string) *user {
	if place := c.users.Get(name); place != nil {
		return &place.Value
	}
	name = strings.Clone(name)                                        // it may be a piece of something large
	return c.keep(name, outgrant.Cached(&exchange{c, name}, c.cache)) // made without a lock: Wrap is the caller's
}

// keep makes tokens the user's, unless it has others.
func (c *Client) keep(name string, tokens *outgrant.CachedSource) *user {
	place := c.users.GetOrAdd(name, func(place *bounded.Entry[string, user]) {
		u := &place.Value
		u.client, u.place, u.tokens = c, place, tokens
	})
	return &place.Value
}

// busy reports whether the user must be kept: another source beside this one would fetch a second time.
func (u *user) busy() bool { return u.watchers.Load() > 0 || u.tokens.Health().Fetching }

// current returns the source that serves the user now, and keeps it.
func (u *user) current() *user {
	if u.place.Use() {
		return u
	}
	if place := u.client.users.Get(u.place.Key()); place != nil {
		return &place.Value
	}
	return u.client.keep(u.place.Key(), u.tokens)
}

// last returns the source that serves the user, or did last. It makes nobody else go.
func (u *user) last() *user {
	if place := u.client.users.Get(u.place.Key()); place != nil {
		return &place.Value
	}
	return u
}

func (u *user) Token(ctx context.Context) (*outgrant.Token, error) {
	return u.current().tokens.Token(ctx)
}
func (u *user) Invalidate(rejected *outgrant.Token) { u.last().tokens.Invalidate(rejected) }
func (u *user) Health() outgrant.Health             { return u.last().tokens.Health() }
func (u *user) Describe() outgrant.Credential       { return (&exchange{u.client, u.place.Key()}).Describe() }

// Watch keeps the user as long as it runs.
func (u *user) Watch(ctx context.Context) iter.Seq2[*outgrant.Token, error] {
	return func(yield func(*outgrant.Token, error) bool) {
		watched := u.current()
		watched.watchers.Add(1)
		defer watched.watchers.Add(-1)
		watched.tokens.Watch(ctx)(yield)
	}
}

func (u *user) String() string { return fmt.Sprintf("samlbearer.TokenSource(a user of %v)", u.client) }

// Format prints the client, and not the user, for every verb and flag.
func (u *user) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, u.String()) }

// LogValue logs the client, and not the user.
func (u *user) LogValue() slog.Value { return slog.StringValue(u.String()) }

// MarshalJSON encodes the client, and not the user.
func (u *user) MarshalJSON() ([]byte, error) { return json.Marshal(u.String()) }

// refused is the source of tokens that cannot be had.
type refused struct {
	client *Client
	err    error
}

func (r *refused) Token(context.Context) (*outgrant.Token, error) {
	return nil, r.client.failure(permanent{r.err})
}
func (r *refused) Describe() outgrant.Credential { return r.client.Describe() }
