package twitter_test

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/adapters/twitter"
	"github.com/outgrant/outgrant/internal/leakcheck"
	"github.com/outgrant/outgrant/oauthtest"
	"github.com/outgrant/outgrant/socialoauth"
)

func TestMain(m *testing.M) { leakcheck.Main(m) }

func source() *socialoauth.TwitterSource {
	return socialoauth.Twitter(socialoauth.TwitterKeys{ConsumerKey: "consumer-key", ConsumerSecret: "consumer-secret",
		AccessToken: "access-token", AccessTokenSecret: "access-token-secret"})
}

// receiver is an X API behind a strict provider; it records what arrives.
type receiver struct {
	provider *oauthtest.OAuth1
	handler  http.HandlerFunc

	mu  sync.Mutex
	all []string // method, URL and body
}

func newReceiver(handler http.HandlerFunc) *receiver {
	return &receiver{provider: oauthtest.NewOAuth1(nil), handler: handler}
}

func (r *receiver) RoundTrip(req *http.Request) (*http.Response, error) {
	return oauthtest.HandlerTransport(r.provider.Protect(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, _ := io.ReadAll(req.Body)
		r.mu.Lock()
		r.all = append(r.all, strings.TrimSpace(req.Method+" "+req.URL.String()+" "+string(body)))
		r.mu.Unlock()
		r.handler(w, req)
	}))).RoundTrip(req)
}

func (r *receiver) arrived() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]string(nil), r.all...)
}

func newTransport(t testing.TB, base http.RoundTripper) *twitter.Transport {
	t.Helper()
	x, err := twitter.New(source(), &twitter.Options{Base: base})
	require.NoError(t, err)
	return x
}

func says(status int, body string, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i+1 < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

func marshal(t testing.TB, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	require.NoError(t, err)
	return string(text)
}

var _ outgrant.Authorizer = source()
