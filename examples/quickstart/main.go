// Quickstart shows an HTTP client that is always authorized.
//
//	go run ./examples/quickstart
//
// needs no account: it starts a token service and a receiver on this machine and shows what happens to calls while
// tokens end, are rejected, and the token service is down, to calls as the user of each request, and to credentials that are
// kept by name in an encrypted folder, one of them authorized by a user; and an OData service, Twitter, a mail
// server and a message broker.
//
//	go run ./examples/quickstart -service-key key.json -get URL
//
// calls a real receiver with a token from a real token service, by an SAP service key. For a key with an external
// certificate, -key names your private key: a PEM file, or a .p12 file whose password is in OUTGRANT_KEY_PASSWORD.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"time"
)

func main() {
	serviceKey := flag.String("service-key", "", "`file` with an SAP service key (JSON)")
	key := flag.String("key", "", "`file` with the private key of an external certificate (PEM or PKCS#12)")
	get := flag.String("get", "", "`URL` to call, or a path below the service's own URL; default: that URL")
	timeout := flag.Duration("timeout", time.Minute, "for all of it")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, *timeout)
	defer cancel()
	if err := run(ctx, *serviceKey, *key, *get); err != nil {
		fmt.Fprintln(os.Stderr, "quickstart:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, serviceKey, key, get string) error {
	switch {
	case serviceKey != "":
		return callByServiceKey(ctx, serviceKey, key, get)
	case get != "" || key != "":
		return fmt.Errorf("-get and -key go with -service-key")
	}
	if err := demo(ctx); err != nil {
		return err
	}
	if err := actForUsers(ctx); err != nil {
		return err
	}
	if err := keepCredentials(ctx); err != nil {
		return err
	}
	return callReceivers(ctx)
}
