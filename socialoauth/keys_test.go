package socialoauth_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/oauthtest"
	"github.com/outgrant/outgrant/socialoauth"
)

// parameters are secure parameters by alias.
type parameters struct {
	mu    sync.Mutex
	all   map[string]outgrant.Secret
	reads int
}

var errNotDeployed = errors.New("not deployed")

func (p *parameters) SecureParameter(ctx context.Context, alias string) (outgrant.Secret, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.reads++
	value, there := p.all[alias]
	if !there {
		return "", fmt.Errorf("%w", errNotDeployed)
	}
	return value, ctx.Err()
}

func (p *parameters) set(alias string, value outgrant.Secret) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.all[alias] = value
}

var (
	twitterAliases  = socialoauth.TwitterAliases{ConsumerKey: "tw-key", ConsumerSecret: "tw-secret", AccessToken: "tw-token", AccessTokenSecret: "tw-token-secret", Name: "X_POSTS"}
	facebookAliases = socialoauth.FacebookAliases{ApplicationID: "fb-id", ApplicationSecret: "fb-secret", AccessToken: "fb-token", Name: "FB"}
)

func newParameters() *parameters {
	return &parameters{all: map[string]outgrant.Secret{
		"tw-key": "consumer-key", "tw-secret": "consumer-secret", "tw-token": "access-token", "tw-token-secret": "access-token-secret",
		"fb-id": "application-id", "fb-secret": "application-secret", "fb-token": "short-lived-token",
	}}
}

// TestChangedParametersCount from the next request on.
func TestChangedParametersCount(t *testing.T) {
	t.Parallel()
	p := newParameters()
	twitter, err := socialoauth.TwitterFrom(t.Context(), p, twitterAliases)
	require.NoError(t, err)
	facebook, err := socialoauth.FacebookFrom(t.Context(), p, facebookAliases)
	require.NoError(t, err)
	provider := oauthtest.NewOAuth1(&oauthtest.OAuth1Options{Tokens: []oauthtest.OAuth1Token{
		{Token: "access-token", Secret: "access-token-secret"}, {Token: "access-token-2", Secret: "access-token-secret-2"}}})
	graph := oauthtest.NewGraph(&oauthtest.GraphOptions{AccessToken: "another-token"})
	x := &http.Client{Transport: &outgrant.Transport{Source: twitter, Base: oauthtest.HandlerTransport(provider.Protect(echo))}}
	fb := &http.Client{Transport: &outgrant.Transport{Source: facebook, Base: oauthtest.HandlerTransport(graph.Protect(echo))}}
	get := func(c *http.Client) int {
		status, _ := send(t, c, newRequest(t, "GET", "https://receiver.test/", nil))
		return status
	}
	require.Equal(t, 200, get(x))
	p.set("tw-token", "access-token-2\r\n")
	require.Equal(t, 401, get(x), "the pair does not fit")
	p.set("tw-token-secret", " access-token-secret-2\n")
	require.Equal(t, 200, get(x))
	require.Equal(t, 400, get(fb))
	p.set("fb-token", "another-token")
	require.Equal(t, 200, get(fb))

	p.set("fb-token", "")
	_, err = fb.Get("https://receiver.test/")
	require.ErrorContains(t, err, `"fb-token": missing`)
	delete(p.all, "tw-secret")
	_, err = x.Get("https://receiver.test/")
	require.ErrorContains(t, err, `"X_POSTS" (social): ConsumerSecret: the secure parameter "tw-secret": not deployed`)
	require.ErrorIs(t, err, errNotDeployed)
}

// TestAliasesAreCheckedEarly: all that are wrong are told, when the source is made.
func TestAliasesAreCheckedEarly(t *testing.T) {
	t.Parallel()
	p := newParameters()
	a := twitterAliases
	a.ConsumerKey, a.AccessToken, a.AccessTokenSecret = "no-such", " ", "bad"
	p.set("bad", "two\nkeys")
	_, err := socialoauth.TwitterFrom(t.Context(), p, a)
	require.EqualError(t, err, `socialoauth: Twitter: ConsumerKey: the secure parameter "no-such": not deployed
AccessToken: the alias is missing
AccessTokenSecret: the secure parameter "bad": has a blank, a line end or a character beyond ASCII inside, as no key has: copy it again`)
	require.ErrorIs(t, err, errNotDeployed)
	_, err = socialoauth.TwitterFrom(t.Context(), nil, twitterAliases)
	require.ErrorContains(t, err, "give it a store")
	a = twitterAliases
	a.Method = 7
	_, err = socialoauth.TwitterFrom(t.Context(), p, a)
	require.ErrorContains(t, err, "Method")

	f := facebookAliases
	f.ApplicationSecret = "no-such"
	_, err = socialoauth.FacebookFrom(t.Context(), p, f)
	require.ErrorIs(t, err, errNotDeployed)
	require.ErrorContains(t, err, `ApplicationSecret: the secure parameter "no-such"`)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = socialoauth.FacebookFrom(ctx, p, facebookAliases)
	require.ErrorIs(t, err, context.Canceled)
}

// TestKeys: stray blanks and line ends around a key are taken off; what is inside cannot be meant.
func TestKeys(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		key  outgrant.Secret
		want string // "": it is taken
	}{
		"as it is":           {"consumer-secret", ""},
		"line end":           {"consumer-secret\n", ""},
		"line end of DOS":    {"consumer-secret\r\n", ""},
		"blanks around":      {" \tconsumer-secret  ", ""},
		"no-break space":     {"\u00a0consumer-secret", ""},
		"missing":            {"", "ConsumerSecret: missing"},
		"blank":              {" \n", "ConsumerSecret: missing"},
		"printed":            {"[redacted]", "ConsumerSecret: is the printed form"},
		"printed as a line":  {" [redacted]\n", "ConsumerSecret: is the printed form"},
		"blank inside":       {"consumer secret", "ConsumerSecret: has a blank"},
		"line end inside":    {"consumer-\nsecret", "ConsumerSecret: has a blank"},
		"zero width space":   {"consumer-secret\u200b", "ConsumerSecret: has a blank"},
		"no text":            {"consumer\xffsecret", "ConsumerSecret: has a blank"},
		"quotation marks of": {"“consumer-secret”", "beyond ASCII"},
	} {
		keys := twitterKeys()
		keys.ConsumerSecret = c.key
		provider := oauthtest.NewOAuth1(nil)
		client := &http.Client{Transport: &outgrant.Transport{Source: socialoauth.Twitter(keys), Base: oauthtest.HandlerTransport(provider.Protect(echo))}}
		resp, err := client.Get("https://receiver.test/")
		if c.want != "" {
			require.ErrorContains(t, err, c.want, name)
			te, ok := errors.AsType[*outgrant.TokenError](err)
			require.True(t, ok && !te.Temporary(), "%s: trying again does not help", name)
			continue
		}
		require.NoError(t, err, name)
		require.Equal(t, 200, resp.StatusCode, name)
		require.NoError(t, resp.Body.Close())
	}
	keys := twitterKeys()
	keys.Method = -1
	require.ErrorContains(t, socialoauth.Twitter(keys).Authorize(t.Context(), newRequest(t, "GET", "https://x.test/", nil)), "Method")
	_, err := socialoauth.Facebook(socialoauth.FacebookKeys{ApplicationID: "1", AccessToken: "[redacted]"})
	require.ErrorContains(t, err, "ApplicationSecret: missing\nAccessToken: is the printed form")
	require.Error(t, new(socialoauth.TwitterSource).Authorize(t.Context(), newRequest(t, "GET", "https://x.test/", nil)))
	require.Error(t, new(socialoauth.FacebookSource).Authorize(t.Context(), newRequest(t, "GET", "https://x.test/", nil)))
}
