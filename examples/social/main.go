// Social tweets and reads a Facebook page's posts with keys that are deployed by name: the secure parameters of SAP's Twitter
// and Facebook adapters.
//
//	go run ./examples/social
//
// needs no account: it calls providers in this process, and changes a key while it runs. Against X and Facebook it is
//
//	go run ./examples/social -artifacts keys.json -tweet 'We are open.' -page 20531316728
//
// keys.json has the secure parameters, whose values come from the environment or from files:
//
//	[ {"type": "Secure Parameter", "name": "tw-consumer-key", "secureParameter": "${env:TW_CONSUMER_KEY}"},
//	  {"type": "Secure Parameter", "name": "tw-consumer-secret", "secureParameter": "${file:consumer-secret}"}, ... ]
//
// Their names are tw-consumer-key, tw-consumer-secret, tw-access-token and tw-access-token-secret for -tweet, and
// fb-application-id, fb-application-secret and fb-access-token for -page.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"time"

	"github.com/outgrant/outgrant/adapters/facebook"
	"github.com/outgrant/outgrant/adapters/twitter"
	"github.com/outgrant/outgrant/credstore"
	"github.com/outgrant/outgrant/socialoauth"
)

func main() {
	artifacts := flag.String("artifacts", "", "`file` with the secure parameters; default: providers in this process")
	tweet := flag.String("tweet", "", "`text` to tweet")
	page := flag.String("page", "", "`id` of the Facebook page whose posts to read")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	var err error
	switch {
	case *artifacts == "" && *tweet == "" && *page == "":
		err = demo(ctx)
	case *artifacts == "" || *tweet == "" && *page == "":
		err = errors.New("-artifacts goes with -tweet, with -page, or with both")
	default:
		err = call(ctx, *artifacts, *tweet, *page)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "social:", err)
		os.Exit(1)
	}
}

// call calls X and Facebook themselves. A program that runs for long has its store in a folder: credstore.OpenDir.
func call(ctx context.Context, file, tweet, page string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	store := credstore.OpenMemory()
	defer store.Close()
	if err := deploy(ctx, store, text); err != nil {
		return err
	}
	if tweet != "" {
		x, err := openTwitter(ctx, store, nil)
		if err != nil {
			return err
		}
		sent, err := x.SendTweet(ctx, tweet)
		if err != nil {
			return err
		}
		fmt.Printf("tweet %s: %q\n", sent.ID, sent.Text)
	}
	if page == "" {
		return nil
	}
	fb, err := openFacebook(ctx, store, nil)
	if err != nil {
		return err
	}
	return printPosts(ctx, fb, page)
}

func deploy(ctx context.Context, store *credstore.Store, text []byte) error {
	artifacts, err := credstore.LoadArtifacts(text)
	if err != nil {
		return err
	}
	for _, a := range artifacts {
		if err := store.Deploy(ctx, a); err != nil {
			return err
		}
	}
	return nil
}

// openTwitter returns a client that looks its keys up for each request: one that is deployed again takes effect at once.
func openTwitter(ctx context.Context, store *credstore.Store, base http.RoundTripper) (*twitter.Transport, error) {
	source, err := socialoauth.TwitterFrom(ctx, store, socialoauth.TwitterAliases{
		ConsumerKey: "tw-consumer-key", ConsumerSecret: "tw-consumer-secret",
		AccessToken: "tw-access-token", AccessTokenSecret: "tw-access-token-secret",
	})
	if err != nil {
		return nil, err
	}
	return twitter.New(source, &twitter.Options{Base: base})
}

func openFacebook(ctx context.Context, store *credstore.Store, base http.RoundTripper) (*facebook.Transport, error) {
	source, err := socialoauth.FacebookFrom(ctx, store, socialoauth.FacebookAliases{
		ApplicationID: "fb-application-id", ApplicationSecret: "fb-application-secret", AccessToken: "fb-access-token",
	})
	if err != nil {
		return nil, err
	}
	return facebook.New(source, &facebook.Options{Base: base})
}

// printPosts prints the ten latest posts of a page.
func printPosts(ctx context.Context, fb *facebook.Transport, page string) error {
	n := 0
	for post, err := range fb.Posts(ctx, page, nil) {
		if err != nil {
			return err
		}
		fmt.Printf("post %s of %s: %q\n", post.ID, post.CreatedTime.Format(time.DateOnly), post.Message)
		if n++; n == 10 {
			break
		}
	}
	return nil
}
