package credstore

import (
	"cmp"
	"context"
	"crypto/tls"
	"strings"
	"time"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/authcode"
)

// AuthorizationCode is an OAuth2 Authorization Code artifact: what a user authorizes once, in a browser (RFC 6749 4.1). It
// prints its name.
type AuthorizationCode struct {
	Name, Description string

	// Provider is Microsoft365 or Generic. Default Generic. Microsoft365 always asks for offline_access, and sends the scopes
	// with each refresh.
	Provider string

	// Tenant is that of Microsoft 365, by its id or domain, in place of the two URLs. Default "": any account's.
	Tenant string

	// AuthorizationURL and TokenServiceURL are the provider's: absolute, https (http to this machine only). They may carry query
	// parameters of their own, such as access_type=offline. Default: those of Microsoft 365; required for Generic.
	AuthorizationURL, TokenServiceURL string

	// RefreshTokenExpiryDays is after how many days a refresh token ends: at least 3, and at most 90 at Microsoft 365. Default
	// 0: never; 90 at Microsoft 365.
	RefreshTokenExpiryDays int

	// RedirectURL is where the provider sends the browser back to. Default: that of the store's Options.
	RedirectURL string

	ClientID     string
	ClientSecret outgrant.Secret

	// SendAs is how the client authenticates: InBody, InHeader, WithoutSecret, WithCertificate or WithPrivateKeyJWT. Default
	// InBody.
	SendAs string

	// UserName is whose resources the credential opens, such as the user name of a mailbox. Default "": who authorizes.
	UserName string

	// Scope has the scopes that are asked for, separated by blanks. Default "".
	Scope string

	// KeyPairAlias is the name of the [KeyPair] whose certificate or key authenticates the client.
	KeyPairAlias string

	// KeyID, SignatureAlgorithm and AssertionAudience are for WithPrivateKeyJWT. Defaults: no kid; RS256, ES256, ES384, ES512
	// or EdDSA, as fits the key; TokenServiceURL.
	KeyID, SignatureAlgorithm, AssertionAudience string

	// DisablePKCE leaves out the code challenge, for a provider that refuses it: pkce is false in JSON then.
	DisablePKCE bool

	// ScopeOnRefresh sends the scopes with each refresh; ScopeInURL sends them with the code as a query parameter. Default
	// false.
	ScopeOnRefresh, ScopeInURL bool

	// Issuer is the provider's identifier (RFC 9207), and RevocationURL where refresh tokens are revoked (RFC 7009). Default
	// "".
	Issuer, RevocationURL string
}

// Microsoft365 is a provider.
const Microsoft365 = "Microsoft 365"

const (
	minRefreshTokenDays       = 3
	maxRefreshTokenDays       = 36_500 // a hundred years
	microsoftRefreshTokenDays = 90
)

// ArtifactName returns the name.
func (a AuthorizationCode) ArtifactName() string { return a.Name }

// Type returns OAuth2 Authorization Code.
func (a AuthorizationCode) Type() string { return typeAuthorizationCode }

func (a AuthorizationCode) clone() artifact { return &a }

func (a *AuthorizationCode) members() []member {
	return []member{
		{"type", typeField(typeAuthorizationCode)},
		{"name", nameField{to: &a.Name}},
		{"description", textField{&a.Description, maxDescription}},
		{"provider", wordField{&a.Provider, []string{Generic, Microsoft365}}},
		{"tenant", textField{to: &a.Tenant}},
		{"authorizationUrl", textField{to: &a.AuthorizationURL}},
		{"tokenServiceUrl", textField{to: &a.TokenServiceURL}},
		{"refreshTokenExpiryDays", daysField{&a.RefreshTokenExpiryDays}},
		{"redirectUrl", textField{to: &a.RedirectURL}},
		{"clientId", textField{to: &a.ClientID}},
		{"clientSecret", secretField{to: &a.ClientSecret}},
		{"sendAs", wordField{&a.SendAs, []string{InBody, InHeader, WithoutSecret, WithCertificate, WithPrivateKeyJWT}}},
		{"userName", textField{to: &a.UserName}},
		{"scope", textField{to: &a.Scope}},
		{"keyPairAlias", nameField{&a.KeyPairAlias, true}},
		{"keyId", textField{to: &a.KeyID}},
		{"signatureAlgorithm", wordField{&a.SignatureAlgorithm, signatureAlgorithms}},
		{"assertionAudience", textField{to: &a.AssertionAudience}},
		{"pkce", flagField{&a.DisablePKCE, true}},
		{"scopeOnRefresh", flagField{&a.ScopeOnRefresh, false}},
		{"scopeInUrl", flagField{&a.ScopeInURL, false}},
		{"issuer", textField{to: &a.Issuer}},
		{"revocationUrl", textField{to: &a.RevocationURL}},
	}
}

func (a *AuthorizationCode) authentication() clientAuthentication {
	return clientAuthentication{"sendAs", a.SendAs, a.ClientSecret, a.KeyPairAlias, a.KeyID, a.SignatureAlgorithm, a.AssertionAudience}
}

func (a *AuthorizationCode) rules(p *problems) {
	p.scopes(a.Scope)
	p.need("clientId", strings.TrimSpace(a.ClientID), "")
	a.authentication().rules(p)
	longest := maxRefreshTokenDays
	if a.Provider == Microsoft365 {
		longest = microsoftRefreshTokenDays
		a.tenantRules(p)
	} else {
		p.refuse("tenant", a.Tenant, "for another provider than "+Microsoft365)
		p.need("authorizationUrl", a.AuthorizationURL, "")
		p.need("tokenServiceUrl", a.TokenServiceURL, "")
	}
	if days := a.RefreshTokenExpiryDays; days != 0 && (days < minRefreshTokenDays || days > longest) {
		p.add("refreshTokenExpiryDays", "%d: must be from %d to %d", days, minRefreshTokenDays, longest)
	}
}

func (a *AuthorizationCode) tenantRules(p *problems) {
	switch {
	case a.Tenant != "":
		p.refuse("authorizationUrl", a.AuthorizationURL, "beside tenant")
		p.refuse("tokenServiceUrl", a.TokenServiceURL, "beside tenant")
	case a.AuthorizationURL != "":
		p.need("tokenServiceUrl", a.TokenServiceURL, "set both URLs, or none")
	case a.TokenServiceURL != "":
		p.need("authorizationUrl", a.AuthorizationURL, "set both URLs, or none")
	}
	if strings.ContainsFunc(a.Tenant, func(r rune) bool {
		return r != '-' && r != '.' && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
	}) {
		p.add("tenant", "must be a tenant's id or domain")
	}
}

func (a *AuthorizationCode) facts() facts {
	return facts{description: a.Description, tokenServiceURL: cleanURL(a.unauthenticated().TokenURL), clientID: a.ClientID,
		user: a.UserName, keyPairAlias: a.KeyPairAlias}
}

// config returns the configuration of the grant, to be completed by the store, which also says whether plain http may be used.
// It needs the key pair that KeyPairAlias names, if it names one.
func (a *AuthorizationCode) config(pair *tls.Certificate) (*authcode.Config, error) {
	auth, err := a.authentication().with(pair)
	if err != nil {
		return nil, err
	}
	cfg := a.unauthenticated()
	cfg.Auth, cfg.ClientSecret = auth.Method, auth.Secret
	if a.authentication().needsKey() {
		cfg.ClientAuth = func(context.Context) (outgrant.ClientAuth, error) { return auth, nil }
	}
	return cfg, a.refused(*cfg, true)
}

func (a *AuthorizationCode) unauthenticated() *authcode.Config {
	cfg := &authcode.Config{AuthURL: a.AuthorizationURL, TokenURL: a.TokenServiceURL}
	if a.Provider == Microsoft365 {
		cfg = authcode.Microsoft365(a.Tenant)
		cfg.AuthURL = cmp.Or(a.AuthorizationURL, cfg.AuthURL)
		cfg.TokenURL = cmp.Or(a.TokenServiceURL, cfg.TokenURL)
	}
	if a.RefreshTokenExpiryDays != 0 {
		cfg.RefreshTokenExpiry = time.Duration(a.RefreshTokenExpiryDays) * 24 * time.Hour
	}
	cfg.Name, cfg.User, cfg.ClientID, cfg.RedirectURL = a.Name, a.UserName, a.ClientID, a.RedirectURL
	cfg.Scopes = append(cfg.Scopes, strings.Fields(a.Scope)...)
	cfg.ScopeOnRefresh = cfg.ScopeOnRefresh || a.ScopeOnRefresh
	cfg.ScopeInURL, cfg.DisablePKCE = a.ScopeInURL, a.DisablePKCE
	cfg.Issuer, cfg.RevocationURL = cmp.Or(a.Issuer, cfg.Issuer), cmp.Or(a.RevocationURL, cfg.RevocationURL)
	return cfg
}

func (a *AuthorizationCode) grant(allowInsecureHTTP bool) error {
	cfg := a.unauthenticated()
	cfg.ClientAuth = func(context.Context) (outgrant.ClientAuth, error) { return outgrant.ClientAuth{}, errNoKeyYet }
	return a.refused(*cfg, allowInsecureHTTP)
}

// refused returns why the grant refuses the configuration, short of the vault that the store adds.
func (*AuthorizationCode) refused(cfg authcode.Config, allowInsecureHTTP bool) error {
	cfg.AllowInsecureHTTP, cfg.Vault = allowInsecureHTTP, authcode.NewMemoryVault()
	_, err := authcode.New(&cfg)
	return inMembers(err, []string{"authcode: "}, authorizationCodeMembers)
}

var authorizationCodeMembers = withAuthMembers(map[string]string{
	"Name": "name", "AuthURL": "authorizationUrl", "TokenURL": "tokenServiceUrl", "RevocationURL": "revocationUrl", "RedirectURL": "redirectUrl",
	"RefreshTokenExpiry": "refreshTokenExpiryDays", "ClientID": "clientId", "Auth": "sendAs", "Scopes": "scope", "Issuer": "issuer",
})
