package credstore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/outgrant/outgrant/authcode"
	"github.com/outgrant/outgrant/credstore/driver"
)

// AuthorizeHandler starts the authorization of a credential: GET ?name=NAME, at any path, if Options.MayAuthorize allows.
// See [authcode.Client.AuthorizeHandler]. It authorizes the artifacts of its tenant.
func (s *Store) AuthorizeHandler() http.Handler { return s.flow(s.opts.MayAuthorize).Authorize() }

// AuthorizeHandlerFor is AuthorizeHandler for whoever may says may, instead of Options.MayAuthorize.
func (s *Store) AuthorizeHandlerFor(may func(r *http.Request, tenant, name string) error) http.Handler {
	return s.flow(may).Authorize()
}

// CallbackHandler takes the browser back from the provider, for all artifacts of all tenants: one redirect URL will do. Any
// process that has the store open may serve it. See [authcode.Client.CallbackHandler] for done, which may be nil;
// [AttemptOf] tells it which credential it was.
func (s *Store) CallbackHandler(done func(w http.ResponseWriter, r *http.Request, err error)) http.Handler {
	return s.flow(nil).Callback(done)
}

// RedirectURL returns Options.RedirectURL: where providers send the browser back to, for artifacts that name no other address.
func (s *Store) RedirectURL() string { return s.opts.RedirectURL }

// AttemptOf tells a function that [Store.CallbackHandler] calls which credential r belongs to. The name is "" if that cannot
// be told.
func AttemptOf(r *http.Request) (tenant, name string) {
	id, _ := authcode.AttemptOf(r)
	n, _ := nameOfID(id) // the zero value where there is no id
	return n.tenant, n.name
}

func (s *Store) flow(may func(r *http.Request, tenant, name string) error) *authcode.Handlers {
	h := &authcode.Handlers{
		ID: func(r *http.Request) (string, error) {
			name := r.URL.Query().Get("name")
			if name == "" {
				return "", errors.New("say which credential: add ?name=NAME to the address")
			}
			return s.name(name).idFor(s.who), nil
		},
		Client:   s.core.client,
		Attempts: attempts{s.core},
		Ended:    s.noteConsent,
	}
	if may != nil {
		h.MayAuthorize = func(r *http.Request, id string) error {
			n, err := nameOfID(id)
			if err != nil {
				return err
			}
			return may(r, n.tenant, n.name)
		}
	}
	return h
}

// noteConsent notes how an authorization has ended.
func (s *Store) noteConsent(_ *http.Request, id string, err error) {
	n, who, unknown := partsOf(id)
	switch {
	case unknown != nil, errors.Is(err, ErrNotFound): // no credential has this in its history
	case errors.Is(err, authcode.ErrUsed), errors.Is(err, errAttempt): // how it has ended was told, or is not known yet
	case err != nil:
		s.note(n, Event{What: EventNotAuthorized, Who: who, Failed: true, Reason: causeOf(err)}, nil)
	default:
		s.note(n, Event{What: EventAuthorized, Who: who}, nil)
	}
}

// id is the name in one text, and idFor is that with who wants to authorize it.
func (n nameOf) id() string { return n.idFor("") }

func (n nameOf) idFor(who string) string {
	b, _ := json.Marshal([]string{n.tenant, n.name, who}) // nothing in it can fail
	return string(b)
}

func nameOfID(id string) (nameOf, error) {
	n, _, err := partsOf(id)
	return n, err
}

func partsOf(id string) (n nameOf, who string, err error) {
	var parts []string
	err = json.Unmarshal([]byte(id), &parts)
	if err == nil && len(parts) == 2 { // it is not known who
		parts = append(parts, "")
	}
	if err != nil || len(parts) != 3 {
		return nameOf{}, "", errors.New("not the id of a credential")
	}
	return nameOf{parts[0], parts[1]}, parts[2], nil
}

// client returns the client of an authorization code.
func (c *core) client(ctx context.Context, id string) (*authcode.Client, error) {
	n, err := nameOfID(id)
	if err != nil {
		return nil, err
	}
	cred, err := (&Store{core: c, tenant: n.tenant}).credential(ctx, n.name)
	if err != nil {
		return nil, err
	}
	b := cred.built.Load()
	switch {
	case b.code != nil:
		return b.code, nil
	case b.artifact == nil:
		return nil, b.refusal
	}
	return nil, n.failure(notOffered(b.artifact, "which no user authorizes"))
}

// attempts are the authorizations under way, shared by all processes that have the store open.
type attempts struct{ core *core }

const attemptPurpose = "authorization attempt"

func (a attempts) Seal(_ context.Context, data []byte) ([]byte, error) {
	return a.core.keys.sealValue(attemptPurpose, data)
}

func (a attempts) Open(ctx context.Context, sealed []byte) ([]byte, error) {
	return a.core.keys.openValue(ctx, attemptPurpose, sealed)
}

// errAttempt: whether a callback is the first one of its attempt is not known.
var errAttempt = errors.New("credstore: the attempt cannot be noted")

// Use also forgets attempts whose time has passed.
func (a attempts) Use(ctx context.Context, attempt string, until time.Time) (bool, error) {
	until = microseconds(until)
	_, err := a.core.drv.Put(ctx, driver.Record{Key: driver.Key{Kind: attemptKind, Name: attempt}, Due: until, Expires: until}, "")
	if errors.Is(err, driver.ErrConflict) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("%w: %w", errAttempt, err)
	}
	if old, err := a.core.drv.Due(ctx, attemptKind, time.Now(), 100); err == nil {
		for _, k := range old {
			_ = a.core.drv.Delete(ctx, k, "") // the next one will try again
		}
	}
	return true, nil
}
