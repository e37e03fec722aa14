package credstore

import (
	"crypto/tls"
	"time"
)

var (
	CheckName      = checkName
	Encode         = encode
	Decode         = decode
	WithoutSecrets = withoutSecrets
)

// Check does what Deploy does to an artifact before it is stored, and returns the copy that is stored.
func Check(a Artifact) (Artifact, error) {
	c, err := copyOf(a)
	if err != nil {
		return nil, err
	}
	return c, check(c, false)
}

// CheckInsecure does what Deploy does where plain http is allowed.
func CheckInsecure(a Artifact) error { return check(a.clone(), true) }

// ConfigOf returns the configuration of an artifact's grant; nil if it has none.
func ConfigOf(a Artifact, pair *tls.Certificate) (any, error) {
	switch a := a.(type) {
	case *ClientCredentials:
		return a.config(pair)
	case *SAMLBearerAssertion:
		return a.config(pair)
	case *AuthorizationCode:
		return a.config(pair)
	}
	return nil, nil
}

func (a *KeyPair) Certificate() (*tls.Certificate, error) { return a.certificate() }

// Facts are what lists show.
type Facts = facts

func FactsOf(a Artifact) Facts { return a.clone().facts() }

// Shown returns the facts as a table has them.
func (f facts) Shown() [5]string {
	return [5]string{f.description, f.tokenServiceURL, f.clientID, f.user, f.keyPairAlias}
}

func (f facts) ForUsers() bool { return f.principalPropagation }

func (f facts) Expires() time.Time { return f.expires }
