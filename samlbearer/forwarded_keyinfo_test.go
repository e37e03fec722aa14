package samlbearer_test

import (
	"encoding/base64"
	"testing"
)

const (
	nsXMLDSig11 = "http://www.w3.org/2009/xmldsig11#"
	nsXMLEnc    = "http://www.w3.org/2001/04/xmlenc#"
	nsWSS       = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"
	nsWSS11     = "http://docs.oasis-open.org/wss/oasis-wss-wssecurity-secext-1.1.xsd"
)

func withKeyInfo(content string) string {
	return signFwd(honestText, rsaIssuer, fwdSignature{keyInfo: "<ds:KeyInfo>" + content + "</ds:KeyInfo>"})
}

// What issuers write into KeyInfo is ignored, and does no harm.
func TestForwardedKeyInfo(t *testing.T) {
	t.Parallel()
	certificate := "<ds:X509Certificate>" + base64.StdEncoding.EncodeToString(rsaIssuer.cert.Raw) + "</ds:X509Certificate>"
	serial := "<ds:X509IssuerSerial><ds:X509IssuerName>CN=idp</ds:X509IssuerName><ds:X509SerialNumber>1</ds:X509SerialNumber></ds:X509IssuerSerial>"
	inData := func(content string) string { return "<ds:X509Data>" + content + "</ds:X509Data>" }
	for name, content := range map[string]string{
		"certificate":        inData(certificate),
		"chain":              inData(certificate + certificate),
		"in lines":           inData("\n  " + certificate + "\n"),
		"issuer and serial":  inData(serial + certificate),
		"subject":            inData("<ds:X509SubjectName>CN=idp</ds:X509SubjectName>"),
		"SKI":                inData("<ds:X509SKI>AAAA</ds:X509SKI>"),
		"CRL":                inData("<ds:X509CRL>AAAA</ds:X509CRL>"),
		"digest":             inData(`<d:X509Digest xmlns:d="` + nsXMLDSig11 + `" Algorithm="` + algSHA256 + `">AAAA</d:X509Digest>`),
		"name":               "<ds:KeyName>idp</ds:KeyName>",
		"name, RSA and more": "<ds:KeyName>idp</ds:KeyName>" + inData(certificate) + "<ds:KeyValue><ds:RSAKeyValue><ds:Modulus>AAAA</ds:Modulus><ds:Exponent>AQAB</ds:Exponent></ds:RSAKeyValue></ds:KeyValue>",
		"ECDSA":              `<ds:KeyValue><d:ECKeyValue xmlns:d="` + nsXMLDSig11 + `"><d:NamedCurve URI="urn:oid:1.2.840.10045.3.1.7"/><d:PublicKey>BAAA</d:PublicKey></d:ECKeyValue></ds:KeyValue>`,
		"ECDSA of RFC 4050":  `<ds:KeyValue><ECDSAKeyValue xmlns="` + moreNamespace + `"><DomainParameters><NamedCurve URN="urn:oid:1.2.840.10045.3.1.7"/></DomainParameters><PublicKey><X Value="1"/><Y Value="2"/></PublicKey></ECDSAKeyValue></ds:KeyValue>`,
		"encrypted key":      `<e:EncryptedKey xmlns:e="` + nsXMLEnc + `"><e:EncryptionMethod Algorithm="urn:x"/><ds:KeyInfo><ds:KeyName>k</ds:KeyName></ds:KeyInfo><e:CipherData><e:CipherValue>AAAA</e:CipherValue></e:CipherData></e:EncryptedKey>`,
		"token reference":    `<o:SecurityTokenReference xmlns:o="` + nsWSS + `" xmlns:k="` + nsWSS11 + `" k:TokenType="urn:x"><o:KeyIdentifier ValueType="urn:x">AAAA</o:KeyIdentifier></o:SecurityTokenReference>`,
		"reference, serial":  `<o:SecurityTokenReference xmlns:o="` + nsWSS + `">` + inData(serial) + `</o:SecurityTokenReference>`,
		"reference by URI":   `<o:SecurityTokenReference xmlns:o="` + nsWSS + `"><o:Reference URI="#key-1"/></o:SecurityTokenReference>`,
		"ID":                 `<ds:KeyName Id="key-1">idp</ds:KeyName>`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			requireForwarded(t, forwarding(withKeyInfo(content)), withKeyInfo(content))
		})
	}
}

// KeyInfo is not signed, and stands before the subject: a receiver that looks for the first element by a name must find none there.
func TestForwardedEvilInKeyInfo(t *testing.T) {
	t.Parallel()
	attacks := map[string]attack{
		"of a namespace unknown": {withKeyInfo(`<x xmlns="urn:x"/>`), saysKeyInfo},
		"of no namespace":        {withKeyInfo("<KeyName>idp</KeyName>"), saysKeyInfo},
		"of another namespace":   {withKeyInfo(`<o:X509Data xmlns:o="` + nsWSS + `"/>`), saysKeyInfo},
		"of the protocol":        {withKeyInfo(`<samlp:Status xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol"/>`), saysKeyInfo},
		"in other case":          {withKeyInfo("<ds:keyname>idp</ds:keyname>"), saysKeyInfo},
		"deep in a key":          {withKeyInfo("<ds:X509Data><ds:X509IssuerSerial><saml:NameID>" + fwdMallory + "</saml:NameID></ds:X509IssuerSerial></ds:X509Data>"), saysKeyInfo},
		"a fetched key":          {withKeyInfo(`<d:KeyInfoReference xmlns:d="` + nsXMLDSig11 + `" URI="http://127.0.0.1/"/>`), saysKeyInfo},
		"a token embedded":       {withKeyInfo(`<o:SecurityTokenReference xmlns:o="` + nsWSS + `"><o:Embedded/></o:SecurityTokenReference>`), saysKeyInfo},
		"an ID with a blank":     {withKeyInfo(`<ds:KeyName ID=" ` + fwdID + `">idp</ds:KeyName>`), "KeyName: has an Id that is not an XML name"},
		"an id with a digit":     {withKeyInfo(`<ds:KeyName id="1">idp</ds:KeyName>`), "KeyName: has an Id that is not an XML name"},
	}
	for _, name := range []string{"Issuer", "Subject", "NameID", "BaseID", "Conditions", "Audience", "AudienceRestriction", "OneTimeUse", "Attribute", "AttributeValue",
		"AttributeStatement", "AuthnStatement", "AuthnContext", "SubjectConfirmation", "SubjectConfirmationData", "Assertion", "Response", "Status"} {
		for prefix, namespace := range map[string]string{"saml": "urn:oasis:names:tc:SAML:2.0:assertion", "ds": nsXMLDSig, "d": nsXMLDSig11, "e": nsXMLEnc, "o": nsWSS, "x": "urn:x"} {
			attacks[prefix+":"+name] = attack{withKeyInfo("<" + prefix + ":" + name + " xmlns:" + prefix + `="` + namespace + `">` + fwdMallory + "</" + prefix + ":" + name + ">"), saysKeyInfo}
		}
		attacks[name] = attack{withKeyInfo("<" + name + ">" + fwdMallory + "</" + name + ">"), saysKeyInfo}
	}
	testAttacks(t, attacks)
}
