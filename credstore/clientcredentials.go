package credstore

import (
	"context"
	"crypto/tls"
	"maps"
	"slices"
	"strings"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/clientcredentials"
)

// ClientCredentials is an OAuth2 Client Credentials artifact: a client that acts for itself (RFC 6749 4.4). It prints its
// name.
type ClientCredentials struct {
	Name, Description string

	// TokenServiceURL is where tokens come from: absolute, https (http to this machine only). It may carry a query.
	TokenServiceURL string

	ClientID     string
	ClientSecret outgrant.Secret

	// ClientAuthentication is InBody, InHeader, WithCertificate or WithPrivateKeyJWT. Default InBody.
	ClientAuthentication string

	// GrantType is where grant_type is sent: InBody or InURL. Default InBody.
	GrantType string

	// Scope has the scopes that are asked for, separated by blanks. Default "".
	Scope string

	// ContentType is of the token request: FormContent or JSONContent. Default FormContent.
	ContentType string

	// Resource (RFC 8707) and Audience name the receiver, where the token service wants that. Default "".
	Resource, Audience string

	// CustomParameters are sent too, at most 20 of them. Default nil.
	CustomParameters []CustomParameter

	// KeyPairAlias is the name of the [KeyPair] whose certificate or key authenticates the client.
	KeyPairAlias string

	// KeyID, SignatureAlgorithm and AssertionAudience are for WithPrivateKeyJWT. Defaults: no kid; RS256, ES256, ES384, ES512
	// or EdDSA, as fits the key; TokenServiceURL.
	KeyID, SignatureAlgorithm, AssertionAudience string
}

// The content types of a token request.
const (
	FormContent = "application/x-www-form-urlencoded"
	JSONContent = "application/json"
)

// maxCustomParameters is what the grant allows. There is no need to look at more.
const maxCustomParameters = 20

// CustomParameter is one more parameter of the token request. The rules are those of [clientcredentials.Param]. It prints
// its key and place.
type CustomParameter struct {
	Key   string
	Value outgrant.Secret

	// SendAs is where it is sent: InBody, InHeader or InURL. Default InBody.
	SendAs string
}

func (c *CustomParameter) members() []member {
	return []member{
		{"key", textField{to: &c.Key}},
		{"value", secretField{to: &c.Value}},
		{"sendAs", wordField{&c.SendAs, []string{InBody, InHeader, InURL}}},
	}
}

// ArtifactName returns the name.
func (a ClientCredentials) ArtifactName() string { return a.Name }

// Type returns OAuth2 Client Credentials.
func (a ClientCredentials) Type() string { return typeClientCredentials }

func (a ClientCredentials) clone() artifact {
	a.CustomParameters = slices.Clone(a.CustomParameters)
	return &a
}

func (a *ClientCredentials) members() []member {
	return []member{
		{"type", typeField(typeClientCredentials)},
		{"name", nameField{to: &a.Name}},
		{"description", textField{&a.Description, maxDescription}},
		{"tokenServiceUrl", textField{to: &a.TokenServiceURL}},
		{"clientId", textField{to: &a.ClientID}},
		{"clientSecret", secretField{to: &a.ClientSecret}},
		{"clientAuthentication", wordField{&a.ClientAuthentication, []string{InBody, InHeader, WithCertificate, WithPrivateKeyJWT}}},
		{"grantType", wordField{&a.GrantType, []string{InBody, InURL}}},
		{"scope", textField{to: &a.Scope}},
		{"contentType", wordField{&a.ContentType, []string{FormContent, JSONContent}}},
		{"resource", textField{to: &a.Resource}},
		{"audience", textField{to: &a.Audience}},
		{"customParameters", listField{
			length: func() int { return len(a.CustomParameters) },
			grow:   func() { a.CustomParameters = append(a.CustomParameters, CustomParameter{}) },
			at:     func(i int) []member { return a.CustomParameters[i].members() },
			of:     "a custom parameter",
		}},
		{"keyPairAlias", nameField{&a.KeyPairAlias, true}},
		{"keyId", textField{to: &a.KeyID}},
		{"signatureAlgorithm", wordField{&a.SignatureAlgorithm, signatureAlgorithms}},
		{"assertionAudience", textField{to: &a.AssertionAudience}},
	}
}

func (a *ClientCredentials) authentication() clientAuthentication {
	return clientAuthentication{"clientAuthentication", a.ClientAuthentication, a.ClientSecret,
		a.KeyPairAlias, a.KeyID, a.SignatureAlgorithm, a.AssertionAudience}
}

func (a *ClientCredentials) rules(p *problems) {
	p.scopes(a.Scope)
	p.need("tokenServiceUrl", a.TokenServiceURL, "")
	p.need("clientId", strings.TrimSpace(a.ClientID), "")
	a.authentication().rules(p)
	for i, c := range a.CustomParameters {
		p.need(listPlace("customParameters", i, "value"), c.Value.Reveal(), "")
	}
}

func (a *ClientCredentials) facts() facts {
	return facts{description: a.Description, tokenServiceURL: cleanURL(a.TokenServiceURL), clientID: a.ClientID, keyPairAlias: a.KeyPairAlias}
}

// config returns the configuration of the grant, to be completed by the store, which also says whether plain http may be used.
// It needs the key pair that KeyPairAlias names, if it names one.
func (a *ClientCredentials) config(pair *tls.Certificate) (*clientcredentials.Config, error) {
	auth, err := a.authentication().with(pair)
	if err != nil {
		return nil, err
	}
	cfg := a.unauthenticated()
	cfg.Auth, cfg.ClientSecret, cfg.Certificate = auth.Method, auth.Secret, auth.Certificate
	cfg.Key, cfg.KeyID, cfg.Algorithm, cfg.AssertionAudience = auth.Key, auth.KeyID, auth.Algorithm, auth.Audience
	return cfg, a.refused(*cfg, true)
}

func (a *ClientCredentials) unauthenticated() *clientcredentials.Config {
	cfg := &clientcredentials.Config{
		Name: a.Name, TokenURL: a.TokenServiceURL, ClientID: a.ClientID, GrantTypeInURL: a.GrantType == InURL, JSONBody: a.ContentType == JSONContent,
		Scopes: strings.Fields(a.Scope), Resource: a.Resource, Audience: a.Audience,
	}
	places := map[string]clientcredentials.Place{InHeader: clientcredentials.InHeader, InURL: clientcredentials.InURL}
	for _, c := range a.CustomParameters {
		cfg.Params = append(cfg.Params, clientcredentials.Param{Key: c.Key, Value: c.Value.Reveal(), In: places[c.SendAs]})
	}
	return cfg
}

func (a *ClientCredentials) grant(allowInsecureHTTP bool) error {
	cfg := a.unauthenticated()
	cfg.ClientAuth = func(context.Context) (outgrant.ClientAuth, error) { return outgrant.ClientAuth{}, errNoKeyYet }
	return a.refused(*cfg, allowInsecureHTTP)
}

// refused returns why the grant refuses the configuration.
func (*ClientCredentials) refused(cfg clientcredentials.Config, allowInsecureHTTP bool) error {
	cfg.AllowInsecureHTTP = allowInsecureHTTP
	_, err := clientcredentials.New(&cfg)
	return inMembers(err, []string{"clientcredentials: "}, clientCredentialsMembers)
}

var clientCredentialsMembers = withAuthMembers(map[string]string{
	"TokenURL": "tokenServiceUrl", "ClientID": "clientId", "Auth": "clientAuthentication", "Scopes": "scope",
	"Params": "customParameters", "Params[]": "customParameters[]",
	"Params[]: Key": "customParameters[].key", "Params[]: Value": "customParameters[].value", "Params[]: In": "customParameters[].sendAs",
})

func withAuthMembers(m map[string]string) map[string]string {
	maps.Copy(m, authMembers)
	return m
}
