package outgrant

import (
	"context"
	"iter"
	"net/http"
)

// TokenSource supplies access tokens for one credential.
//
// Token returns a token that can be used now. It honours ctx: it returns soon after ctx ends, with an
// error that matches ctx.Err(). The context never changes which token comes back. A TokenSource is
// safe for concurrent use, and the token it returns must not be modified.
type TokenSource interface {
	Token(ctx context.Context) (*Token, error)
}

// TokenSourceFunc is a function as a [TokenSource].
type TokenSourceFunc func(ctx context.Context) (*Token, error)

// Token calls f.
func (f TokenSourceFunc) Token(ctx context.Context) (*Token, error) { return f(ctx) }

// Authorizer is a source that authorizes the request itself, where a bearer token is not enough: an
// OAuth 1.0a signature, a proof beside the token. [Transport] prefers Authorize to Token. It hands
// over its own copy of the request, whose headers and URL may be changed, and never repeats a refused one.
type Authorizer interface {
	TokenSource
	Authorize(ctx context.Context, req *http.Request) error
}

// Refresher is a source that can be told which token was rejected, so that it does not hand the same
// one out again. [CachedSource] prefers Refresh to Token. The rejected token may be nil: none was.
type Refresher interface {
	Refresh(ctx context.Context, rejected *Token) (*Token, error)
}

// Invalidator is a source that can drop a token that a receiver rejected. It drops it only if it is
// still the current one, compared by AccessToken.
type Invalidator interface {
	Invalidate(rejected *Token)
}

// Watcher is a source that tells about each new token, refreshed ahead of the old one's end.
// Long-lived connections live on it.
type Watcher interface {
	Watch(ctx context.Context) iter.Seq2[*Token, error]
}

// UserSource supplies a [TokenSource] for each user (principal propagation). The user is an argument
// and never a value in a context. ForUser is cheap and never fails: what is wrong with the user, such
// as an empty name ([ErrUserRequired]), is told by the source's Token.
type UserSource interface {
	ForUser(user string) TokenSource
}

// Describer is a source that says whose tokens it supplies: for [GrantOf], errors and hooks.
type Describer interface {
	Describe() Credential
}

// Credential names a credential. It holds no secret, and can be compared.
type Credential struct {
	Name     string // the artifact's name, if it has one
	Grant    Grant
	TokenURL string // without query and userinfo
	User     string // whom the tokens act for, where the credential has them for each user; errors and logs leave it out
}

// Grant is the way in which a credential's tokens are obtained.
type Grant string

// The grants, by the grant_type of their token request where they have one.
const (
	ClientCredentials Grant = "client_credentials"                            // RFC 6749 4.4
	SAMLBearer        Grant = "urn:ietf:params:oauth:grant-type:saml2-bearer" // RFC 7522
	AuthorizationCode Grant = "authorization_code"                            // RFC 6749 4.1, and refresh
	Social            Grant = "social"                                        // Twitter and Facebook secure parameters
)

// GrantOf returns the grant of a source, or "" for one that does not say: any that is not ours and
// does not implement [Describer].
func GrantOf(src TokenSource) Grant { return describe(src).Grant }

func describe(src any) Credential {
	if d, ok := src.(Describer); ok {
		return d.Describe()
	}
	return Credential{}
}
