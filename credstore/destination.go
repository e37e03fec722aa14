package credstore

import (
	"maps"
	"slices"
	"strings"

	"github.com/outgrant/outgrant"
)

// destination is a destination of SAP BTP, as its cockpit and its Destination service write it. Properties that do not change
// the token request are somebody else's, such as those of the URL, of HTML5 applications, and whatever users add.
type destination struct {
	reader
	properties object
	values     map[string]string // of properties that were read
	called     map[string]string // properties by the members that they became
}

const (
	destinationClientCredentials = "OAuth2ClientCredentials"
	destinationSAMLBearer        = "OAuth2SAMLBearerAssertion"

	wrappedDestination = "destinationConfiguration" // in an answer of the Destination service, beside what is not needed
)

func isDestination(o object) bool {
	return !o.has("type") && (o.has("Authentication") || o.has(wrappedDestination))
}

// readDestination reads and checks a destination, as readElement does with an artifact.
func readDestination(o object, resolve bool) (artifact, problems) {
	if inner, wrapped := o.get(wrappedDestination).(object); wrapped {
		o = inner
	}
	d := &destination{reader: reader{resolve: resolve}, properties: o, values: map[string]string{},
		called: map[string]string{"name": "Name", "description": "Description", "tokenServiceUrl": "tokenServiceURL"}}
	a := d.artifact()
	if a == nil {
		return nil, d.problems
	}
	d.problems.merge(d.inProperties(attributeProblems(a)))
	if len(d.problems) == 0 {
		var p problems
		p.addError(a.grant(true))
		d.problems.merge(d.inProperties(p))
	}
	return a, d.problems
}

func (d *destination) artifact() artifact {
	switch authentication := d.property("Authentication"); authentication {
	case destinationClientCredentials:
		d.common()
		return d.clientCredentials()
	case destinationSAMLBearer:
		d.common()
		return d.samlBearer()
	default:
		d.problems.add("Authentication", "%s: only %s can be read", shown(authentication), choice([]string{destinationClientCredentials, destinationSAMLBearer}))
		return nil
	}
}

// common refuses what no destination may say.
func (d *destination) common() {
	if typ := d.property("Type"); typ != "" && !strings.EqualFold(typ, "HTTP") {
		d.problems.add("Type", "%s: only destinations of type HTTP can be read", shown(typ))
	}
	proxy := "ProxyType"
	if d.properties.has("tokenServiceURL.ProxyType") {
		proxy = "tokenServiceURL.ProxyType"
	}
	if typ := d.property(proxy); typ != "" && typ != "Internet" {
		d.problems.add(proxy, "%s: the token service must be reachable over the Internet: set tokenServiceURL.ProxyType to Internet if it is", shown(typ))
	}
	switch typ := d.property("tokenServiceURLType"); typ {
	case "", "Dedicated":
	case "Common":
		d.problems.add("tokenServiceURLType", "Common: which tenant is meant is not known here: put its subdomain into tokenServiceURL, and set Dedicated")
	default:
		d.problems.add("tokenServiceURLType", "%s: use Dedicated", shown(typ))
	}
	d.unsupported("clientAssertion.", "client assertions that another destination provides are not supported: deploy an artifact with clientAuthentication privateKeyJwt")
}

func (d *destination) clientCredentials() artifact {
	a := &ClientCredentials{
		Name: d.property("Name"), Description: d.property("Description"), TokenServiceURL: d.property("tokenServiceURL"),
		ClientID: d.property("clientId"), Scope: d.property("scope"),
	}
	d.clientAuthentication(a)
	for _, group := range []struct{ prefix, sendAs string }{{"tokenService.body.", InBody}, {"tokenServiceURL.headers.", InHeader}, {"tokenServiceURL.queries.", InURL}} {
		for _, p := range d.properties {
			key, found := strings.CutPrefix(p.name, group.prefix)
			if !found || len(a.CustomParameters) > maxCustomParameters {
				continue
			}
			for _, member := range []string{"key", "value", "sendAs"} {
				d.called[listPlace("customParameters", len(a.CustomParameters), member)] = placeOf(p.name)
			}
			a.CustomParameters = append(a.CustomParameters, CustomParameter{key, outgrant.Secret(d.property(p.name)), group.sendAs})
		}
	}
	return a
}

// clientAuthentication is SAP's: a key store comes first, then the user and password of the token service, then the client id
// and secret.
func (d *destination) clientAuthentication(a *ClientCredentials) {
	user, password := d.property("tokenServiceUser"), outgrant.Secret(d.property("tokenServicePassword"))
	inBody := d.flag("tokenService.addClientCredentialsInBody", true)
	d.called["clientAuthentication"] = "tokenService.addClientCredentialsInBody"
	d.called["keyPairAlias"] = "tokenService.KeyStoreLocation"
	if alias := d.property("tokenService.KeyStoreLocation"); alias != "" {
		a.ClientAuthentication, a.KeyPairAlias = WithCertificate, alias
		return
	}
	switch {
	case user == "":
		a.ClientSecret = d.secret("clientSecret")
		if !inBody {
			a.ClientAuthentication = InHeader
		}
		return
	case inBody && user != a.ClientID:
		d.problems.add("tokenServiceUser", "differs from clientId: a request with two clients is not supported: set tokenService.addClientCredentialsInBody to false to use this one alone")
	}
	a.ClientAuthentication, a.ClientID, a.ClientSecret = InHeader, user, password
	d.called["clientId"], d.called["clientSecret"] = "tokenServiceUser", "tokenServicePassword"
	if password == "" {
		d.missingSecret("tokenServicePassword")
	}
}

func (d *destination) samlBearer() artifact {
	a := &SAMLBearerAssertion{
		Name: d.property("Name"), Description: d.property("Description"), TokenServiceURL: d.property("tokenServiceURL"),
		Audience: d.property("audience"), ClientKey: d.property("clientKey"), TargetSystemType: Generic, CompanyID: d.property("companyId"),
		TokenServiceUser: d.property("tokenServiceUser"), UserIDSource: d.property("userIdSource"), KeyPairAlias: d.property("KeyStoreLocation"),
		Issuer: d.property("assertionIssuer"), Recipient: d.property("assertionRecipient"),
		NameIDFormat: d.property("nameIdFormat"), NameQualifier: d.property("nameQualifier"),
		AuthnContextClassRef: d.property("authnContextClassRef"), Scope: d.property("scope"),
		SAMLAssertionEncoding:  d.property("samlAssertionEncoding"),
		OmitSigningCertificate: !d.flag("includeSigningCertificateInSAMLAssertion", false),
	}
	if a.SAMLAssertionEncoding == "" {
		a.SAMLAssertionEncoding = Base64URL
	}
	if key := d.property("apiKey"); key != "" {
		a.Attributes = map[string]string{"api_key": key}
	}
	maps.Copy(d.called, map[string]string{"keyPairAlias": "KeyStoreLocation", "issuer": "assertionIssuer", "recipient": "assertionRecipient",
		"attributes": "apiKey", "attributes.api_key": "apiKey"})
	switch {
	case a.CompanyID != "":
		a.TargetSystemType = SuccessFactors
	case a.Issuer == "":
		d.problems.add("assertionIssuer", "missing: SAP takes the subaccount's own, which the export does not tell: add the entityID of the IDP metadata that the cockpit exports beside its destinations")
	}
	if a.TokenServiceUser != "" && a.CompanyID == "" {
		a.TokenServicePassword = d.secret("tokenServicePassword")
	}
	if a.KeyPairAlias == "" {
		d.problems.add("KeyStoreLocation", "missing: SAP signs with the subaccount's own key, which cannot be had: deploy a Key Pair that the token service trusts, and set its name")
	}
	d.samlBearerRefusals()
	return a
}

// samlBearerRefusals refuses what would make another token request than the artifact does.
func (d *destination) samlBearerRefusals() {
	switch provider := d.property("SAMLAssertionProvider"); provider {
	case "", "DestinationServiceGenerated":
	case "ClientProvided":
		d.problems.add("SAMLAssertionProvider", "ClientProvided: where assertions come from is not in an artifact: build a samlbearer.Client with samlbearer.Forwarded")
	default:
		d.problems.add("SAMLAssertionProvider", "%s: use DestinationServiceGenerated", shown(provider))
	}
	if d.property("SystemUser") != "" {
		d.problems.add("SystemUser", "is not supported, and SAP ends it: use named users, or an artifact with userId %s", KeyPairCommonName)
	}
	const no = "this changes the token request in a way that an artifact does not: build a samlbearer.Client"
	for _, prefix := range []string{"tokenService.KeyStoreLocation", "tokenService.body.", "tokenServiceURL.headers.", "tokenServiceURL.queries."} {
		d.unsupported(prefix, no)
	}
}

// property returns a property, or "". Where references are replaced, they are.
func (d *destination) property(name string) (value string) {
	if value, known := d.values[name]; known {
		return value
	}
	var found bool
	for _, p := range d.properties {
		switch {
		case p.name != name:
		case found:
			d.problems.add(placeOf(name), "comes twice")
		default:
			found = true
			if p.value != nil {
				d.text(placeOf(name), p.value, &value)
			}
		}
	}
	d.values[name] = value
	return value
}

// secret returns a property that an export leaves out.
func (d *destination) secret(name string) outgrant.Secret {
	s := outgrant.Secret(d.property(name))
	if s == "" {
		d.missingSecret(name)
	}
	return s
}

func (d *destination) missingSecret(name string) {
	d.problems.merge(problems{{at: name, what: "missing: exports leave secrets out: add it"}})
}

// flag returns a property that is true or false, which may be written as a text.
func (d *destination) flag(name string, byDefault bool) bool {
	if b, ok := d.properties.get(name).(bool); ok {
		return b
	}
	switch s := d.property(name); s {
	case "":
		return byDefault
	case "true", "false":
		return s == "true"
	default:
		d.problems.add(name, "%s: use true or false", shown(s))
		return byDefault
	}
}

// unsupported refuses properties that begin with a prefix.
func (d *destination) unsupported(prefix, why string) {
	for _, p := range d.properties {
		if strings.HasPrefix(p.name, prefix) && p.value != "" && p.value != nil {
			d.problems.add(placeOf(p.name), "%s", why)
		}
	}
}

// inProperties names the properties that problems with members come from.
func (d *destination) inProperties(p problems) problems {
	p = slices.Clone(p)
	for i := range p {
		if property, renamed := d.called[p[i].at]; renamed {
			p[i].at = property
		}
	}
	return p
}
