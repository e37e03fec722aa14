package credstore

import (
	"context"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/credstore/driver"
	"github.com/outgrant/outgrant/internal/keylock"
	"github.com/outgrant/outgrant/internal/replay"
)

const (
	// runPause is the least time between two renewals at one token service, by all processes that share the store.
	runPause = 100 * time.Millisecond
	// runTurns is how many turns a process takes at once.
	runTurns = 10
	// farthestTurn bounds how far ahead turns can be taken: what is later is an error of some clock.
	farthestTurn = time.Hour
	// turnAttempts is how often a process tries to take turns while others do. Then it goes by its own.
	turnAttempts = 10
	// longestRest is how long a token service is left alone at most that fails.
	longestRest = 5 * time.Minute
)

// pacer spaces out the job's requests to token services.
type pacer struct {
	core *core

	mu    sync.Mutex
	hosts map[string]*pace
}

// pace is that of one token service.
type pace struct {
	taking keylock.Locks[struct{}] // one at a time, of:
	next   time.Time               // the next turn of this process
	left   int                     // how many it has

	mu       sync.Mutex // of:
	failures int        // in a row
	rest     time.Time  // until then the token service is left alone
}

// turns is what is kept of a token service in the store.
type turns struct {
	Next time.Time `json:"next"` // the first one that nobody has taken, by the store's clock
}

func (p *pacer) of(host string) *pace {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.hosts[host] == nil {
		p.hosts[host] = &pace{}
	}
	return p.hosts[host]
}

// wait waits for a turn at a token service.
func (p *pacer) wait(ctx context.Context, host string) error {
	h := p.of(host)
	if err := h.taking.Lock(ctx, struct{}{}); err != nil {
		return err
	}
	if h.left == 0 || time.Since(h.next) > runPause { // late, and not to be made up for
		h.next = p.take(ctx, host, h.next)
		h.left = runTurns
	}
	turn := h.next
	h.next, h.left = turn.Add(runPause), h.left-1
	h.taking.Unlock(struct{}{})
	return replay.Wait(ctx, time.Until(turn))
}

// take takes turns, and returns the first. Where the store does not answer, this process goes by its own last one.
func (p *pacer) take(ctx context.Context, host string, own time.Time) time.Time {
	ctx, cancel := context.WithTimeout(ctx, shareTimeout)
	defer cancel()
	k := driver.Key{Kind: turnsKind, Name: host}
	for range turnAttempts {
		offset := p.core.clock.offset(ctx)
		now := time.Now().Add(offset)
		r, _, err := p.core.get(ctx, k)
		if errors.Is(err, errUnavailable) {
			break
		}
		var is turns
		_ = json.Unmarshal(r.Info, &is) // what cannot be read is as if it were not there
		if is.Next.Before(now) || is.Next.After(now.Add(farthestTurn)) {
			is.Next = now
		}
		first := is.Next
		is.Next = first.Add(runTurns * runPause)
		info, _ := json.Marshal(is) // nothing in it can fail
		if _, err = p.core.put(ctx, driver.Record{Key: k, Info: info}, nil, r.Version); err == nil {
			return first.Add(-offset)
		}
		if !errors.Is(err, driver.ErrConflict) || replay.Wait(ctx, rand.N(20*time.Millisecond)) != nil {
			break
		}
	}
	if now := time.Now(); own.Before(now) {
		return now
	}
	return own
}

// rests returns until when a token service is left alone, if it is.
func (p *pacer) rests(host string) (until time.Time, rests bool) {
	h := p.of(host)
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.rest, time.Now().Before(h.rest)
}

// note notes how a renewal has ended. A token service that fails is left alone for a growing time.
func (p *pacer) note(host string, err error) {
	h := p.of(host)
	h.mu.Lock()
	defer h.mu.Unlock()
	if te, ok := errors.AsType[*outgrant.TokenError](err); !ok || !te.Temporary() {
		h.failures, h.rest = 0, time.Time{}
		return
	}
	if h.failures++; h.failures > runAtOnce { // not for what is one credential's own
		h.rest = time.Now().Add(min(time.Second<<min(h.failures-runAtOnce, 10), longestRest))
	}
}
