package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/clientcredentials"
)

// callByServiceKey calls a receiver with a service key: these are the lines that your program needs.
func callByServiceKey(ctx context.Context, keyFile, privateKeyFile, get string) error {
	data, err := os.ReadFile(keyFile)
	if err != nil {
		return err
	}
	key, err := clientcredentials.ParseServiceKey(data)
	if err != nil {
		return fmt.Errorf("%s: %w", keyFile, err)
	}
	if privateKeyFile != "" {
		if err := join(key, privateKeyFile); err != nil {
			return err
		}
	}
	cfg, err := key.Config()
	if err != nil {
		return err
	}
	source, err := clientcredentials.New(cfg)
	if err != nil {
		return err
	}
	transport := &outgrant.Transport{Source: source}
	if cfg.Certificate != nil { // a token that is bound to the certificate needs it at the receiver too
		if transport.Base, err = cfg.ReceiverTransport(nil); err != nil {
			return err
		}
	}
	client := &http.Client{Transport: transport}

	target, err := resolve(key.URL, get)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	fmt.Fprintf(os.Stderr, "%s answers %s; %s\n", req.URL.Host, resp.Status, tokenLife(ctx, source))
	if _, err := io.Copy(os.Stdout, resp.Body); err != nil {
		return err
	}
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("the receiver answered %s", resp.Status)
	}
	return nil
}

func join(key *clientcredentials.ServiceKey, file string) error {
	data, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	if ext := strings.ToLower(filepath.Ext(file)); ext == ".p12" || ext == ".pfx" {
		return key.JoinPKCS12(data, outgrant.Secret(os.Getenv("OUTGRANT_KEY_PASSWORD")))
	}
	return key.JoinPEM(data)
}

// resolve returns the URL to call: get, below the service's own URL if it is a path.
func resolve(service, get string) (string, error) {
	base, err := url.Parse(service)
	if err != nil {
		return "", fmt.Errorf("the service key's URL cannot be read")
	}
	target, err := base.Parse(get)
	if err != nil || !target.IsAbs() {
		return "", fmt.Errorf("-get: an absolute URL is needed: the service key does not name the service's own")
	}
	return target.String(), nil
}

func tokenLife(ctx context.Context, source outgrant.TokenSource) string {
	token, err := source.Token(ctx)
	switch {
	case err != nil:
		return "no token any more"
	case token.Expiry.IsZero():
		return "the token does not say when it ends"
	}
	return "the token is good until " + token.Expiry.Format("15:04:05")
}
