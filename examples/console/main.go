// The console example serves the page where credentials are managed and authorized, in a browser of this machine, over an
// encrypted folder.
//
//	go run ./examples/console
//
// needs no account: the token service runs on this machine, and some credentials are there already, in good and in bad states,
// with a program that uses them. Press Authorize at MAILBOX: consent is given at once.
//
//	go run ./examples/console -store ./credentials -listen 127.0.0.1:8080
//
// serves a store of yours, and keeps its authorizations alive, as long as it runs.
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
	"sync"
	"syscall"
	"time"

	"github.com/outgrant/outgrant/credstore"
	"github.com/outgrant/outgrant/credstore/console"
)

func main() {
	dir := flag.String("store", "", "`folder` of the store; default: one with some credentials, which is removed at the end")
	listen := flag.String("listen", "127.0.0.1:8080", "`address` to serve, on this machine")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *dir, *listen); err != nil {
		fmt.Fprintln(os.Stderr, "console:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, dir, listen string) (err error) {
	l, err := net.Listen("tcp", listen)
	if err != nil {
		return err
	}
	defer l.Close()
	isDemo := dir == ""
	if isDemo {
		if dir, err = os.MkdirTemp("", "outgrant-console-"); err != nil {
			return err
		}
		defer os.RemoveAll(dir)
	}
	site := "http://" + l.Addr().String()
	store, err := credstore.OpenDir(dir, &credstore.Options{
		History:     true,
		RedirectURL: site + "/credentials/callback",
		Noted: func(_, name string, e credstore.Event) { // an audit log
			if e.Who != "" {
				fmt.Println(e.Time.Format(time.TimeOnly), e.What, name, "by", e.Who)
			}
		},
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }() // it waits for a refresh that is under way

	ctx, cancel := context.WithCancel(ctx)
	var working sync.WaitGroup
	defer working.Wait()
	defer cancel()
	working.Go(func() { _ = store.Run(ctx) }) // renews refresh tokens before they end
	if isDemo {
		stop, err := demo(ctx, store, &working)
		if err != nil {
			return err
		}
		defer stop()
	}

	mux := http.NewServeMux()
	mux.Handle("/credentials/", console.New(store, nil)) // people of this machine only, unless Options.Allow says more
	mux.Handle("/{$}", http.RedirectHandler("/credentials/", http.StatusSeeOther))
	server := &http.Server{Handler: mux, ReadHeaderTimeout: time.Minute}
	context.AfterFunc(ctx, func() { _ = server.Close() })
	fmt.Printf("open %s/credentials/ in a browser; Ctrl-C ends it\n", site)
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
