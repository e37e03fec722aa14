// Package clientcredentials gets access tokens for a program itself: the client credentials grant (RFC 6749 4.4).
//
// Use this when the receiver knows your program by a client id and a secret, a TLS client certificate or a signing
// key, or when you have an SAP service key ([ParseServiceKey]). It is not for acting as the user who called, nor for what
// a person authorizes in a browser.
package clientcredentials

import (
	"context"
	"crypto"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/internal/origin"
)

// Config describes one credential. Only TokenURL, ClientID and what authenticates the client are required. It prints
// its name, client id and token service, and nothing else.
type Config struct {
	// Name appears in errors and hooks. Default "".
	Name string

	// TokenURL is the token service's address: absolute, https (http to this machine only). It may carry a
	// query, such as sap-client=100. Required.
	TokenURL string

	// ClientID is the client's identifier. Required.
	ClientID string

	// ClientSecret is for ClientSecretBasic and ClientSecretPost.
	ClientSecret outgrant.Secret

	// Auth is how the client authenticates. Default ClientSecretBasic.
	Auth outgrant.AuthMethod

	// Certificate is for TLSClientAuth: the chain, leaf first, with its private key. It goes with a client_id in
	// the body and no secret. A token that is bound to it needs it at the receiver too: see [Config.ReceiverTransport].
	Certificate *tls.Certificate

	// Key, KeyID and Algorithm are for PrivateKeyJWT, and so is AssertionAudience: the assertion's aud. Key may live
	// in a KMS or an HSM. Defaults: no kid; RS256, ES256, ES384, ES512 or EdDSA, as fits the key; the token URL.
	Key                                 crypto.Signer
	KeyID, Algorithm, AssertionAudience string

	// ClientAuth, if set, replaces Auth, ClientSecret, Certificate, Key and its companions. It is called at each token
	// request, so that a secret or a certificate can be replaced without a restart. If what it returns is refused,
	// what was accepted before is tried once. Default nil.
	ClientAuth func(context.Context) (outgrant.ClientAuth, error)

	// GrantTypeInURL sends grant_type in the URL, as old SAP artifacts do. Strict servers refuse it. Default false: in the body.
	GrantTypeInURL bool

	// JSONBody sends the parameters as a JSON object. Strict servers refuse it. Default false: as a form.
	JSONBody bool

	// Scopes are asked for, if there are any. Default nil: what the token service gives by itself.
	Scopes []string

	// Resource (RFC 8707) and Audience name the receiver, where the token service wants that. Default "".
	Resource, Audience string

	// Params are sent too, at most 20 of them. Default nil.
	Params []Param

	// HTTPClient sends the token requests; it is never made to follow a redirect. Default: one on http.DefaultTransport.
	HTTPClient *http.Client

	// AllowInsecureHTTP lets the secret go over plain http to another machine. Default false.
	AllowInsecureHTTP bool

	// Cache says how tokens are kept, and holds the hooks. Default nil: as [outgrant.CacheOptions] says.
	Cache *outgrant.CacheOptions
}

func (c Config) String() string {
	return fmt.Sprintf("clientcredentials.Config(%q, client %q at %s)", c.Name, c.ClientID, origin.Host(c.TokenURL))
}

// Format prints name, client id and host, for every verb and flag.
func (c Config) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, c.String()) }

// LogValue logs name, client id and host.
func (c Config) LogValue() slog.Value { return slog.StringValue(c.String()) }

// MarshalJSON encodes name, client id and host: a Config is not meant to be stored.
func (c Config) MarshalJSON() ([]byte, error) { return json.Marshal(c.String()) }
