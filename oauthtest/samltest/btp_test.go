package samltest_test

import (
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant/oauthtest"
	"github.com/outgrant/outgrant/oauthtest/samltest"
)

func callCloudFoundry(tokenURL string) *call {
	return &call{
		url: tokenURL, says: valid(tokenURL, "acme.alias"), signing: signing{key: p256()}, encode: rawURL, basic: "client-1",
		form: url.Values{"grant_type": {saml2Bearer}, "client_id": {"client-1"}},
	}
}

func callNeo(tokenURL string) *call {
	c := callCloudFoundry(tokenURL)
	c.says.audience = "https://neo.test/acme"
	c.form.Del("client_id")
	return c
}

// refused sends a call that must be refused in the form of RFC 6749.
func (c *call) refused(t *testing.T, s *oauthtest.Server, code, why string) {
	t.Helper()
	r := c.send(t, s)
	require.Equal(t, code, r.members["error"], "%v", r.members)
	require.Equal(t, map[bool]int{true: 401, false: 400}[code == "invalid_client"], r.status)
	require.Contains(t, r.members["error_description"], why)
	c.assertSilent(t, r)
}

var btpOptions = samltest.Options{Certificates: trusted("https://idp.acme.test"), Users: []string{"alice@acme.test", "admin"}}

// personality is one of the two, as a test needs it.
type personality struct {
	teach func(*oauthtest.Server, *samltest.Options) string
	call  func(tokenURL string) *call
}

var (
	cloudFoundry = personality{samltest.CloudFoundry, callCloudFoundry}
	neo          = personality{samltest.Neo, callNeo}
)

func TestBTP(t *testing.T) {
	t.Parallel()
	type row struct {
		name string
		edit func(c *call)
		code string // "": it is granted
		why  string
	}
	both := []row{
		{"as it should be", func(*call) {}, "", ""},
		{"unspecified", func(c *call) { c.says.nameID, c.says.format = "admin", unspecified }, "", ""},
		{"no format", func(c *call) { c.says.format = "" }, "", ""},
		{"client_id in the body", func(c *call) { c.form.Set("client_id", "client-1") }, "", ""},
		{"another client_id in the body", func(c *call) { c.form.Set("client_id", "other") }, "invalid_request", "client_id"},
		{"no client authentication", func(c *call) {
			c.basic = ""
			c.form.Set("client_id", "client-1")
		}, "invalid_client", "client_secret_basic"},
		{"secret in the body", func(c *call) {
			c.basic = ""
			c.form.Set("client_id", "client-1")
			c.form.Set("client_secret", "secret")
		}, "invalid_client", "client_secret_basic"},
		{"empty assertion", func(c *call) { c.form.Set("assertion", "") }, "invalid_request", "assertion is missing"},
		{"standard base64", func(c *call) { c.document, c.encode = padded, standard }, "invalid_grant", "base64url"},
		{"standard base64 without padding", func(c *call) {
			c.document = func(text string) string {
				return with(t, padded(text), "<saml:Subject>", "<saml:Subject xmlns:x='urn:~~~~~~>>>???'>")
			}
			c.encode = func(s string) string { return strings.TrimRight(standard(s), "=") }
		}, "invalid_grant", "base64url"},
		{"base64url with padding", func(c *call) { c.document, c.encode = padded, paddedURL }, "invalid_grant", "padding"},
		{"base64url with line wraps", func(c *call) { c.encode = wrapped(rawURL) }, "invalid_grant", "one line"},
		{"base64url with bits to spare", func(c *call) {
			c.document, c.encode = padded, func(s string) string { return strings.TrimSuffix(spare(paddedURL(s), "=="), "==") }
		}, "invalid_grant", "base64url"},
		{"not encoded", func(c *call) { c.encode = func(s string) string { return s } }, "invalid_grant", "base64url"},
		{"another key", func(c *call) { c.signing.key = attacker() }, "invalid_grant", "signature"},
		{"another issuer", func(c *call) { c.says.issuer = "https://mallory.test" }, "invalid_grant", "Issuer is not trusted"},
		{"issuer with a blank", func(c *call) { c.says.issuer += " " }, "invalid_grant", "Issuer is not trusted"},
		{"issuer is an unknown client", func(c *call) { c.says.issuer = "client-1" }, "invalid_grant", "Issuer is not trusted"},
		{"another audience", func(c *call) { c.says.audience += "2" }, "invalid_grant", "Audience"},
		{"recipient with a slash", func(c *call) { c.says.recipient += "/" }, "invalid_grant", "Recipient"},
		{"recipient in capitals", func(c *call) { c.says.recipient = strings.ToUpper(c.says.recipient) }, "invalid_grant", "Recipient"},
		{"no AuthnStatement", func(c *call) { c.says.authnContext = "" }, "invalid_grant", "AuthnStatement"},
		{"another format", func(c *call) { c.says.format = "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent" }, "invalid_grant", "Format"},
		{"unknown user", func(c *call) { c.says.nameID = "mallory" }, "invalid_grant", "no such user"},
		{"in a response", func(c *call) { c.document = response }, "invalid_grant", "root is not saml:Assertion"},
	}
	base := "https://token-service.test/oauth/token"
	rows := map[*personality][]row{
		&cloudFoundry: append([]row{
			{"no client_id in the body", func(c *call) { c.form.Del("client_id") }, "invalid_request", "client_id"},
			{"recipient is the plain token URL", func(c *call) { c.says.recipient = base }, "invalid_grant", "Recipient"},
			{"at the plain token URL", func(c *call) { c.url = base }, "invalid_request", "/alias/acme.alias"},
			{"at another alias", func(c *call) { c.url = base + "/alias/other" }, "invalid_request", "/alias/acme.alias"},
		}, both...),
		&neo: append([]row{
			{"recipient is an alias", func(c *call) { c.says.recipient += "/alias/acme.alias" }, "invalid_grant", "Recipient"},
			{"at an alias", func(c *call) { c.url += "/alias/acme.alias" }, "invalid_request", base},
		}, both...),
	}
	for p, rows := range rows {
		t.Run(map[*personality]string{&cloudFoundry: "Cloud Foundry", &neo: "Neo"}[p], func(t *testing.T) {
			t.Parallel()
			for _, tc := range rows {
				t.Run(tc.name, func(t *testing.T) {
					t.Parallel()
					s := inMemory(t)
					c := p.call(p.teach(s, &btpOptions))
					tc.edit(c)
					if tc.code == "" {
						c.granted(t, s)
						return
					}
					c.refused(t, s, tc.code, tc.why)
				})
			}
		})
	}
}

// TestNeoIssuers: the issuer is a client or an identity provider, each with a certificate of its own.
func TestNeoIssuers(t *testing.T) {
	t.Parallel()
	s := inMemory(t)
	certs := trusted("client-1")
	certs["https://idp.acme.test"] = attacker().cert
	tokenURL := samltest.Neo(s, &samltest.Options{Certificates: certs})
	for _, tc := range []struct {
		issuer string
		key    key
		why    string
	}{
		{"client-1", p256(), ""},
		{"https://idp.acme.test", attacker(), ""},
		{"client-1", attacker(), "signature"},
		{"https://idp.acme.test", p256(), "signature"},
	} {
		c := callNeo(tokenURL)
		c.says.issuer, c.signing.key = tc.issuer, tc.key
		if tc.why == "" {
			c.granted(t, s)
		} else {
			c.refused(t, s, "invalid_grant", tc.why)
		}
	}
}

func TestBTPTimes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for _, p := range []personality{cloudFoundry, neo} {
			for _, tc := range edges() {
				s := inMemory(t)
				c := p.call(p.teach(s, &btpOptions))
				tc.edit(&c.says)
				if tc.why == "" {
					c.granted(t, s)
				} else {
					c.refused(t, s, "invalid_grant", tc.why)
				}
			}
		}
	})
}

// TestBTPReplay: an assertion gives one token. One that was refused can still give it.
func TestBTPReplay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for _, p := range []personality{cloudFoundry, neo} {
			s := inMemory(t)
			c := p.call(p.teach(s, &btpOptions))
			c.says.notBefore = time.Now().Add(time.Minute)
			c.refused(t, s, "invalid_grant", "future")
			time.Sleep(time.Minute)
			c.granted(t, s)
			c.refused(t, s, "invalid_grant", "used before")
			c.form.Del("assertion") // sign it again: ECDSA signatures differ
			c.refused(t, s, "invalid_grant", "used before")
			c.form.Del("assertion")
			c.says.id = "_a2"
			c.granted(t, s)
		}
	})
}

func TestScopesPassThrough(t *testing.T) {
	t.Parallel()
	s := inMemory(t)
	c := callCloudFoundry(samltest.CloudFoundry(s, &btpOptions))
	c.form.Set("scope", "read write")
	require.Equal(t, "read write", c.send(t, s).members["scope"])
}

// TestResponseWrapper takes one assertion inside a response, and trusts nothing else of it.
func TestResponseWrapper(t *testing.T) {
	t.Parallel()
	const end = `</samlp:Response>`
	evil := says{id: "_evil", issuer: "https://idp.acme.test", nameID: "mallory"}.canonical()
	for _, tc := range []struct {
		name     string
		document func(string) string
		why      string // "": it is granted
	}{
		{"as it should be", response, ""},
		{"with an issuer", func(s string) string { return with(t, response(s), `<samlp:Status>`, issuer("idp")+`<samlp:Status>`) }, ""},
		{"declarations outside", func(s string) string {
			return with(t, response(with(t, s, ` xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion"`, ``)), ` ID="_r1"`, ` ID="_r1" xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion"`)
		}, ""},
		{"no response", func(s string) string { return s }, "root is not samlp:Response"},
		{"response in a response", func(s string) string { return response(response(s)) }, "ID twice"},
		{"no assertion", func(string) string { return response("") }, "content of samlp:Response"},
		{"forged assertion in front", func(s string) string { return response(evil + s) }, "content of samlp:Response"},
		{"forged assertion behind", func(s string) string { return response(s + evil) }, "content of samlp:Response"},
		{"forged assertion instead, original in Extensions", func(s string) string {
			return with(t, response(evil), `<samlp:Status>`, `<samlp:Extensions>`+s+`</samlp:Extensions><samlp:Status>`)
		}, "content of samlp:Response"},
		{"original with a forged one's ID", func(s string) string { return with(t, response(s), `"_r1"`, `"_a1"`) }, "ID twice"},
		{"EncryptedAssertion", func(s string) string {
			return with(t, response(s), end, `<saml:EncryptedAssertion xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion"/>`+end)
		}, "content of samlp:Response"},
		{"signature of the response", func(s string) string {
			_, rest, _ := strings.Cut(s, `</saml:Issuer>`)
			signature, _, _ := strings.Cut(rest, `<saml:Subject>`)
			return with(t, response(with(t, s, signature, "")), `<samlp:Status>`, signature+`<samlp:Status>`)
		}, "content of samlp:Response"},
		{"no signature", func(s string) string {
			_, rest, _ := strings.Cut(s, `</saml:Issuer>`)
			signature, _, _ := strings.Cut(rest, `<saml:Subject>`)
			return response(with(t, s, signature, ""))
		}, "no signature"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			s := inMemory(t)
			opts := btpOptions
			opts.ResponseWrapper = true
			c := callCloudFoundry(samltest.CloudFoundry(s, &opts))
			c.document = tc.document
			if tc.why == "" {
				c.granted(t, s)
			} else {
				c.refused(t, s, "invalid_grant", tc.why)
			}
		})
	}
}

func issuer(name string) string {
	return `<saml:Issuer xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion">` + name + `</saml:Issuer>`
}
