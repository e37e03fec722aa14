package clientcredentials

import (
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/internal/keypair"
)

const (
	maxServiceKey = 1 << 20
	maxWrappers   = 4 // real keys have two: {"credentials":{"uaa":{...}}}
	tokenPath     = "oauth/token"
)

var (
	privateKeyNames = []string{"key", "privatekey"}
	tokenURLNames   = []string{"tokenurl", "tokenendpoint", "tokenserviceurl"}
)

// ParseServiceKey reads an SAP service key: the JSON text that SAP BTP shows for a service instance. In the BTP
// cockpit open your subaccount, Services, Instances and Subscriptions, choose the instance, and create or view an
// entry under Service Keys (Service Bindings in other environments than Cloud Foundry); paste all of it.
//
// It takes the three key types - client id and secret; a certificate that SAP generated; an external certificate,
// whose private key you add by [ServiceKey.JoinPEM] or [ServiceKey.JoinPKCS12] - bare, or wrapped in credentials,
// oauth or uaa, in all spellings known of their members, and Event Mesh keys. At most 1 MiB.
//
// An error names the member that is missing or wrong and where it was looked for. It never holds a value.
func ParseServiceKey(data []byte) (*ServiceKey, error) {
	if len(data) > maxServiceKey {
		return nil, errors.New("service key: larger than 1 MiB")
	}
	root, err := readDocument(data)
	if err != nil {
		return nil, err
	}
	return parseWrapped(root, nil, 0)
}

// parseWrapped finds the object that holds the client. The wrapper is the object around o, if any.
func parseWrapped(o, wrapper *object, depth int) (*ServiceKey, error) {
	switch {
	case o.has("messaging"):
		return parseEventMesh(o)
	case o.has("clientid"):
		return parseClient(o, wrapper)
	}
	var inner []string
	for _, name := range []string{"credentials", "oauth", "uaa"} {
		if o.has(name) {
			inner = append(inner, name)
		}
	}
	switch {
	case len(inner) == 0 && depth > 0:
		return nil, o.missing("clientid")
	case len(inner) == 0:
		return nil, errors.New("service key: clientid: missing, and so are credentials, oauth and uaa: pass the whole key")
	case len(inner) > 1:
		return nil, fmt.Errorf("service key: %s: leave the one to use", o.at(strings.Join(inner, " and ")))
	case depth == maxWrappers:
		return nil, fmt.Errorf("service key: %s: more than %d objects within each other", o.at(inner[0]), maxWrappers)
	}
	child, err := o.object(inner[0])
	if err != nil {
		return nil, err
	}
	return parseWrapped(child, o, depth+1)
}

// parseEventMesh takes the client of the amqp10ws entry: the others are for other protocols and other hosts.
func parseEventMesh(o *object) (*ServiceKey, error) {
	entries, err := o.list("messaging")
	if err != nil {
		return nil, err
	}
	var endpoints []MessagingEndpoint
	for _, e := range entries {
		protocols, err := e.texts("protocol")
		if err != nil {
			return nil, err
		}
		uri, err := e.address("uri")
		if err != nil {
			return nil, err
		}
		endpoints = append(endpoints, MessagingEndpoint{protocols, uri})
	}
	broker := slices.IndexFunc(endpoints, func(e MessagingEndpoint) bool { return slices.Contains(e.Protocols, "amqp10ws") })
	if broker < 0 {
		return nil, fmt.Errorf("service key: %s: no entry for the protocol amqp10ws: create the key for an instance that allows it", o.at("messaging"))
	}
	if endpoints[broker].URI == "" {
		return nil, entries[broker].missing("uri")
	}
	client, err := entries[broker].object("oa2")
	if err != nil {
		return nil, err
	}
	key, err := parseClient(client, entries[broker])
	if err != nil {
		return nil, err
	}
	key.URL, key.Messaging = endpoints[broker].URI, endpoints
	return key, nil
}

func parseClient(o, wrapper *object) (*ServiceKey, error) {
	key := &ServiceKey{}
	var err error
	if key.ClientID, err = o.text("clientid"); err != nil {
		return nil, err
	}
	if key.ClientID == "" {
		return nil, o.missing("clientid")
	}
	for _, parse := range []func(*object, *ServiceKey) error{parseSecret, parseCertificate, parseTokenURL} {
		if err := parse(o, key); err != nil {
			return nil, err
		}
	}
	if key.URL, err = ownAddress(o, wrapper); err != nil {
		return nil, err
	}
	return key, nil
}

func parseSecret(o *object, key *ServiceKey) error {
	secret, err := o.text("clientsecret")
	key.ClientSecret = outgrant.Secret(secret)
	switch {
	case err != nil:
		return err
	case key.ClientSecret.IsRedacted():
		return fmt.Errorf("service key: %s: is the printed form %s of a secret, not the secret", o.at("clientsecret"), key.ClientSecret)
	case secret != "" && o.has("certificate"):
		return fmt.Errorf("service key: %s and certificate: both are there: leave the one to authenticate with", o.at("clientsecret"))
	case secret == "" && !o.has("certificate"):
		return fmt.Errorf("service key: %s: missing, and so is certificate", o.at("clientsecret"))
	}
	return nil
}

func parseCertificate(o *object, key *ServiceKey) error {
	if key.ClientSecret != "" {
		return nil
	}
	certs, private, err := readPEM(o, "certificate")
	if err != nil {
		return err
	}
	external := private == nil && !o.has(privateKeyNames...)
	if o.has(privateKeyNames...) {
		if _, private, err = readPEM(o, privateKeyNames...); err != nil {
			return err
		}
	}
	if external {
		key.Certificate, err = keypair.WithoutKey(certs)
	} else {
		key.Certificate, err = keypair.Join(certs, private)
	}
	if err != nil {
		return fmt.Errorf("service key: %s and %s: %w", o.at("certificate"), o.spelled(privateKeyNames...), err)
	}
	return nil
}

func readPEM(o *object, names ...string) ([]*x509.Certificate, crypto.Signer, error) {
	text, err := o.text(names...)
	if err != nil {
		return nil, nil, err
	}
	certs, private, err := keypair.ParsePEM([]byte(text))
	if err != nil {
		return nil, nil, fmt.Errorf("service key: %s: %w", o.at(o.spelled(names...)), err)
	}
	return certs, private, nil
}

// parseTokenURL prefers the host that accepts certificates, where there is one. Without a token URL, url is the token
// service's host in keys that XSUAA wrote.
func parseTokenURL(o *object, key *ServiceKey) error {
	names := tokenURLNames
	if key.Certificate != nil && o.has("certurl") {
		names = []string{"certurl"}
	} else if urlIsTokenHost(o) {
		names = []string{"url"}
	}
	raw, err := o.text(names...)
	if err != nil {
		return err
	}
	if raw == "" {
		return o.missing(names[0])
	}
	u, err := url.Parse(raw)
	switch {
	case err != nil || u.Hostname() == "" || !slices.Contains([]string{"https", "http"}, u.Scheme):
		return fmt.Errorf("service key: %s: not an absolute https URL", o.at(o.spelled(names...)))
	case u.User != nil:
		return fmt.Errorf("service key: %s: must not hold a user name or password", o.at(o.spelled(names...)))
	}
	isHost := names[0] != tokenURLNames[0]
	if u.Path == "" || u.Path == "/" || isHost && !strings.HasSuffix(u.Path, "/"+tokenPath) {
		u = u.JoinPath(tokenPath)
	}
	key.TokenURL = u.String()
	return nil
}

// urlIsTokenHost reports whether the member url is the token service's host rather than the service's own address.
func urlIsTokenHost(o *object) bool {
	if o.has(tokenURLNames...) {
		return false
	}
	return o.name == "uaa" || o.has("certurl") || o.has("xsappname") || o.has("uaadomain") || o.has("identityzone")
}

// ownAddress finds the service's own address: beside a uaa object, or in the object that holds the client.
func ownAddress(o, wrapper *object) (string, error) {
	if o.name == "uaa" {
		if address, err := wrapper.address("url", "uri"); err != nil || address != "" {
			return address, err
		}
	}
	if urlIsTokenHost(o) {
		return o.address("uri")
	}
	return o.address("url", "uri")
}
