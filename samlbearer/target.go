package samlbearer

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"

	"github.com/outgrant/outgrant"
)

// Target says how a token service wants the grant, where RFC 7522 leaves room or the service departs from it. It is plain
// data: take [SuccessFactors], [BTPCloudFoundry] or [BTPNeo], change what differs, or write your own for another service. It
// prints its name and nothing else.
type Target struct {
	// Name is the kind of system, for people. Default "".
	Name string

	// Encoding is how the assertion is encoded. Default Base64URL, which RFC 7522 wants.
	Encoding Encoding

	// Auth, User and Password authenticate the client. Default ClientSecretBasic; User: the client key. Methods with a
	// key or a certificate need Config.ClientAuth.
	Auth     outgrant.AuthMethod
	User     string
	Password outgrant.Secret

	// ClientIDInBody sends the client key as client_id in the body, beside a Basic header. Default false: only where there
	// is no such header.
	ClientIDInBody bool

	// Fields are sent with each request, such as company_id. Default none.
	Fields map[string]string

	// RenewFields are sent as well when a receiver has rejected a token, for a token service that hands out the same one
	// otherwise. Default none.
	RenewFields map[string]string

	// ResponseWrapper sends a samlp:Response around the assertion. Default false: the assertion itself, as RFC 7522 wants.
	ResponseWrapper bool

	// Audience and AuthnContext are the defaults for Signer's fields of that name; Audience is Forwarded's as well.
	Audience, AuthnContext string

	// ClientKeyAttribute is the attribute that carries the client key in self-signed assertions. Default none.
	ClientKeyAttribute string

	// IssuerRequired refuses a Signer without Issuer, where the issuer is a trusted identity provider. Default false: the
	// client key is the issuer then.
	IssuerRequired bool

	// ErrorMember is the member of an error answer that says what is wrong, and ErrorCodes are the codes of RFC 6749 5.2
	// by HTTP status, where an answer has no member named error. Default none.
	ErrorMember string
	ErrorCodes  map[int]string
}

// Encoding is how an assertion is encoded as the request's assertion parameter.
type Encoding int

// The encodings. Neither breaks lines.
const (
	Base64URL Encoding = iota // without padding (RFC 7522 2.1)
	Base64                    // the standard alphabet, with padding
)

func (e Encoding) encode(assertion []byte) outgrant.Secret {
	if e == Base64 {
		return outgrant.Secret(base64.StdEncoding.EncodeToString(assertion))
	}
	return outgrant.Secret(base64.RawURLEncoding.EncodeToString(assertion))
}

// SuccessFactors is SAP SuccessFactors. The client key is the API key, and there is no client authentication: the
// assertion's signature is checked against the certificate that is registered with the API key. It takes standard base64 and
// answers with the token it has already, and the time that this one has left, unless asked for a new one.
func SuccessFactors(companyID string) Target {
	return Target{
		Name: "SuccessFactors", Encoding: Base64, Auth: outgrant.None,
		Fields:      map[string]string{"company_id": companyID},
		RenewFields: map[string]string{"new_token": "true"},
		Audience:    "www.successfactors.com", AuthnContext: AuthnPasswordProtectedTransport, ClientKeyAttribute: "api_key",
		ErrorMember: "errorMessage",
		ErrorCodes:  map[int]string{400: "invalid_request", 401: "invalid_client", 403: "access_denied"},
	}
}

// BTPCloudFoundry is SAP BTP, Cloud Foundry environment. user and password are those of the token service: the client id and
// secret of a service key. The token URL is the alias address, and the audience the subaccount's SAML entity id. The issuer
// must be an identity provider that the subaccount trusts.
func BTPCloudFoundry(user string, password outgrant.Secret) Target {
	return Target{Name: "BTP CF", User: user, Password: password, ClientIDInBody: true, AuthnContext: AuthnPreviousSession, IssuerRequired: true}
}

// BTPNeo is SAP BTP, Neo environment. user and password are those of the token service; the audience is the Local Provider
// Name.
func BTPNeo(user string, password outgrant.Secret) Target {
	return Target{Name: "BTP Neo", User: user, Password: password, AuthnContext: AuthnPreviousSession}
}

// clone returns a copy that shares nothing with t.
func (t Target) clone() *Target {
	t.Fields, t.RenewFields, t.ErrorCodes = maps.Clone(t.Fields), maps.Clone(t.RenewFields), maps.Clone(t.ErrorCodes)
	return &t
}

// ownFields are the parameters that are not the target's to set.
var ownFields = []string{"grant_type", "assertion", "scope", "client_id", "client_secret", "client_assertion", "client_assertion_type"}

// check returns an error that begins with the name of the field that is wrong. hasClientAuth: Config.ClientAuth is set.
func (t *Target) check(hasClientAuth bool) error {
	if t.Encoding != Base64URL && t.Encoding != Base64 {
		return fmt.Errorf("Target.Encoding: there is no encoding %d", t.Encoding)
	}
	if err := cmp.Or(checkFields("Target.Fields", t.Fields), checkFields("Target.RenewFields", t.RenewFields)); err != nil {
		return err
	}
	wants := t.Auth == outgrant.ClientSecretBasic || t.Auth == outgrant.ClientSecretPost
	switch {
	case hasClientAuth:
		return nil
	case wants && t.Password == "":
		return fmt.Errorf("Target.Password: missing; %s needs it", t.Auth)
	case !wants && t.Password != "":
		return fmt.Errorf("Target.Password: must not be set with the method %s", t.Auth)
	case t.Password.IsRedacted():
		return errors.New("Target.Password: is the printed form of a secret, not the secret")
	case !wants && t.Auth != outgrant.None:
		return fmt.Errorf("ClientAuth: missing; %s needs it", t.Auth)
	}
	return nil
}

func checkFields(where string, fields map[string]string) error {
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		switch {
		case slices.Contains(ownFields, name) || name == "":
			return fmt.Errorf("%s: %q cannot be set here", where, name)
		case fields[name] == "":
			return fmt.Errorf("%s: %s: missing", where, name)
		}
	}
	return nil
}

func (t Target) String() string { return fmt.Sprintf("samlbearer.Target(%q)", t.Name) }

// Format prints the name, for every verb and flag.
func (t Target) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, t.String()) }

// LogValue logs the name.
func (t Target) LogValue() slog.Value { return slog.StringValue(t.String()) }

// MarshalJSON encodes the name: a Target is not meant to be stored.
func (t Target) MarshalJSON() ([]byte, error) { return json.Marshal(t.String()) }
