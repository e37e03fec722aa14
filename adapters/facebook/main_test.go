package facebook_test

import (
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant/adapters/facebook"
	"github.com/outgrant/outgrant/internal/leakcheck"
	"github.com/outgrant/outgrant/oauthtest"
	"github.com/outgrant/outgrant/socialoauth"
)

func TestMain(m *testing.M) { leakcheck.Main(m) }

func source(t testing.TB) *socialoauth.FacebookSource {
	t.Helper()
	src, err := socialoauth.Facebook(socialoauth.FacebookKeys{ApplicationID: "application-id", ApplicationSecret: "application-secret", AccessToken: "short-lived-token"})
	require.NoError(t, err)
	return src
}

// receiver is a Graph API that is strict about tokens and proofs; it records what arrives, without the proof.
type receiver struct {
	graph   *oauthtest.Graph
	handler http.HandlerFunc

	mu  sync.Mutex
	all []string
}

func newReceiver(handler http.HandlerFunc) *receiver {
	return &receiver{graph: oauthtest.NewGraph(nil), handler: handler}
}

func (r *receiver) RoundTrip(req *http.Request) (*http.Response, error) {
	return oauthtest.HandlerTransport(r.graph.Protect(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		u, _, _ := strings.Cut(req.URL.String(), "&appsecret_proof=")
		r.mu.Lock()
		r.all = append(r.all, u)
		r.mu.Unlock()
		r.handler(w, req)
	}))).RoundTrip(req)
}

func (r *receiver) arrived() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]string(nil), r.all...)
}

func newTransport(t testing.TB, base http.RoundTripper) *facebook.Transport {
	t.Helper()
	fb, err := facebook.New(source(t), &facebook.Options{Base: base})
	require.NoError(t, err)
	return fb
}

func says(status int, body string, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i+1 < len(header); i += 2 {
			w.Header().Add(header[i], header[i+1])
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

// inTurn gives the answers in order, and the last one from then on.
func inTurn(handlers ...http.HandlerFunc) http.HandlerFunc {
	n := 0
	return func(w http.ResponseWriter, r *http.Request) {
		handlers[min(n, len(handlers)-1)](w, r)
		n++
	}
}
