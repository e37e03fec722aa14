package twitter_test

import (
	"context"
	"fmt"
	"net/http"

	"github.com/outgrant/outgrant/adapters/twitter"
	"github.com/outgrant/outgrant/oauthtest"
	"github.com/outgrant/outgrant/socialoauth"
)

func Example() {
	ctx := context.Background()
	x := oauthtest.NewOAuth1(nil) // in place of the network
	receiver := oauthtest.HandlerTransport(x.Protect(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			fmt.Fprint(w, `{"data":{"id":"1","text":"We are open."}}`)
			return
		}
		fmt.Fprint(w, `{"data":[{"id":"1","text":"We are open."}],"meta":{"result_count":1}}`)
	})))

	transport, err := twitter.New(socialoauth.Twitter(socialoauth.TwitterKeys{
		ConsumerKey: "consumer-key", ConsumerSecret: "consumer-secret",
		AccessToken: "access-token", AccessTokenSecret: "access-token-secret",
	}), &twitter.Options{Base: receiver})
	if err != nil {
		panic(err)
	}
	tweet, err := transport.SendTweet(ctx, "We are open.")
	if err != nil {
		panic(err)
	}
	fmt.Println("sent", tweet.ID)
	for tweet, err := range transport.Search(ctx, "from:acme", nil) {
		if err != nil {
			panic(err) // a *twitter.RateLimitError says when to try again
		}
		fmt.Println(tweet.ID, tweet.Text)
	}
	// Output:
	// sent 1
	// 1 We are open.
}
