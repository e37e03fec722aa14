package credstore

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"log/slog"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/internal/engine"
)

// UserSource returns the sources of an artifact that acts for users (principal propagation): a [SAMLBearerAssertion]
// whose user id is Principal Propagation. It follows what is deployed, as [Store.TokenSource] does, and is an
// [outgrant.Describer]. For an artifact that acts for itself it is [outgrant.ErrUnsupportedGrant].
func (s *Store) UserSource(ctx context.Context, name string) (outgrant.UserSource, error) {
	c, err := s.credential(ctx, name)
	if err != nil {
		return nil, err
	}
	if _, err := c.usersOf(c.built.Load()); err != nil {
		return nil, err
	}
	return (*userSource)(c), nil
}

type userSource credential

// ForUser returns the source of a user's tokens.
func (u *userSource) ForUser(user string) outgrant.TokenSource {
	return &userToken{(*credential)(u), user}
}

// Describe returns the credential, without any user.
func (u *userSource) Describe() outgrant.Credential { return u.engine.Describe() }

func (u *userSource) String() string { return "credstore.UserSource(" + u.name.String() + ")" }

// Format prints the name, for every verb and flag.
func (u *userSource) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, u.String()) }

// LogValue logs the name.
func (u *userSource) LogValue() slog.Value { return slog.StringValue(u.String()) }

// MarshalJSON encodes the name.
func (u *userSource) MarshalJSON() ([]byte, error) { return json.Marshal(u.String()) }

// userToken is the source of a user's tokens, by what is deployed at the time of each call.
type userToken struct {
	*credential
	user string
}

// of returns the user's source, of what is used now.
func (u *userToken) of(b *built) engine.Source {
	users, err := u.usersOf(b)
	if err != nil {
		return &noSource{b.source.Describe(), err}
	}
	return sourceOf(users.ForUser(u.user), b.source.Describe())
}

func (u *userToken) Token(ctx context.Context) (*outgrant.Token, error) {
	for {
		b := u.current(ctx)
		token, err := u.of(b).Token(ctx)
		if err == nil || ctx.Err() != nil || b == u.built.Load() {
			return token, err
		}
	}
}

func (u *userToken) Invalidate(rejected *outgrant.Token) { u.of(u.built.Load()).Invalidate(rejected) }
func (u *userToken) Describe() outgrant.Credential       { return u.of(u.built.Load()).Describe() }

// Watch looks at what is stored as long as it runs, also while nobody calls Token.
func (u *userToken) Watch(ctx context.Context) iter.Seq2[*outgrant.Token, error] {
	return func(yield func(*outgrant.Token, error) bool) {
		used := u.current(ctx)
		var tokens engine.Engine
		tokens.Replace(u.of(used))
		defer u.keepLooking(ctx, func(b *built) {
			if b != used {
				used = b
				tokens.Replace(u.of(b))
			}
		})()
		tokens.Watch(ctx)(yield)
	}
}

func (u *userToken) String() string {
	return "credstore.TokenSource(a user of " + u.name.String() + ")"
}

// Format prints the name, and not the user, for every verb and flag.
func (u *userToken) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, u.String()) }

// LogValue logs the name, and not the user.
func (u *userToken) LogValue() slog.Value { return slog.StringValue(u.String()) }

// MarshalJSON encodes the name, and not the user.
func (u *userToken) MarshalJSON() ([]byte, error) { return json.Marshal(u.String()) }
