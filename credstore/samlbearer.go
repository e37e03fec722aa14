package credstore

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"maps"
	"strings"
	"sync"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/internal/keypair"
	"github.com/outgrant/outgrant/samlbearer"
)

// SAMLBearerAssertion is an OAuth2 SAML Bearer Assertion artifact: tokens for the user who called, or for one technical
// user, by assertions that a key pair signs (RFC 7522). It prints its name.
type SAMLBearerAssertion struct {
	Name, Description string

	// Audience is what the token service calls itself. Default www.successfactors.com for SuccessFactors; else required.
	Audience string

	// ClientKey is the API key or client id that the token service knows the program by. Default TokenServiceUser.
	ClientKey string

	// TokenServiceURL is where tokens come from: absolute, https (http to this machine only). It may carry a query.
	TokenServiceURL string

	// TargetSystemType is SuccessFactors, BTPNeo, BTPCloudFoundry, or Generic for what follows RFC 7522, such as S/4HANA.
	TargetSystemType string

	// CompanyID is for SuccessFactors, and required there.
	CompanyID string

	// UserID is PrincipalPropagation or KeyPairCommonName. Default PrincipalPropagation.
	UserID string

	// UserIDSource is the claim that has the id of the user who called, such as mail or email: see
	// [SAMLBearerAssertion.Principal]. Default "": as fits NameIDFormat.
	UserIDSource string

	// KeyPairAlias is the name of the [KeyPair] that signs the assertions. Required.
	KeyPairAlias string

	// TokenServiceUser and TokenServicePassword authenticate the client, but not for SuccessFactors, which goes by the
	// signature. They are required for BTP; the default of the user is ClientKey.
	TokenServiceUser     string
	TokenServicePassword outgrant.Secret

	// Issuer is who makes the assertions. Default ClientKey; required for BTPCloudFoundry: the entity id of an identity
	// provider that the subaccount trusts.
	Issuer string

	// Recipient is where assertions are sent. Default TokenServiceURL.
	Recipient string

	// NameIDFormat is how users are named, such as [samlbearer.NameIDEmailAddress]. Default unspecified. NameQualifier is
	// their security domain. Default none.
	NameIDFormat, NameQualifier string

	// AuthnContextClassRef is how users were authenticated. Default as fits the target system.
	AuthnContextClassRef string

	// Attributes go into every assertion, such as use_username. Default none.
	Attributes map[string]string

	// SAMLAssertionEncoding is Base64 or Base64URL. Default as fits the target system.
	SAMLAssertionEncoding string

	// OmitSigningCertificate leaves the certificate out of the signature: includeSigningCertificate is false in JSON then.
	OmitSigningCertificate bool

	// Scope has the scopes that are asked for, separated by blanks. Default "".
	Scope string
}

// The words of [SAMLBearerAssertion].
const (
	SuccessFactors  = "SuccessFactors"
	BTPNeo          = "BTP Neo"
	BTPCloudFoundry = "BTP CF"

	PrincipalPropagation = "Principal Propagation"
	KeyPairCommonName    = "Key Pair Common Name"

	Base64    = "base64"
	Base64URL = "base64url"
)

// ArtifactName returns the name.
func (a SAMLBearerAssertion) ArtifactName() string { return a.Name }

// Type returns OAuth2 SAML Bearer Assertion.
func (a SAMLBearerAssertion) Type() string { return typeSAMLBearerAssertion }

// PropagatesPrincipal reports whether tokens are for the user who called. Otherwise they are for the technical user: the one
// common name in the key pair's certificate.
func (a SAMLBearerAssertion) PropagatesPrincipal() bool { return a.UserID != KeyPairCommonName }

// Principal returns the id of the user whom verified claims name, by the artifact's UserIDSource and NameIDFormat: see
// [samlbearer.PrincipalFromClaims].
func (a SAMLBearerAssertion) Principal(claims map[string]any) (string, error) {
	return samlbearer.PrincipalFromClaims(claims, a.UserIDSource, a.NameIDFormat)
}

func (a SAMLBearerAssertion) clone() artifact {
	a.Attributes = maps.Clone(a.Attributes)
	return &a
}

func (a *SAMLBearerAssertion) members() []member {
	return []member{
		{"type", typeField(typeSAMLBearerAssertion)},
		{"name", nameField{to: &a.Name}},
		{"description", textField{&a.Description, maxDescription}},
		{"audience", textField{to: &a.Audience}},
		{"clientKey", textField{to: &a.ClientKey}},
		{"tokenServiceUrl", textField{to: &a.TokenServiceURL}},
		{"targetSystemType", wordField{&a.TargetSystemType, targetSystemTypes}},
		{"companyId", textField{to: &a.CompanyID}},
		{"userId", wordField{&a.UserID, []string{PrincipalPropagation, KeyPairCommonName}}},
		{"userIdSource", textField{to: &a.UserIDSource}},
		{"keyPairAlias", nameField{&a.KeyPairAlias, true}},
		{"tokenServiceUser", textField{to: &a.TokenServiceUser}},
		{"tokenServicePassword", secretField{to: &a.TokenServicePassword}},
		{"issuer", textField{to: &a.Issuer}},
		{"recipient", textField{to: &a.Recipient}},
		{"nameIdFormat", textField{to: &a.NameIDFormat}},
		{"nameQualifier", textField{to: &a.NameQualifier}},
		{"authnContextClassRef", textField{to: &a.AuthnContextClassRef}},
		{"attributes", textsField{&a.Attributes}},
		{"samlAssertionEncoding", wordField{&a.SAMLAssertionEncoding, []string{Base64, Base64URL}}},
		{"includeSigningCertificate", flagField{&a.OmitSigningCertificate, true}},
		{"scope", textField{to: &a.Scope}},
	}
}

var targetSystemTypes = []string{SuccessFactors, BTPNeo, BTPCloudFoundry, Generic}

func (a *SAMLBearerAssertion) rules(p *problems) {
	p.scopes(a.Scope)
	p.need("tokenServiceUrl", a.TokenServiceURL, "")
	p.need("targetSystemType", a.TargetSystemType, "use "+choice(targetSystemTypes))
	p.need("keyPairAlias", a.KeyPairAlias, "name the Key Pair artifact that signs the assertions")
	p.need("clientKey", a.ClientKey+a.TokenServiceUser, "")
	switch a.TargetSystemType {
	case SuccessFactors:
		const with = "for SuccessFactors, which goes by the signature"
		p.need("companyId", a.CompanyID, "")
		p.refuse("tokenServiceUser", a.TokenServiceUser, with)
		p.refuse("tokenServicePassword", a.TokenServicePassword.Reveal(), with)
	case BTPNeo, BTPCloudFoundry, Generic:
		p.refuse("companyId", a.CompanyID, "for another target system than SuccessFactors")
		p.need("audience", a.Audience, "it is what the token service calls itself")
		if a.TargetSystemType != Generic || a.TokenServiceUser != "" {
			p.need("tokenServicePassword", a.TokenServicePassword.Reveal(), "")
		}
	}
	if a.TargetSystemType == BTPCloudFoundry {
		p.need("issuer", a.Issuer, "it is the entity id of the identity provider that the subaccount trusts")
	}
	if !a.PropagatesPrincipal() {
		p.refuse("userIdSource", a.UserIDSource, "with userId "+KeyPairCommonName)
	}
	if strings.HasPrefix(a.UserIDSource, "$") {
		p.add("userIdSource", "a JSONPath cannot be used: name a claim")
	}
	for name := range a.Attributes {
		if name == "" {
			p.add("attributes", "a name is empty")
		}
	}
}

func (a *SAMLBearerAssertion) facts() facts {
	f := facts{description: a.Description, tokenServiceURL: cleanURL(a.TokenServiceURL), clientID: a.ClientKey, keyPairAlias: a.KeyPairAlias}
	f.principalPropagation = a.PropagatesPrincipal()
	if f.clientID == "" {
		f.clientID = a.TokenServiceUser
	}
	return f
}

// config returns the configuration of the grant, to be completed by the store, which also says whether plain http may be used.
// It needs the key pair that KeyPairAlias names.
func (a *SAMLBearerAssertion) config(pair *tls.Certificate) (*samlbearer.Config, error) {
	if pair == nil {
		return nil, problem{at: "keyPairAlias", what: "the key pair is missing"}
	}
	key, _ := pair.PrivateKey.(crypto.Signer)
	leaf, err := keypair.Leaf(pair)
	if err != nil {
		return nil, problem{at: "keyPairAlias", what: err.Error(), cause: err}
	}
	signer := a.signer()
	signer.Key, signer.Certificate = key, leaf
	cfg := a.unsigned()
	cfg.Assertions = signer
	err = a.refused(*cfg, true)
	if err == nil && !a.PropagatesPrincipal() {
		_, err = signer.TechnicalUser()
		err = inSAMLMembers(err)
	}
	return cfg, err
}

func (a *SAMLBearerAssertion) unsigned() *samlbearer.Config {
	return &samlbearer.Config{Name: a.Name, Target: a.target(), TokenURL: a.TokenServiceURL, ClientKey: a.ClientKey, Scopes: strings.Fields(a.Scope)}
}

func (a *SAMLBearerAssertion) target() (t samlbearer.Target) {
	switch a.TargetSystemType {
	case SuccessFactors:
		t = samlbearer.SuccessFactors(a.CompanyID)
	case BTPNeo:
		t = samlbearer.BTPNeo(a.TokenServiceUser, a.TokenServicePassword)
	case BTPCloudFoundry:
		t = samlbearer.BTPCloudFoundry(a.TokenServiceUser, a.TokenServicePassword)
	default:
		t = samlbearer.Target{Name: Generic, User: a.TokenServiceUser, Password: a.TokenServicePassword, ClientIDInBody: true}
		if a.TokenServicePassword == "" {
			t.Auth = outgrant.None
		}
	}
	switch a.SAMLAssertionEncoding {
	case Base64:
		t.Encoding = samlbearer.Base64
	case Base64URL:
		t.Encoding = samlbearer.Base64URL
	}
	return t
}

// signer returns the signer without its key.
func (a *SAMLBearerAssertion) signer() samlbearer.Signer {
	s := samlbearer.Signer{
		Issuer: a.Issuer, Audience: a.Audience, Recipient: a.Recipient, NameIDFormat: a.NameIDFormat, NameQualifier: a.NameQualifier,
		AuthnContext: a.AuthnContextClassRef, OmitCertificate: a.OmitSigningCertificate,
	}
	for name, value := range a.Attributes {
		if s.Attributes == nil {
			s.Attributes = map[string][]string{}
		}
		s.Attributes[name] = []string{value}
	}
	return s
}

// anyKey is in place of the key that an artifact does not have yet when it is checked. It signs nothing.
var anyKey = sync.OnceValues(func() (*ecdsa.PrivateKey, error) { return ecdsa.GenerateKey(elliptic.P256(), rand.Reader) })

func (a *SAMLBearerAssertion) grant(allowInsecureHTTP bool) error {
	key, err := anyKey()
	if err != nil {
		return err
	}
	signer := a.signer()
	signer.Key, signer.OmitCertificate = key, true
	cfg := a.unsigned()
	cfg.Assertions = signer
	return a.refused(*cfg, allowInsecureHTTP)
}

// refused returns why the grant refuses the configuration.
func (*SAMLBearerAssertion) refused(cfg samlbearer.Config, allowInsecureHTTP bool) error {
	cfg.AllowInsecureHTTP = allowInsecureHTTP
	_, err := samlbearer.New(&cfg)
	return inSAMLMembers(err)
}

func inSAMLMembers(err error) error {
	return inMembers(err, []string{"samlbearer: ", "Assertions: "}, samlBearerMembers)
}

var samlBearerMembers = map[string]string{
	"TokenURL": "tokenServiceUrl", "ClientKey": "clientKey", "ClientID": "clientKey", "Scopes": "scope",
	"Target.Fields: company_id": "companyId", "Target.Password": "tokenServicePassword",
	"Signer.Key": "keyPairAlias", "Signer.Certificate": "keyPairAlias", "Signer.Issuer": "issuer", "Signer.Audience": "audience",
	"Signer.Recipient": "recipient", "Signer.NameIDFormat": "nameIdFormat", "Signer.NameQualifier": "nameQualifier",
	"Signer.AuthnContext": "authnContextClassRef", "Signer.Attributes": "attributes",
}
