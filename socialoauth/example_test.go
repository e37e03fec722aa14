package socialoauth_test

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/credstore"
	"github.com/outgrant/outgrant/oauthtest"
	"github.com/outgrant/outgrant/socialoauth"
)

// The keys are secure parameters in a store, each under its alias. One that is deployed again counts from the next request on.
func ExampleTwitterFrom() {
	ctx := context.Background()
	store := credstore.OpenMemory()
	defer store.Close()
	for alias, value := range map[string]outgrant.Secret{
		"tw-consumer-key": "consumer-key", "tw-consumer-secret": "consumer-secret",
		"tw-access-token": "access-token", "tw-access-token-secret": "access-token-secret",
	} {
		if err := store.Deploy(ctx, credstore.SecureParameter{Name: alias, Value: value}); err != nil {
			panic(err)
		}
	}
	source, err := socialoauth.TwitterFrom(ctx, store, socialoauth.TwitterAliases{
		ConsumerKey: "tw-consumer-key", ConsumerSecret: "tw-consumer-secret",
		AccessToken: "tw-access-token", AccessTokenSecret: "tw-access-token-secret",
	})
	if err != nil {
		panic(err)
	}

	x := oauthtest.NewOAuth1(nil) // in place of the network
	receiver := oauthtest.HandlerTransport(x.Protect(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {})))
	client := &http.Client{Transport: &outgrant.Transport{Source: source, Base: receiver}}
	resp, err := client.PostForm("https://api.x.com/1.1/account/settings.json", url.Values{"lang": {"en"}})
	if err != nil {
		panic(err)
	}
	defer resp.Body.Close()
	fmt.Println(resp.Status)

	_, err = socialoauth.TwitterFrom(ctx, store, socialoauth.TwitterAliases{ConsumerKey: "tw-consumer-kee", ConsumerSecret: "tw-consumer-secret",
		AccessToken: "tw-access-token", AccessTokenSecret: "tw-access-token-secret"})
	fmt.Println(strings.Contains(err.Error(), `ConsumerKey: the secure parameter "tw-consumer-kee"`))
	// Output:
	// 200 OK
	// true
}

func ExampleFacebook() {
	graph := oauthtest.NewGraph(nil) // in place of the network
	source, err := socialoauth.Facebook(socialoauth.FacebookKeys{
		ApplicationID: "application-id", ApplicationSecret: "application-secret", AccessToken: "short-lived-token",
		Graph: socialoauth.Graph{HTTPClient: &http.Client{Transport: oauthtest.HandlerTransport(graph)}},
	})
	if err != nil {
		panic(err)
	}
	token, err := source.LongLived(context.Background())
	if err != nil {
		panic(err)
	}
	fmt.Println("keep it until its end:", !token.Expiry.IsZero())

	receiver := oauthtest.HandlerTransport(graph.Protect(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {})))
	client := &http.Client{Transport: &outgrant.Transport{Source: source, Base: receiver}}
	resp, err := client.Get("https://graph.facebook.com/" + socialoauth.GraphVersion + "/me")
	if err != nil {
		panic(err)
	}
	defer resp.Body.Close()
	fmt.Println(resp.Status)
	// Output:
	// keep it until its end: true
	// 200 OK
}

func ExampleThreeLegged() {
	ctx := context.Background()
	x := oauthtest.NewOAuth1(nil) // in place of the network
	network := oauthtest.HandlerTransport(x)
	flow, err := socialoauth.NewThreeLegged(&socialoauth.ThreeLeggedConfig{
		ConsumerKey: "consumer-key", ConsumerSecret: "consumer-secret", CallbackURL: "https://app.example/callback",
		HTTPClient: &http.Client{Transport: network},
	})
	if err != nil {
		panic(err)
	}
	pending, err := flow.Begin(ctx) // keep it in the user's session
	if err != nil {
		panic(err)
	}
	req, _ := http.NewRequest(http.MethodGet, pending.AuthorizeURL, nil) // the user's browser goes there,
	resp, err := network.RoundTrip(req)
	if err != nil {
		panic(err)
	}
	back, err := resp.Location() // and comes back here
	if err != nil {
		panic(err)
	}
	token, err := flow.Finish(ctx, pending, back.Query())
	if err != nil {
		panic(err)
	}
	fmt.Println(back.Host, token.ScreenName)
	// Output:
	// app.example alice
}
