// Package oauth1_test tests socialoauth's signatures against a provider of OAuth 1.0a on python3-oauthlib.
package oauth1_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/internal/leakcheck"
	"github.com/outgrant/outgrant/internal/peers/peer"
	"github.com/outgrant/outgrant/socialoauth"
)

func TestMain(m *testing.M) { leakcheck.Main(m) }

// The provider's consumer, and a token of alice that it has issued before.
const (
	consumerKey    = "consumer-key"
	consumerSecret = "consumer&secret+%25="
	accessToken    = "access-token"
	accessSecret   = "access/secret&"
	callbackURL    = "https://app.example/callback?tenant=1"
)

// startProvider returns where the provider is, and a transport whose connections end with the test.
func startProvider(t *testing.T) (address string, base *http.Transport) {
	t.Helper()
	peer.StartScript(t, "/usr/bin/python3", "oauth1/provider.py").Ask(t, "url", &address)
	base = &http.Transport{}
	t.Cleanup(base.CloseIdleConnections)
	return address, base
}

func keys(method socialoauth.SignatureMethod) socialoauth.TwitterKeys {
	return socialoauth.TwitterKeys{ConsumerKey: consumerKey, ConsumerSecret: consumerSecret, AccessToken: accessToken, AccessTokenSecret: accessSecret, Method: method}
}

var methods = map[string]socialoauth.SignatureMethod{"HMAC-SHA1": socialoauth.HMACSHA1, "HMAC-SHA256": socialoauth.HMACSHA256}

func newClient(src outgrant.TokenSource, base http.RoundTripper) *http.Client {
	return &http.Client{Transport: &outgrant.Transport{Source: src, Base: base}}
}

// statusOf sends a request whose answer does not matter otherwise.
func statusOf(t *testing.T, client *http.Client, req *http.Request) int {
	t.Helper()
	resp, err := client.Do(req)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	return resp.StatusCode
}
