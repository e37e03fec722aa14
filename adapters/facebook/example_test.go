package facebook_test

import (
	"context"
	"fmt"
	"net/http"

	"github.com/outgrant/outgrant/adapters/facebook"
	"github.com/outgrant/outgrant/oauthtest"
	"github.com/outgrant/outgrant/socialoauth"
)

func Example() {
	graph := oauthtest.NewGraph(nil) // in place of the network
	receiver := oauthtest.HandlerTransport(graph.Protect(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("after") == "" {
			fmt.Fprint(w, `{"data":[{"id":"17_2","message":"We are open."}],"paging":{"next":"https://graph.facebook.com/v25.0/17/posts?access_token=short-lived-token&after=a1"}}`)
			return
		}
		fmt.Fprint(w, `{"data":[{"id":"17_1","message":"We open soon."}]}`)
	})))

	source, err := socialoauth.Facebook(socialoauth.FacebookKeys{
		ApplicationID: "application-id", ApplicationSecret: "application-secret", AccessToken: "short-lived-token",
	})
	if err != nil {
		panic(err)
	}
	transport, err := facebook.New(source, &facebook.Options{Base: receiver})
	if err != nil {
		panic(err)
	}
	for post, err := range transport.Posts(context.Background(), "17", nil) {
		if err != nil {
			panic(err) // a *facebook.RateLimitError says when to try again
		}
		fmt.Println(post.ID, post.Message)
	}
	// Output:
	// 17_2 We are open.
	// 17_1 We open soon.
}
