package main

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"time"

	"github.com/outgrant/outgrant/adapters/successfactors"
	"github.com/outgrant/outgrant/oauthtest"
	"github.com/outgrant/outgrant/oauthtest/samltest"
	"github.com/outgrant/outgrant/samlbearer"
)

// actForUsers calls a receiver as the user of each request, as with SAP SuccessFactors: for each user an assertion is
// signed here and exchanged for a token.
func actForUsers(ctx context.Context) error {
	key, certificate, err := newKeyPair("demo-technical-user")
	if err != nil {
		return err
	}
	service := oauthtest.NewServer(nil)
	defer service.Close()
	tokenURL := samltest.SuccessFactors(service, &samltest.Options{Certificates: map[string]*x509.Certificate{"demo-api-key": certificate}})
	receiver, err := serve(service.Protect(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "welcome to "+r.URL.Path) })))
	if err != nil {
		return err
	}
	defer receiver.close()

	users, err := samlbearer.New(&samlbearer.Config{
		Name: "DEMO_USERS", Target: samlbearer.SuccessFactors("ACME"), TokenURL: tokenURL, ClientKey: "demo-api-key",
		Assertions: samlbearer.Signer{Key: key, Certificate: certificate},
	})
	if err != nil {
		return err
	}
	transport, err := successfactors.NewOData(users, &successfactors.Options{
		BaseURL: receiver.url,
		User:    func(req *http.Request) (string, error) { return req.Header.Get("Demo-User"), nil },
	})
	if err != nil {
		return err
	}
	client := &http.Client{Transport: transport}
	defer client.CloseIdleConnections()

	var answer []byte
	for i := range 100 {
		if answer, err = getAs(ctx, client, []string{"alice", "bob"}[i%2], "/User"); err != nil {
			return err
		}
	}
	fmt.Printf("100 calls as two users, by assertions that are signed here: %q; token requests: %d\n", answer, service.TokenRequests())
	if _, err = getAs(ctx, client, "", "/User"); err == nil {
		return fmt.Errorf("a call without a user was not refused")
	}
	fmt.Printf("a call without a user:\n    %v\n", err)
	return nil
}

func getAs(ctx context.Context, client *http.Client, user, path string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, path, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Demo-User", user)
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if err := successfactors.ErrorOf(resp); err != nil {
		return nil, err
	}
	return io.ReadAll(resp.Body)
}

// newKeyPair makes a key and a certificate of its own, as an administrator registers it at the token service.
func newKeyPair(commonName string) (*rsa.PrivateKey, *x509.Certificate, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, nil, err
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: commonName},
		NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().AddDate(1, 0, 0)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, nil, err
	}
	certificate, err := x509.ParseCertificate(der)
	return key, certificate, err
}
