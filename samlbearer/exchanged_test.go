package samlbearer_test

import (
	"context"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/oauthtest"
	"github.com/outgrant/outgrant/samlbearer"
)

const (
	tokenExchange = "urn:ietf:params:oauth:grant-type:token-exchange"
	saml2Type     = "urn:ietf:params:oauth:token-type:saml2"
)

// exchanger is a token service that makes assertions: of the subject token's text, which answers as it is told to.
func exchanger(answer func(r *oauthtest.GrantRequest) (*oauthtest.Granted, error)) *oauthtest.Server {
	server := oauthtest.NewServer(&oauthtest.ServerOptions{InMemory: true})
	server.Handle(tokenExchange, answer)
	return server
}

// exchange is at a server.
func exchange(server *oauthtest.Server) samlbearer.Exchanged {
	return samlbearer.Exchanged{
		SubjectToken: func(_ context.Context, user string) (outgrant.Secret, error) {
			return outgrant.Secret("S3NTINEL-subject-of-" + user), nil
		},
		TokenURL: server.TokenURL(), ClientID: "exchanger", ClientSecret: "S3NTINEL-exchange", HTTPClient: server.Client(),
	}
}

// answering makes an exchange's answer, whose members replace the server's.
func answering(members string) *http.Client {
	return &http.Client{Transport: oauthtest.HandlerTransport(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(members))
	}))}
}

func issued(assertion string) string {
	return `{"access_token":"` + assertion + `","issued_token_type":"` + saml2Type + `","token_type":"N_A","expires_in":60}`
}

func TestExchangeRequest(t *testing.T) {
	t.Parallel()
	server := exchanger(func(*oauthtest.GrantRequest) (*oauthtest.Granted, error) { return &oauthtest.Granted{}, nil })
	e := exchange(server)
	_, err := e.Assertion(t.Context(), "alice")
	require.ErrorIs(t, err, outgrant.ErrUnsupportedTokenType, "the server issues access tokens")
	require.Equal(t, url.Values{
		"grant_type": {tokenExchange}, "subject_token": {"S3NTINEL-subject-of-alice"},
		"subject_token_type": {"urn:ietf:params:oauth:token-type:access_token"}, "requested_token_type": {saml2Type},
	}, server.Requests()[0].Params)
	require.Equal(t, "Basic "+base64.StdEncoding.EncodeToString([]byte("exchanger:S3NTINEL-exchange")), server.Requests()[0].Header.Get("Authorization"))

	e.Auth, e.Audience, e.Resource, e.Scopes = outgrant.ClientSecretPost, "https://sp.example", "https://api.example/", []string{"a", "b"}
	e.SubjectTokenType = "urn:ietf:params:oauth:token-type:jwt"
	_, err = e.Assertion(t.Context(), "bob")
	require.Error(t, err)
	require.Equal(t, url.Values{
		"grant_type": {tokenExchange}, "subject_token": {"S3NTINEL-subject-of-bob"}, "subject_token_type": {"urn:ietf:params:oauth:token-type:jwt"},
		"requested_token_type": {saml2Type}, "audience": {"https://sp.example"}, "resource": {"https://api.example/"}, "scope": {"a b"},
		"client_id": {"exchanger"}, "client_secret": {"S3NTINEL-exchange"},
	}, server.Requests()[1].Params)
}

func TestExchangeAnswers(t *testing.T) {
	t.Parallel()
	const xml = odd + " and more, so that lines are broken: ............................................................................"
	std, raw := base64.StdEncoding.EncodeToString([]byte(xml)), base64.RawURLEncoding.EncodeToString([]byte(xml))
	broken := func(text, end string) string { return text[:76] + end + text[76:] + end }
	for name, text := range map[string]string{
		"base64url":                    raw,
		"base64url with padding":       base64.URLEncoding.EncodeToString([]byte(xml)),
		"standard":                     std,
		"standard without padding":     base64.RawStdEncoding.EncodeToString([]byte(xml)),
		"standard, in lines":           broken(std, `\r\n`),
		"base64url, in lines":          broken(raw, `\n`),
		"standard, in lines, by slash": broken(strings.ReplaceAll(std, "/", `\/`), `\n`),
	} {
		e := exchange(inMemory(nil))
		e.HTTPClient = answering(issued(text))
		got, err := e.Assertion(t.Context(), "alice")
		require.NoError(t, err, name)
		require.Equal(t, xml, string(got), name)
	}
	for name, test := range map[string]struct{ members, want string }{
		"no XML":               {issued(base64.RawURLEncoding.EncodeToString([]byte("S3NTINEL"))), "no SAML assertion in base64url"},
		"XML itself":           {issued("<a>S3NTINEL</a>"), "no SAML assertion in base64url"},
		"broken base64":        {issued(raw + "!"), "no SAML assertion in base64url"},
		"blanks":               {issued(" "), "no SAML assertion in base64url"},
		"nothing":              {issued(""), "no access_token"},
		"an access token":      {`{"access_token":"` + raw + `","issued_token_type":"urn:ietf:params:oauth:token-type:access_token","token_type":"Bearer"}`, "unsupported token type"},
		"SAML 1.1":             {`{"access_token":"` + raw + `","issued_token_type":"urn:ietf:params:oauth:token-type:saml1","token_type":"N_A"}`, "unsupported token type"},
		"a type in other case": {`{"access_token":"` + raw + `","issued_token_type":"` + strings.ToUpper(saml2Type) + `","token_type":"N_A"}`, "unsupported token type"},
		"no type":              {`{"access_token":"` + raw + `","token_type":"N_A"}`, "unsupported token type"},
		"an error":             {`{"error":"invalid_grant","error_description":"no"}`, "invalid_grant (no)"},
	} {
		e := exchange(inMemory(nil))
		e.HTTPClient = answering(test.members)
		got, err := e.Assertion(t.Context(), "alice")
		require.ErrorContains(t, err, test.want, name)
		require.Nil(t, got, name)
		var te *outgrant.TokenError
		require.ErrorAs(t, err, &te, name)
		require.Equal(t, e.TokenURL, te.TokenURL)
		oauthtest.AssertNoSecrets(t, []string{"S3NTINEL", raw[:40], std[:40], "and more, so that"}, err)
	}
}

// TestExchangeErrorComesThrough a client as it is: of the exchange, and with how long to leave it alone.
func TestExchangeErrorComesThrough(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		idp := &exchangeAt{Server: exchanger(nil), url: "https://idp.example/token"}
		target := inMemory(nil)
		cfg := config(target)
		e := exchange(idp.Server)
		e.TokenURL = idp.url
		e.HTTPClient = &http.Client{Transport: oauthtest.HandlerTransport(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			idp.asked++
			w.Header().Set("Retry-After", "17")
			w.WriteHeader(429)
		}))}
		cfg.Assertions = e
		client := newClient(t, cfg)
		_, err := client.ForUser("alice").Token(t.Context())
		var te *outgrant.TokenError
		require.ErrorAs(t, err, &te)
		require.Equal(t, idp.url, te.TokenURL)
		require.Equal(t, 429, te.StatusCode)
		require.Equal(t, 17*time.Second, te.RetryAfter)
		require.Equal(t, "CRED", te.Credential)
		require.Nil(t, te.Err, "not one inside another")
		require.ErrorContains(t, err, "idp.example")
		require.NotContains(t, err.Error(), "token-service.test")
		require.Zero(t, target.TokenRequests())

		time.Sleep(16 * time.Second)
		_, err = client.ForUser("alice").Token(t.Context())
		require.Error(t, err)
		require.Equal(t, 1, idp.asked, "it is left alone")
		time.Sleep(2 * time.Second)
		_, err = client.ForUser("alice").Token(t.Context())
		require.Error(t, err)
		require.Equal(t, 2, idp.asked)
	})
}

type exchangeAt struct {
	*oauthtest.Server
	url   string
	asked int
}

func TestExchangeInClient(t *testing.T) {
	t.Parallel()
	target := inMemory(nil)
	asked := map[string]int{}
	cfg := config(target)
	e := exchange(target)
	e.HTTPClient = &http.Client{Transport: oauthtest.HandlerTransport(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		form := must(url.ParseQuery(bodyOf(t, r)))
		user := strings.TrimPrefix(form.Get("subject_token"), "S3NTINEL-subject-of-")
		asked[user+form.Get("scope")]++
		_, _ = w.Write([]byte(issued(base64.RawURLEncoding.EncodeToString([]byte("<a>" + user + "</a>")))))
	}))}
	e.Scopes = []string{"once"}
	own := &e
	cfg.Assertions = own
	client := newClient(t, cfg)
	own.Scopes[0], own.TokenURL, own.SubjectToken = "changed", "changed", nil // New has copied it
	for range 3 {
		token(t, client, "alice")
		token(t, client, "bob")
	}
	require.Equal(t, map[string]int{"aliceonce": 1, "bobonce": 1}, asked)
	for i, user := range []string{"alice", "bob"} {
		require.Equal(t, "<a>"+user+"</a>", string(sentAssertion(t, target.Requests()[i])))
	}
}

func TestExchangeSubjectToken(t *testing.T) {
	t.Parallel()
	server := inMemory(nil)
	for name, test := range map[string]struct {
		token outgrant.Secret
		err   error
		want  string
	}{
		"an error": {"", errors.New("the user has no session"), "SubjectToken: the user has no session"},
		"nothing":  {"", nil, "SubjectToken: returned no token"},
		"redacted": {"[redacted]", nil, "SubjectToken: returned no token"},
	} {
		e := exchange(server)
		e.SubjectToken = func(context.Context, string) (outgrant.Secret, error) { return test.token, test.err }
		_, err := e.Assertion(t.Context(), "alice")
		require.ErrorContains(t, err, test.want, name)
		if test.err != nil {
			require.ErrorIs(t, err, test.err)
		}
		cfg := config(server)
		cfg.Assertions = e
		_, err = newClient(t, cfg).ForUser("alice").Token(t.Context())
		require.ErrorContains(t, err, test.want, name)
	}
	e := exchange(server)
	_, err := e.Assertion(t.Context(), "")
	require.ErrorIs(t, err, outgrant.ErrUserRequired)
	require.Zero(t, server.TokenRequests())
}

func TestExchangeRefused(t *testing.T) {
	t.Parallel()
	for want, change := range map[string]func(*samlbearer.Exchanged){
		"SubjectToken: missing":      func(e *samlbearer.Exchanged) { e.SubjectToken = nil },
		"TokenURL: missing":          func(e *samlbearer.Exchanged) { e.TokenURL = "" },
		"TokenURL: http://":          func(e *samlbearer.Exchanged) { e.TokenURL = "http://idp.example/" },
		"ClientID: missing":          func(e *samlbearer.Exchanged) { e.ClientID = "" },
		"ClientSecret: missing":      func(e *samlbearer.Exchanged) { e.ClientSecret = "" },
		"ClientSecret: is the":       func(e *samlbearer.Exchanged) { e.ClientSecret = "[redacted]" },
		"ClientSecret: must not":     func(e *samlbearer.Exchanged) { e.Auth = outgrant.None },
		"Certificate: missing":       func(e *samlbearer.Exchanged) { e.Auth, e.ClientSecret = outgrant.TLSClientAuth, "" },
		"Scopes: \"a b\" is not a ":  func(e *samlbearer.Exchanged) { e.Scopes = []string{"a b"} },
		"Auth: unknown client authe": func(e *samlbearer.Exchanged) { e.Auth = 99 },
	} {
		e := exchange(inMemory(nil))
		change(&e)
		_, err := e.Assertion(t.Context(), "alice")
		require.ErrorContains(t, err, want)
		cfg := config(inMemory(nil))
		cfg.Assertions = e
		_, err = samlbearer.New(cfg)
		require.ErrorContains(t, err, "samlbearer: Assertions: Exchanged")
		require.ErrorContains(t, err, want)
	}
	e := exchange(inMemory(nil))
	e.ClientSecret, e.Auth = "", outgrant.TLSClientAuth
	e.ClientAuth = func(context.Context) (outgrant.ClientAuth, error) {
		return outgrant.ClientAuth{Secret: "from elsewhere"}, nil
	}
	cfg := config(inMemory(nil))
	cfg.Assertions = e
	_, err := samlbearer.New(cfg)
	require.NoError(t, err, "ClientAuth replaces them")
}

// TestExchangedAndForwarded: an assertion that comes by exchange is checked before it goes on.
func TestExchangedAndForwarded(t *testing.T) {
	t.Parallel()
	target := inMemory(nil)
	idp := samlbearer.Signer{Key: signingKey, Certificate: signingCert, Issuer: "https://idp.example", Audience: "www.successfactors.com", Recipient: target.TokenURL()}
	made := map[string]string{}
	e := exchange(target)
	e.HTTPClient = &http.Client{Transport: oauthtest.HandlerTransport(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user := strings.TrimPrefix(must(url.ParseQuery(bodyOf(t, r))).Get("subject_token"), "S3NTINEL-subject-of-")
		if user == "mallory" {
			user = "alice"
		}
		made[user] = string(must(idp.Assertion(r.Context(), user)))
		_, _ = w.Write([]byte(issued(base64.URLEncoding.EncodeToString([]byte(made[user])))))
	}))}
	cfg := config(target)
	cfg.Assertions = samlbearer.Forwarded{Received: e.Assertion, Certificates: []*x509.Certificate{signingCert}, Issuer: "https://idp.example"}
	client := newClient(t, cfg)
	token(t, client, "alice")
	require.Equal(t, made["alice"], string(sentAssertion(t, target.Requests()[0])))
	_, err := client.ForUser("mallory").Token(t.Context())
	require.Error(t, err, "it names somebody else")
	require.Equal(t, 1, target.TokenRequests())
}

// TestNoErrorQuotesTheSubjectToken, nor the client's secret.
func TestNoErrorQuotesTheSubjectToken(t *testing.T) {
	t.Parallel()
	for name, transport := range map[string]http.RoundTripper{
		"the service": oauthtest.HandlerTransport(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			form := must(url.ParseQuery(bodyOf(t, r)))
			w.WriteHeader(400)
			_, _ = w.Write([]byte(`{"error":"invalid_request","error_description":"cannot read ` + form.Get("subject_token") + `"}`))
		})),
		"the transport": failing(func(r *http.Request) error { return errors.New("cannot send " + bodyOf(t, r)) }),
		"the header":    failing(func(r *http.Request) error { return errors.New("cannot send " + r.Header.Get("Authorization")) }),
	} {
		e := exchange(inMemory(nil))
		e.HTTPClient = &http.Client{Transport: transport}
		_, err := e.Assertion(t.Context(), "alice")
		require.Error(t, err, name)
		oauthtest.AssertNoSecrets(t, []string{"S3NTINEL-subject-of-alice", e.ClientSecret.Reveal()}, err, err.Error())
	}
}

type failing func(*http.Request) error

func (f failing) RoundTrip(r *http.Request) (*http.Response, error) { return nil, f(r) }
