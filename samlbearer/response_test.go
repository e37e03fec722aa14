package samlbearer_test

import (
	"crypto/x509"
	"encoding/xml"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant/oauthtest"
	"github.com/outgrant/outgrant/oauthtest/samltest"
	"github.com/outgrant/outgrant/samlbearer"
)

// TestResponseWrapper: the assertion inside is the same to the byte, and only a declaration goes.
func TestResponseWrapper(t *testing.T) {
	t.Parallel()
	made := string(assertionOf(t, "alice"))
	for name, supplied := range map[string]string{
		"as it is":                      made,
		"with a declaration":            `<?xml version="1.0" encoding="UTF-8"?>` + made,
		"with a declaration and blanks": "\n<?xml version='1.0'?>\r\n\t" + made + "\n",
		"with blanks":                   " \n" + made + "\n ",
		"with a byte order mark":        "\ufeff" + made,
		"with a mark and a declaration": "\ufeff<?xml version=\"1.0\"?>\n" + made,
	} {
		sent := string(wrapped(t, fixed(supplied)))
		require.Equal(t, made, "<saml:Assertion "+between(t, sent, "<saml:Assertion ", "</samlp:Response>"), name)
		require.Regexp(t, `^<samlp:Response xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol" ID="_[0-9a-f]{40}" IssueInstant="[-0-9]{10}T[0-9:.]{12}Z" Version="2.0">`+
			`<Issuer xmlns="urn:oasis:names:tc:SAML:2.0:assertion">[^<]+</Issuer><samlp:Status><samlp:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:Success"></samlp:StatusCode></samlp:Status><saml:Assertion `, sent, name)
		require.True(t, strings.HasSuffix(sent, "</saml:Assertion></samlp:Response>"), name)
		require.NotContains(t, sent, "<?", name)
		require.NotContains(t, between(t, made, ` ID="`, `"`), between(t, sent, ` ID="`, `"`), "IDs of their own")
		verifySignature(t, []byte("<saml:Assertion "+between(t, sent, "<saml:Assertion ", "</samlp:Response>")), signingKey.Public())
	}
}

// TestResponseNamesTheIssuer of the assertion, whoever that is.
func TestResponseNamesTheIssuer(t *testing.T) {
	t.Parallel()
	for name, issuer := range map[string]string{"plain": idp, "with markup": "https://idp.example/?a=1&b=<2>&amp;]]>", "with blanks": " a\r\n\tb "} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := signer()
			s.Issuer = issuer
			signed := string(must(s.Assertion(t.Context(), "alice")))
			var text strings.Builder
			require.NoError(t, xml.EscapeText(&text, []byte(issuer)))
			const ns = `="urn:oasis:names:tc:SAML:2.0:assertion"`
			for _, supplied := range []string{signed, "\ufeff<?xml version='1.0'?>" + signed,
				"<Assertion xmlns" + ns + "><Issuer>" + text.String() + "</Issuer></Assertion>",
				"<s:Assertion xmlns:s" + ns + "><s:Issuer Format='x'>" + text.String() + "</s:Issuer><s:Advice><s:Issuer>other</s:Issuer></s:Advice></s:Assertion>"} {
				var response struct {
					Issuer    string `xml:"urn:oasis:names:tc:SAML:2.0:assertion Issuer"`
					Assertion struct{ Issuer string }
				}
				require.NoError(t, xml.Unmarshal(wrapped(t, fixed(supplied)), &response))
				require.Equal(t, issuer, response.Issuer)
				require.Equal(t, issuer, response.Assertion.Issuer)
			}
		})
	}
}

// wrapped returns the Response around a source's assertion, as it is sent.
func wrapped(t *testing.T, assertions samlbearer.AssertionSource) []byte {
	t.Helper()
	server := inMemory(nil)
	cfg := config(server)
	cfg.Target.ResponseWrapper, cfg.Assertions = true, assertions
	token(t, newClient(t, cfg), "alice")
	return sentAssertion(t, server.Requests()[0])
}

// TestResponseKeepsSignaturesWithPrefixes: a signature may cover what prefixes mean around the assertion, also those
// that mean nothing there.
func TestResponseKeepsSignaturesWithPrefixes(t *testing.T) {
	t.Parallel()
	for _, prefixes := range []string{"samlp saml ds", "#default saml2p samlp xs xsi"} {
		t.Run(prefixes, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				server := oauthtest.NewServer(&oauthtest.ServerOptions{InMemory: true})
				url := samltest.Neo(server, &samltest.Options{Certificates: map[string]*x509.Certificate{fwdIssuer: rsaIssuer.cert}, Audience: fwdAudience, ResponseWrapper: true})
				inclusive := with(honestTransforms, `exc-c14n#">`, `exc-c14n#"><ec:InclusiveNamespaces xmlns:ec="`+algExcC14N+`" PrefixList="`+prefixes+`"></ec:InclusiveNamespaces>`)
				signed := signFwd(with(honestText, fwdRecipient, url), rsaIssuer, fwdSignature{transforms: inclusive})
				_, err := samltest.Verify([]byte(signed), rsaIssuer.cert)
				require.NoError(t, err, "by itself")
				target := samlbearer.BTPNeo("neo", "secret")
				target.ResponseWrapper = true
				client := newClient(t, &samlbearer.Config{Target: target, TokenURL: url, Assertions: fixed(signed), HTTPClient: server.Client()})
				_, err = client.ForUser("alice").Token(t.Context())
				require.NoError(t, err)
			})
		})
	}
}

// TestAssertionsOfOthersGoOutAsTheyAre, to the byte.
func TestAssertionsOfOthersGoOutAsTheyAre(t *testing.T) {
	t.Parallel()
	odd := "<?xml version='1.0'?>\r\n<a>\tJ\u00fcrgen \xff\x00</a>\n\n"
	for _, encoding := range []samlbearer.Encoding{samlbearer.Base64, samlbearer.Base64URL} {
		server := inMemory(nil)
		cfg := config(server)
		cfg.Target.Encoding, cfg.Assertions = encoding, fixed(odd)
		token(t, newClient(t, cfg), "alice")
		require.Equal(t, odd, string(sentAssertion(t, server.Requests()[0])))
	}
}
