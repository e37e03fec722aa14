package socialoauth

import (
	"cmp"
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/internal/origin"
	"github.com/outgrant/outgrant/internal/retryafter"
	"github.com/outgrant/outgrant/internal/tokenclient"
	"github.com/outgrant/outgrant/internal/withheld"
)

// OutOfBand is the CallbackURL of a program that nobody can be sent back to: X shows the user a PIN instead, for
// [ThreeLegged.FinishPIN].
const OutOfBand = "oob"

// ThreeLeggedConfig describes how users authorize an app at X, or at another provider of OAuth 1.0a. It prints redacted.
type ThreeLeggedConfig struct {
	ConsumerKey    outgrant.Secret // of the app
	ConsumerSecret outgrant.Secret

	// CallbackURL is where the user is sent back to, with [ThreeLegged.Finish] behind it, or OutOfBand. It is registered for
	// the app.
	CallbackURL string

	// Method signs. Default HMACSHA1.
	Method SignatureMethod

	// The provider's three addresses. Default X's: https://api.x.com/oauth/request_token, /oauth/authorize and
	// /oauth/access_token.
	RequestTokenURL string
	AuthorizeURL    string
	AccessTokenURL  string

	// Name names the credential in errors. Default none.
	Name string

	// HTTPClient sends the requests. It follows no redirect. Default one on http.DefaultTransport.
	HTTPClient *http.Client

	// AllowInsecureHTTP lets requests go over plain http to another machine. Default false.
	AllowInsecureHTTP bool
}

// ThreeLegged obtains the access tokens of users (RFC 5849 2): [ThreeLegged.Begin], the user's browser at
// [Pending.AuthorizeURL], [ThreeLegged.Finish]. It is made by [NewThreeLegged], and is safe for concurrent use.
type ThreeLegged struct {
	name string
	core func() *threeLegged // a function, where fmt does not look
}

type threeLegged struct {
	cfg  ThreeLeggedConfig
	keys twitterKeys
	http *http.Client
}

// Pending is an authorization that was begun. Keep it for this user alone, in the session of the browser, until the user
// comes back: who can exchange it for another's has a login that is not theirs. It prints redacted.
type Pending struct {
	AuthorizeURL string // where to send the user's browser
	Token        outgrant.Secret
	TokenSecret  outgrant.Secret
}

// AccessToken is what a user has granted. It does not end until the user revokes it. It prints redacted.
type AccessToken struct {
	Token       outgrant.Secret
	TokenSecret outgrant.Secret
	UserID      string // the account's, as X tells it; "" if the provider does not
	ScreenName  string
}

// NewThreeLegged checks and copies cfg.
func NewThreeLegged(cfg *ThreeLeggedConfig) (*ThreeLegged, error) {
	if cfg == nil {
		return nil, errors.New("socialoauth: NewThreeLegged: the config is nil")
	}
	t := &threeLegged{cfg: *cfg, keys: twitterKeys{method: cfg.Method}, http: &http.Client{}}
	const x = "https://api.x.com/oauth/"
	t.cfg.RequestTokenURL = cmp.Or(cfg.RequestTokenURL, x+"request_token")
	t.cfg.AuthorizeURL = cmp.Or(cfg.AuthorizeURL, x+"authorize")
	t.cfg.AccessTokenURL = cmp.Or(cfg.AccessTokenURL, x+"access_token")
	problems := []error{
		cfg.Method.check(),
		fill(key{field: "ConsumerKey", value: cfg.ConsumerKey, to: &t.keys.consumerKey},
			key{field: "ConsumerSecret", value: cfg.ConsumerSecret, to: &t.keys.consumerSecret}),
		checkCallback(cfg.CallbackURL),
	}
	for field, address := range map[string]string{"RequestTokenURL": t.cfg.RequestTokenURL, "AuthorizeURL": t.cfg.AuthorizeURL, "AccessTokenURL": t.cfg.AccessTokenURL} {
		_, err := tokenclient.CheckURL(field, address, cfg.AllowInsecureHTTP)
		problems = append(problems, err)
	}
	if err := errors.Join(problems...); err != nil {
		return nil, fmt.Errorf("socialoauth: NewThreeLegged: %w", err)
	}
	if cfg.HTTPClient != nil {
		*t.http = *cfg.HTTPClient
	}
	// A redirect would be followed with a signature for another URL.
	t.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &ThreeLegged{cfg.Name, func() *threeLegged { return t }}, nil
}

func checkCallback(address string) error {
	if address == OutOfBand {
		return nil
	}
	if u, err := url.Parse(address); err != nil || u.Scheme == "" || u.Fragment != "" {
		return errors.New("CallbackURL: must be an absolute URL without a fragment, or OutOfBand")
	}
	return nil
}

var errEmptyThreeLegged = errors.New("socialoauth: the ThreeLegged is empty: make it by NewThreeLegged")

// Begin asks for a request token. The provider must confirm the callback (oauth_callback_confirmed): one that does not
// speaks OAuth 1.0, where an attacker can have a victim finish the attacker's authorization. Errors are
// [outgrant.TokenError].
func (f *ThreeLegged) Begin(ctx context.Context) (*Pending, error) {
	if f.core == nil {
		return nil, errEmptyThreeLegged
	}
	t := f.core()
	answer, err := t.ask(ctx, t.cfg.RequestTokenURL, t.keys, parameter{"oauth_callback", t.cfg.CallbackURL})
	if err != nil {
		return nil, err
	}
	if answer.Get("oauth_callback_confirmed") != "true" {
		return nil, t.failed(t.cfg.RequestTokenURL, refusal{errors.New("the provider did not confirm the callback: it does not speak OAuth 1.0a")})
	}
	u, err := url.Parse(t.cfg.AuthorizeURL)
	if err != nil { // it was checked
		return nil, t.failed(t.cfg.RequestTokenURL, err)
	}
	query := u.Query()
	query.Set("oauth_token", answer.Get("oauth_token"))
	u.RawQuery = query.Encode()
	return &Pending{u.String(), outgrant.Secret(answer.Get("oauth_token")), outgrant.Secret(answer.Get("oauth_token_secret"))}, nil
}

// Finish exchanges what was begun for the access token. callback is the query of the request that the user came back with.
// If the user did not consent, the error matches [outgrant.ErrNotAuthorized]; it also does if the callback belongs to
// another authorization. Errors are [outgrant.TokenError].
func (f *ThreeLegged) Finish(ctx context.Context, p *Pending, callback url.Values) (*AccessToken, error) {
	if f.core == nil {
		return nil, errEmptyThreeLegged
	}
	t := f.core()
	notAuthorized := func(why string) error {
		return t.failed(t.cfg.AccessTokenURL, fmt.Errorf("%w: %s", outgrant.ErrNotAuthorized, why))
	}
	switch token, verifier := callback["oauth_token"], callback["oauth_verifier"]; {
	case p == nil || p.Token == "":
		return nil, notAuthorized("no authorization was begun: call Begin, and keep what it returns in the user's session")
	case callback.Has("denied"): // X's; others send the user back without a verifier
		return nil, notAuthorized("the user did not consent")
	case len(token) != 1 || subtle.ConstantTimeCompare([]byte(token[0]), []byte(p.Token.Reveal())) != 1:
		return nil, notAuthorized("the callback is not of this authorization")
	case len(verifier) != 1 || verifier[0] == "":
		return nil, notAuthorized("the callback has no oauth_verifier: the user did not consent")
	}
	return t.finish(ctx, p, callback.Get("oauth_verifier"))
}

// FinishPIN is Finish with the PIN that the user was shown, where CallbackURL is OutOfBand.
func (f *ThreeLegged) FinishPIN(ctx context.Context, p *Pending, pin string) (*AccessToken, error) {
	if p == nil {
		p = &Pending{}
	}
	return f.Finish(ctx, p, url.Values{"oauth_token": {p.Token.Reveal()}, "oauth_verifier": {pin}})
}

func (t *threeLegged) finish(ctx context.Context, p *Pending, verifier string) (*AccessToken, error) {
	keys := t.keys
	keys.token, keys.tokenSecret = p.Token, p.TokenSecret
	answer, err := t.ask(ctx, t.cfg.AccessTokenURL, keys, parameter{"oauth_verifier", verifier})
	if err != nil {
		return nil, err
	}
	return &AccessToken{outgrant.Secret(answer.Get("oauth_token")), outgrant.Secret(answer.Get("oauth_token_secret")),
		answer.Get("user_id"), answer.Get("screen_name")}, nil
}

const (
	askTimeout    = 30 * time.Second
	largestTokens = 64 << 10
)

// ask sends a signed request that a token is answered to.
func (t *threeLegged) ask(ctx context.Context, address string, keys twitterKeys, more parameter) (url.Values, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, nil)
	if err == nil {
		err = keys.sign(ctx, req, more)
	}
	if err != nil {
		return nil, t.failed(address, err)
	}
	secrets := append(withheld.OfRequest(req), keys.consumerSecret.Reveal(), keys.tokenSecret.Reveal())
	resp, err := t.http.Do(req)
	if err != nil {
		return nil, t.failed(address, secrets.Error(err))
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, largestTokens+1))
	failed := t.failed(address, nil)
	failed.StatusCode = resp.StatusCode
	failed.RetryAfter = retryafter.Parse(resp.Header.Get("Retry-After"), time.Now())
	switch {
	case resp.StatusCode >= 400 && resp.StatusCode < 500 && resp.StatusCode != http.StatusTooManyRequests && resp.StatusCode != http.StatusRequestTimeout:
		failed.Err = refusal{errors.New("check the consumer key and secret, the app's callback URLs, and this machine's clock; a request token is used once, and soon")}
		return nil, failed
	case resp.StatusCode != http.StatusOK:
		return nil, failed
	case err != nil:
		failed.Err = fmt.Errorf("the answer broke off: %w", secrets.Error(err))
		return nil, failed
	case len(text) > largestTokens:
		failed.Err = errors.New("the answer is larger than 64 KiB")
		return nil, failed
	}
	answer, err := url.ParseQuery(string(text))
	if err != nil || len(answer["oauth_token"]) != 1 || len(answer["oauth_token_secret"]) != 1 || answer.Get("oauth_token") == "" {
		failed.Err = errors.New("the answer has no token")
		return nil, failed
	}
	return answer, nil
}

func (t *threeLegged) failed(address string, err error) *outgrant.TokenError {
	te := &outgrant.TokenError{Grant: outgrant.Social, Credential: t.cfg.Name, Err: err}
	if u, parsed := url.Parse(address); parsed == nil {
		te.TokenURL = origin.Clean(u)
	}
	return te
}
