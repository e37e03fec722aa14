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

func callSuccessFactors(tokenURL string) *call {
	says := valid(tokenURL, "www.successfactors.com")
	says.attributes = [][2]string{{"api_key", "api-key"}}
	return &call{
		url: tokenURL, says: says, signing: signing{key: p256()}, encode: standard,
		form: url.Values{"grant_type": {saml2Bearer}, "client_id": {"api-key"}, "company_id": {"ACME"}},
	}
}

// unhappy sends a call that must be refused in the shape of SuccessFactors.
func (c *call) unhappy(t *testing.T, s *oauthtest.Server, status int, why string) {
	t.Helper()
	r := c.send(t, s)
	require.Equal(t, status, r.status, "%v", r.members)
	require.Len(t, r.members, 2)
	require.Equal(t, map[int]string{400: "400", 401: "401", 404: "404"}[status], r.members["errorHttpCode"])
	require.Contains(t, r.members["errorMessage"], why)
	c.assertSilent(t, r)
}

func TestSuccessFactors(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name   string
		edit   func(c *call)
		status int // 0: it is granted
		why    string
	}{
		{"as it should be", func(*call) {}, 0, ""},
		{"no AuthnStatement", func(c *call) { c.says.authnContext = "" }, 0, ""},
		{"no attribute api_key", func(c *call) { c.says.attributes = nil }, 0, ""},
		{"any issuer", func(c *call) { c.says.issuer = "anybody" }, 0, ""},
		{"user id", func(c *call) { c.says.nameID, c.says.format = "admin", unspecified }, 0, ""},
		{"no format", func(c *call) { c.says.format = "" }, 0, ""},
		{"no company", func(c *call) { c.form.Del("company_id") }, 400, "company_id"},
		{"another company", func(c *call) { c.form.Set("company_id", "OTHER") }, 401, "company_id"},
		{"empty assertion", func(c *call) { c.form.Set("assertion", "") }, 400, "assertion"},
		{"unknown API key", func(c *call) { c.form.Set("client_id", "other") }, 401, "API key"},
		{"client authentication", func(c *call) { c.form.Set("client_secret", "x") }, 401, "client authentication"},
		{"Basic", func(c *call) { c.basic = "api-key" }, 401, "client authentication"},
		{"at an alias", func(c *call) { c.url += "/alias/acme.alias" }, 404, "address"},
		{"base64url", func(c *call) { c.document, c.encode = padded, rawURL }, 401, "standard alphabet"},
		{"base64 with line wraps", func(c *call) { c.encode = wrapped(standard) }, 401, "one line"},
		{"base64 without padding", func(c *call) {
			c.document, c.encode = padded, func(s string) string { return strings.TrimRight(standard(s), "=") }
		}, 401, "padding"},
		{"base64 with bits to spare", func(c *call) {
			c.document, c.encode = padded, func(s string) string { return spare(standard(s), "==") }
		}, 401, "standard alphabet"},
		{"not encoded", func(c *call) { c.encode = func(s string) string { return s } }, 401, "base64"},
		{"another key", func(c *call) { c.signing.key = attacker() }, 401, "signature"},
		{"another API key inside", func(c *call) { c.says.attributes = [][2]string{{"api_key", "api-key"}, {"api_key", "other"}} }, 401, "api_key"},
		{"another audience", func(c *call) { c.says.audience = "www.successfactors.eu" }, 401, "Audience"},
		{"another recipient", func(c *call) { c.says.recipient += "/" }, 401, "Recipient"},
		{"another format", func(c *call) { c.says.format = "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent" }, 401, "Format"},
		{"unknown user", func(c *call) { c.says.nameID = "mallory" }, 401, "no such user"},
		{"in a response", func(c *call) { c.document = response }, 401, "root is not saml:Assertion"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			s := inMemory(t)
			c := callSuccessFactors(samltest.SuccessFactors(s, &samltest.Options{
				Certificates: trusted("api-key"), CompanyID: "ACME", Users: []string{"alice@acme.test", "admin"},
			}))
			tc.edit(c)
			if tc.status == 0 {
				c.granted(t, s)
				return
			}
			c.unhappy(t, s, tc.status, tc.why)
		})
	}
}

func TestSuccessFactorsTimes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for _, tc := range edges() {
			s := inMemory(t)
			c := callSuccessFactors(samltest.SuccessFactors(s, &samltest.Options{Certificates: trusted("api-key")}))
			tc.edit(&c.says)
			if tc.why == "" {
				c.granted(t, s)
			} else {
				c.unhappy(t, s, 401, tc.why)
			}
		}
	})
}

// TestSuccessFactorsSameToken hands out the token that there is, until it ends or a new one is wanted.
func TestSuccessFactorsSameToken(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := inMemory(t)
		tokenURL := samltest.SuccessFactors(s, &samltest.Options{Certificates: trusted("api-key")})
		c := callSuccessFactors(tokenURL)
		first, expiresIn := c.granted(t, s)
		require.Equal(t, 3600.0, expiresIn)
		time.Sleep(5 * time.Minute)
		again, expiresIn := c.granted(t, s)
		require.Equal(t, first, again, "the same assertion")
		require.Equal(t, 3300.0, expiresIn)

		later := func(id string, params ...string) (string, float64) {
			c := callSuccessFactors(tokenURL)
			c.says.id = id
			for i := 0; i < len(params); i += 2 {
				c.form.Set(params[i], params[i+1])
			}
			return c.granted(t, s)
		}
		again, _ = later("_a2")
		require.Equal(t, first, again, "a new assertion")
		again, _ = later("_a3", "new_token", "false")
		require.Equal(t, first, again)
		second, expiresIn := later("_a4", "new_token", "true")
		require.NotEqual(t, first, second)
		require.Equal(t, 3600.0, expiresIn)
		again, _ = later("_a5")
		require.Equal(t, second, again)

		bob := callSuccessFactors(tokenURL)
		bob.says.nameID = "bob"
		other, _ := bob.granted(t, s)
		require.NotEqual(t, second, other)

		time.Sleep(time.Hour)
		third, expiresIn := later("_a6")
		require.NotEqual(t, second, third)
		require.Equal(t, 3600.0, expiresIn)
	})
}

// TestSuccessFactorsCompanies: a token of one company is never another's.
func TestSuccessFactorsCompanies(t *testing.T) {
	t.Parallel()
	s := inMemory(t)
	certs := trusted("api-key")
	certs["api-key-2"] = p256().cert
	tokenURL := samltest.SuccessFactors(s, &samltest.Options{Certificates: certs})
	c := callSuccessFactors(tokenURL)
	c.form.Set("company_id", "OTHER")
	c.signing.key = attacker()
	c.unhappy(t, s, 401, "signature") // and the API key is still free
	first, _ := callSuccessFactors(tokenURL).granted(t, s)
	c = callSuccessFactors(tokenURL)
	c.form.Set("company_id", "OTHER")
	c.unhappy(t, s, 401, "company_id")
	c = callSuccessFactors(tokenURL)
	c.form.Set("company_id", "OTHER")
	c.form.Set("client_id", "api-key-2")
	c.says.attributes = nil
	second, _ := c.granted(t, s)
	require.NotEqual(t, first, second)
}
