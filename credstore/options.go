package credstore

import (
	"cmp"
	"net/http"
	"time"

	"github.com/outgrant/outgrant"
)

// Options say how a [Store] works. The zero value suits most, but for Keeper with [Open].
type Options struct {
	// Keeper encrypts the keys that records are sealed with. Default for OpenDir: [LocalKeeper] with the file keeper.key in
	// the folder, which protects single records and backups that leave this file out; for more, keep the key elsewhere.
	// Required for Open.
	Keeper Keeper

	// OlderKeepers decrypt what Keeper cannot, after it was replaced, until [Store.RotateKeys] has been called. Default none.
	OlderKeepers []Keeper

	// Limits bound what can be deployed.
	Limits Limits

	// Hooks are called as things happen to the credentials. Default nil.
	Hooks *outgrant.Hooks

	// HTTPClient sends the token requests, which never follow a redirect, and its Transport and Timeout are those of the
	// clients that Store.Client returns. Default: one on http.DefaultTransport.
	HTTPClient *http.Client

	// FetchTimeout bounds a request to a token service. What was begun by a process that is gone is left alone for ten seconds and
	// twice that time, where the backend cannot tell that it is gone. Default 30 seconds.
	FetchTimeout time.Duration

	// AllowInsecureHTTP lets secrets and tokens go over plain http to other machines. Default false.
	AllowInsecureHTTP bool

	// PollInterval is how often a credential in use is compared with what is stored, so that another process's changes
	// take effect. When a credential is used that was not compared for three quarters of it, it costs a read of the
	// backend for each record that it is made of: its artifact, its key pair, its authorization. A backend that can tell what
	// has changed (driver.Follower) is asked once for all credentials instead, and where it notifies (driver.Listener),
	// changes take effect at once. Default 1 second.
	PollInterval time.Duration

	// ShareTokens keeps access tokens in the store, sealed, so that each is fetched once for all processes that share the store,
	// and one that a receiver rejects is dropped by all. It is for client credentials and SAML bearer assertions, and costs a read
	// or two of the backend for each token; the tokens of authorization codes are always shared. Where the backend does not
	// answer, each process fetches its own. Set it in all processes, or in none. Default false.
	ShareTokens bool

	// History keeps in the store what has happened to each credential, for [Store.History] and for what lists tell of tokens and
	// failures. It costs a read and a write of the backend for each change, and for each credential in use that many a minute in
	// each process. Set it in all processes, or in none. Default false.
	History bool

	// Noted is called for each [Event], as it happens in this process, such as for an audit log: after it has taken effect,
	// maybe from several goroutines at once. It must be quick. Default nil.
	Noted func(tenant, name string, e Event)

	// RedirectURL is where people reach Store.CallbackHandler, for authorization codes that name no redirect URL of their
	// own. Default "".
	RedirectURL string

	// MayAuthorize decides who may start the authorization of a credential: whoever consents makes it theirs. An error is
	// shown to the user and refuses. Default nil: requests from this machine only, and not those that came through a proxy.
	MayAuthorize func(r *http.Request, tenant, name string) error
}

// Limits bound what can be deployed.
type Limits struct {
	// AuthorizationCodes is how many of them a tenant may have. Default 500, as SAP allows; less than 0: any number.
	AuthorizationCodes int
}

func (o *Options) withDefaults() *Options {
	c := Options{}
	if o != nil {
		c = *o
	}
	c.Limits.AuthorizationCodes = cmp.Or(c.Limits.AuthorizationCodes, 500)
	if c.PollInterval <= 0 {
		c.PollInterval = time.Second
	}
	if c.Hooks == nil {
		c.Hooks = &outgrant.Hooks{}
	}
	if c.HTTPClient == nil {
		c.HTTPClient = &http.Client{}
	}
	return &c
}
