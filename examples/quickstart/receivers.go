package main

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/adapters/odata"
	"github.com/outgrant/outgrant/adapters/twitter"
	"github.com/outgrant/outgrant/clientcredentials"
	"github.com/outgrant/outgrant/credstore"
	"github.com/outgrant/outgrant/oauthtest"
	"github.com/outgrant/outgrant/socialoauth"
)

// callReceivers writes to an OData service that wants a CSRF token and its session's cookie with each change, sends a
// tweet that is signed with keys from secure parameters, and a mail.
func callReceivers(ctx context.Context) error {
	if err := writeOData(ctx); err != nil {
		return err
	}
	if err := sendTweet(ctx); err != nil {
		return err
	}
	if err := sendMail(ctx); err != nil {
		return err
	}
	return publish(ctx)
}

func writeOData(ctx context.Context) error {
	service := oauthtest.NewServer(nil)
	defer service.Close()
	gateway := &gateway{}
	receiver, err := serve(service.Protect(gateway))
	if err != nil {
		return err
	}
	defer receiver.close()

	source, err := clientcredentials.New(&clientcredentials.Config{
		Name: "S4_ORDERS", TokenURL: service.TokenURL(), ClientID: "sb-orders", ClientSecret: "orders' secret",
	})
	if err != nil {
		return err
	}
	transport, err := odata.NewV2(source, &odata.Options{ServiceURL: receiver.url + "/sap/opu/odata/sap/ORDERS"})
	if err != nil {
		return err
	}
	client := &http.Client{Transport: transport}
	defer client.CloseIdleConnections()

	const writers = 100
	errs := make([]error, writers)
	var writing sync.WaitGroup
	for i := range writers {
		writing.Go(func() { errs[i] = create(ctx, client, receiver.url+"/sap/opu/odata/sap/ORDERS/Orders") })
	}
	writing.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	fmt.Printf("%d orders written at once to an OData service with CSRF protection: CSRF tokens fetched: %d; refused: %d\n",
		writers, gateway.fetched.Load(), gateway.refused.Load())
	return nil
}

func create(ctx context.Context, client *http.Client, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(`{"Customer": "4711"}`))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	return odata.ErrorOf(resp)
}

// gateway is a receiver that is protected as those of SAP Gateway are.
type gateway struct{ fetched, refused atomic.Int64 }

func (g *gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	session, err := r.Cookie("SAP_SESSIONID")
	switch token := r.Header.Get("X-CSRF-Token"); {
	case token == "Fetch":
		g.fetched.Add(1)
		http.SetCookie(w, &http.Cookie{Name: "SAP_SESSIONID", Value: "a-session", Path: "/"})
		w.Header().Set("X-CSRF-Token", "a-csrf-token")
	case err != nil || session.Value != "a-session" || token != "a-csrf-token":
		g.refused.Add(1)
		w.Header().Set("X-CSRF-Token", "Required")
		w.WriteHeader(http.StatusForbidden)
	default:
		w.WriteHeader(http.StatusCreated)
	}
}

func sendTweet(ctx context.Context) error {
	x := oauthtest.NewOAuth1(nil) // it checks signatures
	receiver, err := serve(x.Protect(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusCreated)
		fmt.Fprint(w, `{"data": {"id": "1", "text": "We are open."}}`)
	})))
	if err != nil {
		return err
	}
	defer receiver.close()
	store := credstore.OpenMemory()
	defer store.Close()
	for alias, key := range map[string]outgrant.Secret{
		"tw-consumer-key": "consumer-key", "tw-consumer-secret": "consumer-secret",
		"tw-access-token": "access-token", "tw-access-token-secret": "access-token-secret",
	} {
		if err := store.Deploy(ctx, credstore.SecureParameter{Name: alias, Value: key}); err != nil {
			return err
		}
	}
	source, err := socialoauth.TwitterFrom(ctx, store, socialoauth.TwitterAliases{
		ConsumerKey: "tw-consumer-key", ConsumerSecret: "tw-consumer-secret",
		AccessToken: "tw-access-token", AccessTokenSecret: "tw-access-token-secret",
	})
	if err != nil {
		return err
	}
	transport, err := twitter.New(source, &twitter.Options{BaseURL: receiver.url})
	if err != nil {
		return err
	}
	tweet, err := transport.SendTweet(ctx, "We are open.")
	if err != nil {
		return err
	}
	fmt.Printf("a tweet, signed with four secure parameters: %q; signatures accepted: %d\n", tweet.Text, x.Accepted())
	return nil
}
