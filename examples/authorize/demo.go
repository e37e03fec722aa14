package main

import (
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/outgrant/outgrant/credstore"
	"github.com/outgrant/outgrant/oauthtest"
)

// demo starts a provider whose tokens live for half a minute, and an API that takes them.
func demo(site string, api *string) ([]credstore.Artifact, func(), error) {
	provider := oauthtest.NewServer(&oauthtest.ServerOptions{TokenLifetime: 30 * time.Second})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		provider.Close()
		return nil, nil, err
	}
	receiver := &http.Server{ReadHeaderTimeout: time.Minute, Handler: provider.Protect(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintln(w, `{"messages": ["welcome"]}`)
	}))}
	go func() { _ = receiver.Serve(l) }()
	if *api == "" {
		*api = "http://" + l.Addr().String() + "/messages"
	}
	stop := func() {
		_ = receiver.Close()
		provider.Close()
	}
	return []credstore.Artifact{&credstore.AuthorizationCode{
		Name: "MAILBOX", AuthorizationURL: provider.AuthURL(), TokenServiceURL: provider.TokenURL(), RevocationURL: provider.RevokeURL(),
		ClientID: "mail-client", ClientSecret: "mail's secret", SendAs: credstore.InHeader, UserName: "alice", RedirectURL: site + "/callback",
	}}, stop, nil
}
