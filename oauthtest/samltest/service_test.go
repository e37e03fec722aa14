package samltest_test

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant/oauthtest"
	"github.com/outgrant/outgrant/oauthtest/samltest"
)

const saml2Bearer = "urn:ietf:params:oauth:grant-type:saml2-bearer"

// call is a token request with an assertion, that a test changes before it goes out.
type call struct {
	url      string
	says     says
	signing  signing
	document func(string) string // after it is signed
	encode   func(string) string
	form     url.Values
	basic    string // "": none
}

// valid is an assertion that is fine now.
func valid(recipient, audience string) says {
	s, now := plain(), time.Now()
	s.recipient, s.audience, s.issued = recipient, audience, now
	s.notBefore, s.until, s.confirmedUntil = now.Add(-10*time.Minute), now.Add(10*time.Minute), now.Add(10*time.Minute)
	return s
}

// reply is what came back.
type reply struct {
	status  int
	members map[string]any
}

func (c *call) send(t testing.TB, s *oauthtest.Server) reply {
	t.Helper()
	text := c.signing.sign(c.says.canonical())
	if c.document != nil {
		text = c.document(text)
	}
	if !c.form.Has("assertion") {
		c.form.Set("assertion", c.encode(text))
	}
	req, err := http.NewRequestWithContext(t.Context(), "POST", c.url, strings.NewReader(c.form.Encode()))
	require.NoError(t, err)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if c.basic != "" {
		req.SetBasicAuth(c.basic, "secret")
	}
	resp, err := s.Client().Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	r := reply{status: resp.StatusCode}
	require.NoError(t, json.NewDecoder(resp.Body).Decode(&r.members))
	return r
}

// assertSilent holds that a refusal says nothing of the assertion.
func (c *call) assertSilent(t testing.TB, r reply) {
	t.Helper()
	secrets := []string{"alice@acme.test"}
	if text := c.form.Get("assertion"); text != "" {
		secrets = append(secrets, text)
	}
	oauthtest.AssertNoSecrets(t, secrets, r.members)
}

// granted sends a call that must succeed, and returns the token.
func (c *call) granted(t testing.TB, s *oauthtest.Server) (token string, expiresIn float64) {
	t.Helper()
	r := c.send(t, s)
	require.Equal(t, 200, r.status, "%v", r.members)
	token, _ = r.members["access_token"].(string)
	expiresIn, _ = r.members["expires_in"].(float64)
	return token, expiresIn
}

func inMemory(t testing.TB) *oauthtest.Server {
	s := oauthtest.NewServer(&oauthtest.ServerOptions{InMemory: true})
	t.Cleanup(s.Close)
	return s
}

func trusted(name string) map[string]*x509.Certificate {
	return map[string]*x509.Certificate{name: p256().cert}
}

func rawURL(s string) string    { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
func paddedURL(s string) string { return base64.URLEncoding.EncodeToString([]byte(s)) }
func standard(s string) string  { return base64.StdEncoding.EncodeToString([]byte(s)) }

// wrapped breaks lines, as MIME does.
func wrapped(encode func(string) string) func(string) string {
	return func(s string) string { return encode(s)[:76] + "\r\n" + encode(s)[76:] }
}

// spare sets bits of the last character before an end of base64 that say nothing: the value has two spellings then.
func spare(text, end string) string {
	i := strings.LastIndex(text, end) - 1
	last := strings.IndexByte(alphabet, text[i])
	return text[:i] + alphabet[last^1:][:1] + text[i+1:]
}

const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

// padded makes a document with as many bytes as make base64 end in "=", and that has a character for which the two alphabets
// differ.
func padded(text string) string {
	text = strings.Replace(text, "</saml:Assertion>", "</saml:Assertion>\n", 1)
	text = strings.Replace(text, "<saml:Issuer>", "<saml:Issuer"+strings.Repeat(" ", 9)+">", 1)
	for len(text)%3 != 1 {
		text += "\n"
	}
	return text
}

// response puts an assertion inside a samlp:Response.
func response(text string) string {
	return `<samlp:Response xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol" ID="_r1" Version="2.0" IssueInstant="2026-07-01T12:00:00Z"><samlp:Status>` +
		`<samlp:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:Success"/></samlp:Status>` + text + `</samlp:Response>`
}

// edge is a change of the times, and whether it is taken.
type edge struct {
	name string
	edit func(s *says)
	why  string // "": it is taken
}

// edges are at the ends of the skew.
func edges() []edge {
	now := time.Now()
	at := func(set func(s *says, at time.Time), d time.Duration) func(*says) {
		return func(s *says) { set(s, now.Add(d)) }
	}
	notBefore := func(s *says, at time.Time) { s.notBefore = at }
	until := func(s *says, at time.Time) { s.until = at }
	confirmed := func(s *says, at time.Time) { s.confirmedUntil = at }
	issued := func(s *says, at time.Time) { s.issued = at }
	return []edge{
		{"NotBefore in 30 s", at(notBefore, 30*time.Second), ""},
		{"NotBefore in 31 s", at(notBefore, 31*time.Second), "future"},
		{"no NotBefore", func(s *says) { s.notBefore = time.Time{} }, ""},
		{"NotOnOrAfter 29 s ago", at(until, -29*time.Second), ""},
		{"NotOnOrAfter 30 s ago", at(until, -30*time.Second), "ended"},
		{"no NotOnOrAfter", func(s *says) { s.until = time.Time{} }, ""},
		{"confirmed until 29 s ago", at(confirmed, -29*time.Second), ""},
		{"confirmed until 30 s ago", at(confirmed, -30*time.Second), "ended"},
		{"issued in 30 s", at(issued, 30*time.Second), ""},
		{"issued in 31 s", at(issued, 31*time.Second), "future"},
	}
}

func TestVectorsAreGranted(t *testing.T) {
	t.Parallel()
	for name, text := range vectors(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cert := certificate(t, name)
			synctest.Test(t, func(t *testing.T) {
				time.Sleep(time.Until(noon))
				s := inMemory(t)
				tokenURL := samltest.CloudFoundry(s, &samltest.Options{
					Certificates:    map[string]*x509.Certificate{"https://idp.acme.test": cert},
					ResponseWrapper: strings.Contains(name, "in-response"),
				})
				c := callCloudFoundry(tokenURL)
				c.form.Set("assertion", rawURL(text))
				c.granted(t, s)
			})
		})
	}
}

func TestOptions(t *testing.T) {
	t.Parallel()
	s := inMemory(t)
	for name, opts := range map[string]*samltest.Options{
		"nil": nil, "no certificates": {}, "no name": {Certificates: trusted("")}, "no certificate": {Certificates: map[string]*x509.Certificate{"a": nil}},
	} {
		for _, personality := range []func(*oauthtest.Server, *samltest.Options) string{samltest.SuccessFactors, samltest.CloudFoundry, samltest.Neo} {
			require.Panics(t, func() { personality(s, opts) }, name)
		}
	}
	for _, alias := range []string{"a/b", "a b", "a?b", "ä"} {
		require.Panics(t, func() { samltest.CloudFoundry(s, &samltest.Options{Certificates: trusted("a"), Alias: alias}) }, alias)
	}
	require.Equal(t, s.TokenURL()+"/alias/acme.alias", samltest.CloudFoundry(s, &samltest.Options{Certificates: trusted("a")}))
	require.Equal(t, s.TokenURL()+"/alias/own", samltest.CloudFoundry(s, &samltest.Options{Certificates: trusted("a"), Alias: "own"}))
	require.Equal(t, s.TokenURL(), samltest.Neo(s, &samltest.Options{Certificates: trusted("a")}))
	require.Equal(t, s.TokenURL(), samltest.SuccessFactors(s, &samltest.Options{Certificates: trusted("a")}))
}

// TestOptionsAreCopied changes them afterwards.
func TestOptionsAreCopied(t *testing.T) {
	t.Parallel()
	s := inMemory(t)
	opts := &samltest.Options{Certificates: trusted("api-key"), Users: []string{"alice@acme.test"}}
	c := callSuccessFactors(samltest.SuccessFactors(s, opts))
	opts.Certificates["api-key"], opts.Users[0], opts.Audience = attacker().cert, "bob", "x"
	c.granted(t, s)
}
