package credstore

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/outgrant/outgrant/credstore/driver"
)

// Event is something that happened to a credential, for people to read. It holds no secret.
type Event struct {
	What   string    `json:"what"`             // EventDeployed or a neighbour of it, or an outgrant.AuthorizationChange
	Time   time.Time `json:"time"`             // when; the last time, if it happened several times in a row
	Since  time.Time `json:"since"`            // the first of these times
	Count  int       `json:"count"`            // how often it happened in a row
	Who    string    `json:"who,omitempty"`    // who did it, as Store.As was told; "": the program, or somebody who was not named
	Failed bool      `json:"failed,omitempty"` // it is bad news
	Reason string    `json:"reason,omitempty"` // why, and what to do; "" where all is said
}

// The words of Event.What, beside those of [outgrant.AuthorizationChange].
const (
	EventDeployed      = "deployed"
	EventUndeployed    = "undeployed"
	EventAuthorized    = "authorized"     // a user consented
	EventNotAuthorized = "not authorized" // a user was asked, and it came to nothing
	EventFetched       = "token fetched"
	EventFailed        = "no token"       // a token was asked for, and did not come
	EventRejected      = "token rejected" // by a receiver
	EventTried         = "tried"          // by Store.Try
)

const (
	// mostEvents is how many are kept of a credential, and failureHours for how many hours failures are counted.
	mostEvents, failureHours = 50, 24
	// keepHistory is how long the history of a credential is kept that was undeployed.
	keepHistory = 30 * 24 * time.Hour
)

// History returns what happened to a credential of late, the latest first: nothing without Options.History. Events of other
// processes are among them a minute later at most. It is there for 30 days after the credential was undeployed, if
// [Store.Run] runs, and goes on when the name is deployed again.
func (s *Store) History(ctx context.Context, name string) ([]Event, error) {
	if err := s.begin(); err != nil {
		return nil, err
	}
	defer s.running.Done()
	n := s.name(name)
	stored := make(chan struct{})
	s.running.Add(1)
	go func() { // whoever leaves does not cut it off: it could not be told then whether it is stored
		defer s.running.Done()
		defer close(stored)
		_ = s.core.storeNotes(s.life, n) // what cannot be stored is in memory still
	}()
	select {
	case <-stored:
	case <-ctx.Done():
		return nil, n.failure(ctx.Err())
	}
	_, h, err := s.core.history(ctx, n)
	if err != nil {
		return nil, n.failure(err)
	}
	h.merge(s.notes.of(n))
	slices.Reverse(h.events)
	return h.events, nil
}

// history is what is known of a credential's past. Two of them can be merged, whichever was first.
type history struct {
	info   historyInfo
	events []Event // the latest last
}

// historyInfo is what is kept of a history beside the seal, for lists.
type historyInfo struct {
	Fetched   time.Time         `json:"fetched,omitzero"` // when the last access token came
	Expires   time.Time         `json:"expires,omitzero"` // when that one ends
	Failed    time.Time         `json:"failed,omitzero"`  // when the last request for one failed
	Failure   string            `json:"failure,omitempty"`
	Permanent bool              `json:"permanent,omitempty"` // somebody has to act on that
	Hour      int64             `json:"hour,omitempty"`      // the hour of the last of Failures, since 1970
	Failures  [failureHours]int `json:"failures,omitzero"`   // by hour
}

// history reads a history: an empty one if there is none that can be read.
func (c *core) history(ctx context.Context, n nameOf) (version string, h history, err error) {
	r, plain, err := c.get(ctx, n.key(historyKind))
	if errors.Is(err, errUnavailable) {
		return "", h, err
	}
	_ = c.clear(ctx, r.Key, err) // what is damaged would be in the way for ever
	if err == nil && json.Unmarshal(plain, &h.events) == nil {
		h.info = readHistoryInfo(r.Info)
	}
	return r.Version, h, nil
}

// storeHistory adds what has happened to what is stored.
func (c *core) storeHistory(ctx context.Context, n nameOf, more history) error {
	for {
		version, h, err := c.history(ctx, n)
		if err != nil {
			return err
		}
		h.merge(more)
		events, err := json.Marshal(h.events)
		if err != nil {
			return err
		}
		info, err := json.Marshal(h.info)
		if err != nil {
			return err
		}
		_, err = c.put(ctx, driver.Record{Key: n.key(historyKind), Due: h.due(), Info: info}, events, version)
		switch {
		case errors.Is(err, driver.ErrConflict):
			continue
		case err != nil && c.isStored(ctx, n, info, events):
			return nil // the answer was lost
		}
		return err
	}
}

// isStored reports whether a history is what is stored.
func (c *core) isStored(ctx context.Context, n nameOf, info, events []byte) bool {
	r, plain, err := c.get(ctx, n.key(historyKind))
	return err == nil && bytes.Equal(r.Info, info) && bytes.Equal(plain, events)
}

// due is when the job forgets a history: that of a credential which is gone.
func (h *history) due() time.Time {
	for _, e := range slices.Backward(h.events) {
		switch e.What {
		case EventDeployed:
			return time.Time{}
		case EventUndeployed:
			return e.Time.Add(keepHistory)
		}
	}
	return time.Time{}
}

func readHistoryInfo(info []byte) historyInfo {
	var i historyInfo
	if len(info) == 0 || json.Unmarshal(info, &i) != nil {
		return historyInfo{}
	}
	return i
}

func (h *history) isEmpty() bool { return len(h.events) == 0 && h.info == historyInfo{} }

// merge adds what has happened elsewhere, or since, in the order of time.
func (h *history) merge(more history) {
	h.info.merge(more.info)
	if len(more.events) == 0 {
		return
	}
	all := slices.Concat(h.events, more.events)
	slices.SortStableFunc(all, func(a, b Event) int { return a.Time.Compare(b.Time) })
	h.events = nil
	for _, e := range all {
		h.add(e)
	}
}

// add adds an event. What happens again and again is one event. Where there are too many, what somebody changed is kept longest.
func (h *history) add(e Event) {
	if last := len(h.events) - 1; last >= 0 && h.events[last].isLike(e) {
		was := &h.events[last]
		was.Count += e.Count
		if e.Time.After(was.Time) {
			was.Time = e.Time
		}
		return
	}
	h.events = append(h.events, e)
	if len(h.events) > mostEvents {
		oldest := max(slices.IndexFunc(h.events[:mostEvents], func(e Event) bool {
			return e.Who == "" && e.What != EventDeployed || e.What == EventTried || e.What == EventNotAuthorized
		}), 0)
		h.events = slices.Delete(h.events, oldest, oldest+1)
	}
}

// isLike reports whether two events in a row can be told as one.
func (e Event) isLike(other Event) bool {
	return e.What == other.What && e.Who == other.Who && e.Failed == other.Failed && e.Reason == other.Reason &&
		e.What != EventDeployed && e.What != EventUndeployed && e.What != EventAuthorized
}

func (i *historyInfo) merge(more historyInfo) {
	if more.Fetched.After(i.Fetched) {
		i.Fetched, i.Expires = more.Fetched, more.Expires
	}
	if more.Failed.After(i.Failed) {
		i.Failed, i.Failure, i.Permanent = more.Failed, more.Failure, more.Permanent
	}
	last := max(i.Hour, more.Hour)
	mine, theirs := i.failuresAt(last), more.failuresAt(last)
	for hour := range mine {
		mine[hour] += theirs[hour]
	}
	i.Hour, i.Failures = last, mine
}

// failuresAt returns the failures of the hours up to one.
func (i *historyInfo) failuresAt(hour int64) (moved [failureHours]int) {
	if past := hour - i.Hour; past >= 0 && past < failureHours {
		copy(moved[:], i.Failures[past:])
	}
	return moved
}

func hourOf(t time.Time) int64 { return t.Unix() / 3600 }
