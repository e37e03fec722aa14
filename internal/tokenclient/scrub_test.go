package tokenclient_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/internal/tokenclient"
	"github.com/outgrant/outgrant/oauthtest"
)

// document is a secret that is XML, with what every such one has: texts that are known elsewhere, and long base64.
var document = `<saml:Assertion xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion" ID="_1"><saml:Issuer>https://idp.example</saml:Issuer><ds:Signature xmlns:ds="http://www.w3.org/2000/09/xmldsig#"><ds:SignatureValue>` +
	base64.StdEncoding.EncodeToString([]byte(strings.Repeat("S3NTINEL\xfb\xff signature", 12))) + `</ds:SignatureValue></ds:Signature><saml:Subject><saml:NameID>S3NTINEL-name</saml:NameID>` +
	`<saml:SubjectConfirmation><saml:SubjectConfirmationData Recipient="https://token.example/oauth/token/alias/a-long-alias-of-the-service"></saml:SubjectConfirmationData></saml:SubjectConfirmation></saml:Subject>` +
	`<saml:AuthnContextClassRef>urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport</saml:AuthnContextClassRef></saml:Assertion>`

// sends sends the document as a grant does, in base64, to a transport.
func sends(t *testing.T, secret string, transport http.RoundTripper) error {
	t.Helper()
	client, err := tokenclient.New(tokenclient.Config{TokenURL: tokenURL, ClientID: "id", HTTPClient: &http.Client{Transport: transport}, ErrorMember: "errorMessage",
		Auth: func(context.Context) (outgrant.ClientAuth, error) {
			return outgrant.ClientAuth{Method: outgrant.None}, nil
		}})
	require.NoError(t, err)
	encoded := base64.RawURLEncoding.EncodeToString([]byte(secret))
	_, err = client.Ask(t.Context(), &tokenclient.Request{Form: url.Values{"assertion": {encoded}}, Secrets: []outgrant.Secret{outgrant.Secret(secret), outgrant.Secret(encoded)}})
	return err
}

// saying are the ways in which a text gets into an error.
var saying = map[string]func(text string) http.RoundTripper{
	"error_description": func(text string) http.RoundTripper {
		return oauthtest.HandlerTransport(answering(400, "application/json", member("error_description", text)))
	},
	"errorMessage": func(text string) http.RoundTripper {
		return oauthtest.HandlerTransport(answering(401, "application/json", member("errorMessage", text)))
	},
	"a transport's error": func(text string) http.RoundTripper {
		return roundTripFunc(func(*http.Request) (*http.Response, error) { return nil, errors.New(text) })
	},
}

func member(name, text string) string {
	b, _ := json.Marshal(text)
	return `{"` + map[bool]string{true: `error":"invalid_grant","`}[name == "error_description"] + name + `":` + string(b) + `}`
}

// TestPiecesAreNotShown: quotes are cut off at either end, and escaped on the way.
func TestPiecesAreNotShown(t *testing.T) {
	t.Parallel()
	subject := document[strings.Index(document, "<saml:Subject>"):]
	name := subject[strings.Index(subject, "<saml:NameID>"):]
	quoted, _ := json.Marshal(subject)
	standard, inURL := base64.StdEncoding.EncodeToString([]byte(document)), base64.RawURLEncoding.EncodeToString([]byte(document))
	pieces := map[string]string{
		"from Subject on":                  subject,
		"from NameID on, cut off":          name[:30],
		"an end tag":                       "S3NTINEL-name</saml:NameID>",
		"HTML-escaped":                     html.EscapeString(subject),
		"HTML-escaped by numbers":          strings.NewReplacer("<", "&#60;", ">", "&#62;").Replace(subject),
		"quoted by JSON":                   string(quoted),
		"query-escaped":                    url.QueryEscape(subject),
		"query-escaped twice":              url.QueryEscape(url.QueryEscape(name)),
		"the middle, between tags":         document[250:370],
		"in hex":                           fmt.Sprintf("%X", name),
		"the middle in base64":             standard[200:260],
		"the middle in base64url":          inURL[200:260],
		"the end in base64":                standard[len(standard)-60:],
		"the middle in base64, escaped":    url.QueryEscape(standard[200:360]),
		"the middle in base64, with PHP's": strings.ReplaceAll(standard[200:360], "/", `\/`),
	}
	for secretName, secret := range map[string]string{"": document, ", with a declaration": "<?xml version='1.0'?>\n" + document, ", with a mark": "\ufeff" + document, ", with blanks": "\r\n " + document} {
		for pieceName, piece := range pieces {
			if secretName != "" && strings.Contains(pieceName, "base64") {
				continue // of another text
			}
			for where, transport := range saying {
				err := sends(t, secret, transport("cannot read ..."+piece+"..."))
				require.ErrorContains(t, err, "(not shown: it quotes a secret)", "%s%s, %s", pieceName, secretName, where)
			}
		}
	}
}

// TestWhatIsNoQuoteIsShown: the texts in an assertion are in other texts, too.
func TestWhatIsNoQuoteIsShown(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"the Recipient must be https://token.example/oauth/token/alias/a-long-alias-of-the-service",
		"urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport is not allowed",
		"use urn:oasis:names:tc:SAML:2.0:assertion, signed by http://www.w3.org/2000/09/xmldsig#",
		"the time must be < 5 minutes & > 0, 1<2",
		"trace " + strings.Repeat("0123456789abcdef", 4),
	} {
		for where, transport := range saying {
			require.ErrorContains(t, sends(t, document, transport(text)), text, where)
		}
	}
}

// TestOverlongCode is none, and nobody looks through it for long: that would take most of a minute.
func TestOverlongCode(t *testing.T) {
	t.Parallel()
	secret := strings.Repeat("<a>"+strings.Repeat("S3NTINEL", 100)+"</a>", 300)
	code := strings.Repeat("U3NOVElORUxTM05USU5F", 50_000)
	began := time.Now()
	err := sends(t, secret, oauthtest.HandlerTransport(answering(400, "application/json", `{"error":"`+code+`"}`)))
	require.Less(t, time.Since(began), 10*time.Second)
	require.NotContains(t, err.Error(), code[:20])
}
