package oauthtest

import (
	"context"
	"strconv"
	"sync"
	"time"

	"github.com/outgrant/outgrant"
)

// Source is a scripted token source, for code that takes one. The zero value supplies access-1, access-2 and so on,
// a new token with each call, each living an hour. It is safe for concurrent use; set its fields before.
//
// As it does not keep its tokens, it stands for the token service; wrap it in [outgrant.Cached] for what callers see
// in production.
type Source struct {
	Script   []Step        // the first calls' answers; when they have run out, tokens of its own
	Lifetime time.Duration // of tokens of its own; default 1 hour; negative: unknown
	Delay    time.Duration // before each answer, unless the caller's context ends first
	User     string        // of tokens of its own

	mu       sync.Mutex
	calls    int
	issued   int
	failing  error
	rejected []*outgrant.Token
}

// Step is one scripted answer: an error, or else a token. With neither it is a token of the source's own.
type Step struct {
	Token *outgrant.Token
	Err   error
	Delay time.Duration // after the source's
}

// Token answers the next call.
func (s *Source) Token(ctx context.Context) (*outgrant.Token, error) {
	s.mu.Lock()
	var step Step
	if s.calls < len(s.Script) {
		step = s.Script[s.calls]
	}
	s.calls++
	if s.failing != nil {
		step.Err = s.failing
	}
	if step.Token == nil && step.Err == nil {
		s.issued++
		step.Token = s.own(s.issued, s.Delay+step.Delay)
	}
	s.mu.Unlock()
	if d := s.Delay + step.Delay; d > 0 {
		timer := time.NewTimer(d)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
		}
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if step.Err != nil {
		return nil, step.Err
	}
	return step.Token, nil
}

// own makes a token of the source's own, that lives from when it will be handed over.
func (s *Source) own(n int, delay time.Duration) *outgrant.Token {
	t := &outgrant.Token{AccessToken: outgrant.Secret("access-" + strconv.Itoa(n)), Type: "Bearer", User: s.User}
	lifetime := s.Lifetime
	if lifetime == 0 {
		lifetime = time.Hour
	}
	if lifetime > 0 {
		t.Expiry = time.Now().Round(0).Add(delay + lifetime)
	}
	return t
}

// Fail makes every call from now on fail with err, until it is called with nil. The script goes on meanwhile: a step is
// for one call, whatever that call gets.
func (s *Source) Fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failing = err
}

// Calls returns how often Token was called.
func (s *Source) Calls() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls
}

// Invalidate notes that a token was rejected; see Rejected.
func (s *Source) Invalidate(rejected *outgrant.Token) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rejected = append(s.rejected, rejected)
}

// Rejected returns the tokens that Invalidate was called with, in order.
func (s *Source) Rejected() []*outgrant.Token {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]*outgrant.Token(nil), s.rejected...)
}
