package samltest_test

import (
	"context"
	"crypto/x509"
	"encoding/base64"
	"fmt"

	"github.com/outgrant/outgrant/oauthtest"
	"github.com/outgrant/outgrant/oauthtest/samltest"
	"github.com/outgrant/outgrant/samlbearer"
)

// A token service that speaks as SuccessFactors does, and a client that asks it for the token of a user. Your tests have
// the code under test in the client's place, with your key pair's certificate registered.
func ExampleSuccessFactors() {
	keyPair := p256()
	server := oauthtest.NewServer(&oauthtest.ServerOptions{InMemory: true})
	defer server.Close()
	tokenURL := samltest.SuccessFactors(server, &samltest.Options{
		Certificates: map[string]*x509.Certificate{"my-api-key": keyPair.cert},
	})

	users, err := samlbearer.New(&samlbearer.Config{
		Target: samlbearer.SuccessFactors("ACME"), TokenURL: tokenURL, ClientKey: "my-api-key",
		Assertions: samlbearer.Signer{Key: keyPair.private, Certificate: keyPair.cert}, HTTPClient: server.Client(),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	token, err := users.ForUser("alice").Token(context.Background())
	fmt.Println(token.ValidAt(token.Expiry.Add(-1)), err)

	// What the client has said is in the request.
	sent, _ := base64.StdEncoding.DecodeString(server.Requests()[0].Params.Get("assertion"))
	said, err := samltest.Verify(sent, keyPair.cert)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(said.NameID, said.Audiences, said.Attributes)
	// Output:
	// true <nil>
	// alice [www.successfactors.com] map[api_key:[my-api-key]]
}
