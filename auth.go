package outgrant

import (
	"crypto"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
)

// AuthMethod is how a client authenticates at its token service (OpenID Connect Core 9, RFC 8705).
type AuthMethod int

const (
	ClientSecretBasic AuthMethod = iota // HTTP Basic, id and secret form-urlencoded first (RFC 6749 2.3.1); the default
	ClientSecretPost                    // client_id and client_secret in the body
	TLSClientAuth                       // a TLS client certificate, CA-issued or self-signed; client_id in the body (RFC 8705)
	PrivateKeyJWT                       // a signed assertion (RFC 7523 2.2)
	None                                // a public client: client_id in the body, no secret
)

var authMethodNames = []string{"client_secret_basic", "client_secret_post", "tls_client_auth", "private_key_jwt", "none"}

// String returns the method's registered name, such as client_secret_basic.
func (m AuthMethod) String() string {
	if m < 0 || int(m) >= len(authMethodNames) {
		return fmt.Sprintf("AuthMethod(%d)", int(m))
	}
	return authMethodNames[m]
}

// ClientAuth is what a client authenticates with. Which fields are needed depends on Method. It prints
// its method alone.
type ClientAuth struct {
	Method      AuthMethod       // default ClientSecretBasic
	Secret      Secret           // for ClientSecretBasic and ClientSecretPost
	Certificate *tls.Certificate // for TLSClientAuth: the chain, leaf first, with its private key
	Key         crypto.Signer    // for PrivateKeyJWT; may live in a KMS or HSM
	KeyID       string           // the assertion's kid header; default none
	Algorithm   string           // the assertion's alg; default RS256, ES256, ES384, ES512 or EdDSA, as fits Key
	Audience    string           // the assertion's aud; default the token URL; some token services want their issuer
}

func (a ClientAuth) String() string { return "outgrant.ClientAuth(" + a.Method.String() + ")" }

// Format prints the method and nothing else, for every verb and flag.
func (a ClientAuth) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, a.String()) }

// LogValue logs the method and nothing else.
func (a ClientAuth) LogValue() slog.Value { return slog.StringValue(a.String()) }

// MarshalJSON encodes the method and nothing else.
func (a ClientAuth) MarshalJSON() ([]byte, error) { return json.Marshal(a.String()) }
