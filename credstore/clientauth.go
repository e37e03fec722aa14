package credstore

import (
	"cmp"
	"crypto"
	"crypto/tls"
	"errors"
	"time"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/internal/tokenclient"
)

// clientAuthentication is how a client authenticates, as two types of artifact have it.
type clientAuthentication struct {
	member                       string // what the artifact calls how
	how                          string
	secret                       outgrant.Secret
	keyPairAlias                 string
	keyID, algorithm, assertedTo string // for WithPrivateKeyJWT
}

// signatureAlgorithms are those of client assertions. Which of them fit a key is seen when there is one.
var signatureAlgorithms = []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}

func (c clientAuthentication) rules(p *problems) {
	with := "with " + c.member + " " + cmp.Or(c.how, InBody)
	switch c.how {
	case "", InBody, InHeader:
		p.need("clientSecret", c.secret.Reveal(), "")
		p.refuse("keyPairAlias", c.keyPairAlias, with)
	case WithoutSecret:
		p.refuse("clientSecret", c.secret.Reveal(), with)
		p.refuse("keyPairAlias", c.keyPairAlias, with)
	case WithCertificate, WithPrivateKeyJWT:
		p.refuse("clientSecret", c.secret.Reveal(), with)
		p.need("keyPairAlias", c.keyPairAlias, "name the Key Pair artifact that has the client's key")
	default:
		return // there is a problem with it already
	}
	if c.how != WithPrivateKeyJWT {
		p.refuse("keyId", c.keyID, with)
		p.refuse("signatureAlgorithm", c.algorithm, with)
		p.refuse("assertionAudience", c.assertedTo, with)
	}
}

func (c clientAuthentication) needsKey() bool {
	return c.how == WithCertificate || c.how == WithPrivateKeyJWT
}

func (c clientAuthentication) method() outgrant.AuthMethod {
	switch c.how {
	case InHeader:
		return outgrant.ClientSecretBasic
	case WithCertificate:
		return outgrant.TLSClientAuth
	case WithPrivateKeyJWT:
		return outgrant.PrivateKeyJWT
	case WithoutSecret:
		return outgrant.None
	}
	return outgrant.ClientSecretPost
}

// with returns the client authentication, which needs the key pair that keyPairAlias names, if it names one.
func (c clientAuthentication) with(pair *tls.Certificate) (outgrant.ClientAuth, error) {
	auth := outgrant.ClientAuth{Method: c.method(), Secret: c.secret}
	if !c.needsKey() {
		return auth, nil
	}
	if pair == nil {
		return auth, problem{at: "keyPairAlias", what: "the key pair is missing"}
	}
	key, ok := pair.PrivateKey.(crypto.Signer)
	switch {
	case !ok:
		return auth, problem{at: "keyPairAlias", what: "the key pair has no key that signs"}
	case c.how == WithCertificate:
		auth.Certificate = pair
	default:
		auth.Key, auth.KeyID, auth.Algorithm, auth.Audience = key, c.keyID, c.algorithm, c.assertedTo
	}
	return auth, inMembers(tokenclient.CheckAuth(auth, time.Now()), nil, authMembers)
}

var authMembers = map[string]string{
	"ClientSecret": "clientSecret", "Certificate": "keyPairAlias", "Key": "keyPairAlias", "Algorithm": "signatureAlgorithm",
}

// errNoKeyYet is in place of a key pair where an artifact is checked without one.
var errNoKeyYet = errors.New("no key pair yet")
