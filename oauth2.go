package outgrant

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/url"
	"strings"
	"sync"
	"time"

	"golang.org/x/oauth2"

	"github.com/outgrant/outgrant/internal/display"
	"github.com/outgrant/outgrant/internal/retryafter"
)

// ToOAuth2 returns src as a golang.org/x/oauth2 source, for libraries that want one. As such a source takes no
// context, each of its tokens is asked for with ctx: it bounds all calls, so it must live as long as the source
// is used. Do not wrap it in oauth2.ReuseTokenSource: src keeps its token already, and drops it when it is rejected.
func ToOAuth2(ctx context.Context, src TokenSource) oauth2.TokenSource { return &toOAuth2{ctx, src} }

type toOAuth2 struct {
	ctx context.Context
	src TokenSource
}

func (s *toOAuth2) Token() (*oauth2.Token, error) {
	if s.src == nil {
		return nil, errors.New("outgrant: ToOAuth2: the source is nil")
	}
	t, err := checked(s.src.Token(s.ctx))
	if err != nil {
		return nil, err
	}
	extra := maps.Clone(t.extra)
	if extra == nil {
		extra = map[string]any{}
	}
	if len(t.Scopes) > 0 {
		extra["scope"] = strings.Join(t.Scopes, " ")
	}
	o := &oauth2.Token{AccessToken: t.AccessToken.Reveal(), TokenType: t.Type, Expiry: t.Expiry}
	return o.WithExtra(extra), nil
}

// Format prints the source's credential: the context holds values that are not ours to print.
func (s *toOAuth2) Format(f fmt.State, _ rune) {
	_, _ = io.WriteString(f, "outgrant.ToOAuth2("+describe(s.src).text()+")")
}

// FromOAuth2 returns a golang.org/x/oauth2 source as a [TokenSource]. A caller leaves when its context ends, while
// the call that x/oauth2 cannot end goes on and serves those who come next; there is never more than one. Of
// the answer's other members only the scope comes over. Errors of x/oauth2 become a [TokenError], without the body
// that they carry. Wrap the result in [Cached] to have it refreshed ahead.
func FromOAuth2(src oauth2.TokenSource) TokenSource {
	if to, ok := src.(*toOAuth2); ok {
		return to.src
	}
	return &fromOAuth2{src: src}
}

type fromOAuth2 struct {
	src  oauth2.TokenSource
	mu   sync.Mutex
	call *outcome // under way, or nil
}

func (s *fromOAuth2) Token(ctx context.Context) (*Token, error) {
	if s.src == nil {
		return nil, errors.New("outgrant: FromOAuth2: the source is nil")
	}
	if ctx.Err() != nil {
		return nil, &TokenError{Err: ctx.Err()}
	}
	s.mu.Lock()
	if s.call == nil {
		s.call = newOutcome()
		go s.run(s.call)
	}
	call := s.call
	s.mu.Unlock()
	select {
	case <-call.done:
		return call.token, call.err
	case <-ctx.Done():
		return nil, &TokenError{Err: ctx.Err()}
	}
}

// Format prints the type alone: sources of x/oauth2 hold tokens and secrets where fmt sees them.
func (s *fromOAuth2) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "outgrant.FromOAuth2") }

func (s *fromOAuth2) run(call *outcome) {
	call.err = errNoReturn // unless it returns
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.call = nil
		close(call.done)
	}()
	t, err := s.src.Token()
	call.token, call.err = checked(fromOAuth2Token(t), fromOAuth2Error(err))
}

func fromOAuth2Token(t *oauth2.Token) *Token {
	if t == nil {
		return nil
	}
	token := &Token{AccessToken: Secret(t.AccessToken), Type: t.TokenType, Expiry: t.Expiry}
	if scope, ok := t.Extra("scope").(string); ok {
		token.Scopes = strings.Fields(scope)
	}
	return token
}

// fromOAuth2Error leaves out what x/oauth2 and net/http print: the answer's body and the URL's query.
func fromOAuth2Error(err error) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*TokenError](err); ok {
		return err
	}
	if re, ok := errors.AsType[*oauth2.RetrieveError](err); ok {
		te := &TokenError{Code: display.Code(re.ErrorCode), Description: display.Line(re.ErrorDescription, display.LongestDescription)}
		if re.Response != nil {
			te.StatusCode = re.Response.StatusCode
			te.RetryAfter = retryafter.Parse(re.Response.Header.Get("Retry-After"), time.Now())
		}
		return te
	}
	if ue, ok := errors.AsType[*url.Error](err); ok {
		return &TokenError{Err: ue.Err}
	}
	return &TokenError{Err: fmt.Errorf("golang.org/x/oauth2 source: %w", err)}
}
