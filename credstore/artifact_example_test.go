package credstore_test

import (
	"fmt"

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
