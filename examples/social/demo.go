package main

import (
	"context"
	"fmt"
	"net/http"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/credstore"
	"github.com/outgrant/outgrant/oauthtest"
)

const demoKeys = `[
	{"type": "Secure Parameter", "name": "tw-consumer-key", "secureParameter": "consumer-key"},
	{"type": "Secure Parameter", "name": "tw-consumer-secret", "secureParameter": "consumer-secret"},
	{"type": "Secure Parameter", "name": "tw-access-token", "secureParameter": "access-token"},
	{"type": "Secure Parameter", "name": "tw-access-token-secret", "secureParameter": "access-token-secret"},
	{"type": "Secure Parameter", "name": "fb-application-id", "secureParameter": "application-id"},
	{"type": "Secure Parameter", "name": "fb-application-secret", "secureParameter": "application-secret"},
	{"type": "Secure Parameter", "name": "fb-access-token", "secureParameter": "short-lived-token"} ]`

// demo calls providers that check signatures and proofs as X and Facebook do.
func demo(ctx context.Context) error {
	provider := oauthtest.NewOAuth1(&oauthtest.OAuth1Options{HTTPS: true, Tokens: []oauthtest.OAuth1Token{
		{Token: "access-token", Secret: "access-token-secret"}, {Token: "another-token", Secret: "its-secret"},
	}})
	base := oauthtest.HandlerTransport(provider.Protect(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusCreated)
		fmt.Fprint(w, `{"data": {"id": "1", "text": "We are open."}}`)
	})))
	store := credstore.OpenMemory()
	defer store.Close()
	if err := deploy(ctx, store, []byte(demoKeys)); err != nil {
		return err
	}
	x, err := openTwitter(ctx, store, base)
	if err != nil {
		return err
	}
	sent, err := x.SendTweet(ctx, "We are open.")
	if err != nil {
		return err
	}
	fmt.Printf("tweet %s: %q\n", sent.ID, sent.Text)

	for alias, key := range map[string]outgrant.Secret{"tw-access-token": "another-token", "tw-access-token-secret": "its-secret"} {
		if err := store.Deploy(ctx, credstore.SecureParameter{Name: alias, Value: key}); err != nil {
			return err
		}
	}
	if _, err := x.SendTweet(ctx, "We are still open."); err != nil {
		return err
	}
	fmt.Printf("the access token was replaced meanwhile; signatures accepted: %d, refused: %d\n", provider.Accepted(), len(provider.Refusals()))

	graph := oauthtest.NewGraph(nil)
	fb, err := openFacebook(ctx, store, oauthtest.HandlerTransport(graph.Protect(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `{"data": [{"id": "17_1", "message": "We are open.", "created_time": "2026-11-02T08:00:00+0000"}]}`)
	}))))
	if err != nil {
		return err
	}
	return printPosts(ctx, fb, "17")
}
