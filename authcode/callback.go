package authcode

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/internal/display"
)

// Callback returns the handler that takes the browser back from the provider; see [Client.CallbackHandler].
func (h *Handlers) Callback(done func(w http.ResponseWriter, r *http.Request, err error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet { // the code stays good for the one who comes by GET
			secure(w.Header())
			methodPage(w)
			return
		}
		t, err := h.take(w, r)
		if err == nil {
			err = t.client.exchange(r.Context(), t.attempt, t.code, t.issuer)
		}
		if h.Ended != nil && t != nil {
			h.Ended(r, t.attempt.ID, err)
		}
		if done != nil {
			secureURL(w.Header())
			done(w, t.in(r), err)
			return
		}
		secure(w.Header())
		resultPage(w, r, t, err)
	})
}

// taken is a callback that belongs to an attempt of the browser.
type taken struct {
	attempt *attempt
	client  *Client // nil: it could not be found
	code    outgrant.Secret
	issuer  string // as the answer says; "" if it does not
}

type takenKey struct{}

// in returns r with t, for [AttemptOf]. A function, because fmt does not look into one.
func (t *taken) in(r *http.Request) *http.Request {
	return r.WithContext(context.WithValue(r.Context(), takenKey{}, func() *taken { return t }))
}

// takenOf returns what in was given; nil: nothing.
func takenOf(r *http.Request) *taken {
	if get, ok := r.Context().Value(takenKey{}).(func() *taken); ok {
		return get()
	}
	return nil
}

// take finds out what a callback belongs to, and whether its code may be used. If it belongs to an attempt, that is
// returned, also beside an error.
func (h *Handlers) take(w http.ResponseWriter, r *http.Request) (*taken, error) {
	p, err := callbackParams(r.URL.RawQuery)
	if err != nil {
		return nil, fmt.Errorf("authcode: %w: %w", ErrNoAttempt, err)
	}
	a := findAttempt(r, p.state, h.attempts())
	if p.state == "" || a == nil {
		return nil, fmt.Errorf("authcode: %w", ErrNoAttempt)
	}
	t := &taken{attempt: a, code: outgrant.Secret(p.code), issuer: p.issuer}
	if t.client, err = h.Client(r.Context(), a.ID); err != nil {
		return t, fmt.Errorf("authcode: %w", err)
	}
	c := t.client
	switch now := time.Now(); {
	case a.ended(now):
		return t, c.failed(ErrExpired)
	case a.Binding != c.binding:
		return t, c.failed(ErrChanged)
	}
	first, err := h.attempts().Use(r.Context(), a.digest(), time.Unix(a.Ends, 0))
	if err != nil {
		return t, c.failed(fmt.Errorf("it cannot be told whether this callback came before: load the page again: %w", err))
	}
	http.SetCookie(w, a.emptyCookie(cookieName(p.state)))
	if !first {
		return t, c.failed(ErrUsed)
	}
	// Before the code goes anywhere (RFC 9207 2.4).
	if want := c.cfg.Issuer; want != "" && p.issuer != want && !(p.issuer == "" && c.cfg.issuerIfSent) {
		return t, c.failed(fmt.Errorf("%w: its iss is %q, and Issuer is %q", ErrWrongIssuer, display.Line(p.issuer, 200), want))
	}
	if p.failed {
		return t, c.refused(p)
	}
	return t, nil
}

func (c *Client) failed(err error) error { return fmt.Errorf("authcode: %q: %w", c.cfg.Name, err) }

// refused is the provider's error answer (RFC 6749 4.1.2.1).
func (c *Client) refused(p params) error {
	te := c.token.Fail(nil)
	te.Code, te.Description = display.Code(p.errorCode), display.Line(p.description, display.LongestDescription)
	switch te.Code {
	case "access_denied":
		te.Err = ErrDenied
	case "":
		te.Err = errors.New("the provider answered with an error that it does not name")
	}
	return te
}

// params are the parameters of a callback (RFC 6749 4.1.2).
type params struct {
	state, code, issuer    string
	failed                 bool // there is an error instead of a code
	errorCode, description string
}

const longestQuery = 32 << 10

func callbackParams(query string) (params, error) {
	if len(query) > longestQuery {
		return params{}, errors.New("its query is larger than 32 KiB")
	}
	q, err := url.ParseQuery(query)
	if err != nil {
		return params{}, errors.New("its query is malformed") // err quotes it
	}
	for _, name := range []string{"state", "code", "iss", "error", "error_description"} {
		if len(q[name]) > 1 {
			return params{}, fmt.Errorf("it has %s twice", name)
		}
	}
	p := params{state: q.Get("state"), code: q.Get("code"), issuer: q.Get("iss"), failed: q.Has("error"),
		errorCode: q.Get("error"), description: q.Get("error_description")}
	if p.code == "" && !p.failed {
		return params{}, errors.New("it has neither a code nor an error")
	}
	return p, nil
}
