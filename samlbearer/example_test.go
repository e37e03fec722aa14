package samlbearer_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"time"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/oauthtest"
	"github.com/outgrant/outgrant/oauthtest/samltest"
	"github.com/outgrant/outgrant/samlbearer"
)

// keyPair stands for the one whose certificate you have registered at the service.
func keyPair(commonName string) (*rsa.PrivateKey, *x509.Certificate) {
	key, _ := rsa.GenerateKey(rand.Reader, 2048)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: commonName},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(1, 0, 0)}
	der, _ := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	certificate, _ := x509.ParseCertificate(der)
	return key, certificate
}

// SuccessFactors, as the user who called: with an API key, the company and a key pair.
func ExampleSuccessFactors() {
	key, certificate := keyPair("SFAPI_USER")
	service := oauthtest.NewServer(nil) // yours is https://<api-host>/oauth/token
	defer service.Close()
	tokenURL := samltest.SuccessFactors(service, &samltest.Options{
		Certificates: map[string]*x509.Certificate{"the API key": certificate},
	})

	client, err := samlbearer.New(&samlbearer.Config{
		Name:       "SF_ACME",
		Target:     samlbearer.SuccessFactors("ACME"),
		TokenURL:   tokenURL,
		ClientKey:  "the API key",
		Assertions: samlbearer.Signer{Key: key, Certificate: certificate},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, source := range []outgrant.TokenSource{client.ForUser("alice"), client.ForUser("bob"), client.ForTechnicalUser()} {
		token, err := source.Token(context.Background())
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(token.User)
	}
	_, err = client.ForUser("").Token(context.Background()) // never the technical user instead
	fmt.Println(errors.Is(err, outgrant.ErrUserRequired))
	// Output:
	// alice
	// bob
	// SFAPI_USER
	// true
}

// SAP BTP, Cloud Foundry environment: the service key's client id and secret, and a trusted identity provider's name. What
// differs by user comes from AttributesFor.
func ExampleBTPCloudFoundry() {
	key, certificate := keyPair("idp.acme.example")
	service := oauthtest.NewServer(nil)
	defer service.Close()
	tokenURL := samltest.CloudFoundry(service, &samltest.Options{ // yours ends in /oauth/token/alias/<alias>
		Certificates: map[string]*x509.Certificate{"https://idp.acme.example": certificate}, Audience: "acme.aws-live",
	})

	client, err := samlbearer.New(&samlbearer.Config{
		Target:   samlbearer.BTPCloudFoundry("sb-orders!t42", "the client secret"),
		TokenURL: tokenURL,
		Assertions: samlbearer.Signer{
			Key: key, Certificate: certificate,
			Issuer:       "https://idp.acme.example",
			Audience:     "acme.aws-live", // the subaccount's SAML entity id
			NameIDFormat: samlbearer.NameIDEmailAddress,
			AttributesFor: func(_ context.Context, user string) (map[string][]string, error) {
				return map[string][]string{"mail": {user}, "Groups": {"Orders"}}, nil
			},
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	// One client for all users: each request goes out as the user whom it is for.
	users := &outgrant.Transport{SourceFor: func(req *http.Request) (outgrant.TokenSource, error) {
		return client.ForUser(req.Header.Get("X-User")), nil // as your program knows it
	}}
	_ = http.Client{Transport: users}

	token, err := client.ForUser("alice@acme.example").Token(context.Background())
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(token.User, token.Type)
	// Output: alice@acme.example Bearer
}

// A target of your own: S/4HANA and ABAP authenticate the OAuth client by Basic, and want client_id in the body, too. The
// attribute client_id is in the assertion here.
func ExampleTarget_s4HANA() {
	key, certificate := keyPair("ABAP")
	service := oauthtest.NewServer(&oauthtest.ServerOptions{Clients: []oauthtest.Client{{ID: "OAUTH_CLIENT", Secret: "its password"}}})
	defer service.Close()
	service.Handle("urn:ietf:params:oauth:grant-type:saml2-bearer", printing(certificate))

	client, err := samlbearer.New(&samlbearer.Config{
		Target: samlbearer.Target{
			Name:               "S/4HANA",
			User:               "OAUTH_CLIENT",
			Password:           "its password",
			ClientIDInBody:     true,
			ClientKeyAttribute: "client_id",
		},
		TokenURL: service.TokenURL() + "?sap-client=100", // yours is https://<host>/sap/bc/sec/oauth2/token?sap-client=100
		Scopes:   []string{"API_SALES_ORDER_SRV_0001"},
		Assertions: samlbearer.Signer{
			Key: key, Certificate: certificate,
			Issuer:    "https://idp.acme.example",
			Audience:  "S4H_100", // the system's Local Provider Name
			Recipient: "https://s4h.acme.example/sap/bc/sec/oauth2/token",
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	token, err := client.ForUser("ALICE").Token(context.Background())
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(token.User, token.Scopes)
	// Output:
	// "ALICE" for S4H_100, from https://idp.acme.example, map[client_id:[OAUTH_CLIENT]], client_id OAUTH_CLIENT by client_secret_basic
	// ALICE [API_SALES_ORDER_SRV_0001]
}

// A target of your own: Salesforce has no client authentication; the consumer key is the assertion's issuer. The key may be
// an ECDSA key, or live in a KMS, where the service takes it.
func ExampleTarget_salesforce() {
	key, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader) // any crypto.Signer
	service := oauthtest.NewServer(nil)
	defer service.Close()
	service.Handle("urn:ietf:params:oauth:grant-type:saml2-bearer", printing(&x509.Certificate{PublicKey: key.Public()}))

	client, err := samlbearer.New(&samlbearer.Config{
		Target:    samlbearer.Target{Name: "Salesforce", Auth: outgrant.None, Audience: "https://login.salesforce.com"},
		TokenURL:  service.TokenURL(), // yours is https://login.salesforce.com/services/oauth2/token
		ClientKey: "the consumer key",
		Assertions: samlbearer.Signer{
			Key: key, OmitCertificate: true,
			Recipient: "https://login.salesforce.com/services/oauth2/token",
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	token, err := client.ForUser("alice@acme.example").Token(context.Background())
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(token.User, token.Extra("instance_url"))
	// Output:
	// "alice@acme.example" for https://login.salesforce.com, from the consumer key, map[], client_id the consumer key by none
	// alice@acme.example https://acme.my.salesforce.example
}

// printing is a token service that verifies the assertion and prints what it got.
func printing(certificate *x509.Certificate) oauthtest.GrantHandler {
	return func(r *oauthtest.GrantRequest) (*oauthtest.Granted, error) {
		encoded := r.Params.Get("assertion")
		assertion, err := base64.RawURLEncoding.Strict().DecodeString(encoded)
		if err != nil {
			return nil, err
		}
		a, err := samltest.Verify(assertion, certificate)
		if err != nil {
			return nil, err
		}
		fmt.Printf("%q for %s, from %s, %v, client_id %s by %s\n", a.NameID, a.Audiences[0], a.Issuer, a.Attributes, r.Params.Get("client_id"), r.Client.Auth)
		return &oauthtest.Granted{User: a.NameID, Extra: map[string]any{"instance_url": "https://acme.my.salesforce.example"}}, nil
	}
}

// The user comes from a token that your program has verified.
func ExamplePrincipalFromClaims() {
	claims := map[string]any{"sub": "4711", "email": "alice@acme.example"} // of the verified token
	user, err := samlbearer.PrincipalFromClaims(claims, "", samlbearer.NameIDEmailAddress)
	fmt.Println(user, err)
	_, err = samlbearer.PrincipalFromClaims(claims, "", "")
	fmt.Println(err)
	// Output:
	// alice@acme.example <nil>
	// samlbearer: the token has none of the claims ["user_name"]: user required: this credential acts for the user of each call, and the call named none
}
