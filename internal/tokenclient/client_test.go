package tokenclient_test

import (
	"context"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/internal/tokenclient"
	"github.com/outgrant/outgrant/oauthtest"
)

func TestCheckURL(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]string{
		"":                                         "missing",
		"  ":                                       "missing",
		"/oauth/token":                             "absolute",
		"token.example/oauth/token":                "absolute",
		"https:///oauth/token":                     "absolute",
		"https:token":                              "absolute",
		"https://user:sentinel@token.example/":     "user name",
		"https://user@token.example/":              "user name",
		"https://token.example/#sentinel":          "fragment",
		"https://token.example/#":                  "fragment",
		"ftp://token.example/":                     "https",
		"http://token.example/?secret=sentinel":    "insecure",
		"http://192.168.0.1/":                      "insecure",
		"http://localhost.evil.example/":           "insecure",
		"https://token.example/%zz?x=sentinel":     "not a URL",
		"https://token.example:port/?x=sentinel":   "not a URL",
		"https://token.example/oauth/token":        "",
		"https://token.example/t?sap-client=100":   "",
		"http://localhost:8080/oauth/token":        "",
		"http://127.0.0.1/oauth/token":             "",
		"http://[::1]:8080/oauth/token":            "",
		"HTTPS://TOKEN.example/oauth/token":        "",
		"http://[::ffff:127.0.0.1]:80/oauth/token": "",
	} {
		_, err := tokenclient.CheckURL("TokenURL", raw, false)
		if want == "" {
			require.NoError(t, err, raw)
			continue
		}
		require.ErrorContains(t, err, "TokenURL: ", raw)
		require.ErrorContains(t, err, want, raw)
		require.NotContains(t, err.Error(), "sentinel")
		require.Equal(t, want == "insecure", errors.Is(err, outgrant.ErrInsecureURL))
	}
	_, err := tokenclient.CheckURL("TokenURL", "http://token.example/", true)
	require.NoError(t, err)
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	t.Parallel()
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the secret went elsewhere") }))
	defer elsewhere.Close()
	for _, status := range []int{301, 302, 303, 307, 308} {
		_, err := ask(t, func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, elsewhere.URL+"/?x=sentinel", status)
		})
		var te *outgrant.TokenError
		require.ErrorAs(t, err, &te)
		require.Equal(t, status, te.StatusCode)
		require.False(t, te.Temporary())
		require.ErrorContains(t, err, "set the token URL to the final address")
		require.NotContains(t, err.Error(), "sentinel")
	}
}

func TestRequestOnTheWire(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		auth     outgrant.ClientAuth
		req      tokenclient.Request
		wantAuth string
		wantBody string
		wantURL  string
	}{
		"basic": {outgrant.ClientAuth{Secret: "s3cr:et/+ %&="}, tokenclient.Request{Form: url.Values{"grant_type": {"g"}}},
			"Basic aWQ6czNjciUzQWV0JTJGJTJCKyUyNSUyNiUzRA==", "grant_type=g", "/oauth/token?sap-client=100&key=sentinel-query"},
		"post": {outgrant.ClientAuth{Method: outgrant.ClientSecretPost, Secret: "s&="}, tokenclient.Request{Form: url.Values{"a": {"1", "2"}}},
			"", "a=1&a=2&client_id=id&client_secret=s%26%3D", "/oauth/token?sap-client=100&key=sentinel-query"},
		"none, with a query": {outgrant.ClientAuth{Method: outgrant.None}, tokenclient.Request{Query: url.Values{"key": {"ours"}}},
			"", "client_id=id", "/oauth/token?key=ours&sap-client=100"},
		"JSON": {outgrant.ClientAuth{Method: outgrant.ClientSecretPost, Secret: "s"}, tokenclient.Request{JSON: true, Form: url.Values{"a": {"1"}}},
			"", `{"a":"1","client_id":"id","client_secret":"s"}`, "/oauth/token?sap-client=100&key=sentinel-query"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client := newClient(t, c.auth, func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				if r.Method != http.MethodPost || string(body) != c.wantBody || r.URL.RequestURI() != c.wantURL || r.Header.Get("Authorization") != c.wantAuth {
					t.Errorf("%s %s %q, Authorization %q", r.Method, r.URL, body, r.Header.Get("Authorization"))
				}
				if want := map[bool]string{true: "application/json", false: "application/x-www-form-urlencoded"}[c.req.JSON]; r.Header.Get("Content-Type") != want {
					t.Errorf("content type %q", r.Header.Get("Content-Type"))
				}
				_, _ = io.WriteString(w, `{"access_token":"access"}`)
			})
			for range 2 { // a request can be sent again
				_, err := client.Ask(t.Context(), &c.req)
				require.NoError(t, err)
			}
		})
	}
}

func TestOwnTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := oauthtest.NewServer(&oauthtest.ServerOptions{InMemory: true})
		server.Inject(oauthtest.Delay(time.Hour), oauthtest.Delay(time.Hour))
		client, err := tokenclient.New(tokenclient.Config{TokenURL: server.TokenURL(), ClientID: "id", HTTPClient: server.Client(),
			Auth: func(context.Context) (outgrant.ClientAuth, error) { return outgrant.ClientAuth{Secret: "s"}, nil }})
		require.NoError(t, err)
		start := time.Now()
		_, err = client.Ask(t.Context(), &tokenclient.Request{})
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, 30*time.Second, time.Since(start))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err = client.Ask(ctx, &tokenclient.Request{})
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, 31*time.Second, time.Since(start))
		server.Close()
	})
}

func TestUsersHTTPClientIsLeftAlone(t *testing.T) {
	t.Parallel()
	mine := &http.Client{Timeout: time.Minute}
	_, err := tokenclient.New(tokenclient.Config{TokenURL: tokenURL, ClientID: "id", HTTPClient: mine})
	require.NoError(t, err)
	require.Nil(t, mine.CheckRedirect)
	_, err = tokenclient.New(tokenclient.Config{TokenURL: tokenURL})
	require.ErrorContains(t, err, "ClientID: missing")
}

func TestCheckScopes(t *testing.T) {
	t.Parallel()
	for _, good := range [][]string{nil, {}, {"read"}, {"https://graph.example/.default", "a:b", "uaa.user", "!#[]~"}} {
		require.NoError(t, tokenclient.CheckScopes(good))
	}
	for _, bad := range []string{"", " ", "a b", " a", "a\t", "a\nb", "a\rb", `a"b`, `a\b`} {
		err := tokenclient.CheckScopes([]string{"good", bad})
		require.ErrorContains(t, err, "Scopes: ", "%q", bad)
		require.ErrorContains(t, err, "is not a scope")
		require.NotContains(t, err.Error(), "\n")
	}
}

// TestWarnOfEnd: the hook hears of a certificate that ends soon, each time.
func TestWarnOfEnd(t *testing.T) {
	t.Parallel()
	var told []outgrant.CertificateEvent
	now := time.Now()
	leaf := &x509.Certificate{Subject: pkix.Name{CommonName: "sb-1"}, NotBefore: now.Add(-100 * 24 * time.Hour), NotAfter: now.Add(100 * 24 * time.Hour)}
	for _, hooks := range []*outgrant.Hooks{nil, {}, {CertificateEnding: func(e outgrant.CertificateEvent) { told = append(told, e) }}} {
		client, err := tokenclient.New(tokenclient.Config{Name: "CRED", Grant: outgrant.SAMLBearer, TokenURL: tokenURL + "?key=sentinel", ClientID: "id", Hooks: hooks})
		require.NoError(t, err)
		client.WarnOfEnd(leaf)
		require.Empty(t, told)
		soon := *leaf
		soon.NotAfter = now.Add(20 * 24 * time.Hour)
		client.WarnOfEnd(&soon)
		if hooks == nil || hooks.CertificateEnding == nil {
			continue
		}
		client.WarnOfEnd(&soon)
		require.Equal(t, []outgrant.CertificateEvent{{Credential: client.Describe(), Subject: "CN=sb-1", NotAfter: soon.NotAfter}}, told[:1])
		require.Len(t, told, 2)
		require.Equal(t, tokenURL, told[0].TokenURL)
	}
}
