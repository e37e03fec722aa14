package authcode_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/authcode"
	"github.com/outgrant/outgrant/oauthtest"
)

// A web server whose visitors authorize a credential, at a provider that stands for Microsoft 365 or Google.
func ExampleClient_AuthorizeHandler() {
	provider := oauthtest.NewServer(&oauthtest.ServerOptions{User: "ops@acme.example"})
	defer provider.Close()
	mux := http.NewServeMux()
	server := httptest.NewServer(mux)
	defer server.Close()

	client, err := authcode.New(&authcode.Config{
		Name: "MAILBOX", User: "ops@acme.example", AuthURL: provider.AuthURL(), TokenURL: provider.TokenURL(),
		ClientID: "app", ClientSecret: "s3cret", RedirectURL: server.URL + "/oauth/callback",
		Scopes: []string{"openid", "email", "mail.send"}, Vault: authcode.NewMemoryVault(),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.Close()
	mux.Handle("/oauth/authorize", client.AuthorizeHandler()) // for people at this machine, as MayAuthorize is not set
	mux.Handle("/oauth/callback", client.CallbackHandler(func(w http.ResponseWriter, r *http.Request, err error) {
		if err != nil {
			http.Error(w, err.Error(), http.StatusForbidden)
			return
		}
		fmt.Fprint(w, "thank you")
	}))

	ctx := context.Background()
	_, err = client.Token(ctx)
	fmt.Println("not authorized yet:", errors.Is(err, outgrant.ErrNotAuthorized))
	jar, _ := cookiejar.New(nil)
	browser := &http.Client{Jar: jar}
	resp, err := browser.Get(server.URL + "/oauth/authorize")
	if err != nil {
		fmt.Println(err)
		return
	}
	resp.Body.Close()
	fmt.Println(resp.Request.URL.Path, resp.StatusCode)
	token, err := client.Token(ctx)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("a token of", token.User)
	// Output:
	// not authorized yet: true
	// /oauth/callback 200
	// a token of ops@acme.example
}

// A program on the command line.
func ExampleClient_AuthorizeLoopback() {
	provider := oauthtest.NewServer(nil)
	defer provider.Close()
	client, err := authcode.New(&authcode.Config{
		Name: "CLI", AuthURL: provider.AuthURL(), TokenURL: provider.TokenURL(), ClientID: "cli", Auth: outgrant.None,
		Vault: authcode.NewMemoryVault(),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.Close()
	err = client.AuthorizeLoopback(context.Background(), func(url string) error {
		fmt.Println("the browser opens")
		jar, _ := cookiejar.New(nil)
		resp, err := (&http.Client{Jar: jar}).Get(url) // in earnest: open, xdg-open or rundll32, or print it
		if err != nil {
			return err
		}
		return resp.Body.Close()
	})
	fmt.Println("authorized:", err == nil)
	// Output:
	// the browser opens
	// authorized: true
}
