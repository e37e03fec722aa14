package console_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/outgrant/outgrant/credstore"
	"github.com/outgrant/outgrant/credstore/console"
)

// A program that has people log in decides by their names: here all may look, and alice may change things.
func ExampleNew() {
	store := credstore.OpenMemory()
	defer store.Close()
	err := store.Deploy(context.Background(), credstore.SecureParameter{Name: "tw-consumer-key", Value: "a key of Twitter"})
	if err != nil {
		fmt.Println(err)
		return
	}

	pages := console.New(store, &console.Options{
		Title: "Security material",
		Allow: func(r *http.Request, do console.Action, name string) (string, error) {
			who, _, _ := r.BasicAuth() // your middleware has checked the password
			if do != console.View && who != "alice" {
				return who, errors.New("only alice may do that: ask her")
			}
			return who, nil
		},
	})
	mux := http.NewServeMux()
	mux.Handle("/security-material/", pages)
	server := httptest.NewServer(mux)
	defer server.Close()

	for _, page := range []string{"", "delete?name=tw-consumer-key"} {
		req, err := http.NewRequest(http.MethodGet, server.URL+"/security-material/"+page, nil)
		if err != nil {
			fmt.Println(err)
			return
		}
		req.SetBasicAuth("bob", "")
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			fmt.Println(err)
			return
		}
		text, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		fmt.Println(resp.Status, err, strings.Contains(string(text), "tw-consumer-key"))
	}
	// Output:
	// 200 OK <nil> true
	// 403 Forbidden <nil> false
}
