package credstore_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant/credstore"
)

const previousSession = "urn:oasis:names:tc:SAML:2.0:ac:classes:PreviousSession"

// imported is what a destination for SuccessFactors becomes: with the defaults of SAP's Destination service, not with those
// of an artifact.
func imported(change func(*credstore.SAMLBearerAssertion)) []credstore.Artifact {
	return tasks(func(a *credstore.SAMLBearerAssertion) {
		a.KeyPairAlias, a.UserIDSource, a.AuthnContextClassRef = "sf.p12", "email", previousSession
		a.NameIDFormat, a.Attributes = "urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified", map[string]string{"api_key": "api-key-1"}
		a.SAMLAssertionEncoding, a.OmitSigningCertificate = credstore.Base64URL, true
		change(a)
	})
}

func importedS4(change func(*credstore.SAMLBearerAssertion)) []credstore.Artifact {
	a := &credstore.SAMLBearerAssertion{Name: "S4_USERS", Description: "orders as the user", Audience: "S4_100", ClientKey: "OAUTH",
		TokenServiceURL:  "https://s4.example/sap/bc/sec/oauth2/token?sap-client=100",
		TargetSystemType: credstore.Generic, KeyPairAlias: "s4-signing", TokenServiceUser: "OAUTH", TokenServicePassword: "S3NTINEL-password",
		Issuer: "cfapps.eu10.example/1234", Scope: "Z_ORDERS_0001", SAMLAssertionEncoding: credstore.Base64URL, OmitSigningCertificate: true}
	change(a)
	return []credstore.Artifact{a}
}

func TestParseDestinations(t *testing.T) {
	t.Parallel()
	inHeader := func(a *credstore.ClientCredentials) { a.ClientAuthentication = credstore.InHeader }
	requireParsed(t, "destinations", map[string][]credstore.Artifact{
		"client-credentials":                orders(nil),
		"client-credentials-ui5-properties": orders(nil),
		"client-credentials-token-proxy":    orders(nil),
		"wrapped":                           orders(nil),
		"client-credentials-header-bool":    orders(inHeader),
		"client-credentials-header": orders(func(a *credstore.ClientCredentials) {
			inHeader(a)
			a.Description, a.Scope = "orders", "read write"
		}),
		"client-credentials-token-service-user": orders(func(a *credstore.ClientCredentials) {
			inHeader(a)
			a.ClientSecret = "S3NTINEL-password"
		}),
		"client-credentials-other-user": orders(func(a *credstore.ClientCredentials) {
			inHeader(a)
			a.ClientID, a.ClientSecret = "basic-user", "S3NTINEL-password"
		}),
		"client-credentials-certificate": orders(func(a *credstore.ClientCredentials) {
			a.ClientSecret, a.ClientAuthentication, a.KeyPairAlias = "", credstore.WithCertificate, "client.p12"
		}),
		"client-credentials-parameters": orders(func(a *credstore.ClientCredentials) {
			a.CustomParameters = []credstore.CustomParameter{{Key: "b", Value: "v1", SendAs: credstore.InBody},
				{Key: "X-H", Value: "v2", SendAs: credstore.InHeader}, {Key: "q", Value: "v3", SendAs: credstore.InURL}}
		}),
		"list-with-an-artifact": append(orders(nil), &credstore.SecureParameter{Name: "tw-consumer-key", Value: "S3NTINEL-parameter"}),
		"saml-successfactors":   imported(func(*credstore.SAMLBearerAssertion) {}),
		"saml-certificate-base64": imported(func(a *credstore.SAMLBearerAssertion) {
			a.SAMLAssertionEncoding, a.OmitSigningCertificate, a.Attributes = credstore.Base64, false, nil
			a.Recipient, a.NameQualifier = "https://api.example/oauth/token", "acme"
		}),
		"saml-s4": importedS4(func(*credstore.SAMLBearerAssertion) {}),
		"saml-without-client-authentication": importedS4(func(a *credstore.SAMLBearerAssertion) {
			a.TokenServiceUser, a.TokenServicePassword = "", ""
		}),
	})
}

func TestParseDestinationsRefuses(t *testing.T) {
	t.Parallel()
	requireRefused(t, "destinations")
}

func TestLoadDestinationReplacesReferences(t *testing.T) {
	t.Setenv("OUTGRANT_TEST_SECRET", "S3NTINEL-client")
	got, err := credstore.LoadArtifacts([]byte(`{"Name": "S4_ORDERS", "Authentication": "OAuth2ClientCredentials", "clientId": "sb-1",
		"clientSecret": "${env:OUTGRANT_TEST_SECRET}", "tokenServiceURL": "https://acme.example/oauth/token", "URL": "${env:OUTGRANT_TEST_UNSET}"}`))
	require.NoError(t, err)
	require.Equal(t, orders(nil), got)

	_, err = credstore.LoadArtifacts([]byte(`{"Name": "S4_ORDERS", "Authentication": "OAuth2ClientCredentials", "clientId": "sb-1",
		"clientSecret": "${env:OUTGRANT_TEST_UNSET}", "tokenServiceURL": "https://acme.example/oauth/token"}`))
	require.EqualError(t, err, `artifacts[0] "S4_ORDERS": clientSecret: environment variable OUTGRANT_TEST_UNSET is not set`)
}
