package main

import (
	"fmt"
	"html/template"
	"io"
	"net/http"

	"github.com/outgrant/outgrant/authcode"
	"github.com/outgrant/outgrant/credstore"
)

// pages are the list of credentials, their authorization, and the call of the API.
func pages(store *credstore.Store, api string) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		all, err := store.List(r.Context())
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Cache-Control", "no-store")
		_ = list.Execute(w, map[string]any{"Credentials": all, "API": api}) // the browser may have left
	})
	mux.Handle("/authorize", store.AuthorizeHandler()) // people of this machine only, unless Options.MayAuthorize says more
	mux.Handle("/callback", store.CallbackHandler(nil))
	mux.HandleFunc("POST /call", func(w http.ResponseWriter, r *http.Request) {
		answer, err := call(r, store, r.FormValue("name"), api)
		if err != nil {
			answer = err.Error()
		}
		fmt.Fprintln(w, answer)
	})
	return ownMachineOnly(http.NewCrossOriginProtection().Handler(mux))
}

// ownMachineOnly refuses what does not come from this machine, and what comes under a name that a stranger gave it.
func ownMachineOnly(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := authcode.LoopbackOnly(r); err != nil {
			http.Error(w, err.Error(), http.StatusForbidden)
			return
		}
		h.ServeHTTP(w, r)
	})
}

// call calls the API with a credential.
func call(r *http.Request, store *credstore.Store, name, api string) (string, error) {
	client, err := store.Client(r.Context(), name)
	if err != nil {
		return "", err
	}
	req, err := http.NewRequestWithContext(r.Context(), http.MethodGet, api, nil)
	if err != nil {
		return "", err
	}
	resp, err := client.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 4096))
	return fmt.Sprintf("%s\n\n%s", resp.Status, body), err
}

var list = template.Must(template.New("list").Parse(`<!DOCTYPE html>
<html lang="en"><meta charset="utf-8"><title>Credentials</title>
<style>
  :root { color-scheme: light dark }
  body { font: 16px/1.5 system-ui, sans-serif; max-width: 50rem; margin: 3rem auto; padding: 0 1rem }
  table { border-collapse: collapse; width: 100% } th, td { text-align: left; padding: .5rem .75rem .5rem 0; vertical-align: top }
  form { display: inline } small { opacity: .7 }
</style>
<h1>Credentials</h1>
<table>
<tr><th>Name<th>Status<th>
{{range .Credentials}}<tr><td>{{.Name}}<br><small>{{.Type}}</small><td>{{.Status}}{{with .Reason}}<br><small>{{.}}</small>{{end}}<td>
{{if eq .Type "OAuth2 Authorization Code"}}<a href="/authorize?name={{.Name}}">Authorize</a>{{end}}
{{if and $.API (eq .Status "Deployed")}}<form method="post" action="/call"><button name="name" value="{{.Name}}">Call the API</button></form>{{end}}
{{else}}<tr><td>none{{end}}</table>
`))
