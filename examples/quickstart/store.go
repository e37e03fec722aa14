package main

import (
	"context"
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/outgrant/outgrant/credstore"
	"github.com/outgrant/outgrant/oauthtest"
)

// keepCredentials deploys named credentials into an encrypted folder. A user authorizes one of them, whose refresh tokens
// are good for one use each; two stores on the folder, as two processes have, live on it.
func keepCredentials(ctx context.Context) error {
	service := oauthtest.NewServer(&oauthtest.ServerOptions{TokenLifetime: 2 * time.Second})
	defer service.Close()
	dir, err := os.MkdirTemp("", "outgrant-quickstart-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	pages := http.NewServeMux()
	site, err := serve(pages)
	if err != nil {
		return err
	}
	defer site.close()

	artifacts, err := credstore.LoadArtifacts(fmt.Appendf(nil, `[
		{"type": "OAuth2 Client Credentials", "name": "S4_ORDERS", "tokenServiceUrl": %[1]q, "clientId": "sb-orders",
			"clientSecret": "orders' secret", "clientAuthentication": "header"},
		{"type": "OAuth2 Authorization Code", "name": "MAILBOX", "authorizationUrl": %[2]q, "tokenServiceUrl": %[1]q,
			"clientId": "mail-client", "clientSecret": "mail's secret", "sendAs": "header", "userName": "alice", "redirectUrl": %[3]q}]`,
		service.TokenURL(), service.AuthURL(), site.url+"/callback"))
	if err != nil {
		return err
	}
	first, err := credstore.OpenDir(dir, nil)
	if err != nil {
		return err
	}
	defer first.Close()
	for _, artifact := range artifacts {
		if err := first.Deploy(ctx, artifact); err != nil {
			return err
		}
	}
	pages.Handle("/authorize", first.AuthorizeHandler())
	pages.Handle("/callback", first.CallbackHandler(nil))
	fmt.Println("credentials with names, deployed into an encrypted folder:")
	if err := printStatus(ctx, first); err != nil {
		return err
	}
	if err := visit(ctx, site.url+"/authorize?name=MAILBOX"); err != nil {
		return err
	}
	fmt.Println("a user has opened one address, and consented:")
	if err := printStatus(ctx, first); err != nil {
		return err
	}

	second, err := credstore.OpenDir(dir, nil)
	if err != nil {
		return err
	}
	defer second.Close()
	const during = 5 * time.Second
	before := service.TokenRequests()
	calls, err := useTogether(ctx, []*credstore.Store{first, second}, during)
	if err != nil {
		return err
	}
	fmt.Printf("two stores on the folder, 8 callers each, tokens that live 2s and refresh tokens that are good for one use:\n"+
		"    calls in %s: %d, none failed; refreshes: %d; refresh tokens used twice: %d\n",
		during, calls, service.TokenRequests()-before, service.Reuses())
	return nil
}

func printStatus(ctx context.Context, store *credstore.Store) error {
	all, err := store.List(ctx)
	for _, info := range all {
		fmt.Printf("    %-10s %-26s %s\n", info.Name, info.Type, info.Status)
	}
	return err
}

// visit opens an address as a browser does, with its cookies.
func visit(ctx context.Context, url string) error {
	jar, err := cookiejar.New(nil)
	if err != nil {
		return err
	}
	browser := &http.Client{Jar: jar}
	defer browser.CloseIdleConnections()
	resp, err := get(ctx, browser, url)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("the authorization ended with %s", resp.Status)
	}
	return nil
}

// useTogether asks all stores for tokens, as fast as they come, and counts the calls.
func useTogether(ctx context.Context, stores []*credstore.Store, during time.Duration) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, during)
	defer cancel()
	var calls atomic.Int64
	var failed sync.Once
	var failure error
	var callers sync.WaitGroup
	for _, store := range stores {
		source, err := store.TokenSource(ctx, "MAILBOX")
		if err != nil {
			return 0, err
		}
		for range 8 {
			callers.Go(func() {
				for ctx.Err() == nil {
					if _, err := source.Token(ctx); err != nil && ctx.Err() == nil {
						failed.Do(func() { failure = err; cancel() })
					}
					calls.Add(1)
					time.Sleep(time.Millisecond)
				}
			})
		}
	}
	callers.Wait()
	return calls.Load(), failure
}
