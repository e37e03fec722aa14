// Package engine lets the source behind a credential be replaced while it is used.
package engine

import (
	"context"
	"iter"
	"sync/atomic"

	"github.com/outgrant/outgrant"
)

// Source is what an [Engine] can hold, and what it is.
type Source interface {
	outgrant.TokenSource
	outgrant.Invalidator
	outgrant.Watcher
	outgrant.Describer
}

// Engine is the source that was given to it last. Old flights and remembered failures end with the source that made them.
// The zero value holds none yet; it must not be used before Replace. It is safe for concurrent use.
type Engine struct{ current atomic.Pointer[holding] }

type holding struct {
	Source
	over context.Context // ends when another takes over
	end  context.CancelFunc
}

// Replace makes src the source. Those who watch go on with it.
func (e *Engine) Replace(src Source) {
	next := &holding{Source: src}
	next.over, next.end = context.WithCancel(context.Background())
	if last := e.current.Swap(next); last != nil {
		last.end()
	}
}

// Current returns the source; nil: none yet.
func (e *Engine) Current() Source {
	if h := e.current.Load(); h != nil {
		return h.Source
	}
	return nil
}

// Token is the source's. A call that failed with a source that was replaced meanwhile is made again.
func (e *Engine) Token(ctx context.Context) (*outgrant.Token, error) {
	for {
		h := e.current.Load()
		token, err := h.Token(ctx)
		if err == nil || ctx.Err() != nil || h == e.current.Load() {
			return token, err
		}
	}
}

// Invalidate is the source's.
func (e *Engine) Invalidate(rejected *outgrant.Token) { e.current.Load().Invalidate(rejected) }

// Describe is the source's.
func (e *Engine) Describe() outgrant.Credential { return e.current.Load().Describe() }

// Watch yields what the source's Watch does, and goes on with the next source when it is replaced. A token that the next
// one has already is no news.
func (e *Engine) Watch(ctx context.Context) iter.Seq2[*outgrant.Token, error] {
	return func(yield func(*outgrant.Token, error) bool) {
		var last outgrant.Secret
		news := func(token *outgrant.Token, err error) bool {
			if err == nil && token.AccessToken == last {
				return true
			}
			if err == nil {
				last = token.AccessToken
			}
			return yield(token, err)
		}
		for more := true; more && ctx.Err() == nil; {
			more = e.current.Load().watch(ctx, news)
		}
	}
}

// watch watches until the source is replaced, and reports whether to go on with the next.
func (h *holding) watch(ctx context.Context, yield func(*outgrant.Token, error) bool) bool {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(h.over, cancel)()
	for token, err := range h.Watch(ctx) {
		if err != nil && h.over.Err() != nil {
			return true // the next one may do better
		}
		if !yield(token, err) {
			return false
		}
	}
	return true
}
