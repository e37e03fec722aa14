package clientcredentials_test

import (
	"cmp"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"os"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/clientcredentials"
	"github.com/outgrant/outgrant/oauthtest"
)

// A client that is always authorized, from a token URL, a client id and a secret.
func Example() {
	tokenService := oauthtest.NewServer(nil) // yours is somewhere else
	defer tokenService.Close()

	source, err := clientcredentials.New(&clientcredentials.Config{
		Name:         "S4_ORDERS",
		TokenURL:     tokenService.TokenURL(),
		ClientID:     "sb-orders",
		ClientSecret: outgrant.Secret(cmp.Or(os.Getenv("S4_SECRET"), "a secret")),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	client := outgrant.NewClient(source)

	_ = client // client.Get("https://receiver.example/orders")
	fmt.Println(source.Describe().Name, outgrant.GrantOf(source))
	// Output: S4_ORDERS client_credentials
}

// A service key from the BTP cockpit holds all that is needed.
func ExampleParseServiceKey() {
	key, err := clientcredentials.ParseServiceKey([]byte(`{"oauth": {
		"clientid": "sb-1", "clientsecret": "secret",
		"tokenurl": "https://acme.authentication.example/oauth/token",
		"url": "https://acme-rt.cfapps.example"}}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	cfg, err := key.Config()
	if err != nil {
		fmt.Println(err)
		return
	}
	source, err := clientcredentials.New(cfg)
	if err != nil {
		fmt.Println(err)
		return
	}
	client := outgrant.NewClient(source)

	_ = client // client.Get(key.URL + "/http/orders")
	fmt.Println(key.URL, cfg.Auth)
	// Output: https://acme-rt.cfapps.example client_secret_basic
}

// A signing key authenticates the client; it may live in a KMS or an HSM, behind crypto.Signer.
func ExampleNew_privateKeyJWT() {
	key, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	tokenService := oauthtest.NewServer(&oauthtest.ServerOptions{InMemory: true, Clients: []oauthtest.Client{
		{ID: "sb-1", Auth: outgrant.PrivateKeyJWT, Key: key.Public()},
	}})
	source, err := clientcredentials.New(&clientcredentials.Config{
		TokenURL: tokenService.TokenURL(), HTTPClient: tokenService.Client(), ClientID: "sb-1",
		Auth: outgrant.PrivateKeyJWT, Key: key, KeyID: "2026-11",
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = source.Token(context.Background())
	fmt.Println(err)
	// Output: <nil>
}

// A secret that is kept elsewhere is read at each token request, so that it can be replaced at any time.
func ExampleConfig_clientAuth() {
	secrets := map[string]outgrant.Secret{"current": "first"} // a vault
	tokenService := oauthtest.NewServer(&oauthtest.ServerOptions{InMemory: true})
	source, err := clientcredentials.New(&clientcredentials.Config{
		TokenURL: tokenService.TokenURL(), HTTPClient: tokenService.Client(), ClientID: "sb-1",
		ClientAuth: func(context.Context) (outgrant.ClientAuth, error) {
			return outgrant.ClientAuth{Secret: secrets["current"]}, nil
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = source.Token(context.Background())
	fmt.Println(err)
	// Output: <nil>
}

// An artifact of SAP Cloud Integration that sends the grant type in the URL and a custom header.
func ExampleParam() {
	tokenService := oauthtest.NewServer(&oauthtest.ServerOptions{InMemory: true, SAPDialect: true})
	source, err := clientcredentials.New(&clientcredentials.Config{
		TokenURL: tokenService.TokenURL(), HTTPClient: tokenService.Client(), ClientID: "sb-1", ClientSecret: "secret",
		GrantTypeInURL: true,
		Params:         []clientcredentials.Param{{Key: "X-Tenant", Value: "acme", In: clientcredentials.InHeader}},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	if _, err := source.Token(context.Background()); err != nil {
		fmt.Println(err)
		return
	}
	sent := tokenService.Requests()[0]
	fmt.Println(sent.URL.RawQuery, sent.Header.Get("X-Tenant"))
	// Output: grant_type=client_credentials acme
}

// What went wrong is told by one error type, without the secret.
func ExampleNew_errors() {
	tokenService := oauthtest.NewServer(&oauthtest.ServerOptions{InMemory: true, Clients: []oauthtest.Client{{ID: "sb-1", Secret: "right"}}})
	source, err := clientcredentials.New(&clientcredentials.Config{
		Name: "S4_ORDERS", TokenURL: tokenService.TokenURL(), HTTPClient: tokenService.Client(), ClientID: "sb-1", ClientSecret: "wrong",
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = outgrant.NewClient(source).Get("https://receiver.example/")
	var te *outgrant.TokenError
	if errors.As(err, &te) {
		fmt.Println(te.Credential, te.StatusCode == http.StatusUnauthorized, te.Code, te.Temporary())
	}
	// Output: S4_ORDERS true invalid_client false
}
