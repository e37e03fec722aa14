package outgrant_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"golang.org/x/oauth2"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/oauthtest"
)

// receiverAt plays the receivers of the examples: it answers with what it was sent.
var receiverAt = oauthtest.HandlerTransport(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	fmt.Fprintf(w, "%s got %q", r.Host, r.Header.Get("Authorization"))
}))

func printAnswer(client *http.Client, url string) {
	resp, err := client.Get(url)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	fmt.Println(string(body))
}

// A token source of your own becomes one that caches, refreshes ahead and shares its fetches.
func ExampleCached() {
	source := outgrant.Cached(outgrant.TokenSourceFunc(func(ctx context.Context) (*outgrant.Token, error) {
		return &outgrant.Token{AccessToken: "from-my-vault", Expiry: time.Now().Add(time.Hour)}, nil
	}), nil)
	printAnswer(&http.Client{Transport: &outgrant.Transport{Source: source, Base: receiverAt}}, "https://receiver.example/")
	// Output: receiver.example got "Bearer from-my-vault"
}

// Origins keeps the token at home, also for URLs that a receiver names, such as downloads that are signed already.
func ExampleTransport_origins() {
	client := &http.Client{Transport: &outgrant.Transport{
		Source:  outgrant.StaticToken("token"),
		Base:    receiverAt,
		Origins: []string{"https://api.example"},
	}}
	printAnswer(client, "https://api.example/files")
	printAnswer(client, "https://downloads.example/file?signature=abc")
	// Output:
	// api.example got "Bearer token"
	// downloads.example got ""
}

// SourceFor chooses the credential of each request.
func ExampleTransport_sourceFor() {
	sources := map[string]outgrant.TokenSource{"acme": outgrant.StaticToken("token-of-acme"), "umbrella": outgrant.StaticToken("token-of-umbrella")}
	client := &http.Client{Transport: &outgrant.Transport{
		Base: receiverAt,
		SourceFor: func(req *http.Request) (outgrant.TokenSource, error) {
			return sources[req.URL.Query().Get("tenant")], nil
		},
	}}
	printAnswer(client, "https://api.example/?tenant=umbrella")
	// Output: api.example got "Bearer token-of-umbrella"
}

// A connection that outlives its token renews itself with each one that comes.
func ExampleCachedSource_Watch() {
	source := outgrant.Cached(&oauthtest.Source{Lifetime: 100 * time.Millisecond}, nil)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	n := 0
	for token, err := range source.Watch(ctx) {
		if err != nil {
			fmt.Println("still on the old token:", err)
			continue
		}
		fmt.Println("renew the connection; there is a valid token:", token.ValidAt(time.Now()))
		if n++; n == 2 {
			cancel() // the loop ends
		}
	}
	// Output:
	// renew the connection; there is a valid token: true
	// renew the connection; there is a valid token: true
}

// Hooks and Health tell what happens to a credential; neither holds a secret.
func ExampleHooks() {
	done := make(chan outgrant.FetchEvent, 1)
	src := &oauthtest.Source{}
	src.Fail(&outgrant.TokenError{Credential: "S4_ORDERS", StatusCode: 503})
	source := outgrant.Cached(src, &outgrant.CacheOptions{Hooks: &outgrant.Hooks{
		FetchDone: func(e outgrant.FetchEvent) { done <- e },
	}})
	_, _ = source.Token(context.Background())
	event := <-done
	fmt.Println(event.Err)
	fmt.Println("failures in a row:", source.Health().Failures)
	// Output:
	// outgrant: no token for "S4_ORDERS": answer 503
	// failures in a row: 1
}

// All grants fail with one error type.
func ExampleTokenError() {
	err := error(&outgrant.TokenError{Credential: "S4_ORDERS", TokenURL: "https://acme.example/oauth/token", StatusCode: 400, Code: "invalid_scope"})
	if te, ok := errors.AsType[*outgrant.TokenError](err); ok && !te.Temporary() {
		fmt.Println("somebody has to act:", te)
	}
	// Output: somebody has to act: outgrant: no token for "S4_ORDERS" (at acme.example): answer 400 invalid_scope; check the scope
}

// A source that another library made for golang.org/x/oauth2 gets deadlines and refreshing ahead.
func ExampleFromOAuth2() {
	theirs := oauth2.StaticTokenSource(&oauth2.Token{AccessToken: "theirs"})
	source := outgrant.Cached(outgrant.FromOAuth2(theirs), nil)
	printAnswer(&http.Client{Transport: &outgrant.Transport{Source: source, Base: receiverAt}}, "https://receiver.example/")
	// Output: receiver.example got "Bearer theirs"
}

// A library that wants a source of golang.org/x/oauth2 gets one.
func ExampleToOAuth2() {
	theirs := outgrant.ToOAuth2(context.Background(), outgrant.StaticToken("ours"))
	token, err := theirs.Token()
	fmt.Println(token.AccessToken, err)
	// Output: ours <nil>
}

// Secrets can be kept in configurations and logged with them.
func ExampleSecret() {
	cfg := struct {
		User     string
		Password outgrant.Secret
	}{"ops", "correct horse"}
	fmt.Printf("%+v\n", cfg)
	// Output: {User:ops Password:[redacted]}
}
