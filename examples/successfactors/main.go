// Successfactors calls SAP SuccessFactors as a user: the one that -user names, or the technical user, who is the common name
// of the certificate.
//
//	go run ./examples/successfactors -api https://api4.successfactors.com -company ACME -client-key KEY \
//	    -key key.pem -certificate certificate.pem -user cgrant -get '/User?$top=1&$select=userId,username'
//
// calls OData. KEY is the API key of the OAuth client that an administrator registered with the certificate (Manage OAuth2
// Client Applications). With -soap FILE the file is sent to the SOAP API instead:
//
//	<Envelope xmlns="http://schemas.xmlsoap.org/soap/envelope/"><Body><query xmlns="urn:sfobject.sfapi.successfactors.com">
//	  <queryString>SELECT id, userId FROM user</queryString></query></Body></Envelope>
package main

import (
	"bytes"
	"context"
	"crypto"
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"time"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/adapters/successfactors"
	"github.com/outgrant/outgrant/samlbearer"
)

type options struct {
	api, tokenURL, company, clientKey, key, certificate string
	user, get, soap                                     string
}

const usage = `Successfactors calls SAP SuccessFactors as a user, or as the technical user: by OData, or with -soap by SOAP.

  successfactors -api https://api4.successfactors.com -company ACME -client-key KEY \
      -key key.pem -certificate certificate.pem -user cgrant -get '/User?$top=1'

Flags:
`

func main() {
	var o options
	flag.StringVar(&o.api, "api", "", "`URL` of the API server, such as https://api4.successfactors.com, or of the API")
	flag.StringVar(&o.tokenURL, "token-url", "", "`URL` of the token service; default: /oauth/token at the API server")
	flag.StringVar(&o.company, "company", "", "company `id`")
	flag.StringVar(&o.clientKey, "client-key", "", "API `key` of the OAuth client")
	flag.StringVar(&o.key, "key", "", "PEM `file` with the private key")
	flag.StringVar(&o.certificate, "certificate", "", "PEM `file` with its certificate, as it is registered")
	flag.StringVar(&o.user, "user", "", "user `id`; default: the technical user")
	flag.StringVar(&o.get, "get", "/User?$top=1&$select=userId,username", "`path` below /odata/v2 to read, or its whole URL")
	flag.StringVar(&o.soap, "soap", "", "`file` with a SOAP envelope to send instead")
	timeout := flag.Duration("timeout", time.Minute, "for all of it")
	flag.Usage = func() {
		fmt.Fprint(flag.CommandLine.Output(), usage)
		flag.PrintDefaults()
	}
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, *timeout)
	defer cancel()
	if err := run(ctx, &o, flag.Args(), os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o *options, stray []string, out io.Writer) error {
	if err := o.check(stray); err != nil {
		return err
	}
	users, err := newUsers(o)
	if err != nil {
		return err
	}
	req, transport, err := newRequest(ctx, o, users)
	if err != nil {
		return err
	}
	resp, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if err := successfactors.ErrorOf(resp); err != nil {
		return err
	}
	_, err = io.Copy(out, resp.Body)
	return err
}

// check checks the flags, and sets the token URL.
func (o *options) check(stray []string) error {
	if len(stray) > 0 {
		return fmt.Errorf("what is %q? All is said by flags: see -help", stray[0])
	}
	if o.api == "" || o.company == "" || o.clientKey == "" || o.key == "" || o.certificate == "" {
		return errors.New("-api, -company, -client-key, -key and -certificate are needed: see -help")
	}
	api, err := url.Parse(o.api)
	if err != nil || api.Scheme == "" || api.Host == "" {
		return errors.New("-api must be a URL such as https://api4.successfactors.com")
	}
	server := url.URL{Scheme: api.Scheme, Host: api.Host}
	get, err := url.Parse(o.get)
	if err != nil || get.Host != "" && (get.Scheme != api.Scheme || get.Host != api.Host) {
		return fmt.Errorf("-get must be a path, or a URL at %s", &server)
	}
	if o.tokenURL == "" {
		o.tokenURL = server.JoinPath("/oauth/token").String()
	}
	return nil
}

// newUsers is all that your program needs to act for its users.
func newUsers(o *options) (*samlbearer.Client, error) {
	pair, err := tls.LoadX509KeyPair(o.certificate, o.key)
	if err != nil {
		return nil, err
	}
	key, ok := pair.PrivateKey.(crypto.Signer)
	if !ok {
		return nil, errors.New("-key: cannot sign")
	}
	return samlbearer.New(&samlbearer.Config{
		Name:       "SuccessFactors",
		Target:     samlbearer.SuccessFactors(o.company),
		TokenURL:   o.tokenURL,
		ClientKey:  o.clientKey,
		Assertions: samlbearer.Signer{Key: key, Certificate: pair.Leaf},
	})
}

func newRequest(ctx context.Context, o *options, users outgrant.UserSource) (*http.Request, http.RoundTripper, error) {
	opts := &successfactors.Options{BaseURL: o.api, TechnicalUser: o.user == ""}
	if o.user != "" {
		opts.User = func(*http.Request) (string, error) { return o.user, nil }
	}
	if o.soap == "" {
		transport, err := successfactors.NewOData(users, opts)
		if err != nil {
			return nil, nil, err
		}
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, o.get, nil)
		if err == nil {
			req.Header.Set("Accept", "application/json")
		}
		return req, transport, err
	}
	envelope, err := os.ReadFile(o.soap)
	if err != nil {
		return nil, nil, err
	}
	transport, err := successfactors.NewSOAP(users, opts)
	if err != nil {
		return nil, nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "", bytes.NewReader(envelope))
	if err == nil {
		req.Header.Set("Content-Type", "text/xml; charset=utf-8")
	}
	return req, transport, err
}
