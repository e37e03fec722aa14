package credstore

import (
	"container/heap"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/internal/display"
	"github.com/outgrant/outgrant/internal/keylock"
)

const (
	// notesPause is how often a process stores what is nothing but more of the same, and notesAgain when it tries again.
	notesPause, notesAgain = time.Minute, 10 * time.Second
	// notesTimeout bounds the storing of one history, and of all when the store is closed, lastNotesAtOnce at a time.
	notesTimeout, lastNotesAtOnce = 10 * time.Second, 8
	// longestReason bounds what is kept of an error, in characters.
	longestReason = 600
)

// notes are what has happened to credentials and is not in their histories yet. They are stored beside the calls, a moment later.
type notes struct {
	wake    chan struct{}
	storing keylock.Locks[nameOf]

	mu    sync.Mutex
	all   map[nameOf]*noted
	queue noteQueue
}

// noted is what was noted of a credential. It is kept for a while after it was stored, so that the next time is not too soon.
type noted struct {
	history
	name  nameOf
	last  Event     // that was noted
	due   time.Time // when it is stored, or if there is nothing to store, forgotten
	place int       // in the queue
}

// noteQueue is a heap by due.
type noteQueue []*noted

func (q noteQueue) Len() int           { return len(q) }
func (q noteQueue) Less(a, b int) bool { return q[a].due.Before(q[b].due) }
func (q noteQueue) Swap(a, b int) {
	q[a], q[b] = q[b], q[a]
	q[a].place, q[b].place = a, b
}

func (q *noteQueue) Push(n any) {
	n.(*noted).place = len(*q)
	*q = append(*q, n.(*noted))
}

func (q *noteQueue) Pop() any {
	last := len(*q) - 1
	n := (*q)[last]
	(*q)[last] = nil
	*q = (*q)[:last]
	return n
}

// keepsNotes reports whether anybody wants to know.
func (c *core) keepsNotes() bool { return c.opts.History || c.opts.Noted != nil }

// note notes something that happened. more tells what lists show of it; nil: nothing.
func (c *core) note(n nameOf, e Event, more func(*historyInfo)) {
	if !c.keepsNotes() {
		return
	}
	e.Time = time.Now().UTC().Round(0)
	e.Since, e.Count, e.Reason = e.Time, 1, display.Line(e.Reason, longestReason)
	if told := c.opts.Noted; told != nil && e.What != "" {
		told(n.tenant, n.name, e)
	}
	if !c.opts.History {
		return
	}
	h := history{}
	if e.What != "" {
		h.add(e)
	}
	if more != nil {
		more(&h.info)
	}
	c.notes.add(n, e, h)
}

// add adds an event to what is to be stored: at once, or where it is a matter of course, or more of the same, when the last time
// is a while ago.
func (s *notes) add(n nameOf, e Event, h history) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	p := s.all[n]
	if p == nil {
		p = &noted{name: n, due: now}
		s.all[n] = p
		heap.Push(&s.queue, p)
	}
	if e.What != "" && e.What != EventFetched && !e.isLike(p.last) && p.due.After(now) {
		p.due = now
		heap.Fix(&s.queue, p.place)
	}
	p.last = e
	p.merge(h)
	select {
	case s.wake <- struct{}{}:
	default: // it was told already
	}
}

// of returns what is to be stored of a credential.
func (s *notes) of(n nameOf) history {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p := s.all[n]; p != nil {
		return history{p.info, slices.Clone(p.events)}
	}
	return history{}
}

// next returns a credential whose notes are to be stored now, or else when to ask again; zero: when there is news.
func (s *notes) next(now time.Time) (n nameOf, due time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.queue) > 0 {
		first := s.queue[0]
		if first.due.After(now) || !first.isEmpty() {
			return first.name, first.due
		}
		heap.Pop(&s.queue)
		delete(s.all, first.name)
	}
	return n, due
}

// take takes what is to be stored of a credential.
func (s *notes) take(n nameOf) history {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.all[n]
	if p == nil {
		return history{}
	}
	h := p.history
	p.history = history{}
	return h
}

// taken notes that what was taken is stored, or gives it back.
func (s *notes) taken(n nameOf, h history, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.all[n]
	if p == nil {
		p = &noted{name: n}
		s.all[n] = p
		heap.Push(&s.queue, p)
	}
	urgent := !p.isEmpty() && !p.due.After(time.Now())
	switch {
	case err != nil:
		h.merge(p.history)
		p.history, p.due = h, time.Now().Add(notesAgain)
	case !urgent: // else it came meanwhile
		p.due = time.Now().Add(notesPause)
	}
	heap.Fix(&s.queue, p.place)
}

// storeNotes stores what was noted of a credential. If that fails, it is kept.
func (c *core) storeNotes(ctx context.Context, n nameOf) error {
	if err := c.notes.storing.Lock(ctx, n); err != nil {
		return err
	}
	defer c.notes.storing.Unlock(n)
	h := c.notes.take(n)
	if h.isEmpty() {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, notesTimeout)
	defer cancel()
	err := c.storeHistory(ctx, n, h)
	c.notes.taken(n, h, err)
	return err
}

// keepNotes stores notes until the store is closed.
func (c *core) keepNotes() {
	for c.life.Err() == nil {
		n, due := c.notes.next(time.Now())
		wait := time.Until(due)
		if due.IsZero() {
			wait = notesPause
		} else if wait <= 0 {
			_ = c.storeNotes(c.life, n) // it is tried again
			continue
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-c.notes.wake:
		case <-c.life.Done():
		}
		timer.Stop()
	}
}

// storeLastNotes stores what is left when the store is closed.
func (c *core) storeLastNotes() {
	ctx, cancel := context.WithTimeout(context.Background(), notesTimeout)
	defer cancel()
	left := make(chan nameOf)
	var storing sync.WaitGroup
	for range lastNotesAtOnce {
		storing.Go(func() {
			for n := range left {
				_ = c.storeNotes(ctx, n) // there is nobody left to tell
			}
		})
	}
	c.notes.mu.Lock()
	names := slices.Collect(maps.Keys(c.notes.all))
	c.notes.mu.Unlock()
	for _, n := range names {
		left <- n
	}
	close(left)
	storing.Wait()
}

// hooks returns the hooks of a credential: those of the options, and notes. forUsers says that it acts for the user of each call.
func (c *core) hooks(n nameOf, forUsers bool) *outgrant.Hooks {
	if !c.keepsNotes() {
		return c.opts.Hooks
	}
	user := *c.opts.Hooks
	own := user
	own.FetchDone = func(e outgrant.FetchEvent) {
		if user.FetchDone != nil {
			user.FetchDone(e)
		}
		c.noteFetch(n, e, forUsers)
	}
	own.Invalidated = func(e outgrant.InvalidateEvent) {
		if user.Invalidated != nil {
			user.Invalidated(e)
		}
		c.note(n, Event{What: EventRejected, Failed: true, Reason: "a receiver did not accept the token; another one is fetched"}, nil)
	}
	own.AuthorizationChanged = func(e outgrant.AuthorizationEvent) {
		if user.AuthorizationChanged != nil {
			user.AuthorizationChanged(e)
		}
		c.noteAuthorization(n, e)
	}
	return &own
}

func (c *core) noteFetch(n nameOf, e outgrant.FetchEvent, forUsers bool) {
	fetched := Event{What: EventFetched}
	switch {
	case errors.Is(e.Err, outgrant.ErrNotAuthorized):
		return // the status says so
	case e.Err != nil:
		c.note(n, Event{What: EventFailed, Failed: true, Reason: causeOf(e.Err)}, failedBy(e.Err, forUsers))
		return
	case e.Grant == outgrant.AuthorizationCode, e.SameToken: // it may be another process's; what was refreshed is told of itself
		fetched = Event{}
	}
	c.note(n, fetched, fetchedUntil(e.Expiry))
}

// failedBy is what lists show of a failure. One of many users whom the token service refuses is no trouble of the credential.
func failedBy(err error, forUsers bool) func(*historyInfo) {
	return func(i *historyInfo) {
		now := time.Now().UTC().Round(0)
		i.Hour = hourOf(now)
		i.Failures[failureHours-1] = 1
		if permanent := isPermanent(err); !permanent || !forUsers || isOfClient(err) {
			i.Failed, i.Failure, i.Permanent = now, display.Line(causeOf(err), longestReason), permanent
		}
	}
}

func fetchedUntil(expiry time.Time) func(*historyInfo) {
	return func(i *historyInfo) { i.Fetched, i.Expires = time.Now().UTC().Round(0), expiry.UTC().Round(0) }
}

// causeOf is an error's text without what is known where it is told, that there is no token for that credential, and with what
// to do.
func causeOf(err error) string {
	cause := err.Error()
	te, ok := errors.AsType[*outgrant.TokenError](err)
	if !ok {
		return cause
	}
	known := (&outgrant.TokenError{Grant: te.Grant, Credential: te.Credential, TokenURL: te.TokenURL}).Error()
	if _, rest, found := strings.Cut(cause, known); found {
		cause = strings.TrimPrefix(strings.TrimPrefix(rest, ":"), " ")
	}
	if lookup, ok := errors.AsType[*net.DNSError](te.Err); ok {
		cause = strings.Replace(cause, " on "+lookup.Server, "", 1) // it is a machine of ours
	}
	if todo := nextStep(te); todo != "" {
		cause += "; " + todo
	}
	return cause
}

// nextStep says what to do about an error that does not say so itself; "": nothing is known.
func nextStep(e *outgrant.TokenError) string {
	_, lookup := errors.AsType[*net.DNSError](e.Err)
	connection, _ := errors.AsType[*net.OpError](e.Err)
	_, certificate := errors.AsType[*tls.CertificateVerificationError](e.Err)
	switch {
	case !e.Temporary(): // it says so itself
		return ""
	case e.StatusCode == http.StatusTooManyRequests:
		return "the token service wants fewer requests"
	case e.StatusCode >= 500:
		return "the token service has trouble"
	case e.StatusCode == http.StatusNotFound, e.StatusCode == http.StatusMethodNotAllowed, e.StatusCode == http.StatusGone:
		return "check the token service URL"
	case lookup:
		return "check the host of the token service URL, and the name service"
	case certificate:
		return "check the token service URL, and whether its certificate is trusted here"
	case connection != nil && connection.Op == "dial", errors.Is(e.Err, io.EOF), errors.Is(e.Err, io.ErrUnexpectedEOF):
		return "check the token service URL, and whether the token service can be reached from here"
	}
	return ""
}

// isPermanent reports whether a token does not come until somebody acts.
func isPermanent(err error) bool {
	te, ok := errors.AsType[*outgrant.TokenError](err)
	return ok && !te.Temporary()
}

// isOfClient reports whether a refusal is of the client, whoever it acts for (RFC 6749 5.2).
func isOfClient(err error) bool {
	te, ok := errors.AsType[*outgrant.TokenError](err)
	return ok && slices.Contains([]string{"invalid_client", "unauthorized_client", "unsupported_grant_type"}, te.Code)
}

func (c *core) noteAuthorization(n nameOf, e outgrant.AuthorizationEvent) {
	if e.Change == outgrant.Authorized {
		return // the callback knows who it was
	}
	note := Event{What: string(e.Change), Failed: e.Err != nil}
	if e.Err != nil {
		note.Reason = causeOf(e.Err)
	}
	if shared, ok := errors.AsType[sharedClientError](e.Err); ok {
		note.Reason = "another credential " + shared.what
	}
	c.note(n, note, nil)
}
