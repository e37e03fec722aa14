package socialoauth_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/oauthtest"
	"github.com/outgrant/outgrant/socialoauth"
)

const formType = "application/x-www-form-urlencoded"

// vector is one of testdata/vectors.json.
type vector struct {
	Name, Source, Method, URL, Body string
	Protocol                        [][2]string
	ConsumerSecret, TokenSecret     string
	BaseString, Signature           string
}

func vectors(t testing.TB) []vector {
	t.Helper()
	data, err := os.ReadFile("testdata/vectors.json")
	require.NoError(t, err)
	var all []vector
	require.NoError(t, json.Unmarshal(data, &all))
	require.NotEmpty(t, all)
	return all
}

func (v vector) request(t testing.TB) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), v.Method, v.URL, strings.NewReader(v.Body))
	require.NoError(t, err)
	if v.Body != "" {
		req.Header.Set("Content-Type", formType)
	}
	return req
}

func (v vector) protocol() (all []socialoauth.Param, method socialoauth.SignatureMethod) {
	for _, p := range v.Protocol {
		all = append(all, socialoauth.NewParam(p[0], p[1]))
		if p[1] == "HMAC-SHA256" {
			method = socialoauth.HMACSHA256
		}
	}
	return all, method
}

// TestVectors holds each against what others say that it is.
func TestVectors(t *testing.T) {
	t.Parallel()
	sources := map[string]int{}
	for _, v := range vectors(t) {
		sources[v.Source]++
		protocol, method := v.protocol()
		req := v.request(t)
		if v.BaseString != "" {
			base, err := socialoauth.BaseString(req, protocol, v.Body)
			require.NoError(t, err)
			require.Equal(t, v.BaseString, string(base), "%s: %s", v.Source, v.Name)
		}
		require.NoError(t, socialoauth.SignAs(t.Context(), req, v.ConsumerSecret, v.TokenSecret, method, protocol), "%s: %s", v.Source, v.Name)
		if v.Signature != "" {
			require.Equal(t, v.Signature, headerParam(t, req, "oauth_signature"), "%s: %s", v.Source, v.Name)
		}
		body, err := io.ReadAll(req.Body)
		require.NoError(t, err)
		require.Equal(t, v.Body, string(body), "the body is there as before")
	}
	require.Subset(t, []string{"RFC 5849", "Twitter", "oauthlib 3.2.2", "oauth-1.0a 2.2.6"}, slices.Collect(keysOf(sources)))
	require.Len(t, sources, 4)
	t.Log(sources)
}

func keysOf(m map[string]int) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

// headerParam returns a parameter of the Authorization header, decoded.
func headerParam(t testing.TB, req *http.Request, name string) string {
	t.Helper()
	for part := range strings.SplitSeq(strings.TrimPrefix(req.Header.Get("Authorization"), "OAuth "), ", ") {
		if n, value, _ := strings.Cut(part, "="); n == name {
			plain, err := url.PathUnescape(strings.Trim(value, `"`))
			require.NoError(t, err)
			return plain
		}
	}
	t.Fatalf("there is no %s in the Authorization header", name)
	return ""
}

// FuzzSignature: what is signed here, the provider of oauthtest takes, and once; it reads the RFC on its own. What cannot be
// signed is refused without a header.
func FuzzSignature(f *testing.F) {
	for _, v := range vectors(f) {
		f.Add(v.Method, v.URL, v.Body, v.ConsumerSecret, v.TokenSecret, false)
	}
	f.Add("get", "https://api.x.com:/a;b?x=%zz", "a=%2", "s", "t", true)
	f.Add("POST", "https://API.x.com/?&&=&=a&a", "&=&%41=%2b", "s%", "t+", true)
	f.Add("0", "https://api.x.c]m:443", "", "s", "t", false)
	f.Add("GET", "https://[::1]:443/", "", "s", "t", false)
	f.Fuzz(func(t *testing.T, method, address, body, consumerSecret, tokenSecret string, sha256 bool) {
		req, err := http.NewRequest(method, address, strings.NewReader(body))
		if err != nil || req.URL.User != nil {
			return
		}
		req.Header.Set("Content-Type", formType)
		keys := socialoauth.TwitterKeys{ConsumerKey: "ck", ConsumerSecret: outgrant.Secret(consumerSecret), AccessToken: "at", AccessTokenSecret: outgrant.Secret(tokenSecret)}
		if sha256 {
			keys.Method = socialoauth.HMACSHA256
		}
		if err := socialoauth.Twitter(keys).Authorize(t.Context(), req); err != nil {
			require.Empty(t, req.Header.Get("Authorization"))
			return
		}
		provider := oauthtest.NewOAuth1(&oauthtest.OAuth1Options{
			Consumers: []oauthtest.Consumer{{Key: "ck", Secret: trimmed(consumerSecret)}},
			Tokens:    []oauthtest.OAuth1Token{{Token: "at", Secret: trimmed(tokenSecret)}},
		})
		receiver := oauthtest.HandlerTransport(provider.Protect(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(w, r.Body)
		})))
		resp, err := receiver.RoundTrip(req)
		require.NoError(t, err)
		got, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, resp.StatusCode, "%v: %s %s %q", provider.Refusals(), req.Method, address, body)
		require.Equal(t, body, string(got))
		req.Body, err = req.GetBody()
		require.NoError(t, err)
		resp, err = receiver.RoundTrip(req)
		require.NoError(t, err)
		require.Equal(t, http.StatusUnauthorized, resp.StatusCode, "the same nonce")
		require.Equal(t, []string{"oauth_nonce was used before"}, provider.Refusals())
	})
}

func trimmed(s string) outgrant.Secret { return outgrant.Secret(strings.TrimSpace(s)) }
