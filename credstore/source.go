package credstore

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"net/http"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/internal/engine"
)

// TokenSource returns the source of an artifact's tokens: the same one for the same name, so that all adapters share its
// token. It follows what is deployed: a redeployed artifact takes effect at the next call in this process, and within
// Options.PollInterval in others; one that was undeployed fails, until it is deployed again. It is an [outgrant.Invalidator],
// an [outgrant.Watcher] and an [outgrant.Describer], and is safe for concurrent use.
//
// An artifact that acts for users is reached by [Store.UserSource]: here it is [outgrant.ErrUserRequired].
func (s *Store) TokenSource(ctx context.Context, name string) (outgrant.TokenSource, error) {
	c, err := s.credential(ctx, name)
	if err == nil {
		err = c.built.Load().refusal
	}
	if err != nil {
		return nil, err
	}
	return (*source)(c), nil
}

// Client returns an HTTP client that authorizes its requests with the artifact's tokens; see [Store.TokenSource]. Options of
// [outgrant.Transport], and adapters for particular receivers, take the TokenSource.
func (s *Store) Client(ctx context.Context, name string) (*http.Client, error) {
	src, err := s.TokenSource(ctx, name)
	if err != nil {
		return nil, err
	}
	transport := &outgrant.Transport{Source: src, Base: s.opts.HTTPClient.Transport, AllowInsecureHTTP: s.opts.AllowInsecureHTTP}
	return &http.Client{Transport: transport, Timeout: s.opts.HTTPClient.Timeout}, nil
}

// source is a credential as the source of its tokens.
type source credential

func (s *source) credential() *credential { return (*credential)(s) }

func (s *source) Token(ctx context.Context) (*outgrant.Token, error) {
	s.credential().follow(ctx)
	return s.engine.Token(ctx)
}

func (s *source) Invalidate(rejected *outgrant.Token) { s.engine.Invalidate(rejected) }
func (s *source) Describe() outgrant.Credential       { return s.engine.Describe() }

// Watch looks at what is stored as long as it runs, also while nobody calls Token.
func (s *source) Watch(ctx context.Context) iter.Seq2[*outgrant.Token, error] {
	return func(yield func(*outgrant.Token, error) bool) {
		defer s.credential().keepLooking(ctx, func(*built) {})()
		s.engine.Watch(ctx)(yield)
	}
}

func (s *source) String() string { return "credstore.TokenSource(" + s.name.String() + ")" }

// Format prints the name, for every verb and flag.
func (s *source) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, s.String()) }

// LogValue logs the name.
func (s *source) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalJSON encodes the name.
func (s *source) MarshalJSON() ([]byte, error) { return json.Marshal(s.String()) }

// sourceOf returns a source of samlbearer. One that has no tokens says why, and no more.
func sourceOf(src outgrant.TokenSource, of outgrant.Credential) engine.Source {
	if all, ok := src.(engine.Source); ok {
		return all
	}
	_, err := src.Token(context.Background())
	return &noSource{of, err}
}

// noSource is the source of an artifact that is gone, or has no tokens of its own.
type noSource struct {
	of  outgrant.Credential
	err error
}

func (n *noSource) Token(context.Context) (*outgrant.Token, error) { return nil, n.err }
func (n *noSource) Invalidate(*outgrant.Token)                     {}
func (n *noSource) Describe() outgrant.Credential                  { return n.of }

func (n *noSource) Watch(ctx context.Context) iter.Seq2[*outgrant.Token, error] {
	return func(yield func(*outgrant.Token, error) bool) {
		if yield(nil, n.err) {
			<-ctx.Done()
		}
	}
}
