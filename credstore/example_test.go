package credstore_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"os"
	"time"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/credstore"
	"github.com/outgrant/outgrant/oauthtest"
	"github.com/outgrant/outgrant/oauthtest/samltest"
)

// Artifacts come from a file, their secrets from the environment; a program calls with a name.
func Example() {
	service := oauthtest.NewServer(nil) // yours is https://...
	defer service.Close()
	receiver := httptest.NewServer(service.Protect(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, "42 orders")
	})))
	defer receiver.Close()

	dir, err := os.MkdirTemp("", "credentials")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	store, err := credstore.OpenDir(dir, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer store.Close()

	os.Setenv("S4_SECRET", "the secret")
	artifacts, err := credstore.LoadArtifacts([]byte(`[
		{"type": "OAuth2 Client Credentials", "name": "S4_ORDERS", "tokenServiceUrl": "` + service.TokenURL() + `",
		 "clientId": "sb-1", "clientSecret": "${env:S4_SECRET}"}]`))
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	for _, a := range artifacts {
		if err := store.Deploy(ctx, a); err != nil {
			fmt.Println(err)
			return
		}
	}

	client, err := store.Client(ctx, "S4_ORDERS")
	if err != nil {
		fmt.Println(err)
		return
	}
	resp, err := client.Get(receiver.URL)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()
	fmt.Println(resp.Status)

	all, err := store.List(ctx)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, info := range all {
		fmt.Println(info.Name, info.Type, info.Status)
	}
	// Output:
	// 200 OK
	// S4_ORDERS OAuth2 Client Credentials Deployed
}

// A secret of any kind, by its name.
func ExampleStore_SecureParameter() {
	store := credstore.OpenMemory() // tests and demos; OpenDir keeps it
	defer store.Close()
	ctx := context.Background()
	if err := store.Deploy(ctx, credstore.SecureParameter{Name: "tw-consumer-key", Value: "the secret"}); err != nil {
		fmt.Println(err)
		return
	}
	secret, err := store.SecureParameter(ctx, "tw-consumer-key")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(secret, len(secret.Reveal()))

	_, err = store.SecureParameter(ctx, "tw-consumer-kee")
	fmt.Println(err)
	fmt.Println(errors.Is(err, credstore.ErrNotFound))
	// Output:
	// [redacted] 10
	// credstore: "tw-consumer-kee": there is no such artifact
	// true
}

// Principal propagation: each request goes out as the user who called.
func ExampleStore_UserSource() {
	keys, certificate := signingKeys()
	service := oauthtest.NewServer(nil) // yours is https://<api-host>/oauth/token
	defer service.Close()
	tokenURL := samltest.SuccessFactors(service, &samltest.Options{
		Certificates: map[string]*x509.Certificate{"the API key": certificate},
	})

	store := credstore.OpenMemory()
	defer store.Close()
	ctx := context.Background()
	for _, a := range []credstore.Artifact{
		credstore.KeyPair{Name: "sf-signing", PEM: keys},
		credstore.SAMLBearerAssertion{
			Name: "SF_TASKS", TargetSystemType: credstore.SuccessFactors, TokenServiceURL: tokenURL, ClientKey: "the API key", CompanyID: "ACME",
			UserID: credstore.PrincipalPropagation, UserIDSource: "email", KeyPairAlias: "sf-signing",
		},
	} {
		if err := store.Deploy(ctx, a); err != nil {
			fmt.Println(err)
			return
		}
	}

	users, err := store.UserSource(ctx, "SF_TASKS")
	if err != nil {
		fmt.Println(err)
		return
	}
	_ = http.Client{Transport: &outgrant.Transport{
		SourceFor: func(req *http.Request) (outgrant.TokenSource, error) {
			return users.ForUser(req.Header.Get("X-User")), nil // as your program knows it
		},
	}}
	token, err := users.ForUser("alice@acme.example").Token(ctx)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(token.User)

	_, err = store.TokenSource(ctx, "SF_TASKS") // never a technical user instead
	fmt.Println(errors.Is(err, outgrant.ErrUserRequired))
	// Output:
	// alice@acme.example
	// true
}

// signingKeys stand for the ones whose certificate you have registered at the service.
func signingKeys() (outgrant.Secret, *x509.Certificate) {
	key, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "SFAPI_USER"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(1, 0, 0)}
	der, _ := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	certificate, _ := x509.ParseCertificate(der)
	private, _ := x509.MarshalPKCS8PrivateKey(key)
	text := append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})...)
	return outgrant.Secret(text), certificate
}

// A user authorizes a credential in the browser, once; the job keeps it alive.
func ExampleStore_AuthorizeHandler() {
	provider := oauthtest.NewServer(nil) // whoever comes there consents at once
	defer provider.Close()
	store := credstore.OpenMemory()
	defer store.Close()

	mux := http.NewServeMux()
	mux.Handle("/authorize", store.AuthorizeHandler())
	mux.Handle("/callback", store.CallbackHandler(nil))
	site := httptest.NewServer(mux)
	defer site.Close()

	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go store.Run(ctx) // in as many processes as there are

	err := store.Deploy(ctx, credstore.AuthorizationCode{
		Name: "MAILBOX", AuthorizationURL: provider.AuthURL(), TokenServiceURL: provider.TokenURL(), RedirectURL: site.URL + "/callback",
		ClientID: "app", ClientSecret: "the secret", UserName: "ops@acme.example", Scope: "mail",
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	status := func() {
		info, err := store.Info(ctx, "MAILBOX")
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(info.Status)
	}
	status()

	jar, err := cookiejar.New(nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	browser := &http.Client{Jar: jar}
	page, err := browser.Get(site.URL + "/authorize?name=MAILBOX")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer page.Body.Close()
	fmt.Println(page.Status)
	status()

	source, err := store.TokenSource(ctx, "MAILBOX")
	if err != nil {
		fmt.Println(err)
		return
	}
	token, err := source.Token(ctx)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(token.User) // with the token, what mail needs
	// Output:
	// Unauthorized
	// 200 OK
	// Deployed
	// ops@acme.example
}
