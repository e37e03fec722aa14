package authcode

import (
	"context"
	"fmt"
	"net/http"
	"time"
)

// Handlers authorize any number of clients in the browser. A [Client] alone has its own: [Client.AuthorizeHandler] and
// [Client.CallbackHandler]. ID and Client are required. They are safe for concurrent use.
type Handlers struct {
	// ID tells which client a request wants to authorize, and does no more than read the request. Its error is shown to
	// the user. The id is kept in the browser, sealed.
	ID func(*http.Request) (string, error)

	// Client finds the client of an id: when an authorization is started, and again when its callback comes, maybe in
	// another process. Its error is shown to the user.
	Client func(ctx context.Context, id string) (*Client, error)

	// MayAuthorize decides who may start an authorization: whoever consents makes the credential theirs. It is asked
	// before Client is; the clients' own Config.MayAuthorize is not asked. An error is shown to the user and refuses.
	// Default [LoopbackOnly].
	MayAuthorize func(r *http.Request, id string) error

	// Attempts is what all processes share that may take the callback of one authorization. Default: nothing is shared,
	// and the process that started it must take it.
	Attempts Attempts

	// Ended is called when an authorization has ended, before the browser is answered: err is nil if the client is authorized
	// now, or says why not. It is not called for a callback that belongs to no authorization of the browser. Default nil.
	Ended func(r *http.Request, id string, err error)

	redirectURL string // instead of the client's own; "": that
}

// Attempts seals authorizations that are under way, for the time that they are in the browser, and remembers which
// callbacks have come. It is safe for concurrent use.
type Attempts interface {
	// Seal encrypts and authenticates; Open is its inverse, in every process, and refuses what Seal did not make.
	Seal(ctx context.Context, data []byte) ([]byte, error)
	Open(ctx context.Context, sealed []byte) ([]byte, error)

	// Use notes that the callback of an attempt has come, and reports whether it is the first in any process. The attempt
	// is named by 64 hexadecimal digits, and may be forgotten after until.
	Use(ctx context.Context, attempt string, until time.Time) (first bool, err error)
}

// AuthorizeHandler starts authorizations: whoever may, as Config.MayAuthorize says, is sent to the provider and asked for
// consent. Link to it, or tell people its address; a link from another site asks first. It takes GET, at any path; like
// CallbackHandler it must be served under the host of Config.RedirectURL, because a cookie binds the two. AuthURL and
// RedirectURL must be set.
func (c *Client) AuthorizeHandler() http.Handler { return c.handlers().Authorize() }

// CallbackHandler takes the browser back from the provider, and stores what the user authorized. Serve it at
// Config.RedirectURL, by the process that serves AuthorizeHandler; where there are several, see [Handlers].
//
// When an authorization has ended, done writes the answer: err is nil if the credential is authorized now, or says why
// not (see [ErrDenied] and its neighbours); [AttemptOf] tells more. Default nil: a page that tells the user.
func (c *Client) CallbackHandler(done func(w http.ResponseWriter, r *http.Request, err error)) http.Handler {
	return c.handlers().Callback(done)
}

// handlers are those of this client alone. Its name is the id, so that a client that takes its place in the same process
// can take the callback, too.
func (c *Client) handlers() *Handlers {
	h := &Handlers{
		ID: func(*http.Request) (string, error) { return c.cfg.Name, nil },
		Client: func(_ context.Context, id string) (*Client, error) {
			if id != c.cfg.Name {
				return nil, fmt.Errorf("this is the callback of %q, and the authorization is one of %q", c.cfg.Name, id)
			}
			return c, nil
		},
	}
	if may := c.cfg.MayAuthorize; may != nil {
		h.MayAuthorize = func(r *http.Request, _ string) error { return may(r) }
	}
	return h
}

func (h *Handlers) attempts() Attempts {
	if h.Attempts == nil {
		return attemptsOfProcess()
	}
	return h.Attempts
}

// redirect is where the provider sends the browser back to.
func (h *Handlers) redirect(c *Client) string {
	if h.redirectURL != "" {
		return h.redirectURL
	}
	return c.cfg.RedirectURL
}

// AttemptOf tells a function that Callback calls which authorization r belongs to: the id that Handlers.ID gave (the
// credential's name with a Client's own handlers), and the client. They are "" and nil if that cannot be told.
func AttemptOf(r *http.Request) (id string, c *Client) {
	t := takenOf(r)
	if t == nil {
		return "", nil
	}
	return t.attempt.ID, t.client
}

// StartOf tells a function that Callback calls where the authorization was started: the path and query of that page, such as
// /authorize?name=NAME. It is "" if that cannot be told.
func StartOf(r *http.Request) string {
	t := takenOf(r)
	if t == nil {
		return ""
	}
	return t.attempt.Start
}
