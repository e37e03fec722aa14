package oauthtest_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/clientcredentials"
	"github.com/outgrant/outgrant/oauthtest"
)

// A token service, a receiver that accepts its tokens, and a client that calls the receiver.
func ExampleNewServer() {
	server := oauthtest.NewServer(nil)
	defer server.Close()
	receiver := httptest.NewServer(server.Protect(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, "welcome")
	})))
	defer receiver.Close()

	source, err := clientcredentials.New(&clientcredentials.Config{TokenURL: server.TokenURL(), ClientID: "me", ClientSecret: "s3cret"})
	if err != nil {
		fmt.Println(err)
		return
	}
	client := outgrant.NewClient(source)
	for range 3 {
		resp, err := client.Get(receiver.URL)
		if err != nil {
			fmt.Println(err)
			return
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		fmt.Println(resp.StatusCode, string(body))
	}
	fmt.Println("token requests:", server.TokenRequests())
	// Output:
	// 200 welcome
	// 200 welcome
	// 200 welcome
	// token requests: 1
}

// The token service fails just when a receiver rejects a token. The token goes on being served until the token service
// is back.
func ExampleServer_Inject() {
	server := oauthtest.NewServer(nil)
	defer server.Close()
	source, err := clientcredentials.New(&clientcredentials.Config{TokenURL: server.TokenURL(), ClientID: "me", ClientSecret: "s3cret"})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	first, err := source.Token(ctx)
	fmt.Println("first token:", err)

	server.Inject(oauthtest.HTML503())
	source.Invalidate(first) // as outgrant.Transport does when a receiver answers 401
	again, err := source.Token(ctx)
	fmt.Println("token service down, same token:", again.AccessToken == first.AccessToken, err)

	for err == nil && again.AccessToken == first.AccessToken { // calls go on
		time.Sleep(10 * time.Millisecond)
		again, err = source.Token(ctx)
	}
	fmt.Println("another token:", err)
	for _, r := range server.Requests() {
		fmt.Println(r.GrantType, r.Status)
	}
	// Output:
	// first token: <nil>
	// token service down, same token: true <nil>
	// another token: <nil>
	// client_credentials 200
	// client_credentials 503
	// client_credentials 200
}

// A grant of your own.
func ExampleServer_Handle() {
	server := oauthtest.NewServer(nil)
	defer server.Close()
	server.Handle("urn:acme:badge", func(r *oauthtest.GrantRequest) (*oauthtest.Granted, error) {
		if r.Params.Get("badge") != "4711" {
			return nil, &oauthtest.Error{Code: "invalid_grant", Description: "no such badge"}
		}
		return &oauthtest.Granted{User: "bob", Lifetime: time.Minute}, nil
	})
	for _, badge := range []string{"4711", "0815"} {
		resp, err := server.Client().PostForm(server.TokenURL(), map[string][]string{
			"grant_type": {"urn:acme:badge"}, "client_id": {"door"}, "badge": {badge}})
		if err != nil {
			fmt.Println(err)
			return
		}
		resp.Body.Close()
		fmt.Println(badge, resp.StatusCode)
	}
	// Output:
	// 4711 200
	// 0815 400
}

// Code that takes a token source, tested without a token service.
func ExampleSource() {
	errDown := errors.New("the token service is down")
	source := &oauthtest.Source{Script: []oauthtest.Step{{}, {Err: errDown}}, Lifetime: 10 * time.Minute}
	for range 3 {
		token, err := source.Token(context.Background())
		if err != nil {
			fmt.Println("no token:", err)
			continue
		}
		fmt.Println(token.AccessToken.Reveal(), time.Until(token.Expiry).Round(time.Minute))
	}
	fmt.Println("calls:", source.Calls())
	// Output:
	// access-1 10m0s
	// no token: the token service is down
	// access-2 10m0s
	// calls: 3
}

// testingT stands for the *testing.T of a test.
type testingT struct{}

func (testingT) Helper()                           {}
func (testingT) Errorf(format string, args ...any) { fmt.Printf(format+"\n", args...) }

func ExampleAssertNoSecrets() {
	type config struct {
		ClientID string
		Secret   outgrant.Secret
	}
	type careless struct{ Password string }
	var t testingT
	oauthtest.AssertNoSecrets(t, []string{"s3cret"}, config{"me", "s3cret"}, "a line of the log", careless{"s3cret"})
	// Output:
	// oauthtest: secret 0 leaks, as it is, from output 2, a oauthtest_test.careless, by fmt %v
}

// A test in memory, such as one inside a testing/synctest bubble, needs no listener for its receiver either.
func ExampleHandlerTransport() {
	server := oauthtest.NewServer(&oauthtest.ServerOptions{InMemory: true})
	defer server.Close()
	source, err := clientcredentials.New(&clientcredentials.Config{TokenURL: server.TokenURL(), ClientID: "me", ClientSecret: "s3cret",
		HTTPClient: server.Client()})
	if err != nil {
		fmt.Println(err)
		return
	}
	receiver := server.Protect(http.NotFoundHandler())
	client := &http.Client{Transport: &outgrant.Transport{Source: source, Base: oauthtest.HandlerTransport(receiver)}}
	resp, err := client.Get("https://receiver.test/orders")
	if err != nil {
		fmt.Println(err)
		return
	}
	resp.Body.Close()
	fmt.Println(resp.Status)
	// Output: 404 Not Found
}
