package oauthtest_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/oauthtest"
)

// registered are the clients of the tests that need a list of them.
var registered = []oauthtest.Client{
	{ID: "client-1", Secret: "secret-1"},
	{ID: "post", Secret: "secret-2", Auth: outgrant.ClientSecretPost},
	{ID: "public", Auth: outgrant.None, RedirectURLs: []string{"https://app.test/cb", "https://app.test/cb?x=1"}},
	{ID: "reader", Secret: "secret-3", Scopes: []string{"read"}, Grants: []string{"client_credentials"}},
	{ID: "od:d/+ %&=ü", Secret: "s3cr:et/+ %&=ü"},
}

var registeredOptions = oauthtest.ServerOptions{Clients: registered, Scopes: []string{"read", "write", "admin"}}

// TestParameters breaks each rule about the parameters once. The request that it breaks is granted as it is.
func TestParameters(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name   string
		damage func(w *wire)
		status int
		code   string
		why    string
	}{
		{"GET", func(w *wire) { w.method, w.query, w.body = "GET", w.body, "" }, 405, "invalid_request", "POST"},
		{"PUT", func(w *wire) { w.method = "PUT" }, 405, "invalid_request", "POST"},
		{"no content type", func(w *wire) { w.header.Del("Content-Type") }, 400, "invalid_request", "content type"},
		{"text", func(w *wire) { w.header.Set("Content-Type", "text/plain") }, 400, "invalid_request", "content type"},
		{"multipart", func(w *wire) { w.header.Set("Content-Type", "multipart/form-data; boundary=x") }, 400, "invalid_request", "content type"},
		{"JSON", func(w *wire) {
			w.header.Set("Content-Type", "application/json")
			w.body = `{"grant_type":"client_credentials"}`
		},
			400, "invalid_request", "content type"},
		{"grant_type in the URL", func(w *wire) { w.query, w.body = w.body, "" }, 400, "invalid_request", "grant_type must be in the body"},
		{"client_id in the URL", func(w *wire) { w.query = "client_id=client-1" }, 400, "invalid_request", "client_id must be"},
		{"client_secret in the URL", func(w *wire) { w.query = "client_secret=secret-1" }, 400, "invalid_request", "client_secret must be"},
		{"scope in the URL", func(w *wire) { w.query = "scope=read" }, 400, "invalid_request", "scope must be"},
		{"refresh_token in the URL, empty", func(w *wire) { w.query = "refresh_token" }, 400, "invalid_request", "refresh_token must be"},
		{"malformed query", func(w *wire) { w.query = "a=%zz" }, 400, "invalid_request", "query"},
		{"malformed body", func(w *wire) { w.body += "&a=%zz" }, 400, "invalid_request", "malformed"},
		{"semicolons", func(w *wire) { w.body += ";scope=read" }, 400, "invalid_request", "malformed"},
		{"larger than 1 MiB", func(w *wire) { w.body += "&a=" + strings.Repeat("a", 1<<20) }, 400, "invalid_request", "1 MiB"},
		{"grant_type repeated", func(w *wire) { w.body += "&" + w.body }, 400, "invalid_request", "grant_type is repeated"},
		{"foreign parameter repeated", func(w *wire) { w.body += "&a=1&a=2" }, 400, "invalid_request", "a is repeated"},
		{"scope repeated, once empty", func(w *wire) { w.body += "&scope=&scope=read" }, 400, "invalid_request", "scope is repeated"},
		{"no grant_type", func(w *wire) { w.body = "scope=read" }, 400, "invalid_request", "grant_type is missing"},
		{"empty grant_type", func(w *wire) { w.body = "grant_type=" }, 400, "invalid_request", "grant_type is missing"},
		{"empty body", func(w *wire) { w.body = "" }, 400, "invalid_request", "grant_type is missing"},
		{"unknown grant_type", func(w *wire) { w.body = "grant_type=password" }, 400, "unsupported_grant_type", "password"},
		{"grant_type in other case", func(w *wire) { w.body = "grant_type=Client_Credentials" }, 400, "unsupported_grant_type", "not offered"},
		{"grant_type not allowed to the client", func(w *wire) {
			w.body = form("grant_type", "refresh_token", "refresh_token", "x")
			w.as("reader", "secret-3")
		},
			400, "unauthorized_client", "refresh_token"},
		{"unknown scope", func(w *wire) { w.body += "&scope=read+other" }, 400, "invalid_scope", "other"},
		{"scope of others", func(w *wire) { w.body += "&scope=read+write"; w.as("reader", "secret-3") }, 400, "invalid_scope", "write"},
		{"scope with two blanks", func(w *wire) { w.body += "&scope=read++write" }, 400, "invalid_scope", "malformed"},
		{"scope with a blank before", func(w *wire) { w.body += "&scope=+read" }, 400, "invalid_scope", "malformed"},
		{"scope with a tab", func(w *wire) { w.body += "&scope=read%09write" }, 400, "invalid_scope", "malformed"},
		{"scope with a quote", func(w *wire) { w.body += "&scope=%22read%22" }, 400, "invalid_scope", "malformed"},
		{"scope with a backslash", func(w *wire) { w.body += "&scope=read%5C" }, 400, "invalid_scope", "malformed"},
		{"scope in UTF-8", func(w *wire) { w.body += "&scope=l%C3%A4s" }, 400, "invalid_scope", "malformed"},
		{"scope with commas", func(w *wire) { w.body += "&scope=read,write" }, 400, "invalid_scope", "read,write"},
		{"relative resource", func(w *wire) { w.body += "&resource=/api" }, 400, "invalid_target", "absolute"},
		{"resource without scheme", func(w *wire) { w.body += "&resource=api.test" }, 400, "invalid_target", "absolute"},
		{"resource with fragment", func(w *wire) { w.body += "&" + form("resource", "https://api.test/#a") }, 400, "invalid_target", "fragment"},
		{"resource with empty fragment", func(w *wire) { w.body += "&" + form("resource", "https://api.test/#") }, 400, "invalid_target", "fragment"},
		{"second resource relative", func(w *wire) { w.body += "&" + form("resource", "https://api.test/", "resource", "api") }, 400, "invalid_target", "absolute"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			s := inMemory(t, registeredOptions)
			clientCredentials().granted(t, s)
			broken := clientCredentials()
			tc.damage(broken)
			r := broken.refused(t, s, tc.status, tc.code, tc.why)
			require.Equal(t, "no-store", r.header.Get("Cache-Control"))
			require.Equal(t, tc.status == 405, r.header.Get("Allow") == http.MethodPost)
			clientCredentials().granted(t, s)
		})
	}
}

func TestParametersThatAreFine(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name  string
		edit  func(w *wire)
		scope any
	}{
		{"foreign parameters in the URL", func(w *wire) { w.query = "sap-client=100&sap-language=EN" }, nil},
		{"foreign parameters in the body", func(w *wire) { w.body += "&tenant=1" }, nil},
		{"a content type with a charset", func(w *wire) { w.header.Set("Content-Type", formType+"; charset=UTF-8") }, nil},
		{"an empty parameter counts as omitted", func(w *wire) { w.body += "&scope=&client_secret=&resource=&client_assertion" }, nil},
		{"an empty resource beside another", func(w *wire) { w.body += "&" + form("resource", "", "resource", "https://a.test") }, nil},
		{"scopes", func(w *wire) { w.body += "&scope=read+write" }, "read write"},
		{"the client's scopes", func(w *wire) { w.as("reader", "secret-3") }, "read"},
		{"resources and audiences may be repeated", func(w *wire) {
			w.body += "&" + form("resource", "https://a.test/x?y", "resource", "urn:b:c", "audience", "a", "audience", "b")
		}, nil},
		{"the client_id of the header too", func(w *wire) { w.body += "&client_id=client-1" }, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			w := clientCredentials()
			tc.edit(w)
			require.Equal(t, tc.scope, w.granted(t, inMemory(t, registeredOptions)).members["scope"])
		})
	}
}

func TestAnySuccess(t *testing.T) {
	t.Parallel()
	both(t, oauthtest.ServerOptions{}, func(t *testing.T, s *oauthtest.Server) {
		r := clientCredentials().granted(t, s)
		require.Equal(t, "application/json;charset=UTF-8", r.header.Get("Content-Type"))
		require.Equal(t, "no-store", r.header.Get("Cache-Control"))
		require.Equal(t, "no-cache", r.header.Get("Pragma"))
		require.Equal(t, "Bearer", r.members["token_type"])
		require.Equal(t, 3600.0, r.members["expires_in"])
		require.NotContains(t, r.members, "refresh_token", "RFC 6749 4.4.3")
		require.NotContains(t, r.members, "scope", "none was asked for")
		require.NotEqual(t, r.text("access_token"), clientCredentials().granted(t, s).text("access_token"))
	})
}

func TestOtherPaths(t *testing.T) {
	t.Parallel()
	s := inMemory(t, oauthtest.ServerOptions{})
	resp, err := s.Client().Get(s.Issuer() + "/")
	require.NoError(t, err)
	require.Equal(t, 404, resp.StatusCode)
	require.Zero(t, s.TokenRequests())
}

func TestSAPDialect(t *testing.T) {
	t.Parallel()
	inURL := func() *wire {
		w := clientCredentials()
		w.query, w.body = w.body+"&scope=read", ""
		return w
	}
	asJSON := func(body string) *wire {
		w := clientCredentials()
		w.header.Set("Content-Type", "application/json; charset=utf-8")
		w.body = body
		return w
	}
	sap := registeredOptions
	sap.SAPDialect = true
	strict, lenient := inMemory(t, registeredOptions), inMemory(t, sap)

	inURL().refused(t, strict, 400, "invalid_request", "grant_type must be in the body")
	require.Equal(t, "read", inURL().granted(t, lenient).text("scope"))
	require.Equal(t, "client_credentials", lenient.Requests()[0].GrantType)
	body := `{"grant_type":"client_credentials","scope":"write"}`
	asJSON(body).refused(t, strict, 400, "invalid_request", "content type")
	require.Equal(t, "write", asJSON(body).granted(t, lenient).text("scope"))
	clientCredentials().granted(t, lenient)

	for name, w := range map[string]*wire{
		"in the URL and in the body":  {method: "POST", query: "grant_type=client_credentials", body: "grant_type=client_credentials"},
		"twice in the URL":            {method: "POST", query: "grant_type=client_credentials&grant_type=client_credentials"},
		"a secret in the URL":         {method: "POST", query: "client_secret=secret-1", body: "grant_type=client_credentials"},
		"an assertion in the URL":     {method: "POST", query: "assertion=x", body: "grant_type=client_credentials"},
		"scope in the URL and beside": {method: "POST", query: "scope=read", body: "grant_type=client_credentials&scope=read"},
	} {
		w.header = clientCredentials().header
		require.Equal(t, "invalid_request", w.send(t, lenient).text("error"), name)
	}
	asJSON(`{"grant_type":["client_credentials"]}`).refused(t, lenient, 400, "invalid_request", "malformed")
	asJSON(`{"grant_type":`).refused(t, lenient, 400, "invalid_request", "malformed")
	asJSON(`null`).refused(t, lenient, 400, "invalid_request", "grant_type is missing")
}
