package console

import (
	"cmp"
	"regexp"
	"unicode"
	"unicode/utf8"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/adapters"
	"github.com/outgrant/outgrant/credstore"
)

// about is what people are told of an attribute.
type about struct {
	Label, Hint string
	Default     string // what a choice is where none is made; "": it has to be made
	Group       string // "": it is among the first
	Rows        bool   // it is long: several lines
	Required    bool   // no artifact of the type does without it
	Most        int    // of Objects: how many there can be
}

// The groups of attributes that most artifacts do without.
const (
	parametersGroup = "Custom parameters"
	keyGroup        = "Client authentication by a key pair"
	assertionGroup  = "The assertion"
	providerGroup   = "What some providers need"
)

const (
	secretHint = "It is never shown: enter it again with each change."
	scopeHint  = "Separated by blanks."
	fitsTheKey = "As fits the key"
)

// attributes tells of attributes by their names; one that is another thing in some type has that before it.
var attributes = map[string]about{
	"name":        {Label: "Name", Required: true, Hint: "Programs refer to it by this name, which cannot be changed later."},
	"description": {Label: "Description", Rows: true},

	"tokenServiceUrl":      {Label: "Token service URL", Required: true, Hint: "Where tokens come from: https."},
	"clientId":             {Label: "Client ID", Required: true},
	"clientSecret":         {Label: "Client secret", Hint: secretHint + " A client that authenticates by a key pair has none."},
	"clientAuthentication": {Label: "Client authentication", Default: "body"},
	"grantType":            {Label: "Grant type", Default: "body", Hint: "Where grant_type is sent. Only old SAP services want it in the URL."},
	"scope":                {Label: "Scope", Hint: scopeHint},
	"contentType":          {Label: "Content type", Default: "application/x-www-form-urlencoded"},
	"resource":             {Label: "Resource", Hint: "The receiver, where the token service wants that (RFC 8707)."},
	"audience":             {Label: "Audience", Hint: "The receiver, where the token service wants that."},

	"customParameters":        {Label: "Custom parameters", Group: parametersGroup, Most: 20, Hint: "Sent with each token request. At most 20. Values are never shown: enter them again with each change."},
	"customParameters.key":    {Label: "Key"},
	"customParameters.value":  {Label: "Value"},
	"customParameters.sendAs": {Label: "Send as part of", Default: "body"},

	"keyPairAlias":       {Label: "Key pair alias", Group: keyGroup, Hint: "The name of a key pair, which may be deployed later."},
	"keyId":              {Label: "Key ID", Group: keyGroup, Hint: "The kid of signed assertions."},
	"signatureAlgorithm": {Label: "Signature algorithm", Group: keyGroup, Default: fitsTheKey},
	"assertionAudience":  {Label: "Assertion audience", Group: keyGroup, Hint: "Default: the token service URL."},

	saml + "/audience":          {Label: "Audience", Hint: "What the token service calls itself. Default for SuccessFactors: www.successfactors.com."},
	saml + "/keyPairAlias":      {Label: "Key pair alias", Required: true, Hint: "The name of the key pair that signs the assertions. It may be deployed later."},
	"clientKey":                 {Label: "Client key", Hint: "The API key or client id. Default: the token service user."},
	"targetSystemType":          {Label: "Target system type", Required: true},
	"companyId":                 {Label: "Company ID", Hint: "For SuccessFactors."},
	"userId":                    {Label: "User ID", Default: "Principal Propagation", Hint: "Whom tokens are for: the user of each call, or the technical user whom the certificate names."},
	"userIdSource":              {Label: "User ID source", Hint: "The claim that has the id of the user, such as mail or email."},
	"tokenServiceUser":          {Label: "Token service user", Hint: "For BTP, and what else wants one. Default: the client key."},
	"tokenServicePassword":      {Label: "Token service password", Hint: secretHint},
	saml + "/issuer":            {Label: "Issuer", Group: assertionGroup, Hint: "Who makes the assertions. Required for BTP CF: the entity id of the trusted identity provider."},
	"recipient":                 {Label: "Recipient", Group: assertionGroup, Hint: "Default: the token service URL."},
	"nameIdFormat":              {Label: "Name ID format", Group: assertionGroup, Hint: "Default: unspecified."},
	"nameQualifier":             {Label: "Name qualifier", Group: assertionGroup},
	"authnContextClassRef":      {Label: "Authentication context class", Group: assertionGroup, Hint: "Default: as fits the target system."},
	"attributes":                {Label: "Attributes", Group: assertionGroup, Hint: "They go into each assertion, such as use_username."},
	"attributes.name":           {Label: "Attribute"},
	"attributes.value":          {Label: "Value"},
	"samlAssertionEncoding":     {Label: "Encoding of the assertion", Group: assertionGroup, Default: "As fits the target system"},
	"includeSigningCertificate": {Label: "Include the signing certificate", Group: assertionGroup},
	saml + "/scope":             {Label: "Scope", Group: assertionGroup, Hint: scopeHint},

	"provider":                {Label: "Provider", Default: "Generic"},
	"tenant":                  {Label: "Tenant", Hint: "Microsoft 365 only, in place of the two URLs: its id or domain."},
	"authorizationUrl":        {Label: "Authorization URL", Hint: "Where users are asked. It may have parameters of its own, such as access_type=offline. Empty for a Microsoft 365 tenant."},
	code + "/tokenServiceUrl": {Label: "Token service URL", Hint: "Where tokens come from: https. Empty for a Microsoft 365 tenant."},
	code + "/clientSecret":    {Label: "Client secret", Hint: secretHint + " A public client, or one that authenticates by a key pair, has none."},
	"refreshTokenExpiryDays":  {Label: "Refresh token expiry in days", Hint: "At least 3, and at most 90 at Microsoft 365. Empty: it never ends."},
	"redirectUrl":             {Label: "Redirect URL", Hint: "Empty: this runtime's own."},
	"sendAs":                  {Label: "Client authentication", Default: "body"},
	"userName":                {Label: "User name", Hint: "Whose resources it opens, such as that of a mailbox. Empty: whoever authorizes."},
	"pkce":                    {Label: "PKCE", Group: providerGroup},
	"scopeOnRefresh":          {Label: "Send the scope with each refresh", Group: providerGroup},
	"scopeInUrl":              {Label: "Send the scope in the URL of the code exchange", Group: providerGroup},
	"issuer":                  {Label: "Issuer", Group: providerGroup, Hint: "The provider's identifier (RFC 9207)."},
	"revocationUrl":           {Label: "Revocation URL", Group: providerGroup, Hint: "Where refresh tokens are revoked (RFC 7009)."},

	"secureParameter": {Label: "Secure parameter", Required: true, Hint: secretHint},

	"pkcs12":   {Label: "PKCS#12 file", Hint: "With the private key and its certificates (.p12, .pfx). Choose it again with each change."},
	"password": {Label: "Password of the file", Hint: secretHint},
	"pem":      {Label: "Or PEM", Hint: "The private key, not encrypted, and the certificates. " + secretHint, Rows: true},
}

// The types of artifacts.
var (
	client    = credstore.ClientCredentials{}.Type()
	saml      = credstore.SAMLBearerAssertion{}.Type()
	code      = credstore.AuthorizationCode{}.Type()
	parameter = credstore.SecureParameter{}.Type()
	keyPair   = credstore.KeyPair{}.Type()
)

// kinds tells of the types of artifacts.
var kinds = map[string]struct{ Short, Text string }{
	client:    {"Client credentials", "A client that acts for itself, with a secret, a certificate or a signing key."},
	saml:      {"SAML bearer", "Tokens for the user who calls, or for a technical user, by signed assertions: SuccessFactors, BTP and others."},
	code:      {"Authorization code", "What a user authorizes once, in a browser: a mailbox, or an API of Microsoft, Google and others."},
	parameter: {"Secure parameter", "One secret under a name, such as a key of Twitter or Facebook."},
	keyPair:   {"Key pair", "A private key with its certificates, for the artifacts that name it."},
}

// kindOf is a type in short.
func kindOf(typ string) string { return cmp.Or(kinds[typ].Short, typ, "unknown") }

// aboutOf returns what people are told of an attribute of a type.
func aboutOf(typ, name string) about {
	if special, ok := attributes[typ+"/"+name]; ok {
		return special
	}
	if known, ok := attributes[name]; ok {
		return known
	}
	return about{Label: name, Group: providerGroup} // of a newer version of the store
}

// memberName is what may be the name of an attribute in JSON, in a text: no word of the language looks like that.
var memberName = regexp.MustCompile(`\b[a-z]+[A-Z][A-Za-z]*\b`)

// inLabels has a text about attributes of a type say what people see of them.
func inLabels(typ, text string) string {
	return memberName.ReplaceAllStringFunc(text, func(name string) string {
		_, ofType := attributes[typ+"/"+name]
		if _, known := attributes[name]; known || ofType {
			return "“" + aboutOf(typ, name).Label + "”"
		}
		return wordLabel(name)
	})
}

// wordLabels are words of choices, where people know them otherwise.
var wordLabels = map[string]string{
	"body": "Body parameter", "header": "Request header", "url": "URL", "certificate": "TLS client certificate",
	"privateKeyJwt": "Signed assertion (private_key_jwt)", "none": "None: a public client",
}

func wordLabel(word string) string { return cmp.Or(wordLabels[word], word) }

// adaptersFor returns the receiver adapters that take artifacts of a type.
func adaptersFor(typ string) (fits []string) {
	grant := map[string]outgrant.Grant{
		client: outgrant.ClientCredentials, saml: outgrant.SAMLBearer, code: outgrant.AuthorizationCode, parameter: outgrant.Social,
	}[typ]
	for _, a := range adapters.All() {
		for _, taken := range a.Grants() {
			if taken == grant {
				fits = append(fits, string(a))
			}
		}
	}
	return fits
}

// capital begins a text with a capital letter.
func capital(text string) string {
	if text == "" {
		return ""
	}
	first, size := utf8.DecodeRuneInString(text)
	return string(unicode.ToUpper(first)) + text[size:]
}
