package engine_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/internal/engine"
)

var errDown = errors.New("the token service is down")

// source supplies tokens that are named after it and numbered, or fails.
type source struct {
	name   string
	wait   chan struct{} // until it is closed no call returns; nil: at once
	err    error
	asked  atomic.Int32
	always bool // the same token
}

func (s *source) Describe() outgrant.Credential { return outgrant.Credential{Name: s.name} }

func (s *source) Token(ctx context.Context) (*outgrant.Token, error) {
	n := s.asked.Add(1)
	if s.wait != nil {
		select {
		case <-s.wait:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	if s.err != nil {
		return nil, s.err
	}
	text := fmt.Sprint(s.name, "-", n)
	if s.always {
		text = s.name
	}
	return &outgrant.Token{AccessToken: outgrant.Secret(text), Expiry: time.Now().Add(time.Hour)}, nil
}

func cached(s *source) engine.Source { return outgrant.Cached(s, nil) }

// inBubble runs a test of an engine that has a source.
func inBubble(t *testing.T, first *source, test func(t *testing.T, e *engine.Engine)) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e := &engine.Engine{}
		require.Nil(t, e.Current())
		src := cached(first)
		e.Replace(src)
		require.Same(t, src, e.Current())
		test(t, e)
	})
}

func tokenOf(t *testing.T, e *engine.Engine) string {
	t.Helper()
	token, err := e.Token(t.Context())
	require.NoError(t, err)
	return token.AccessToken.Reveal()
}

func TestReplace(t *testing.T) {
	inBubble(t, &source{name: "a"}, func(t *testing.T, e *engine.Engine) {
		require.Equal(t, "a-1", tokenOf(t, e))
		require.Equal(t, "a-1", tokenOf(t, e))
		e.Invalidate(&outgrant.Token{AccessToken: "a-1"})
		require.Equal(t, "a-2", tokenOf(t, e))
		require.Equal(t, "a", e.Describe().Name)
		next := cached(&source{name: "b"})
		e.Replace(next)
		require.Same(t, next, e.Current())
		require.Equal(t, "b", e.Describe().Name)
		require.Equal(t, "b-1", tokenOf(t, e))
		e.Invalidate(&outgrant.Token{AccessToken: "a-2"})
		require.Equal(t, "b-1", tokenOf(t, e), "another source's is none of this one's")
	})
}

// TestAFailureEndsWithItsSource tests that a failure that is remembered, and one that is about to come, are not the next
// source's.
func TestAFailureEndsWithItsSource(t *testing.T) {
	down := &source{name: "a", err: errDown, wait: make(chan struct{})}
	inBubble(t, down, func(t *testing.T, e *engine.Engine) {
		down.wait = make(chan struct{}) // of this bubble
		result := make(chan string, 1)
		go func() { result <- tokenOf(t, e) }()
		synctest.Wait()
		e.Replace(cached(&source{name: "b"}))
		close(down.wait)
		require.Equal(t, "b-1", <-result, "the call is made again")
		require.EqualValues(t, 1, down.asked.Load())

		e.Replace(cached(&source{name: "c", err: errDown}))
		for range 3 {
			_, err := e.Token(t.Context())
			require.ErrorIs(t, err, errDown)
		}
		e.Replace(cached(&source{name: "d"}))
		require.Equal(t, "d-1", tokenOf(t, e))
	})
}

// TestACallerThatLeaves tests that nobody is kept who has left, also if the source is replaced meanwhile.
func TestACallerThatLeaves(t *testing.T) {
	slow := &source{name: "a"}
	inBubble(t, slow, func(t *testing.T, e *engine.Engine) {
		slow.wait = make(chan struct{})
		defer close(slow.wait)
		for _, replaced := range []bool{false, true} {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			if replaced {
				time.AfterFunc(500*time.Millisecond, func() { e.Replace(cached(&source{name: "b"})) })
			}
			began := time.Now()
			_, err := e.Token(ctx)
			require.ErrorIs(t, err, context.DeadlineExceeded)
			require.Equal(t, time.Second, time.Since(began))
			cancel()
		}
	})
}

// seen is what a watcher saw.
type seen struct {
	mu  sync.Mutex
	all []string
}

func (s *seen) add(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all = append(s.all, text)
}

func (s *seen) got() []string {
	synctest.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.all...)
}

// watch watches until ctx ends, or most things were seen.
func watch(ctx context.Context, e *engine.Engine, most int) (*seen, chan struct{}) {
	s, done := &seen{}, make(chan struct{})
	go func() {
		defer close(done)
		for token, err := range e.Watch(ctx) {
			if err != nil {
				s.add(err.Error())
			} else {
				s.add(token.AccessToken.Reveal())
			}
			if most--; most == 0 {
				return
			}
		}
	}()
	return s, done
}

func TestWatchGoesOn(t *testing.T) {
	inBubble(t, &source{name: "a"}, func(t *testing.T, e *engine.Engine) {
		ctx, cancel := context.WithCancel(t.Context())
		s, done := watch(ctx, e, -1)
		require.Equal(t, []string{"a-1"}, s.got())
		time.Sleep(56 * time.Minute)
		require.Equal(t, []string{"a-1", "a-2"}, s.got())

		e.Replace(cached(&source{name: "b"}))
		require.Equal(t, []string{"a-1", "a-2", "b-1"}, s.got(), "at once")
		same := &source{name: "b-1", always: true}
		e.Replace(cached(same))
		require.Len(t, s.got(), 3, "the token is the same, and no news")
		require.EqualValues(t, 1, same.asked.Load())

		e.Replace(cached(&source{name: "c", err: errDown}))
		require.Equal(t, "the token service is down", s.got()[3])
		e.Replace(cached(&source{name: "b-1", always: true}))
		require.Len(t, s.got(), 4, "nor is it after a failure")
		e.Replace(cached(&source{name: "d"}))
		require.Equal(t, "d-1", s.got()[4])
		cancel()
		<-done
		e.Replace(cached(&source{name: "e"}))
		require.Len(t, s.got(), 5)
	})
}

// TestWatchWithoutAToken tests that a source that is replaced while it is asked, or that fails then, is not told about.
func TestWatchWithoutAToken(t *testing.T) {
	slow := &source{name: "a", err: errDown}
	inBubble(t, slow, func(t *testing.T, e *engine.Engine) {
		slow.wait = make(chan struct{})
		ctx, cancel := context.WithCancel(t.Context())
		s, done := watch(ctx, e, -1)
		require.Empty(t, s.got())
		e.Replace(cached(&source{name: "b"}))
		require.Equal(t, []string{"b-1"}, s.got())
		close(slow.wait)
		time.Sleep(time.Second)
		require.Equal(t, []string{"b-1"}, s.got())
		cancel()
		<-done
	})
}

func TestWatchEnds(t *testing.T) {
	inBubble(t, &source{name: "a"}, func(t *testing.T, e *engine.Engine) {
		s, done := watch(t.Context(), e, 1)
		<-done
		require.Equal(t, []string{"a-1"}, s.got(), "the loop was left")
		s, done = watch(t.Context(), e, 2)
		require.Len(t, s.got(), 1)
		e.Replace(cached(&source{name: "b"}))
		<-done
		require.Equal(t, []string{"a-1", "b-1"}, s.got(), "also in a later source")

		ended, cancel := context.WithCancel(t.Context())
		cancel()
		s, done = watch(ended, e, -1)
		<-done
		require.Empty(t, s.got())
	})
}

// TestReplaceUnderLoad replaces the source while it is called and watched from all sides.
func TestReplaceUnderLoad(t *testing.T) {
	t.Parallel()
	e := &engine.Engine{}
	e.Replace(cached(&source{name: "0"}))
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	for range 8 {
		running.Go(func() {
			for ctx.Err() == nil {
				token, err := e.Token(context.Background())
				if err != nil {
					t.Errorf("a call failed: %v", err)
					return
				}
				e.Invalidate(token)
				_ = e.Describe()
			}
		})
	}
	last := make(chan string, 1)
	running.Go(func() {
		latest := ""
		for token, err := range e.Watch(ctx) {
			if err == nil && token.AccessToken.Reveal() == latest {
				t.Error("a token was repeated")
			}
			if latest = token.AccessToken.Reveal(); latest == "last" {
				last <- latest
			}
		}
	})
	for i := range 500 {
		e.Replace(cached(&source{name: fmt.Sprint(i)}))
		// The next one is asked, and fails when it has been replaced.
		failing := &source{name: "failing", err: errDown, wait: make(chan struct{})}
		e.Replace(cached(failing))
		for range 100 {
			if failing.asked.Load() > 0 {
				break
			}
			runtime.Gosched()
		}
		e.Replace(cached(&source{name: fmt.Sprint(i, "again")}))
		close(failing.wait)
	}
	e.Replace(cached(&source{name: "last", always: true}))
	require.Equal(t, "last", <-last)
	cancel()
	running.Wait()
}
