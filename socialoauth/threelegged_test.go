package socialoauth_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/oauthtest"
	"github.com/outgrant/outgrant/socialoauth"
)

const callbackURL = "https://app.test/callback?tenant=a%20b"

func threeLegged(t testing.TB, provider http.Handler, change func(*socialoauth.ThreeLeggedConfig)) *socialoauth.ThreeLegged {
	t.Helper()
	cfg := &socialoauth.ThreeLeggedConfig{ConsumerKey: "consumer-key", ConsumerSecret: "consumer-secret\n", CallbackURL: callbackURL, Name: "X_LOGIN",
		HTTPClient: &http.Client{Transport: oauthtest.HandlerTransport(provider)}}
	if change != nil {
		change(cfg)
	}
	f, err := socialoauth.NewThreeLegged(cfg)
	require.NoError(t, err)
	return f
}

// visit is the user's browser at the provider: it returns where it is sent back to.
func visit(t testing.TB, provider http.Handler, address string) *http.Response {
	t.Helper()
	resp, err := oauthtest.HandlerTransport(provider).RoundTrip(newRequest(t, "GET", address, nil))
	require.NoError(t, err)
	return resp
}

func callback(t testing.TB, resp *http.Response) url.Values {
	t.Helper()
	require.Equal(t, http.StatusFound, resp.StatusCode)
	to, err := url.Parse(resp.Header.Get("Location"))
	require.NoError(t, err)
	require.Equal(t, "a b", to.Query().Get("tenant"))
	return to.Query()
}

// TestThreeLegs obtains an access token and uses it.
func TestThreeLegs(t *testing.T) {
	t.Parallel()
	for name, method := range map[string]socialoauth.SignatureMethod{"SHA-1": socialoauth.HMACSHA1, "SHA-256": socialoauth.HMACSHA256} {
		provider := oauthtest.NewOAuth1(&oauthtest.OAuth1Options{User: "bob", Consumers: []oauthtest.Consumer{
			{Key: "consumer-key", Secret: "consumer-secret", CallbackURLs: []string{callbackURL}}}})
		flow := threeLegged(t, provider, func(c *socialoauth.ThreeLeggedConfig) { c.Method = method })
		pending, err := flow.Begin(t.Context())
		require.NoError(t, err, name)
		require.True(t, strings.HasPrefix(pending.AuthorizeURL, "https://api.x.com/oauth/authorize?oauth_token="))
		back := callback(t, visit(t, provider, pending.AuthorizeURL))
		token, err := flow.Finish(t.Context(), pending, back)
		require.NoError(t, err, name)
		require.Equal(t, "bob", token.ScreenName)
		require.Equal(t, "1", token.UserID)

		src := socialoauth.Twitter(socialoauth.TwitterKeys{ConsumerKey: "consumer-key", ConsumerSecret: "consumer-secret", AccessToken: token.Token, AccessTokenSecret: token.TokenSecret, Method: method})
		client := &http.Client{Transport: &outgrant.Transport{Source: src, Base: oauthtest.HandlerTransport(provider.Protect(echo))}}
		status, _ := send(t, client, newRequest(t, "GET", "https://api.x.com/2/users/me", nil))
		require.Equal(t, 200, status, provider.Refusals())

		_, err = flow.Finish(t.Context(), pending, back)
		require.ErrorContains(t, err, "answer 401: check the consumer key", "a request token is used once")
		te, ok := errors.AsType[*outgrant.TokenError](err)
		require.True(t, ok)
		require.Equal(t, "https://api.x.com/oauth/access_token", te.TokenURL)
	}
}

func TestPIN(t *testing.T) {
	t.Parallel()
	provider := oauthtest.NewOAuth1(nil)
	flow := threeLegged(t, provider, func(c *socialoauth.ThreeLeggedConfig) { c.CallbackURL = socialoauth.OutOfBand })
	pending, err := flow.Begin(t.Context())
	require.NoError(t, err)
	pin, err := io.ReadAll(visit(t, provider, pending.AuthorizeURL).Body)
	require.NoError(t, err)
	_, err = flow.FinishPIN(t.Context(), pending, "")
	require.ErrorIs(t, err, outgrant.ErrNotAuthorized)
	_, err = flow.FinishPIN(t.Context(), nil, string(pin))
	require.ErrorIs(t, err, outgrant.ErrNotAuthorized)
	token, err := flow.FinishPIN(t.Context(), pending, string(pin))
	require.NoError(t, err)
	require.NotEmpty(t, token.TokenSecret)
}

// TestForeignCallbacks are told without a request to the provider.
func TestForeignCallbacks(t *testing.T) {
	t.Parallel()
	provider := oauthtest.NewOAuth1(nil)
	flow := threeLegged(t, provider, nil)
	pending, err := flow.Begin(t.Context())
	require.NoError(t, err)
	other, err := flow.Begin(t.Context())
	require.NoError(t, err)
	theirs := callback(t, visit(t, provider, other.AuthorizeURL))
	twice := url.Values{"oauth_token": {pending.Token.Reveal(), pending.Token.Reveal()}, "oauth_verifier": {"x"}}
	for name, c := range map[string]struct {
		pending *socialoauth.Pending
		query   url.Values
		want    string
	}{
		"another's":     {pending, theirs, "not of this authorization"},
		"repeated":      {pending, twice, "not of this authorization"},
		"empty":         {pending, nil, "not of this authorization"},
		"without proof": {pending, url.Values{"oauth_token": {pending.Token.Reveal()}}, "did not consent"},
		"denied":        {pending, url.Values{"denied": {pending.Token.Reveal()}}, "did not consent"},
		"never begun":   {nil, theirs, "call Begin"},
		"begun empty":   {&socialoauth.Pending{}, url.Values{"oauth_token": {""}, "oauth_verifier": {"x"}}, "call Begin"},
	} {
		_, err := flow.Finish(t.Context(), c.pending, c.query)
		require.ErrorIs(t, err, outgrant.ErrNotAuthorized, name)
		require.ErrorContains(t, err, c.want, name)
	}
	require.Empty(t, provider.Refusals())
	provider.Deny()
	back := callback(t, visit(t, provider, pending.AuthorizeURL))
	_, err = flow.Finish(t.Context(), pending, back)
	require.ErrorIs(t, err, outgrant.ErrNotAuthorized)
	_, err = flow.FinishPIN(t.Context(), other, "wrong")
	require.Error(t, err)
	require.Equal(t, []string{"oauth_verifier is wrong"}, provider.Refusals())
}

// TestBadProviders answer what no provider should.
func TestBadProviders(t *testing.T) {
	t.Parallel()
	says := func(status int, body string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Retry-After", "7")
			w.WriteHeader(status)
			_, _ = io.WriteString(w, strings.ReplaceAll(body, "HEADER", r.Header.Get("Authorization")))
		})
	}
	const tokens = "oauth_token=t&oauth_token_secret=s"
	for name, c := range map[string]struct {
		handler   http.Handler
		want      string
		temporary bool
	}{
		"not confirmed":  {says(200, tokens), "did not confirm the callback", false},
		"denies it":      {says(200, tokens+"&oauth_callback_confirmed=false"), "did not confirm the callback", false},
		"no token":       {says(200, "oauth_callback_confirmed=true"), "no token", true},
		"empty token":    {says(200, "oauth_token=&oauth_token_secret=s&oauth_callback_confirmed=true"), "no token", true},
		"two tokens":     {says(200, tokens+"&oauth_token=u&oauth_callback_confirmed=true"), "no token", true},
		"HTML":           {says(200, "<html>%zz"), "no token", true},
		"huge":           {says(200, tokens+strings.Repeat("&a=b", 1<<20)), "64 KiB", true},
		"refused":        {says(401, "HEADER"), "answer 401: check the consumer key", false},
		"too many":       {says(429, "HEADER"), "answer 429", true},
		"down":           {says(503, "HEADER"), "answer 503", true},
		"redirect":       {http.RedirectHandler("https://evil.test/", http.StatusTemporaryRedirect), "never redirected", false},
		"another signer": {oauthtest.NewOAuth1(&oauthtest.OAuth1Options{Consumers: []oauthtest.Consumer{{Key: "consumer-key", Secret: "another"}}}), "answer 401", false},
	} {
		_, err := threeLegged(t, c.handler, nil).Begin(t.Context())
		require.ErrorContains(t, err, c.want, name)
		require.ErrorContains(t, err, `"X_LOGIN" (social at api.x.com)`, name)
		te, ok := errors.AsType[*outgrant.TokenError](err)
		require.True(t, ok, name)
		require.Equal(t, c.temporary, te.Temporary(), name)
		oauthtest.AssertNoSecrets(t, []string{"consumer-key", "consumer-secret"}, err)
	}
	leaky := threeLegged(t, nil, func(c *socialoauth.ThreeLeggedConfig) {
		c.HTTPClient = &http.Client{Transport: roundTripFunc(func(r *http.Request) (*http.Response, error) {
			return nil, errors.New("cannot send " + r.Header.Get("Authorization"))
		})}
	})
	_, err := leaky.Begin(t.Context())
	require.ErrorContains(t, err, "not shown")
	oauthtest.AssertNoSecrets(t, []string{"consumer-key", "consumer-secret"}, err)
}

type roundTripFunc func(*http.Request) (*http.Response, error)

func (f roundTripFunc) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// TestThreeLegsEndWithTheContext, and with a time limit of their own.
func TestThreeLegsEndWithTheContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		flow := threeLegged(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }), nil)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := flow.Begin(ctx)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		began := time.Now()
		_, err = flow.Begin(t.Context())
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, 30*time.Second, time.Since(began))
	})
}

func TestThreeLeggedConfig(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*socialoauth.ThreeLeggedConfig)
		want   string
	}{
		"no key":       {func(c *socialoauth.ThreeLeggedConfig) { c.ConsumerKey = "" }, "ConsumerKey: missing"},
		"bad secret":   {func(c *socialoauth.ThreeLeggedConfig) { c.ConsumerSecret = "a b" }, "ConsumerSecret: has a blank"},
		"no callback":  {func(c *socialoauth.ThreeLeggedConfig) { c.CallbackURL = "" }, "CallbackURL"},
		"relative":     {func(c *socialoauth.ThreeLeggedConfig) { c.CallbackURL = "/cb" }, "CallbackURL"},
		"fragment":     {func(c *socialoauth.ThreeLeggedConfig) { c.CallbackURL = "https://a.test/#b" }, "CallbackURL"},
		"method":       {func(c *socialoauth.ThreeLeggedConfig) { c.Method = 9 }, "Method"},
		"plain http":   {func(c *socialoauth.ThreeLeggedConfig) { c.RequestTokenURL = "http://x.test/" }, "RequestTokenURL"},
		"no URL":       {func(c *socialoauth.ThreeLeggedConfig) { c.AuthorizeURL = "x" }, "AuthorizeURL"},
		"access token": {func(c *socialoauth.ThreeLeggedConfig) { c.AccessTokenURL = "https://u:p@x.test" }, "AccessTokenURL"},
	} {
		cfg := &socialoauth.ThreeLeggedConfig{ConsumerKey: "k", ConsumerSecret: "s", CallbackURL: "https://a.test/"}
		c.change(cfg)
		_, err := socialoauth.NewThreeLegged(cfg)
		require.ErrorContains(t, err, c.want, name)
	}
	_, err := socialoauth.NewThreeLegged(nil)
	require.Error(t, err)
	_, err = new(socialoauth.ThreeLegged).Begin(t.Context())
	require.Error(t, err)
	_, err = new(socialoauth.ThreeLegged).Finish(t.Context(), nil, nil)
	require.Error(t, err)
}
