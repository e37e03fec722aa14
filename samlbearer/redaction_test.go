package samlbearer_test

import (
	"context"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/oauthtest"
	"github.com/outgrant/outgrant/samlbearer"
)

// secretsOf are the parts of a key that are nobody's business, as fmt could show them.
func secretsOf(key *rsa.PrivateKey) []string {
	return []string{key.D.String(), key.D.Text(16), string(key.D.Bytes()), key.Primes[0].String(), key.Primes[1].Text(16), string(key.Primes[0].Bytes()),
		fmt.Sprint(key.D.Bits()[:4]), strings.Trim(fmt.Sprint(key.D.Bits()[:4]), "[]"), strings.Trim(fmt.Sprintf("%x", key.Primes[0].Bits()[:4]), "[]")}
}

// TestNothingPrintsSecrets: in exported and unexported fields of a user's own types, through every verb, slog and JSON.
func TestNothingPrintsSecrets(t *testing.T) {
	t.Parallel()
	const password = "S3NTINEL-password"
	server := oauthtest.NewServer(&oauthtest.ServerOptions{InMemory: true})
	server.Handle(samlGrant, func(*oauthtest.GrantRequest) (*oauthtest.Granted, error) { return &oauthtest.Granted{}, nil })
	s := signer()
	cfg := config(server)
	cfg.Target, cfg.ClientKey, cfg.Assertions = samlbearer.BTPCloudFoundry("sb", password), "", s
	fetched := make(chan bool, 2) // fmt looks into what fetches still change
	cfg.Cache = &outgrant.CacheOptions{Hooks: &outgrant.Hooks{FetchDone: func(outgrant.FetchEvent) { fetched <- true }}}
	client := newClient(t, cfg)
	src := client.ForUser("alice")
	granted := token(t, client, "alice")
	technical := client.ForTechnicalUser()
	_, err := technical.Token(t.Context())
	require.NoError(t, err)
	<-fetched
	<-fetched
	sent := server.Requests()[0]
	assertion := string(sentAssertion(t, sent))
	secrets := append(secretsOf(signingKey), password, granted.AccessToken.Reveal(), sent.Params.Get("assertion"), assertion,
		between(t, assertion, "<ds:SignatureValue>", "</ds:SignatureValue>"), between(t, assertion, "<saml:NameID ", "</saml:Subject>"))

	target, e := cfg.Target, exchange(server)
	secrets = append(secrets, e.ClientSecret.Reveal())
	forwarded := samlbearer.Forwarded{Received: fixed(assertion), Certificates: []*x509.Certificate{signingCert}, Issuer: "https://idp.example"}
	exchanging := *cfg
	exchanging.Assertions = e
	exchangingClient := newClient(t, &exchanging)
	refused, noTechnical := client.ForUser(""), exchangingClient.ForTechnicalUser()
	oauthtest.AssertNoSecrets(t, secrets, client, src, technical, refused, noTechnical, exchangingClient, exchangingClient.ForUser("alice"),
		*cfg, cfg, target, &target, s, &s, e, &e, forwarded, &forwarded, samlbearer.SuccessFactors("A"))
	type exported struct {
		Client  *samlbearer.Client
		Other   *samlbearer.Client
		Config  samlbearer.Config
		Pointer *samlbearer.Config
		Target  samlbearer.Target
		Signer  samlbearer.Signer
		Key     *samlbearer.Signer
		Ex      samlbearer.Exchanged
		Any     []any
		Src     outgrant.TokenSource
		Users   outgrant.UserSource
		ByName  map[string]outgrant.TokenSource
		Source  samlbearer.AssertionSource
	}
	x := exported{client, exchangingClient, *cfg, cfg, target, s, &s, e, []any{s, &s, e, &e, target, src}, src, client,
		map[string]outgrant.TokenSource{"a": src, "b": refused}, s}
	oauthtest.AssertNoSecrets(t, secrets, x, &x, []exported{x})
	type unexported struct {
		client *samlbearer.Client
		other  *samlbearer.Client
		users  outgrant.UserSource
		src    outgrant.TokenSource
		more   []outgrant.TokenSource
	}
	u := unexported{client, exchangingClient, client, src, []outgrant.TokenSource{technical, refused, noTechnical}}
	oauthtest.AssertNoSecrets(t, secrets, u, &u, []unexported{u}, map[string]any{"u": u})

	for _, want := range []struct {
		value any
		text  string
	}{
		{client, `samlbearer.Client("CRED" at https://token-service.test/oauth/token)`},
		{*cfg, `samlbearer.Config("CRED", client "" at token-service.test)`},
		{target, `samlbearer.Target("BTP CF")`},
		{s, `samlbearer.Signer("https://idp.example")`},
		{e, `samlbearer.Exchanged(client "exchanger" at token-service.test)`},
	} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d", "%t"} {
			require.Equal(t, want.text, fmt.Sprintf(verb, want.value), verb)
		}
		b, err := json.Marshal(want.value)
		require.NoError(t, err)
		require.Equal(t, string(must(json.Marshal(want.text))), string(b))
	}
}

// TestSourcesOfUsersPrintNoUser, nor the token, by any verb, wherever they stand in a program's own types.
func TestSourcesOfUsersPrintNoUser(t *testing.T) {
	t.Parallel()
	const user = "S3NTINEL-user"
	cfg := config(inMemory(nil))
	cfg.MaxUsers = 1
	fetched := make(chan bool, 1) // fmt looks into what fetches still change
	cfg.Cache = &outgrant.CacheOptions{Hooks: &outgrant.Hooks{FetchDone: func(outgrant.FetchEvent) { fetched <- true }}}
	client := newClient(t, cfg)
	src := client.ForUser(user)
	secrets := []string{user, token(t, client, user).AccessToken.Reveal()}
	<-fetched
	tooLong, bad := client.ForUser(strings.Repeat(user, 100)), client.ForUser(user+"\x00")
	_, refused := tooLong.Token(t.Context())
	_, refusedBySigner := bad.Token(t.Context()) // and the first user is let go
	<-fetched
	type exported struct{ Source outgrant.TokenSource }
	type unexported struct{ source outgrant.TokenSource }
	values := []any{src, tooLong, bad, client, refused, refusedBySigner, exported{src}, &exported{src}, unexported{src}, &unexported{src}, unexported{tooLong},
		[]outgrant.TokenSource{src}, []unexported{{src}}, map[string]any{"source": src, "types": unexported{src}}}
	oauthtest.AssertNoSecrets(t, secrets, values...)
	for _, value := range values {
		for _, verb := range "vsqxXdtbcoOUeEfFgGpT" {
			for _, flag := range []string{"", "+", "#", " ", "-", "0", "20", "+#", ".3"} {
				oauthtest.AssertNoSecrets(t, secrets, fmt.Sprintf("%"+flag+string(verb), value))
			}
		}
	}
	require.Equal(t, `samlbearer.TokenSource(a user of samlbearer.Client("CRED" at https://token-service.test/oauth/token))`, fmt.Sprint(src))
}

// TestNoErrorQuotesTheAssertion, whoever quotes it: the token service in the members that are shown or in a body, in the
// form that was sent, in the other alphabet, or decoded; or an HTTP client's error.
func TestNoErrorQuotesTheAssertion(t *testing.T) {
	t.Parallel()
	const password = "S3NTINEL-password"
	const odd = "<a>ÿû»~~~???&gt;ÿ</a>" // in base64 it has + and /
	secretAssertion := "<saml:Assertion>" + odd + "<saml:NameID>S3NTINEL-name</saml:NameID></saml:Assertion>"
	signed := string(assertionOf(t, "S3NTINEL-name"))
	quotes := map[string]func(sent, xml string) string{
		"as it was sent":    func(sent, _ string) string { return sent },
		"query-escaped":     func(sent, _ string) string { return url.QueryEscape(sent) },
		"standard base64":   func(_, xml string) string { return base64.StdEncoding.EncodeToString([]byte(xml)) },
		"without padding":   func(_, xml string) string { return base64.RawStdEncoding.EncodeToString([]byte(xml)) },
		"base64url":         func(_, xml string) string { return base64.URLEncoding.EncodeToString([]byte(xml)) },
		"XML":               func(_, xml string) string { return xml },
		"XML, HTML-escaped": func(_, xml string) string { return html.EscapeString(xml) },
		"XML, quoted":       func(_, xml string) string { return fmt.Sprintf("%q", xml) },
		"XML in a piece":    func(_, xml string) string { return xml[:len(xml)-5] },
		"sent, in a piece":  func(sent, _ string) string { return sent[:len(sent)-5] },
		"sent, the middle":  func(sent, _ string) string { return sent[len(sent)/2-16 : len(sent)/2+24] },
		"XML, the end":      func(_, xml string) string { return xml[strings.Index(xml, "NameID")-1:] },
		"the end, escaped":  func(_, xml string) string { return html.EscapeString(xml[strings.Index(xml, "NameID")-1:]) },
	}
	for name, source := range map[string]samlbearer.AssertionSource{"short": fixed(secretAssertion), "signed": fixed(signed), "with a declaration": fixed("<?xml version=\"1.0\"?>\n" + signed)} {
		for how, quote := range quotes {
			for _, encoding := range []samlbearer.Encoding{samlbearer.Base64, samlbearer.Base64URL} {
				if testing.Short() && encoding == samlbearer.Base64URL && name != "signed" {
					continue
				}
				for where, serve := range map[string]func(w http.ResponseWriter, text string) error{
					"error_description": func(w http.ResponseWriter, text string) error {
						w.WriteHeader(400)
						return json.NewEncoder(w).Encode(map[string]string{"error": "invalid_grant", "error_description": "cannot read " + text})
					},
					"error": func(w http.ResponseWriter, text string) error {
						w.WriteHeader(400)
						return json.NewEncoder(w).Encode(map[string]string{"error": text})
					},
					"errorMessage": func(w http.ResponseWriter, text string) error {
						w.WriteHeader(401)
						return json.NewEncoder(w).Encode(map[string]string{"errorMessage": text})
					},
					"body": func(w http.ResponseWriter, text string) error {
						w.WriteHeader(500)
						_, err := w.Write([]byte(text))
						return err
					},
					"token type": func(w http.ResponseWriter, text string) error {
						return json.NewEncoder(w).Encode(map[string]string{"access_token": "a", "token_type": text})
					},
					"content type": func(w http.ResponseWriter, text string) error {
						w.Header().Set("Content-Type", `text/x; charset="`+text[:min(30, len(text))]+`"`)
						_, err := w.Write([]byte("!" + text))
						return err
					},
					"transport": func(_ http.ResponseWriter, text string) error { return errors.New("cannot send " + text) },
				} {
					cfg := &samlbearer.Config{Name: "CRED", Target: samlbearer.BTPNeo("neo", password), TokenURL: "https://token.example/", Assertions: source}
					cfg.Target.Encoding, cfg.Target.ErrorMember, cfg.Target.ErrorCodes = encoding, "errorMessage", map[int]string{401: "invalid_client"}
					cfg.Target.ResponseWrapper = name == "with a declaration"
					var quoted string
					cfg.HTTPClient = &http.Client{Transport: quoting(func(w http.ResponseWriter, sent string) error {
						decoded, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(strings.NewReplacer("+", "-", "/", "_").Replace(sent), "="))
						require.NoError(t, err)
						quoted = quote(sent, string(decoded))
						return serve(w, quoted)
					})}
					_, err := newClient(t, cfg).ForUser("alice").Token(t.Context())
					require.Error(t, err)
					label := name + ", " + how + ", " + where
					rec := &recorder{}
					oauthtest.AssertNoSecrets(rec, []string{password, "S3NTINEL-name", "NameID", "saml:Assertion", base64.StdEncoding.EncodeToString([]byte(odd))[:20], quoted}, err, err.Error())
					require.Empty(t, rec.said, "%s: %s", label, err)
				}
			}
		}
	}
}

type recorder struct{ said []string }

func (*recorder) Helper() {}
func (r *recorder) Errorf(format string, args ...any) {
	r.said = append(r.said, fmt.Sprintf(format, args...))
}

// quoting is an HTTP client's transport that answers with what was sent, or fails with it.
type quoting func(w http.ResponseWriter, sent string) error

func (q quoting) RoundTrip(req *http.Request) (*http.Response, error) {
	form, err := url.ParseQuery(string(must(readAll(req))))
	if err != nil {
		return nil, err
	}
	var failed error
	resp, err := oauthtest.HandlerTransport(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		failed = q(w, form.Get("assertion"))
	})).RoundTrip(req.Clone(context.Background()))
	if failed != nil {
		return nil, failed
	}
	return resp, err
}
