package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"sync"
	"time"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/credstore"
	"github.com/outgrant/outgrant/oauthtest"
)

// demo starts a token service whose tokens live for a minute, deploys credentials in all kinds of states, and uses them until ctx
// ends.
func demo(ctx context.Context, store *credstore.Store, working *sync.WaitGroup) (stop func(), err error) {
	service := oauthtest.NewServer(&oauthtest.ServerOptions{TokenLifetime: time.Minute, Clients: []oauthtest.Client{
		{ID: "sb-orders", Secret: "the secret of orders"}, {ID: "sb-stock", Secret: "the secret of stock"}, {ID: "mail-client", Secret: "mail's secret"},
	}})
	away := oauthtest.NewServer(nil)
	away.Close()
	pair, err := keyPair("sf-signing", 20*24*time.Hour)
	if err != nil {
		service.Close()
		return nil, err
	}
	orders := credstore.ClientCredentials{Name: "S4_ORDERS", Description: "Orders of the S/4HANA system", TokenServiceURL: service.TokenURL(),
		ClientID: "sb-orders", ClientSecret: "the secret of orders", ClientAuthentication: credstore.InHeader, Scope: "orders.read orders.write"}
	stock := credstore.ClientCredentials{Name: "S4_STOCK", Description: "Its secret was replaced at the token service", TokenServiceURL: service.TokenURL(),
		ClientID: "sb-stock", ClientSecret: "the secret of last year", ClientAuthentication: credstore.InHeader}
	warehouse := credstore.ClientCredentials{Name: "WAREHOUSE", Description: "Its token service is away", TokenServiceURL: away.TokenURL(),
		ClientID: "sb-warehouse", ClientSecret: "the secret of the warehouse"}
	mailbox := credstore.AuthorizationCode{Name: "MAILBOX", Description: "The mailbox of the operations team", AuthorizationURL: service.AuthURL(),
		TokenServiceURL: service.TokenURL(), RevocationURL: service.RevokeURL(), ClientID: "mail-client", ClientSecret: "mail's secret", SendAs: credstore.InHeader,
		RefreshTokenExpiryDays: 90, UserName: "ops@acme.example", Scope: "mail.read mail.send"}
	tasks := credstore.SAMLBearerAssertion{Name: "SF_TASKS", Description: "Tasks in SuccessFactors, for the user of each call", TokenServiceURL: "https://api.successfactors.example/oauth/token",
		ClientKey: "the-api-key", TargetSystemType: credstore.SuccessFactors, CompanyID: "ACME", KeyPairAlias: "sf-signing"}
	consumerKey := credstore.SecureParameter{Name: "tw-consumer-key", Value: "a consumer key of Twitter"}

	operator := store.As("the demo")
	for _, artifact := range []credstore.Artifact{orders, stock, warehouse, mailbox, tasks, consumerKey, pair} {
		if err := operator.Deploy(ctx, artifact); err != nil {
			service.Close()
			return nil, err
		}
	}
	for _, name := range []string{orders.Name, stock.Name, warehouse.Name, mailbox.Name} {
		working.Go(func() { use(ctx, store, name) })
	}
	return service.Close, nil
}

// use has a token ready at all times, as a program does that calls a receiver.
func use(ctx context.Context, store *credstore.Store, name string) {
	for {
		if source, err := store.TokenSource(ctx, name); err == nil {
			_, _ = source.Token(ctx) // the page tells how it went
		}
		next := time.NewTimer(time.Second)
		select {
		case <-next.C:
		case <-ctx.Done():
			next.Stop()
			return
		}
	}
}

// keyPair makes a key with a certificate of its own.
func keyPair(name string, life time.Duration) (*credstore.KeyPair, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	certificate := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "TECHNICAL_USER"},
		NotBefore: time.Now().Add(-9 * life), NotAfter: time.Now().Add(life)}
	der, err := x509.CreateCertificate(rand.Reader, certificate, certificate, &key.PublicKey, key)
	if err != nil {
		return nil, err
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	text := append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})...)
	return &credstore.KeyPair{Name: name, Description: "Signs assertions for SuccessFactors", PEM: outgrant.Secret(text)}, nil
}
