package samlbearer_test

import (
	"context"
	"encoding/base64"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/oauthtest"
	"github.com/outgrant/outgrant/samlbearer"
)

// odd is an assertion whose base64 needs padding, + and /.
const odd = "<a>\xfb\xff\xfe~~~???>></a>"

const (
	oddStandard = "PGE+" + "+//+fn5+Pz8/Pj48L2E+"
	oddURL      = "PGE-" + "-__-fn5-Pz8_Pj48L2E-"
)

// TestRequests: what goes out for each target, to the byte.
func TestRequests(t *testing.T) {
	t.Parallel()
	require.Equal(t, odd, string(must(base64.StdEncoding.DecodeString(oddStandard))))
	require.Equal(t, odd, string(must(base64.RawURLEncoding.DecodeString(oddURL))))
	const grantType = "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Asaml2-bearer"
	escaped := url.QueryEscape(oddStandard)
	for name, test := range map[string]struct {
		change    func(*samlbearer.Config)
		assertion string // default odd
		wantBody  string
		wantBasic string // user:password, as it is escaped
		wantQuery string
	}{
		"SuccessFactors": {change: func(c *samlbearer.Config) { c.Target = samlbearer.SuccessFactors("ACME & Söhne") },
			wantBody: "assertion=" + escaped + "&client_id=the-api-key&company_id=ACME+%26+S%C3%B6hne&" + grantType},
		"SuccessFactors, with padding": {change: func(c *samlbearer.Config) { c.Target = samlbearer.SuccessFactors("A") }, assertion: "<a>",
			wantBody: "assertion=PGE%2B&client_id=the-api-key&company_id=A&" + grantType},
		"SuccessFactors, with more padding": {change: func(c *samlbearer.Config) { c.Target = samlbearer.SuccessFactors("A") }, assertion: "<aa/",
			wantBody: "assertion=PGFhLw%3D%3D&client_id=the-api-key&company_id=A&" + grantType},
		"Cloud Foundry": {change: func(c *samlbearer.Config) { c.Target, c.ClientKey = samlbearer.BTPCloudFoundry("sb-1!t1", "pass"), "" },
			wantBody: "assertion=" + oddURL + "&client_id=sb-1%21t1&" + grantType, wantBasic: "sb-1%21t1:pass"},
		"Cloud Foundry, without padding": {change: func(c *samlbearer.Config) { c.Target, c.ClientKey = samlbearer.BTPCloudFoundry("sb", "pass"), "" }, assertion: "<aa/",
			wantBody: "assertion=PGFhLw&client_id=sb&" + grantType, wantBasic: "sb:pass"},
		"Cloud Foundry, odd password": {change: func(c *samlbearer.Config) {
			c.Target, c.ClientKey, c.Scopes = samlbearer.BTPCloudFoundry("sb:1 ü+", "p:a+s/s=% &ü"), "", []string{"read", "write.all"}
		}, wantBody: "assertion=" + oddURL + "&client_id=sb%3A1+%C3%BC%2B&" + grantType + "&scope=read+write.all", wantBasic: "sb%3A1+%C3%BC%2B:p%3Aa%2Bs%2Fs%3D%25+%26%C3%BC"},
		"Neo": {change: func(c *samlbearer.Config) { c.Target, c.ClientKey = samlbearer.BTPNeo("neo", "pass"), "" },
			wantBody: "assertion=" + oddURL + "&" + grantType, wantBasic: "neo:pass"},
		"Neo, with a query": {change: func(c *samlbearer.Config) {
			c.Target, c.TokenURL = samlbearer.BTPNeo("neo", "pass"), c.TokenURL+"?sap-client=100"
		},
			wantBody: "assertion=" + oddURL + "&" + grantType, wantBasic: "neo:pass", wantQuery: "sap-client=100"},
		"public client": {change: func(c *samlbearer.Config) { c.Target = samlbearer.Target{Auth: outgrant.None} },
			wantBody: "assertion=" + oddURL + "&client_id=the-api-key&" + grantType},
		"secret in the body": {change: func(c *samlbearer.Config) {
			c.Target = samlbearer.Target{Auth: outgrant.ClientSecretPost, Password: "pa ss", Fields: map[string]string{"b": "2", "a": "1"}, RenewFields: map[string]string{"r": "1"}}
		}, wantBody: "a=1&assertion=" + oddURL + "&b=2&client_id=the-api-key&client_secret=pa+ss&" + grantType},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got, basic, query, contentType string
			cfg := &samlbearer.Config{TokenURL: "https://token.example/oauth/token", ClientKey: apiKey}
			cfg.HTTPClient = &http.Client{Transport: oauthtest.HandlerTransport(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				got, basic, query, contentType = bodyOf(t, r), r.Header.Get("Authorization"), r.URL.RawQuery, r.Header.Get("Content-Type")
				_, _ = w.Write([]byte(`{"access_token":"access"}`))
			}))}
			test.change(cfg)
			if test.assertion == "" {
				test.assertion = odd
			}
			cfg.Assertions = fixed(test.assertion)
			granted := token(t, newClient(t, cfg), "alice")
			require.Equal(t, test.wantBody, got)
			require.Equal(t, "application/x-www-form-urlencoded", contentType)
			require.Equal(t, test.wantQuery, query)
			if test.wantBasic == "" {
				require.Empty(t, basic)
			} else {
				require.Equal(t, "Basic "+base64.StdEncoding.EncodeToString([]byte(test.wantBasic)), basic)
			}
			require.Equal(t, cfg.Scopes, granted.Scopes, "what was asked for, where the answer does not say")
		})
	}
}

func TestTargetRefused(t *testing.T) {
	t.Parallel()
	fields := func(name, value string) func(*samlbearer.Config) {
		return func(c *samlbearer.Config) { c.Target.Fields = map[string]string{name: value} }
	}
	renew := func(name, value string) func(*samlbearer.Config) {
		return func(c *samlbearer.Config) { c.Target.RenewFields = map[string]string{name: value} }
	}
	for name, test := range map[string]struct {
		change func(*samlbearer.Config)
		want   string
	}{
		"encoding":              {func(c *samlbearer.Config) { c.Target.Encoding = 2 }, "Target.Encoding: there is no encoding 2"},
		"negative encoding":     {func(c *samlbearer.Config) { c.Target.Encoding = -1 }, "Target.Encoding: "},
		"grant_type":            {fields("grant_type", "x"), `Target.Fields: "grant_type" cannot be set here`},
		"assertion":             {fields("assertion", "x"), `Target.Fields: "assertion"`},
		"scope":                 {fields("scope", "x"), `Target.Fields: "scope"`},
		"client_id":             {fields("client_id", "x"), `Target.Fields: "client_id"`},
		"client_secret":         {fields("client_secret", "x"), `Target.Fields: "client_secret"`},
		"client_assertion":      {fields("client_assertion", "x"), `Target.Fields: "client_assertion"`},
		"client_assertion_type": {fields("client_assertion_type", "x"), `Target.Fields: "client_assertion_type"`},
		"no name":               {fields("", "x"), `Target.Fields: ""`},
		"no value":              {fields("tenant", ""), "Target.Fields: tenant: missing"},
		"no company":            {func(c *samlbearer.Config) { c.Target = samlbearer.SuccessFactors("") }, "Target.Fields: company_id: missing"},
		"renew grant_type":      {renew("grant_type", "x"), `Target.RenewFields: "grant_type"`},
		"renew, no value":       {renew("new_token", ""), "Target.RenewFields: new_token: missing"},
		"no password":           {func(c *samlbearer.Config) { c.Target = samlbearer.BTPNeo("neo", "") }, "Target.Password: missing; client_secret_basic needs it"},
		"no password for post":  {func(c *samlbearer.Config) { c.Target = samlbearer.Target{Auth: outgrant.ClientSecretPost} }, "Target.Password: missing; client_secret_post needs it"},
		"password not used":     {func(c *samlbearer.Config) { c.Target.Password = "x" }, "Target.Password: must not be set with the method none"},
		"password read back":    {func(c *samlbearer.Config) { c.Target = samlbearer.BTPNeo("neo", "[redacted]") }, "Target.Password: is the printed form"},
		"mTLS without":          {func(c *samlbearer.Config) { c.Target = samlbearer.Target{Auth: outgrant.TLSClientAuth} }, "ClientAuth: missing; tls_client_auth needs it"},
		"JWT without":           {func(c *samlbearer.Config) { c.Target = samlbearer.Target{Auth: outgrant.PrivateKeyJWT} }, "ClientAuth: missing; private_key_jwt needs it"},
		"no such method":        {func(c *samlbearer.Config) { c.Target = samlbearer.Target{Auth: 99} }, "ClientAuth: missing"},
		"issuer required": {func(c *samlbearer.Config) {
			c.Target = samlbearer.BTPCloudFoundry("sb", "p")
			c.Target.Audience = "aud"
		}, "Assertions: Signer.Issuer: missing"},
		"no audience":        {func(c *samlbearer.Config) { c.Target = samlbearer.BTPNeo("neo", "p") }, "Assertions: Signer.Audience: missing"},
		"no client key":      {func(c *samlbearer.Config) { c.ClientKey = "" }, "ClientKey: missing"},
		"no token URL":       {func(c *samlbearer.Config) { c.TokenURL = "" }, "TokenURL: missing"},
		"insecure":           {func(c *samlbearer.Config) { c.TokenURL = "http://token.example/" }, "TokenURL: "},
		"userinfo":           {func(c *samlbearer.Config) { c.TokenURL = "https://u:S3NTINEL@token.example/" }, "TokenURL: "},
		"no assertions":      {func(c *samlbearer.Config) { c.Assertions = nil }, "Assertions: missing"},
		"nil function":       {func(c *samlbearer.Config) { c.Assertions = assertionFunc(nil) }, "Assertions: missing"},
		"nil Signer":         {func(c *samlbearer.Config) { c.Assertions = (*samlbearer.Signer)(nil) }, "Assertions: missing"},
		"nil Exchanged":      {func(c *samlbearer.Config) { c.Assertions = (*samlbearer.Exchanged)(nil) }, "Assertions: missing"},
		"nil Forwarded":      {func(c *samlbearer.Config) { c.Assertions = (*samlbearer.Forwarded)(nil) }, "Assertions: missing"},
		"scopes in one":      {func(c *samlbearer.Config) { c.Scopes = []string{"a b"} }, "Scopes: "},
		"empty scope":        {func(c *samlbearer.Config) { c.Scopes = []string{""} }, "Scopes: "},
		"negative users":     {func(c *samlbearer.Config) { c.MaxUsers = -1 }, "MaxUsers, UserIdleTime: must not be negative"},
		"negative idle time": {func(c *samlbearer.Config) { c.UserIdleTime = -1 }, "MaxUsers, UserIdleTime: must not be negative"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := config(inMemory(nil))
			test.change(cfg)
			client, err := samlbearer.New(cfg)
			require.Nil(t, client)
			require.ErrorContains(t, err, "samlbearer: "+test.want)
			require.NotContains(t, err.Error(), "S3NTINEL")
		})
	}
	_, err := samlbearer.New(nil)
	require.ErrorContains(t, err, "samlbearer: Config: nil")
}

// TestSuccessFactorsErrors are in a shape of their own.
func TestSuccessFactorsErrors(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		status        int
		body          string
		wantCode      string
		wantSays      string
		wantTemporary bool
	}{
		"signature":          {401, `{"errorHttpCode":"401","errorMessage":"Unable to authenticate the client (Login failed - invalid user)"}`, "invalid_client", "Unable to authenticate the client", false},
		"company":            {400, `{"errorHttpCode":"400","errorMessage":"Invalid company id"}`, "invalid_request", "Invalid company id", false},
		"forbidden":          {403, `{"errorHttpCode":"403","errorMessage":"No access"}`, "access_denied", "No access", false},
		"broken":             {500, `{"errorHttpCode":"500","errorMessage":"Oops"}`, "", "Oops", true},
		"away":               {503, `<html>away</html>`, "", "answer 503", true},
		"too many":           {429, `{"errorHttpCode":"429","errorMessage":"Slow down"}`, "", "Slow down", true},
		"a page":             {401, `<html>login</html>`, "invalid_client", "answer 401", false},
		"no text":            {401, `{"errorHttpCode":"401","errorMessage":{"a":1}}`, "invalid_client", "answer 401", false},
		"empty":              {401, `{"errorHttpCode":"401","errorMessage":""}`, "invalid_client", "answer 401", false},
		"as RFC 6749 has it": {400, `{"error":"invalid_grant","error_description":"no","errorMessage":"other"}`, "invalid_grant", "(no)", false},
		"unknown status":     {404, `{"errorHttpCode":"404","errorMessage":"Not here"}`, "", "Not here", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := inMemory(nil)
			server.Inject(oauthtest.Body(test.status, "application/json", test.body))
			_, err := newClient(t, config(server)).ForUser("alice").Token(t.Context())
			var te *outgrant.TokenError
			require.ErrorAs(t, err, &te)
			require.Equal(t, test.status, te.StatusCode)
			require.Equal(t, test.wantCode, te.Code)
			require.Equal(t, test.wantTemporary, te.Temporary())
			require.ErrorContains(t, err, test.wantSays)
			require.NotContains(t, err.Error(), "<")
		})
	}
	// At another target the member means nothing.
	server := inMemory(nil)
	server.Inject(oauthtest.Body(401, "application/json", `{"errorHttpCode":"401","errorMessage":"S3NTINEL"}`))
	cfg := config(server)
	cfg.Target = samlbearer.Target{Auth: outgrant.None, Audience: "aud"}
	_, err := newClient(t, cfg).ForUser("alice").Token(t.Context())
	require.Error(t, err)
	require.NotContains(t, err.Error(), "S3NTINEL")
}

// TestClientAuthReplaces the target's fixed fields, and is read at each request.
func TestClientAuthReplaces(t *testing.T) {
	t.Parallel()
	server := inMemory(&oauthtest.ServerOptions{Clients: []oauthtest.Client{{ID: "sb", Secret: "second"}}})
	cfg := config(server)
	cfg.Target, cfg.ClientKey = samlbearer.BTPCloudFoundry("sb", ""), ""
	cfg.Assertions = fixed("<a/>")
	secret, asked := outgrant.Secret("first"), 0
	cfg.ClientAuth = func(ctx context.Context) (outgrant.ClientAuth, error) {
		asked++
		_, bounded := ctx.Deadline()
		require.True(t, bounded)
		return outgrant.ClientAuth{Secret: secret}, nil
	}
	client := newClient(t, cfg)
	require.Zero(t, asked)
	_, err := client.ForUser("alice").Token(t.Context())
	require.ErrorContains(t, err, "invalid_client")
	secret = "second"
	token(t, client, "bob")
	require.Equal(t, 2, asked)

	cfg.Target = samlbearer.Target{Auth: outgrant.PrivateKeyJWT}
	cfg.ClientKey = "sb"
	_, err = samlbearer.New(cfg)
	require.NoError(t, err, "its key comes from ClientAuth")
}

// TestNewCopies: what a caller does to its Config afterwards changes nothing.
func TestNewCopies(t *testing.T) {
	t.Parallel()
	server := inMemory(nil)
	cfg := config(server)
	cfg.Scopes = []string{"read"}
	own := &samlbearer.Signer{Key: signingKey, Certificate: signingCert, Attributes: map[string][]string{"Groups": {"users"}}}
	cfg.Assertions = own
	cfg.Cache = &outgrant.CacheOptions{FetchTimeout: time.Minute}
	client := newClient(t, cfg)

	cfg.Target.Fields["company_id"], cfg.Target.Fields["more"], cfg.Target.RenewFields["more"] = "OTHER", "x", "x"
	cfg.Target.ErrorCodes[401] = "changed"
	cfg.Scopes[0] = "changed"
	own.Attributes["Groups"][0], own.Attributes["more"] = "admins", []string{"x"}
	own.Issuer, own.Key, own.Certificate = "changed", ecKey, nil
	cfg.Cache.FetchTimeout, cfg.Cache.Wrap = 1, func(outgrant.TokenSource) outgrant.TokenSource { return nil }
	cfg.TokenURL, cfg.ClientKey, cfg.Name = "changed", "changed", "changed"

	granted := token(t, client, "alice")
	sent := server.Requests()[0]
	require.Equal(t, "ACME", sent.Params.Get("company_id"))
	require.Equal(t, "read", sent.Params.Get("scope"))
	require.Equal(t, apiKey, sent.Params.Get("client_id"))
	require.False(t, sent.Params.Has("more"))
	r := readAssertion(t, sentAssertion(t, sent), signingKey.Public())
	require.Equal(t, apiKey, r.Issuer)
	require.Equal(t, map[string][]string{"Groups": {"users"}, "api_key": {apiKey}}, r.attributes())
	require.Equal(t, "CRED", client.Describe().Name)

	client.ForUser("alice").(outgrant.Invalidator).Invalidate(granted)
	token(t, client, "alice")
	require.False(t, server.Requests()[1].Params.Has("more"))
	server.Inject(oauthtest.Body(401, "application/json", `{"errorMessage":"no"}`))
	_, err := client.ForUser("bob").Token(t.Context())
	require.ErrorContains(t, err, "invalid_client")

	_, has := own.Attributes["api_key"]
	require.False(t, has, "the caller's map is not changed")
}

// TestSignerDefaultsInClient: what a client knows needs no telling, and what is told wins.
func TestSignerDefaultsInClient(t *testing.T) {
	t.Parallel()
	server := inMemory(nil)
	cfg := config(server)
	cfg.TokenURL += "?sap-client=100"
	token(t, newClient(t, cfg), "alice")
	r := readAssertion(t, sentAssertion(t, server.Requests()[0]), signingKey.Public())
	require.Equal(t, apiKey, r.Issuer)
	require.Equal(t, []string{"www.successfactors.com"}, r.Conditions.Audiences)
	require.Equal(t, cfg.TokenURL, r.Confirmation.Data.Recipient)
	require.Equal(t, "urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport", r.Authn.Class)
	require.Equal(t, map[string][]string{"api_key": {apiKey}}, r.attributes())

	s := signer()
	s.AuthnContext, s.Attributes = "urn:x", map[string][]string{"api_key": {"own"}}
	cfg.Assertions = s
	token(t, newClient(t, cfg), "alice")
	r = readAssertion(t, sentAssertion(t, server.Requests()[1]), signingKey.Public())
	require.Equal(t, s.Issuer, r.Issuer)
	require.Equal(t, s.Recipient, r.Confirmation.Data.Recipient)
	require.Equal(t, "urn:x", r.Authn.Class)
	require.Equal(t, map[string][]string{"api_key": {"own"}}, r.attributes())
}

// embedding has a Signer in it, and an Assertion of its own.
type embedding struct{ samlbearer.Signer }

func (embedding) Assertion(context.Context, string) ([]byte, error) { return []byte("<own/>"), nil }

// TestOwnSourceAroundASigner: it is the one that is asked, and not the Signer in it.
func TestOwnSourceAroundASigner(t *testing.T) {
	t.Parallel()
	server := inMemory(nil)
	cfg := config(server)
	for _, source := range []samlbearer.AssertionSource{embedding{signer()}, &embedding{signer()}} {
		cfg.Assertions = source
		token(t, newClient(t, cfg), "alice")
	}
	for _, r := range server.Requests() {
		require.Equal(t, "<own/>", string(sentAssertion(t, r)))
	}
}
