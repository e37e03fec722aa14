package samltest

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// names are the namespaces of what this package reads, by the prefixes that they usually have.
var names = map[string]string{
	"urn:oasis:names:tc:SAML:2.0:assertion":     "saml",
	"urn:oasis:names:tc:SAML:2.0:protocol":      "samlp",
	"http://www.w3.org/2000/09/xmldsig#":        "ds",
	"http://www.w3.org/2001/10/xml-exc-c14n#":   "ec",
	"http://www.w3.org/2001/XMLSchema-instance": "xsi",
}

// shape is what an element may have.
type shape struct {
	attributes string         // those with a ? may be missing
	children   *regexp.Regexp // the content model, each name with a blank behind it; nil: none, but text
}

func elements(model string) *regexp.Regexp { return regexp.MustCompile("^(?:" + model + ")$") }

var empty = elements("")

// shapes are the part of the schemas of SAML 2.0 and XML Signature that this package takes. Nothing else may be there,
// so that nothing can hide: no second assertion, no encrypted part, no ds:Object.
var shapes = map[string]shape{
	"samlp:Response": {"Version ID IssueInstant Destination? InResponseTo? Consent?",
		elements("(saml:Issuer )?samlp:Status saml:Assertion ")},
	"samlp:Status":     {"", elements("samlp:StatusCode ")},
	"samlp:StatusCode": {"Value", empty},

	"saml:Assertion": {"Version ID IssueInstant",
		elements("saml:Issuer (ds:Signature )?saml:Subject saml:Conditions " +
			"(saml:AttributeStatement )*(saml:AuthnStatement )?(saml:AttributeStatement )*")},
	"saml:Issuer":                  {"Format? NameQualifier? SPNameQualifier? SPProvidedID?", nil},
	"saml:Subject":                 {"", elements("saml:NameID saml:SubjectConfirmation ")},
	"saml:NameID":                  {"Format? NameQualifier? SPNameQualifier? SPProvidedID?", nil},
	"saml:SubjectConfirmation":     {"Method", elements("saml:SubjectConfirmationData ")},
	"saml:SubjectConfirmationData": {"Recipient NotOnOrAfter InResponseTo? Address?", empty}, // no NotBefore: SAML 2.0 Profiles 4.1.4.2
	"saml:Conditions":              {"NotBefore? NotOnOrAfter?", elements("saml:AudienceRestriction (saml:OneTimeUse )?")},
	"saml:AudienceRestriction":     {"", elements("(saml:Audience )+")},
	"saml:Audience":                {"", nil},
	"saml:OneTimeUse":              {"", empty},
	"saml:AuthnStatement":          {"AuthnInstant SessionIndex? SessionNotOnOrAfter?", elements("(saml:SubjectLocality )?saml:AuthnContext ")},
	"saml:SubjectLocality":         {"Address? DNSName?", empty},
	"saml:AuthnContext":            {"", elements("saml:AuthnContextClassRef (saml:AuthenticatingAuthority )*")},
	"saml:AuthnContextClassRef":    {"", nil},
	"saml:AuthenticatingAuthority": {"", nil},
	"saml:AttributeStatement":      {"", elements("(saml:Attribute )+")},
	"saml:Attribute":               {"Name NameFormat? FriendlyName?", elements("(saml:AttributeValue )*")},
	"saml:AttributeValue":          {"xsi:type?", nil},

	"ds:Signature":              {"Id?", elements("ds:SignedInfo ds:SignatureValue (ds:KeyInfo )?")},
	"ds:SignedInfo":             {"Id?", elements("ds:CanonicalizationMethod ds:SignatureMethod ds:Reference ")},
	"ds:CanonicalizationMethod": {"Algorithm", elements("(ec:InclusiveNamespaces )?")},
	"ds:SignatureMethod":        {"Algorithm", empty},
	"ds:Reference":              {"URI Id? Type?", elements("ds:Transforms ds:DigestMethod ds:DigestValue ")},
	"ds:Transforms":             {"", elements("ds:Transform ds:Transform ")},
	"ds:Transform":              {"Algorithm", elements("(ec:InclusiveNamespaces )?")},
	"ec:InclusiveNamespaces":    {"PrefixList?", empty},
	"ds:DigestMethod":           {"Algorithm", empty},
	"ds:DigestValue":            {"", nil},
	"ds:SignatureValue":         {"Id?", nil},

	"ds:KeyInfo":          {"Id?", elements("((ds:KeyName|ds:KeyValue|ds:X509Data) )+")},
	"ds:KeyName":          {"", nil},
	"ds:KeyValue":         {"", elements("ds:RSAKeyValue ")},
	"ds:RSAKeyValue":      {"", elements("ds:Modulus ds:Exponent ")},
	"ds:Modulus":          {"", nil},
	"ds:Exponent":         {"", nil},
	"ds:X509Data":         {"", elements("((ds:X509IssuerSerial|ds:X509SKI|ds:X509SubjectName|ds:X509Certificate) )+")},
	"ds:X509IssuerSerial": {"", elements("ds:X509IssuerName ds:X509SerialNumber ")},
	"ds:X509IssuerName":   {"", nil},
	"ds:X509SerialNumber": {"", nil},
	"ds:X509SKI":          {"", nil},
	"ds:X509SubjectName":  {"", nil},
	"ds:X509Certificate":  {"", nil},
}

// name is the element's name with the prefix that its namespace usually has. In a namespace that is not known it is one
// that no shape has: without prefix.
func (e *element) name() string { return qualified(names[e.uri], e.local) }

// name is the attribute's name in that manner. In a namespace that is not known it is one that no shape has.
func (a attribute) name() string {
	if a.uri == "" {
		return a.local
	}
	return names[a.uri] + ":" + a.local
}

// checkShape holds an element that has a shape, and all that is in it, against shapes.
func checkShape(e *element) error {
	name := e.name()
	shape := shapes[name]
	if err := shape.checkAttributes(e); err != nil {
		return err
	}
	var children strings.Builder
	var hasText bool
	for _, child := range e.children {
		if child.element != nil {
			children.WriteString(child.element.name() + " ")
		} else {
			hasText = hasText || !isBlank(child.text)
		}
	}
	model := shape.children
	if model == nil {
		model, hasText = empty, false
	}
	if hasText || !model.MatchString(children.String()) {
		return fmt.Errorf("the content of %s is not what the schema has, or is not taken here", name)
	}
	for _, child := range e.children {
		if child.element != nil {
			if err := checkShape(child.element); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s shape) checkAttributes(e *element) error {
	known := strings.Fields(s.attributes)
	for _, a := range e.attributes {
		if name := a.name(); !slices.Contains(known, name) && !slices.Contains(known, name+"?") {
			return fmt.Errorf("%s has an attribute that the schema has not, or that is not taken here", e.name())
		}
	}
	for _, name := range known {
		if !strings.HasSuffix(name, "?") && e.attribute(name) == "" {
			return fmt.Errorf("%s has no attribute %s, or an empty one", e.name(), name)
		}
	}
	return nil
}
