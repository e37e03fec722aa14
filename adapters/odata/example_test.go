package odata_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/outgrant/outgrant/adapters/odata"
	"github.com/outgrant/outgrant/clientcredentials"
	"github.com/outgrant/outgrant/oauthtest"
)

// bookshop is a service that asks for a CSRF token.
func bookshop(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.Header.Get("X-CSRF-Token") == "Fetch":
		http.SetCookie(w, &http.Cookie{Name: "SAP_SESSIONID", Value: "a-session", Path: "/"})
		w.Header().Set("X-CSRF-Token", "a-csrf-token")
	case r.Method == http.MethodPost && r.Header.Get("X-CSRF-Token") != "a-csrf-token":
		w.Header().Set("X-CSRF-Token", "Required")
		w.WriteHeader(http.StatusForbidden)
	case r.Method == http.MethodPost:
		w.WriteHeader(http.StatusCreated)
	case r.URL.Query().Get("$skiptoken") == "2":
		fmt.Fprint(w, `{"value":[{"title":"The Raven"}]}`)
	case strings.HasSuffix(r.URL.Path, "/Books"):
		fmt.Fprint(w, `{"value":[{"title":"Wuthering Heights"},{"title":"Jane Eyre"}],"@odata.nextLink":"Books?$skiptoken=2"}`)
	default:
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprint(w, `{"error":{"code":"404","message":"There is no such book.","target":"Books"}}`)
	}
}

// newClient returns a client for a bookshop that accepts only a token service's tokens.
func newClient() *http.Client {
	server := oauthtest.NewServer(&oauthtest.ServerOptions{InMemory: true})
	source, err := clientcredentials.New(&clientcredentials.Config{
		TokenURL: server.TokenURL(), ClientID: "id", ClientSecret: "secret", HTTPClient: server.Client(),
	})
	if err != nil {
		panic(err)
	}
	transport, err := odata.NewV4(source, &odata.Options{
		Base:       oauthtest.HandlerTransport(server.Protect(http.HandlerFunc(bookshop))), // elsewhere: leave it away
		ServiceURL: "https://bookshop.example/odata/v4/catalog",
	})
	if err != nil {
		panic(err)
	}
	return &http.Client{Transport: transport} // without a Jar
}

func Example() {
	client := newClient()
	resp, err := client.Post("https://bookshop.example/odata/v4/catalog/Books", "application/json", strings.NewReader(`{"title":"Emma"}`))
	if err != nil {
		panic(err)
	}
	resp.Body.Close()
	fmt.Println(resp.Status)

	resp, err = client.Get("https://bookshop.example/odata/v4/catalog/Books(7)")
	if err != nil {
		panic(err)
	}
	defer resp.Body.Close()
	err = odata.ErrorOf(resp)
	if e, ok := errors.AsType[*odata.Error](err); ok {
		fmt.Println(e.Code, e.Target)
	}
	fmt.Println(err)
	// Output:
	// 201 Created
	// 404 Books
	// odata: bookshop.example answered 404 404: There is no such book. (Books)
}

func ExamplePages() {
	type book struct {
		Title string `json:"title"`
	}
	client := newClient()
	for page, err := range odata.Pages[book](context.Background(), client, "https://bookshop.example/odata/v4/catalog/Books") {
		if err != nil {
			panic(err)
		}
		fmt.Println(page.Items)
	}
	// Output:
	// [{Wuthering Heights} {Jane Eyre}]
	// [{The Raven}]
}
