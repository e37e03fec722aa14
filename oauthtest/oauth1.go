package oauthtest

import (
	"crypto/rand"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/outgrant/outgrant"
)

// OAuth1Options describe a provider of OAuth 1.0a. The zero value suits most tests.
type OAuth1Options struct {
	// Consumers are the apps that are registered. Default one: "consumer-key" with the secret "consumer-secret", and any
	// callback.
	Consumers []Consumer

	// Tokens are access tokens that have been issued. Default one, for the first consumer and User: "access-token" with the
	// secret "access-token-secret".
	Tokens []OAuth1Token

	// User is who consents at AuthorizePath. Default "alice".
	User string

	// ClockSkew is how far a timestamp may be from this machine's clock. Default 5 minutes.
	ClockSkew time.Duration

	// HTTPS makes the URLs that are signed https, where a proxy in front of a server of yours speaks that. Default false: as
	// the requests come.
	HTTPS bool
}

// Consumer is an app. It prints its callbacks.
type Consumer struct {
	Key, Secret  outgrant.Secret
	CallbackURLs []string // that it may name; default nil: any
}

// OAuth1Token is an access token. It prints its user.
type OAuth1Token struct {
	Token, Secret outgrant.Secret
	ConsumerKey   outgrant.Secret // default the first consumer's
	User          string          // default OAuth1Options.User
}

// The paths that an [OAuth1] serves, as X does.
const (
	RequestTokenPath = "/oauth/request_token"
	AuthorizePath    = "/oauth/authorize"
	AccessTokenPath  = "/oauth/access_token"
)

// OAuth1 is a provider of OAuth 1.0a (RFC 5849): an [http.Handler] with the endpoints of the three legs, and a receiver for
// signed requests by [OAuth1.Protect]. Serve it by a server of yours, or without a network by [HandlerTransport].
//
// It is strict: it takes HMAC-SHA1 and HMAC-SHA256 in the Authorization header, each parameter of the protocol once, a
// timestamp of now, and each nonce once, also where the request is refused otherwise. It has its own reading of the RFC: it
// shares no code with socialoauth. It keeps everything in memory, and is safe for concurrent use. It prints its type.
type OAuth1 struct {
	opts *OAuth1Options

	mu sync.Mutex
	*oauth1Records
}

// oauth1Records are behind a pointer, where fmt does not look.
type oauth1Records struct {
	access   map[string]OAuth1Token // by token
	pending  map[string]*requestToken
	nonces   map[string]time.Time // when they were used, by consumer, token, timestamp and nonce
	purgeAt  int                  // how many there are when the old ones are forgotten
	refusals []string
	accepted int
	deny     bool
}

// requestToken is RFC 5849's temporary credentials.
type requestToken struct {
	secret, consumer, callback, verifier, user string

	ends time.Time
}

const requestTokenLife = 10 * time.Minute

// NewOAuth1 returns a provider. opts may be nil; it is copied.
func NewOAuth1(opts *OAuth1Options) *OAuth1 {
	o := &OAuth1{opts: &OAuth1Options{}, oauth1Records: &oauth1Records{
		access: map[string]OAuth1Token{}, pending: map[string]*requestToken{}, nonces: map[string]time.Time{},
	}}
	if opts != nil {
		*o.opts = *opts
		o.opts.Consumers, o.opts.Tokens = slices.Clone(opts.Consumers), slices.Clone(opts.Tokens)
	}
	if o.opts.User == "" {
		o.opts.User = "alice"
	}
	if o.opts.ClockSkew <= 0 {
		o.opts.ClockSkew = 5 * time.Minute
	}
	if o.opts.Consumers == nil {
		o.opts.Consumers = []Consumer{{Key: "consumer-key", Secret: "consumer-secret"}}
	}
	if o.opts.Tokens == nil {
		o.opts.Tokens = []OAuth1Token{{Token: "access-token", Secret: "access-token-secret"}}
	}
	for _, t := range o.opts.Tokens {
		if t.ConsumerKey == "" && len(o.opts.Consumers) > 0 {
			t.ConsumerKey = o.opts.Consumers[0].Key
		}
		if t.User == "" {
			t.User = o.opts.User
		}
		o.access[t.Token.Reveal()] = t
	}
	return o
}

// Protect returns a receiver that serves h to requests that are signed for an access token, and refuses others with a 401 in
// X's form. [OAuth1.Refusals] tells why.
func (o *OAuth1) Protect(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, err := o.check(r, o.accessSecret)
		if err != nil {
			o.refuse(w, err)
			return
		}
		o.mu.Lock()
		o.accepted++
		o.mu.Unlock()
		h.ServeHTTP(w, r)
	})
}

// Accepted returns how many signed requests came through [OAuth1.Protect].
func (o *OAuth1) Accepted() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.accepted
}

// Refusals returns why requests were refused, in order: the latest thousand.
func (o *OAuth1) Refusals() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.refusals)
}

// Deny makes the user not consent from now on.
func (o *OAuth1) Deny() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.deny = true
}

// Revoke ends all access tokens.
func (o *OAuth1) Revoke() {
	o.mu.Lock()
	defer o.mu.Unlock()
	clear(o.access)
}

// ServeHTTP serves the endpoints of the three legs. Whoever comes to AuthorizePath consents at once, unless told to Deny.
func (o *OAuth1) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case RequestTokenPath:
		o.serveRequestToken(w, r)
	case AuthorizePath:
		o.serveAuthorize(w, r)
	case AccessTokenPath:
		o.serveAccessToken(w, r)
	default:
		http.NotFound(w, r)
	}
}

// serveRequestToken is RFC 5849 2.1.
func (o *OAuth1) serveRequestToken(w http.ResponseWriter, r *http.Request) {
	params, err := o.check(r, func(_, token string) (string, error) {
		if token != "" {
			return "", errors.New("a request token is asked for without a token")
		}
		return "", nil
	})
	if err == nil {
		err = o.checkCallback(params)
	}
	if err != nil {
		o.refuse(w, err)
		return
	}
	token := "request-" + rand.Text()
	secret := "secret-" + rand.Text()
	o.mu.Lock()
	o.pending[token] = &requestToken{secret: secret, consumer: params["oauth_consumer_key"], callback: params["oauth_callback"], ends: time.Now().Add(requestTokenLife)}
	o.mu.Unlock()
	writeForm(w, url.Values{"oauth_token": {token}, "oauth_token_secret": {secret}, "oauth_callback_confirmed": {"true"}})
}

func (o *OAuth1) checkCallback(params map[string]string) error {
	callback, there := params["oauth_callback"]
	if !there {
		return errors.New("oauth_callback is missing")
	}
	if u, err := url.Parse(callback); callback != "oob" && (err != nil || u.Scheme == "") {
		return errors.New("oauth_callback is neither a URL nor oob")
	}
	c, _ := o.consumer(params["oauth_consumer_key"])
	if c.CallbackURLs != nil && !slices.Contains(c.CallbackURLs, callback) {
		return errors.New("oauth_callback is not one of the consumer's")
	}
	return nil
}

// serveAuthorize is RFC 5849 2.2.
func (o *OAuth1) serveAuthorize(w http.ResponseWriter, r *http.Request) {
	token := r.URL.Query().Get("oauth_token")
	o.mu.Lock()
	defer o.mu.Unlock()
	p := o.pending[token]
	if p == nil || p.verifier != "" || !time.Now().Before(p.ends) {
		http.Error(w, "there is no such request token, or it was used", http.StatusBadRequest)
		return
	}
	back, _ := url.Parse(p.callback) // it was checked
	query := back.Query()
	if o.deny {
		delete(o.pending, token)
		query.Set("denied", token)
	} else {
		p.verifier, p.user = rand.Text(), o.opts.User
		query.Set("oauth_token", token)
		query.Set("oauth_verifier", p.verifier)
	}
	if p.callback == "oob" {
		w.Header().Set("Content-Type", "text/plain")
		_, _ = w.Write([]byte(p.verifier))
		return
	}
	back.RawQuery = query.Encode()
	http.Redirect(w, r, back.String(), http.StatusFound)
}

// serveAccessToken is RFC 5849 2.3. A request token is used once.
func (o *OAuth1) serveAccessToken(w http.ResponseWriter, r *http.Request) {
	var pending requestToken
	params, err := o.check(r, func(consumer, token string) (string, error) {
		o.mu.Lock()
		defer o.mu.Unlock()
		p := o.pending[token]
		if p == nil || p.consumer != consumer || !time.Now().Before(p.ends) {
			return "", errors.New("there is no such request token for this consumer")
		}
		pending = *p
		return p.secret, nil
	})
	if err == nil && (pending.verifier == "" || params["oauth_verifier"] != pending.verifier) {
		err = errors.New("oauth_verifier is wrong")
	}
	if err == nil {
		o.mu.Lock()
		if o.pending[params["oauth_token"]] == nil {
			err = errors.New("the request token was used meanwhile")
		}
		delete(o.pending, params["oauth_token"])
		o.mu.Unlock()
	}
	if err != nil {
		o.refuse(w, err)
		return
	}
	t := OAuth1Token{Token: outgrant.Secret("access-" + rand.Text()), Secret: outgrant.Secret("secret-" + rand.Text()),
		ConsumerKey: outgrant.Secret(pending.consumer), User: pending.user}
	o.mu.Lock()
	o.access[t.Token.Reveal()] = t
	o.mu.Unlock()
	writeForm(w, url.Values{"oauth_token": {t.Token.Reveal()}, "oauth_token_secret": {t.Secret.Reveal()}, "user_id": {"1"}, "screen_name": {t.User}})
}

func writeForm(w http.ResponseWriter, form url.Values) {
	w.Header().Set("Content-Type", "application/x-www-form-urlencoded")
	w.Header().Set("Cache-Control", "no-store")
	_, _ = w.Write([]byte(form.Encode()))
}

func (o *OAuth1) accessSecret(consumer, token string) (string, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	t, there := o.access[token]
	if !there || t.ConsumerKey.Reveal() != consumer {
		return "", errors.New("there is no such access token for this consumer")
	}
	return t.Secret.Reveal(), nil
}

func (o *OAuth1) consumer(key string) (Consumer, bool) {
	i := slices.IndexFunc(o.opts.Consumers, func(c Consumer) bool { return c.Key.Reveal() == key })
	if i < 0 {
		return Consumer{}, false
	}
	return o.opts.Consumers[i], true
}

// refuse answers as X does: what is wrong is not told.
func (o *OAuth1) refuse(w http.ResponseWriter, err error) {
	o.mu.Lock()
	if len(o.refusals) == keptRequests {
		o.refusals = o.refusals[1:]
	}
	o.refusals = append(o.refusals, err.Error())
	o.mu.Unlock()
	w.Header().Set("WWW-Authenticate", `OAuth realm="oauthtest"`)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusUnauthorized)
	_, _ = w.Write([]byte(`{"errors":[{"code":32,"message":"Could not authenticate you."}]}`))
}

// once notes a nonce, and reports whether it is new (RFC 5849 3.3). Those that a timestamp refuses by now are forgotten.
func (o *OAuth1) once(params map[string]string, now time.Time) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.nonces) >= o.purgeAt {
		maps.DeleteFunc(o.nonces, func(_ string, at time.Time) bool { return now.Sub(at) > 2*o.opts.ClockSkew+time.Minute })
		o.purgeAt = max(2*len(o.nonces), 1000)
	}
	key := strings.Join([]string{params["oauth_consumer_key"], params["oauth_token"], params["oauth_timestamp"], params["oauth_nonce"]}, "\x00")
	if _, used := o.nonces[key]; used {
		return false
	}
	o.nonces[key] = now
	return true
}

func (o *OAuth1) checkTime(timestamp string, now time.Time) error {
	seconds, err := strconv.ParseInt(timestamp, 10, 64)
	if err != nil || seconds <= 0 || strconv.FormatInt(seconds, 10) != timestamp {
		return errors.New("oauth_timestamp is not a positive number of seconds")
	}
	if off := now.Unix() - seconds; off > int64(o.opts.ClockSkew/time.Second) || -off > int64(o.opts.ClockSkew/time.Second) {
		return errors.New("oauth_timestamp is too far from now")
	}
	return nil
}
