package oauth1_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/adapters/twitter"
	"github.com/outgrant/outgrant/internal/peers/peer"
	"github.com/outgrant/outgrant/socialoauth"
)

// told is what the provider says about a request that it took.
type told struct{ User, Method, Body string }

// TestSignedRequests: the provider takes requests with either method, and their bodies arrive.
func TestSignedRequests(t *testing.T) {
	t.Parallel()
	address, base := startProvider(t)
	const form = "application/x-www-form-urlencoded"
	for name, method := range methods {
		client := newClient(socialoauth.Twitter(keys(method)), base)
		for _, c := range []struct{ method, path, kind, body string }{
			{"GET", "", "", ""},
			{"GET", "/2/users/me?a=b&a=a&a=&b=%20+%2B&%C3%A9=%E2%82%AC", "", ""},
			{"GET", "/a%20b/%C3%A9/c%2Fd;e?q=%21%2A%27%28%29~-._", "", ""},
			{"POST", "/1.1/statuses/update.json?include_entities=true", form, "status=Hello+Ladies+%2B+Gentlemen%2C+a+signed+OAuth+request%21"},
			{"POST", "/x?a=2&c=3", form, "a=1&b=%26%3D&a=3&d="},
			{"POST", "/2/tweets", "application/json", `{"text":"not signed & = %"}`},
			{"PUT", "/x", form + "; charset=UTF-8", "a=%E2%9C%93"},
			{"DELETE", "/2/tweets/1", "", ""},
		} {
			req, err := http.NewRequestWithContext(t.Context(), c.method, address+c.path, io.MultiReader(strings.NewReader(c.body)))
			require.NoError(t, err)
			if req.ContentLength = int64(len(c.body)); c.body == "" {
				req.Body = http.NoBody
			}
			req.Header.Set("Content-Type", c.kind)
			resp, err := client.Do(req)
			require.NoError(t, err)
			var answer struct{ Data []twitter.Tweet }
			err = json.NewDecoder(resp.Body).Decode(&answer)
			require.NoError(t, resp.Body.Close())
			require.NoError(t, err)
			require.Equal(t, 200, resp.StatusCode, "%s: %v", name, c)
			var got told
			require.NoError(t, json.Unmarshal([]byte(answer.Data[0].Text), &got))
			require.Equal(t, told{"alice", name, c.body}, got, "%v", c)
		}
	}
}

// TestRefused: the provider tells a wrong secret, a changed request and a nonce that was used.
func TestRefused(t *testing.T) {
	t.Parallel()
	address, base := startProvider(t)
	get := func() *http.Request {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address+"/2/users/me?a=b", nil)
		require.NoError(t, err)
		return req
	}
	for name, method := range methods {
		for _, change := range []func(*socialoauth.TwitterKeys){
			func(k *socialoauth.TwitterKeys) { k.ConsumerKey = "another-key" },
			func(k *socialoauth.TwitterKeys) { k.ConsumerSecret = "another" },
			func(k *socialoauth.TwitterKeys) { k.AccessToken = "another-token" },
			func(k *socialoauth.TwitterKeys) { k.AccessTokenSecret = "another" },
		} {
			k := keys(method)
			change(&k)
			require.Equal(t, 401, statusOf(t, newClient(socialoauth.Twitter(k), base), get()), name)
		}
		plain, signed := &http.Client{Transport: base}, get()
		require.NoError(t, socialoauth.Twitter(keys(method)).Authorize(t.Context(), signed))
		changed := signed.Clone(t.Context())
		changed.URL.RawQuery = "a=c"
		require.Equal(t, 401, statusOf(t, plain, changed), name)
		signed = get()
		require.NoError(t, socialoauth.Twitter(keys(method)).Authorize(t.Context(), signed))
		require.Equal(t, 200, statusOf(t, plain, signed.Clone(t.Context())), name)
		require.Equal(t, 401, statusOf(t, plain, signed.Clone(t.Context())), "%s: the nonce was used", name)
	}
}

// TestThreeLegs: bob authorizes the app, which searches as bob from then on.
func TestThreeLegs(t *testing.T) {
	t.Parallel()
	address, base := startProvider(t)
	for name, method := range methods {
		flow, err := socialoauth.NewThreeLegged(&socialoauth.ThreeLeggedConfig{
			ConsumerKey: consumerKey, ConsumerSecret: consumerSecret, CallbackURL: callbackURL, Method: method,
			RequestTokenURL: address + "/oauth/request_token", AuthorizeURL: address + "/oauth/authorize", AccessTokenURL: address + "/oauth/access_token",
			HTTPClient: &http.Client{Transport: base},
		})
		require.NoError(t, err)
		pending, err := flow.Begin(t.Context())
		require.NoError(t, err, name)
		browser := peer.NewBrowser(t, "bob", base)
		browser.StopAt = "https://app.example/"
		back := browser.Visit(t, pending.AuthorizeURL).URL
		require.Equal(t, "app.example", back.Host)

		wrong := url.Values{"oauth_token": back.Query()["oauth_token"], "oauth_verifier": {"wrong-verifier"}}
		_, err = flow.Finish(t.Context(), pending, wrong)
		require.ErrorContains(t, err, "answer 401", name)
		token, err := flow.Finish(t.Context(), pending, back.Query())
		require.NoError(t, err, name)
		_, err = flow.Finish(t.Context(), pending, back.Query())
		require.ErrorContains(t, err, "answer 401", "%s: a request token is used once", name)

		x, err := twitter.New(socialoauth.Twitter(socialoauth.TwitterKeys{ConsumerKey: consumerKey, ConsumerSecret: consumerSecret,
			AccessToken: token.Token, AccessTokenSecret: token.TokenSecret, Method: method}), &twitter.Options{Base: base, BaseURL: address})
		require.NoError(t, err)
		var found []told
		for tweet, err := range x.Search(t.Context(), "from:bob é & ü", nil) {
			require.NoError(t, err)
			var got told
			require.NoError(t, json.Unmarshal([]byte(tweet.Text), &got))
			found = append(found, got)
		}
		require.Equal(t, []told{{User: "bob", Method: name}}, found)
	}
	other, err := socialoauth.NewThreeLegged(&socialoauth.ThreeLeggedConfig{
		ConsumerKey: consumerKey, ConsumerSecret: consumerSecret, CallbackURL: "https://evil.example/", HTTPClient: &http.Client{Transport: base},
		RequestTokenURL: address + "/oauth/request_token", AuthorizeURL: address + "/oauth/authorize", AccessTokenURL: address + "/oauth/access_token",
	})
	require.NoError(t, err)
	_, err = other.Begin(t.Context())
	require.ErrorContains(t, err, "the app's callback URLs")
	te, ok := err.(*outgrant.TokenError)
	require.True(t, ok)
	require.False(t, te.Temporary())
}
