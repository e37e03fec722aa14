package credstore_test

import (
	"fmt"
	"os"

	"github.com/outgrant/outgrant/credstore"
)

func ExampleParseArtifacts() {
	artifacts, err := credstore.ParseArtifacts([]byte(`[
		{"type": "OAuth2 Client Credentials", "name": "S4_ORDERS", "tokenServiceUrl": "https://acme.example/oauth/token",
		 "clientId": "sb-1", "clientSecret": "very secret"},
		{"type": "Secure Parameter", "name": "tw-consumer-key", "secureParameter": "very secret, too"}]`))
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, a := range artifacts {
		fmt.Println(a)
	}

	_, err = credstore.ParseArtifacts([]byte(`[
		{"type": "OAuth2 Client Credentials", "name": "S4_ORDERS", "tokenServiceUrl": "https://acme.example/oauth/token",
		 "clientID": "sb-1", "clientSecret": "very secret", "grantType": "query"}]`))
	fmt.Println(err)
	// Output:
	// credstore.ClientCredentials("S4_ORDERS")
	// credstore.SecureParameter("tw-consumer-key")
	// artifacts[0] "S4_ORDERS": unknown member "clientID": it is spelled clientId
	// artifacts[0] "S4_ORDERS": grantType: "query": use body or url
	// artifacts[0] "S4_ORDERS": clientId: missing
}

// A file with an artifact of each type. Secrets are in the environment and in files beside it.
func ExampleLoadArtifacts() {
	os.Setenv("APP_SECRET", "very secret")
	os.Setenv("SF_P12", "S3NTINEL-password")
	artifacts, err := credstore.LoadArtifacts([]byte(`[
		{"type": "OAuth2 Client Credentials", "name": "S4_ORDERS", "description": "Orders of S/4HANA",
		 "tokenServiceUrl": "https://acme.example/oauth/token", "clientId": "sb-1", "clientSecret": "${env:APP_SECRET}",
		 "clientAuthentication": "body", "grantType": "url", "contentType": "application/x-www-form-urlencoded",
		 "scope": "read write", "resource": "https://api.acme.example/", "audience": "orders",
		 "customParameters": [{"key": "X-Zone", "value": "eu10", "sendAs": "header"}]},

		{"type": "OAuth2 Client Credentials", "name": "S4_STOCK", "tokenServiceUrl": "https://acme.example/oauth/token",
		 "clientId": "sb-2", "clientAuthentication": "privateKeyJwt", "keyPairAlias": "sf-signing", "keyId": "key-1",
		 "signatureAlgorithm": "RS256", "assertionAudience": "https://acme.example/"},

		{"type": "OAuth2 SAML Bearer Assertion", "name": "SF_TASKS", "audience": "www.successfactors.com",
		 "clientKey": "api-key", "tokenServiceUrl": "https://api.example/oauth/token", "targetSystemType": "SuccessFactors",
		 "companyId": "ACME", "userId": "Principal Propagation", "userIdSource": "email", "keyPairAlias": "sf-signing",
		 "issuer": "api-key", "recipient": "https://api.example/oauth/token", "authnContextClassRef":
		 "urn:oasis:names:tc:SAML:2.0:ac:classes:X509", "attributes": {"use_username": "true"},
		 "nameIdFormat": "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress", "nameQualifier": "acme",
		 "samlAssertionEncoding": "base64", "includeSigningCertificate": false},

		{"type": "OAuth2 SAML Bearer Assertion", "name": "CF_TASKS", "audience": "acme.authentication.eu10.example",
		 "tokenServiceUser": "sb-3", "tokenServicePassword": "${env:APP_SECRET}", "issuer": "idp.acme.example",
		 "tokenServiceUrl": "https://acme.authentication.eu10.example/oauth/token", "targetSystemType": "BTP CF",
		 "userId": "Key Pair Common Name", "keyPairAlias": "sf-signing", "scope": "tasks"},

		{"type": "OAuth2 Authorization Code", "name": "MAILBOX", "provider": "Microsoft 365", "tenant": "acme.example",
		 "refreshTokenExpiryDays": 90, "clientId": "app", "clientSecret": "${env:APP_SECRET}", "sendAs": "body",
		 "userName": "ops@acme.example", "scope": "https://outlook.office.com/SMTP.Send",
		 "redirectUrl": "https://acme.example/callback"},

		{"type": "OAuth2 Authorization Code", "name": "FILES", "provider": "Generic",
		 "authorizationUrl": "https://idp.example/authorize?access_type=offline", "tokenServiceUrl": "https://idp.example/token",
		 "revocationUrl": "https://idp.example/revoke", "issuer": "https://idp.example", "clientId": "app-2", "sendAs": "none",
		 "pkce": true, "scope": "files", "scopeOnRefresh": true, "scopeInUrl": true},

		{"type": "Secure Parameter", "name": "tw-consumer-key", "secureParameter": "${env:APP_SECRET}"},

		{"type": "Key Pair", "name": "sf-signing", "pkcs12": "${file:testdata/keys/signing.p12}", "password": "${env:SF_P12}"},
		{"type": "Key Pair", "name": "sf-next", "pem": "${file:testdata/keys/signing.pem}"}]`))
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, a := range artifacts {
		fmt.Println(a)
	}
	// Output:
	// credstore.ClientCredentials("S4_ORDERS")
	// credstore.ClientCredentials("S4_STOCK")
	// credstore.SAMLBearerAssertion("SF_TASKS")
	// credstore.SAMLBearerAssertion("CF_TASKS")
	// credstore.AuthorizationCode("MAILBOX")
	// credstore.AuthorizationCode("FILES")
	// credstore.SecureParameter("tw-consumer-key")
	// credstore.KeyPair("sf-signing")
	// credstore.KeyPair("sf-next")
}

func ExampleFormatArtifacts() {
	text, err := credstore.FormatArtifacts([]credstore.Artifact{credstore.ClientCredentials{
		Name: "S4_ORDERS", TokenServiceURL: "https://acme.example/oauth/token", ClientID: "sb-1", ClientSecret: "very secret",
		ClientAuthentication: credstore.InHeader, Scope: "read write",
	}})
	fmt.Printf("%s%v\n", text, err)
	// Output:
	// [
	//   {
	//     "type": "OAuth2 Client Credentials",
	//     "name": "S4_ORDERS",
	//     "tokenServiceUrl": "https://acme.example/oauth/token",
	//     "clientId": "sb-1",
	//     "clientAuthentication": "header",
	//     "scope": "read write"
	//   }
	// ]
	// <nil>
}
