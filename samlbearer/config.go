// Package samlbearer gets access tokens for the users of a program: the SAML bearer assertion grant (RFC 7522). The
// assertion that names the user is built and signed in the process, and exchanged for a token.
//
// Use this when a receiver shall see the user who called (principal propagation), or one technical user, and its token
// service trusts your key pair: SAP SuccessFactors, SAP BTP in both environments, S/4HANA, Salesforce. Where a program acts
// for itself with a client id and a secret, use clientcredentials; where the user has to consent in a browser, this is not it.
//
// A [Client] needs a [Target], which says how the token service wants the request, and an [AssertionSource]:
//
//   - [Signer] makes assertions and signs them with your key, which may live in a KMS or an HSM.
//   - [Forwarded] hands on assertions that you received, after it has checked them.
//   - [Exchanged] exchanges an access token that you received for an assertion (RFC 8693).
package samlbearer

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/internal/origin"
)

// Config describes one credential. Target, TokenURL, ClientKey and Assertions are required. It prints its name, client key
// and token service, and nothing else; see [outgrant.Secret] for unexported fields.
type Config struct {
	// Name appears in errors and hooks. Default "".
	Name string

	// Target is how the token service wants the grant. Required.
	Target Target

	// TokenURL is the token service's address: absolute, https (http to this machine only). It may carry a query, such
	// as sap-client=100. Required.
	TokenURL string

	// ClientKey is the API key or client id that the token service knows the program by. Default Target.User.
	ClientKey string

	// Assertions supplies the assertions. Required.
	Assertions AssertionSource

	// Scopes are asked for, if there are any. Default nil: what the token service gives by itself.
	Scopes []string

	// ClientAuth, if set, replaces the target's Auth and Password. It is called at each token request, so that a secret or
	// a certificate can be replaced without a restart. If what it returns is refused, what was accepted before is tried
	// once, with the same assertion. Default nil.
	ClientAuth func(context.Context) (outgrant.ClientAuth, error)

	// MaxUsers is for how many users tokens are kept. Beyond it, those of a user go who has not called for a while.
	// Default 10,000.
	MaxUsers int

	// UserIdleTime is for how long a user's token is kept while nobody asks for it; up to half of that longer. Default 1 hour.
	UserIdleTime time.Duration

	// HTTPClient sends the token requests; it is never made to follow a redirect. Default: one on http.DefaultTransport.
	HTTPClient *http.Client

	// AllowInsecureHTTP lets assertions go over plain http to another machine. Default false.
	AllowInsecureHTTP bool

	// Cache says how tokens are kept, and holds the hooks. Its Wrap is called for each user, now and then more than once; what it
	// is given describes itself with the user ([outgrant.Describer]). Default nil: as [outgrant.CacheOptions] says.
	Cache *outgrant.CacheOptions
}

// AssertionSource supplies SAML 2.0 assertions: the XML, not encoded, as it shall go out. A [Client] asks for one at each token
// request, with a context of its own, and may ask for several users at once. What it returns is the caller's. An error that
// has a method Permanent() bool which returns true is not tried again soon. A source that has a method
// TechnicalUser() (string, error), as Signer does, names the user of [Client.ForTechnicalUser].
type AssertionSource interface {
	Assertion(ctx context.Context, user string) ([]byte, error)
}

func (c Config) String() string {
	return fmt.Sprintf("samlbearer.Config(%q, client %q at %s)", c.Name, c.ClientKey, origin.Host(c.TokenURL))
}

// Format prints name, client key and host, for every verb and flag.
func (c Config) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, c.String()) }

// LogValue logs name, client key and host.
func (c Config) LogValue() slog.Value { return slog.StringValue(c.String()) }

// MarshalJSON encodes name, client key and host: a Config is not meant to be stored.
func (c Config) MarshalJSON() ([]byte, error) { return json.Marshal(c.String()) }
