// Package console is the web page where credentials are managed and authorized: "Manage Security Material" of a runtime that
// embeds outgrant.
//
// Use this when people other than the developers look after the credentials of a program: they see how each is doing, deploy
// and edit them, and authorize those that need a user's consent.
//
//	store, err := credstore.OpenDir(dir, &credstore.Options{
//		History:     true,
//		RedirectURL: "https://runtime.example/credentials/callback",
//	})
//	...
//	mux.Handle("/credentials/", console.New(store, &console.Options{Allow: allow}))
//
// It needs no JavaScript, though with it pages keep themselves up to date, and asks no other host for anything. Secrets are set,
// and never shown. Who may do what is for the host to say: see [Options].Allow.
package console

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/outgrant/outgrant/authcode"
	"github.com/outgrant/outgrant/credstore"
)

// Options say how a console works. The zero value is for people at the machine itself.
type Options struct {
	// Allow decides about all that is done, and says who does it, for the history: a name such as that of a login. An error
	// refuses, and is shown to the person. name is the credential, or "" where it is about none in particular: View then is the
	// list, and Deploy the page that makes new ones. A list has only what may be viewed, and pages offer only what may be done,
	// so it is called often and must be quick: authenticate before, in a middleware. What is done with a credential that there is
	// needs View of it, too, but for Authorize; and who deploys one that names a key pair needs Use of that. Default nil: people at
	// this machine may do everything, and nobody else anything; not every proxy says that it is one, so behind one set it. The
	// store's Options.MayAuthorize is not asked.
	Allow func(r *http.Request, do Action, name string) (who string, err error)

	// Title stands on each page. Default "Credentials".
	Title string
}

// Action is something that a person does.
type Action string

// The actions.
const (
	View      Action = "view"      // see a credential, without its secrets
	Deploy    Action = "deploy"    // make or replace it
	Undeploy  Action = "undeploy"  // remove it
	Authorize Action = "authorize" // consent at the provider: whoever consents makes the credential theirs
	Try       Action = "try"       // have a token fetched, to see whether it works
	Use       Action = "use"       // name it, a key pair, in another credential, which then signs and authenticates with it
)

// Handler serves the pages. It is safe for concurrent use.
type Handler struct {
	store *credstore.Store
	opts  Options
	guard http.Handler // refuses what other sites have a browser post, and serves the rest
}

// New returns the pages of a store: those of its tenant. It is cheap, so that a host with many tenants can make one for each
// request. It panics if store is nil; opts may be. Serve it under any path that ends with a slash, with or without
// [http.StripPrefix]. What it serves as callback, below that path, takes the browser back from providers: set the store's
// Options.RedirectURL to its address.
func New(store *credstore.Store, opts *Options) *Handler {
	if store == nil {
		panic("console: New: the store is nil")
	}
	h := &Handler{store: store}
	if opts != nil {
		h.opts = *opts
	}
	h.opts.Title = cmp.Or(h.opts.Title, "Credentials")
	protection := http.NewCrossOriginProtection()
	protection.SetDenyHandler(http.HandlerFunc(h.refuseCrossSite))
	h.guard = protection.Handler(http.HandlerFunc(h.route))
	return h
}

// ServeHTTP serves a page.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	secure(w.Header())
	h.guard.ServeHTTP(w, r)
}

// visit is one request.
type visit struct {
	*Handler
	store *credstore.Store // as the one who visits
	who   string
	name  string // of the credential that it is about, or ""
	w     http.ResponseWriter
	r     *http.Request

	admitted bool // as one who may do something here
}

// routes has the pages by the last part of their path: all are in one folder, so that links work wherever it is mounted.
var routes = map[string]struct {
	do   Action
	one  bool // it is about the credential that the address names
	get  func(*visit)
	post func(*visit) // nil: it takes none
}{
	"":          {do: View, get: (*visit).list},
	"artifact":  {do: View, one: true, get: (*visit).artifact},
	"new":       {do: Deploy, get: (*visit).create, post: (*visit).save},
	"edit":      {do: Deploy, one: true, get: (*visit).edit, post: (*visit).save},
	"import":    {do: Deploy, get: (*visit).importPage, post: (*visit).importAll},
	"delete":    {do: Undeploy, one: true, get: (*visit).confirmDelete, post: (*visit).delete},
	"try":       {do: Try, one: true, get: (*visit).backToArtifact, post: (*visit).try},
	"authorize": {do: Authorize, one: true, get: (*visit).authorize},
	"callback":  {get: (*visit).callback},
}

// postTimeout bounds what is done for a form. It goes on when the browser leaves: what has changed is to be known.
const postTimeout = 5 * time.Minute

func (h *Handler) route(w http.ResponseWriter, r *http.Request) {
	last := r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:]
	if serveAsset(w, r, last) {
		return
	}
	v := &visit{Handler: h, store: h.store, w: w, r: r}
	route, known := routes[last]
	if !known {
		route.do = View
	}
	if route.one {
		v.name = r.URL.Query().Get("name")
	}
	if err := v.admit(route.do); err != nil {
		v.refuse(err)
		return
	}
	switch {
	case !known:
		v.fail(http.StatusNotFound, "There is no such page", "Go back to the list of credentials.")
	case r.Method == http.MethodGet || r.Method == http.MethodHead:
		route.get(v)
	case r.Method == http.MethodPost && route.post != nil:
		ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), postTimeout)
		defer cancel()
		v.r = r.WithContext(ctx)
		route.post(v)
	default:
		w.Header().Set("Allow", "GET, HEAD")
		if route.post != nil {
			w.Header().Set("Allow", "GET, HEAD, POST")
		}
		v.fail(http.StatusMethodNotAllowed, "Wrong request", "This page is opened in a browser, and in no other way.")
	}
}

// admit lets a visit begin, if it may. A browser that comes back from a provider may bring no session: there the authorization's
// own cookie decides.
func (v *visit) admit(do Action) (err error) {
	switch {
	case do != "":
		v.who, err = v.ask(do, v.name)
		if err == nil && v.name != "" && do != Authorize {
			_, err = v.ask(View, v.name)
		}
		v.admitted = err == nil
	case v.opts.Allow == nil:
		_, err = atThisMachine(v.r)
	}
	v.store = v.Handler.store.As(v.who)
	return err
}

func (v *visit) ask(do Action, name string) (who string, err error) {
	if v.opts.Allow == nil {
		return atThisMachine(v.r)
	}
	return v.opts.Allow(v.r, do, name)
}

func atThisMachine(r *http.Request) (who string, err error) {
	if authcode.LoopbackOnly(r) != nil {
		return "", errors.New("only people at the machine itself may open this page: the program has not said who else may (console.Options.Allow)")
	}
	return "somebody at this machine", nil
}

// may reports whether the visitor may do something, for what pages offer.
func (v *visit) may(do Action, name string) bool {
	_, err := v.ask(do, name)
	return err == nil
}

func (h *Handler) refuseCrossSite(w http.ResponseWriter, r *http.Request) {
	v := &visit{Handler: h, store: h.store, w: w, r: r}
	v.fail(http.StatusForbidden, "Another site sent this", "Nothing was changed. Open the page here, and do it again if you meant to.")
}
