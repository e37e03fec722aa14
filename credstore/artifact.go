package credstore

import (
	"errors"
	"fmt"
	"net/url"
	"reflect"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/outgrant/outgrant/internal/origin"
)

// Artifact is a credential, as it is deployed under a name: a [ClientCredentials], a [SAMLBearerAssertion], an
// [AuthorizationCode], a [SecureParameter] or a [KeyPair], or a pointer to one. There are no others. Its fields are SAP's
// attributes, and a few of our own; what is left out takes SAP's default for a new artifact.
//
// In JSON ([ParseArtifacts], [LoadArtifacts]) an artifact is an object with its type, and a member for each field: the field's
// name in lower camel case, where abbreviations are words, such as tokenServiceUrl for TokenServiceURL, keyId for KeyID and
// pkcs12 for PKCS12. Where a member is called otherwise, its field says so. The example of LoadArtifacts has one of each type.
//
// A name has 1 to 255 printable characters, none of them / or \, does not begin or end with a blank, and is not . or ..;
// names that differ in case alone are different ones.
type Artifact interface {
	// ArtifactName returns the name that it is deployed under.
	ArtifactName() string

	// Type returns the type, in SAP's words, such as OAuth2 Client Credentials.
	Type() string

	// clone returns a copy that shares nothing with the artifact.
	clone() artifact
}

// The words that attributes have in common. "" stands for an attribute's default.
const (
	InBody   = "body"   // in the body of the token request
	InHeader = "header" // in a header of the token request
	InURL    = "url"    // in the URL of the token request

	WithCertificate   = "certificate"   // a TLS client certificate (RFC 8705)
	WithPrivateKeyJWT = "privateKeyJwt" // a signed assertion (RFC 7523)
	WithoutSecret     = "none"          // a public client

	Generic = "Generic" // what no other word is for
)

const (
	typeClientCredentials   = "OAuth2 Client Credentials"
	typeSAMLBearerAssertion = "OAuth2 SAML Bearer Assertion"
	typeAuthorizationCode   = "OAuth2 Authorization Code"
	typeSecureParameter     = "Secure Parameter"
	typeKeyPair             = "Key Pair"
)

var types = []string{typeClientCredentials, typeSAMLBearerAssertion, typeAuthorizationCode, typeSecureParameter, typeKeyPair}

// artifact is what this package does with an artifact. Pointers to the five types are ones.
type artifact interface {
	Artifact

	// members are the attributes, in the order in which they are written.
	members() []member

	// rules are the rules that no attribute has for itself.
	rules(p *problems)

	// grant returns what the constructor of the grant would refuse, in the artifact's terms. It is asked when all else is
	// right.
	grant(allowInsecureHTTP bool) error

	facts() facts
}

// facts are what lists show of an artifact. None of them is a secret.
type facts struct {
	description          string
	tokenServiceURL      string // without query
	clientID             string
	user                 string // whose resources an authorization code opens
	keyPairAlias         string // the key pair that it needs, or ""
	principalPropagation bool
	expires, endsSoon    time.Time // when a key pair's certificate ends, and from when on that is soon
}

func newArtifact(typ string) artifact {
	switch typ {
	case typeClientCredentials:
		return &ClientCredentials{}
	case typeSAMLBearerAssertion:
		return &SAMLBearerAssertion{}
	case typeAuthorizationCode:
		return &AuthorizationCode{}
	case typeSecureParameter:
		return &SecureParameter{}
	case typeKeyPair:
		return &KeyPair{}
	}
	return nil
}

// copyOf returns a copy of the caller's artifact, which may be a value or a pointer.
func copyOf(a Artifact) (artifact, error) {
	if v := reflect.ValueOf(a); a == nil || v.Kind() == reflect.Pointer && v.IsNil() {
		return nil, errors.New("artifact: nil")
	}
	return a.clone(), nil
}

// check returns all that is wrong with an artifact, one problem a line: the artifact's name, the member, and what it is.
func check(a artifact, allowInsecureHTTP bool) error {
	var p problems
	p.addArtifact(a, allowInsecureHTTP)
	if checkName(a.ArtifactName()) != nil {
		return p.join("")
	}
	return p.join(strconv.Quote(a.ArtifactName()) + ": ")
}

// attributeProblems returns what is wrong with an artifact, short of what its grant says.
func attributeProblems(a artifact) (p problems) {
	for _, m := range a.members() {
		m.check(&p, m.name)
	}
	a.rules(&p)
	return p
}

const (
	maxName        = 255
	maxDescription = 1024
	maxText        = 16 << 10
	maxKeyText     = 64 << 10
	maxTexts       = 100
)

// checkName returns what is wrong with the name of an artifact.
func checkName(name string) error {
	switch n := utf8.RuneCountInString(name); {
	case name == "":
		return errors.New("missing")
	case !utf8.ValidString(name):
		return errors.New("not UTF-8")
	case n > maxName:
		return fmt.Errorf("%d characters; at most %d are allowed", n, maxName)
	case strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsGraphic(r) || r == utf8.RuneError }):
		return errors.New("has a character that cannot be printed")
	case strings.TrimSpace(name) != name:
		return errors.New("must not begin or end with a blank")
	case strings.ContainsAny(name, `/\`):
		return errors.New(`must not contain / or \`)
	case name == "." || name == "..":
		return errors.New("must not be . or ..")
	}
	return nil
}

// cleanURL returns a URL as lists show it: without userinfo and query.
func cleanURL(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return ""
	}
	return origin.Clean(u)
}
