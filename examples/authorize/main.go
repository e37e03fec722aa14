// Authorize is a small server for credentials that a user authorizes in the browser: it lists them with their status, sends
// whoever presses Authorize to the provider, and calls an API with what came of it. The refresh tokens live in an encrypted
// folder and are renewed before they end, so that stopping and starting the server loses nothing.
//
//	go run ./examples/authorize
//
// needs no account: the provider and the API run on this machine, and consent is given at once.
//
//	go run ./examples/authorize -artifacts artifacts.json -store ./credentials -listen 127.0.0.1:8080
//
// deploys your artifacts and serves them. The file looks like
//
//	[{"type": "OAuth2 Authorization Code", "name": "MAILBOX", "provider": "Microsoft 365", "userName": "ops@acme.example",
//	  "clientId": "...", "clientSecret": "${env:MAIL_SECRET}", "scope": "https://graph.microsoft.com/Mail.Read",
//	  "redirectUrl": "http://localhost:8080/callback"}]
//
// and the redirect URL must lead to this server, under its path /callback. -get names what is called with the tokens, such as
// https://graph.microsoft.com/v1.0/me/messages.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/credstore"
)

func main() {
	artifacts := flag.String("artifacts", "", "`file` with artifacts to deploy (JSON); default: one of a provider on this machine")
	dir := flag.String("store", "", "`folder` of the store; default: one that is removed at the end")
	listen := flag.String("listen", "127.0.0.1:8080", "`address` to serve, on this machine")
	api := flag.String("get", "", "`URL` to call with the tokens")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *artifacts, *dir, *listen, *api); err != nil {
		fmt.Fprintln(os.Stderr, "authorize:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, file, dir, listen, api string) (err error) {
	l, err := net.Listen("tcp", listen)
	if err != nil {
		return err
	}
	defer l.Close()
	if dir == "" {
		if dir, err = os.MkdirTemp("", "outgrant-authorize-"); err != nil {
			return err
		}
		defer os.RemoveAll(dir)
	}
	store, err := credstore.OpenDir(dir, &credstore.Options{Hooks: &outgrant.Hooks{
		AuthorizationChanged: func(e outgrant.AuthorizationEvent) { fmt.Println(time.Now().Format(time.TimeOnly), e) },
	}})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }() // it waits for a refresh that is under way

	artifacts, stopDemo, err := load(file, "http://"+l.Addr().String(), &api)
	if err != nil {
		return err
	}
	defer stopDemo()
	for _, artifact := range artifacts {
		if err := store.Deploy(ctx, artifact); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	job := make(chan error, 1)
	go func() { job <- store.Run(ctx) }()

	server := &http.Server{Handler: pages(store, api), ReadHeaderTimeout: time.Minute}
	context.AfterFunc(ctx, func() { _ = server.Close() })
	fmt.Printf("open http://%s/ in a browser; Ctrl-C ends it\n", l.Addr())
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	<-job
	return nil
}

// load reads the artifacts of a file. Without one it starts a provider and an API on this machine, and makes an artifact for
// them.
func load(file, site string, api *string) (artifacts []credstore.Artifact, stop func(), err error) {
	if file == "" {
		return demo(site, api)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, nil, err
	}
	artifacts, err = credstore.LoadArtifacts(data)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", file, err)
	}
	return artifacts, func() {}, nil
}
