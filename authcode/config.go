package authcode

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

// Config describes one credential. TokenURL, ClientID, Vault and what authenticates the client are required, and AuthURL
// and RedirectURL for whoever authorizes here. [Microsoft365], [Google] and [Dropbox] fill in the addresses. It prints its
// name, client id and token service, and nothing else.
type Config struct {
	// Name is the credential's: in errors, hooks and on pages, and where the Vault keeps its authorization. Required.
	Name string

	// User is whose resources the credential opens, as the receiver calls the user: the user name of a mailbox. It becomes
	// Token.User. Where an ID token tells, another user's authorization is refused. Default "": the user whom the ID token
	// names, if there is one; anybody's authorization is taken.
	User string

	// AuthURL and TokenURL are the authorization and the token endpoint: absolute, https (http to this machine only). They
	// may carry query parameters of their own, such as access_type=offline; ours replace those of the same name.
	AuthURL, TokenURL string

	// Issuer is the provider's identifier, as its metadata says. If set, the provider's answer in the browser must carry it
	// as iss (RFC 9207), and an ID token must. Default "": neither is required, but if both come they must agree.
	Issuer string

	// RevocationURL is where a refresh token is revoked that is not needed any more (RFC 7009). Default "": nowhere; it
	// lives on at the provider until it expires.
	RevocationURL string

	// ClientID is the client's identifier. Required.
	ClientID string

	// ClientSecret is for ClientSecretBasic and ClientSecretPost.
	ClientSecret outgrant.Secret

	// Auth is how the client authenticates: ClientSecretBasic, ClientSecretPost or None; other methods need ClientAuth.
	// Default ClientSecretBasic.
	Auth outgrant.AuthMethod

	// ClientAuth, if set, replaces Auth and ClientSecret. It is called at each token request, so that a secret or a
	// certificate can be replaced without a restart. If what it returns is refused, what was accepted before is tried
	// once. Default nil.
	ClientAuth func(context.Context) (outgrant.ClientAuth, error)

	// RedirectURL is where the provider sends the browser back to: the address at which people reach CallbackHandler, as
	// it is registered at the provider.
	RedirectURL string

	// Scopes are asked for, if there are any. Default nil: what the provider gives by itself.
	Scopes []string

	// RefreshTokenExpiry is how long a refresh token lives from when it was issued; it is renewed before it ends. At least
	// 72 hours. Default 0: it never ends by itself. What the provider's answer says in refresh_token_expires_in or
	// refresh_expires_in comes first. A change holds for the refresh token that is there, too,
	// from [Client.Renew] on.
	RefreshTokenExpiry time.Duration

	// ScopeOnRefresh sends the scopes with each refresh, too: Entra ID narrows them silently otherwise. Default false.
	ScopeOnRefresh bool

	// ScopeInURL sends the scopes with the code as a query parameter, as SAP does. Default false: in the body.
	ScopeInURL bool

	// DisablePKCE leaves out the code challenge (RFC 7636), for a provider that refuses it. Default false: S256.
	DisablePKCE bool

	// Vault keeps the authorization. Required.
	Vault Vault

	// MayAuthorize decides who may start an authorization: whoever consents makes the credential theirs. An error is shown
	// to the user and refuses. Default nil: requests from this machine only, and not those that came through a proxy.
	MayAuthorize func(*http.Request) error

	// HTTPClient sends the token requests; it is never made to follow a redirect. Default: one on http.DefaultTransport.
	HTTPClient *http.Client

	// AllowInsecureHTTP lets secrets go over plain http to another machine. Default false.
	AllowInsecureHTTP bool

	// Cache says how access tokens are kept, and holds the hooks. Its FetchTimeout bounds a request to the token service,
	// which goes on when callers leave. Default nil: as [outgrant.CacheOptions] says.
	Cache *outgrant.CacheOptions

	always       []string // scopes that the provider needs, whatever Scopes are
	issuerIfSent bool     // the provider's answer in the browser may lack iss
}

func (c Config) String() string {
	return fmt.Sprintf("authcode.Config(%q, client %q at %s)", c.Name, c.ClientID, origin.Host(c.TokenURL))
}

// Format prints name, client id and host, for every verb and flag.
func (c Config) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, c.String()) }

// LogValue logs name, client id and host.
func (c Config) LogValue() slog.Value { return slog.StringValue(c.String()) }

// MarshalJSON encodes name, client id and host: a Config is not meant to be stored.
func (c Config) MarshalJSON() ([]byte, error) { return json.Marshal(c.String()) }
