package samlbearer_test

import (
	"crypto"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"strings"
	"testing"

	"github.com/outgrant/outgrant/samlbearer"
)

// An attack is refused for the one reason that it is made for: everything else about it is honest, also its signature, as
// far as that is possible.
type attack struct{ text, says string }

func testAttacks(t *testing.T, attacks map[string]attack) {
	for name, a := range attacks {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			requireRefused(t, forwarding(a.text), a.says)
		})
	}
}

func signedByIssuer(text string) string { return signFwd(text, rsaIssuer, fwdSignature{}) }

const (
	saysMarkup        = "has a document type, comment, CDATA section or processing instruction"
	saysNotWellFormed = "is not well-formed XML"
	saysForeign       = "has another assertion, an encrypted part, or a part of a signature where it has no place"
	saysKeyInfo       = "KeyInfo: must hold keys and certificates alone"
	saysUnverified    = "does not verify with a pinned certificate"
	saysReference     = "has an entity, or a reference to a character that XML does not allow"
	saysCharacter     = "has a character that XML does not allow"
)

// Canonicalization takes comments away and makes text of CDATA, so that the signature holds while readers stop at them.
func TestForwardedMarkupInText(t *testing.T) {
	t.Parallel()
	honest := signedByIssuer(honestText)
	attacks := map[string]attack{}
	for field, value := range map[string]string{"NameID": fwdUser, "Issuer": fwdIssuer, "Audience": fwdAudience} {
		head, tail := value[:8], value[8:]
		attacks["comment in "+field] = attack{with(honest, value, head+"<!-- -->"+tail), saysMarkup}
		attacks["CDATA in "+field] = attack{with(honest, value, head+"<![CDATA["+tail+"]]>"), saysMarkup}
		attacks["PI in "+field] = attack{signedByIssuer(with(honestText, value, head+"<?x y?>"+tail)), saysMarkup}
		attacks["element in "+field] = attack{signedByIssuer(with(honestText, value, head+"<saml:b></saml:b>"+tail)), field + ": must be text alone"}
		attacks["element after "+field] = attack{signedByIssuer(with(honestText, value, value+"<saml:b>"+fwdMallory+"</saml:b>")), field + ": must be text alone"}
	}
	testAttacks(t, attacks)
}

func TestForwardedMarkupElsewhere(t *testing.T) {
	t.Parallel()
	honest := signedByIssuer(honestText)
	withEntity := with(honest, fwdUser, "&user;")
	testAttacks(t, map[string]attack{
		"a comment before it":             {"<!-- -->" + honest, saysMarkup},
		"a comment after it":              {honest + "<!-- -->", saysMarkup},
		"a comment in the signature":      {with(honest, "<ds:SignatureValue>", "<ds:SignatureValue><!-- -->"), saysMarkup},
		"a document type":                 {"<!DOCTYPE saml:Assertion>" + honest, saysMarkup},
		"an entity declaration":           {`<!DOCTYPE x [<!ENTITY user "` + fwdUser + `">]>` + withEntity, saysMarkup},
		"an external entity":              {`<!DOCTYPE x [<!ENTITY user SYSTEM "file:///etc/passwd">]>` + withEntity, saysMarkup},
		"an undeclared entity":            {withEntity, saysReference},
		"entities within entities":        {`<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;"><!ENTITY c "&b;&b;">]>` + with(honest, fwdUser, "&c;"), saysMarkup},
		"a default attribute":             {`<!DOCTYPE x [<!ATTLIST saml:NameID SPProvidedID CDATA "x">]>` + honest, saysMarkup},
		"a style sheet":                   {`<?xml-stylesheet href="x"?>` + honest, "XML declaration other than"},
		"a PI after it":                   {honest + "<?x y?>", saysMarkup},
		"version 1.1":                     {`<?xml version="1.1"?>` + honest, "XML declaration other than"},
		"encoding Latin-1":                {`<?xml version="1.0" encoding="ISO-8859-1"?>` + honest, "XML declaration other than"},
		"encoding UTF-7":                  {`<?xml version="1.0" encoding="UTF-7"?>` + honest, "XML declaration other than"},
		"a declaration inside":            {with(honest, "<saml:Subject>", `<?xml version="1.0"?><saml:Subject>`), saysMarkup},
		"a declaration after a blank":     {` <?xml version="1.0"?>` + honest, saysMarkup},
		"two declarations":                {`<?xml version="1.0"?><?xml version="1.0"?>` + honest, saysMarkup},
		"a byte order mark":               {"\uFEFF" + honest, "byte order mark"},
		"UTF-16":                          {"\xff\xfe<\x00a\x00/\x00>\x00", "is not in UTF-8"},
		"a second root":                   {honest + "<a/>", "has a second root element"},
		"an assertion as second root":     {honest + with(honest, fwdUser, fwdMallory), "has a second root element"},
		"text after it":                   {honest + "x", "has text outside its root element"},
		"text before it":                  {"x" + honest, "has text outside its root element"},
		"a reference after it":            {honest + "&#32;&#65;", "has text outside its root element"},
		"a blank as a reference after it": {honest + "&#32;", "has text outside its root element"},
		"nothing":                         {"", "returned no assertion"},
		"white space":                     {" \n", saysNotWellFormed},
		"text":                            {"assertion", "has text outside its root element"},
		"base64":                          {base64.StdEncoding.EncodeToString([]byte(honest)), "has text outside its root element"},
		"cut off":                         {honest[:len(honest)-1], saysNotWellFormed},
		"not closed":                      {strings.TrimSuffix(honest, "</saml:Assertion>"), saysNotWellFormed},
		"closed by another name":          {strings.TrimSuffix(honest, "</saml:Assertion>") + "</Assertion>", saysNotWellFormed},
		"closed twice":                    {honest + "</saml:Assertion>", saysNotWellFormed},
		"a response around it":            {`<samlp:Response xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol">` + honest + `</samlp:Response>`, "is not a SAML 2.0 Assertion"},
		"an assertion of SAML 1.1":        {strings.ReplaceAll(honest, "SAML:2.0:assertion", "SAML:1.0:assertion"), "is not a SAML 2.0 Assertion"},
		"Version 1.1":                     {signedByIssuer(with(honestText, `Version="2.0"`, `Version="1.1"`)), "its Version must be 2.0"},
		"no Version":                      {signedByIssuer(with(honestText, ` Version="2.0"`, "")), "its Version must be 2.0"},
		"deep nesting":                    {strings.Repeat("<a>", 33) + strings.Repeat("</a>", 33), "is nested more than 32 deep"},
		"very deep nesting":               {strings.Repeat("<a>", 80_000), "is nested more than 32 deep"},
		"deep nesting in a value":         {signedByIssuer(with(honestText, fwdGroup, strings.Repeat("<a>", 40)+strings.Repeat("</a>", 40))), "is nested more than 32 deep"},
		"many elements":                   {signedByIssuer(with(honestText, fwdGroup, strings.Repeat("<a></a>", 5000))), "has more than 4096 elements"},
		"many attributes":                 {with(honest, "<saml:Subject>", "<saml:Subject"+strings.Repeat(" a=''", 33)+">"), "with more than 32 attributes"},
		"many namespaces":                 {with(honest, fwdGroup, manyNamespaces()), "more than 64 namespaces in scope"},
		"an undeclared prefix":            {strings.ReplaceAll(honest, ` xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion"`, ""), "has a prefix that it does not declare"},
		"a prefix of a sibling":           {with(honest, "<saml:Subject>", `<saml:Subject xmlns:x="urn:x"></saml:Subject><x:Subject/><saml:Subject>`), "has a prefix that it does not declare"},
		"an undeclared prefix, attr":      {with(honest, "<saml:Subject>", `<saml:Subject x:a="">`), "has a prefix that it does not declare"},
		"the same attribute twice":        {with(honest, "<saml:Subject>", `<saml:Subject a="1" a="2">`), "the same attribute twice"},
		"twice by two prefixes":           {with(honest, "<saml:Subject>", `<saml:Subject xmlns:a="urn:x" xmlns:b="urn:x" a:c="1" b:c="2">`), "the same attribute twice"},
		"a namespace declared twice":      {with(honest, "<saml:Subject>", `<saml:Subject xmlns:a="urn:x" xmlns:a="urn:y">`), "the same attribute twice"},
		"a second ID of the root":         {with(honest, ` ID="`, ` ID="_other" ID="`), "the same attribute twice"},
		"xml declared as another":         {with(honest, "<saml:Subject>", `<saml:Subject xmlns:xml="urn:x">`), "declares a namespace that is reserved"},
		"another declared as xml":         {with(honest, "<saml:Subject>", `<saml:Subject xmlns:x="http://www.w3.org/XML/1998/namespace">`), "declares a namespace that is reserved"},
		"another declared as xmlns":       {with(honest, "<saml:Subject>", `<saml:Subject xmlns:x="http://www.w3.org/2000/xmlns/">`), "declares a namespace that is reserved"},
		"xmlns declared":                  {with(honest, "<saml:Subject>", `<saml:Subject xmlns:xmlns="urn:x">`), "declares a namespace that is reserved"},
		"a prefix taken back":             {with(honest, "<saml:Subject>", `<saml:Subject xmlns:saml="">`), "declares a namespace that is reserved"},
		"a name with two colons":          {with(honest, "<saml:Subject>", `<saml:Subject a:b:c="">`), saysNotWellFormed},
		"a name that ends in a colon":     {with(honest, "<saml:Subject>", `<saml:Subject a:="">`), saysNotWellFormed},
		"an element in xmlns":             {with(honest, fwdGroup, "<xmlns:a/>"), saysNotWellFormed},
		"an attribute without quotes":     {with(honest, `Version="2.0"`, `Version=2.0`), saysNotWellFormed},
		"no blank between attributes":     {with(honest, `Z" Version=`, `Z"Version=`), saysNotWellFormed},
		"no blank after a declaration":    {with(honest, `assertion" ID=`, `assertion"ID=`), saysNotWellFormed},
		"a prefix with a digit first":     {with(honest, "<saml:Subject>", `<saml:Subject xmlns:1a="urn:x">`), saysNotWellFormed},
		"a prefix with a hyphen first":    {with(honest, "<saml:Subject>", `<saml:Subject xmlns:-a="urn:x">`), saysNotWellFormed},
		"a prefix with an accent first":   {with(honest, "<saml:Subject>", "<saml:Subject xmlns:\u0300a='urn:x'>"), saysNotWellFormed},
		"a name with a digit first":       {with(honest, fwdGroup, "<saml:1a/>"), saysNotWellFormed},
		"a name with a hyphen first":      {with(honest, "<saml:Subject>", `<saml:Subject saml:-a="">`), saysNotWellFormed},
		"a line break in an attribute":    {with(honest, `Version="2.0"`, "Version=\"\n2.0\""), "has a tab or a line break in an attribute"},
		"a tab in an attribute":           {with(honest, `Name="Groups"`, "Name='\tGroups'"), "has a tab or a line break in an attribute"},
		"xml:base":                        {signedByIssuer(with(honestText, "<saml:Subject>", `<saml:Subject xml:base="https://x.example">`)), "has an attribute xml:id or xml:base"},
		"xml:id":                          {signedByIssuer(with(honestText, "<saml:Subject>", `<saml:Subject xml:id="a">`)), "has an attribute xml:id or xml:base"},
		"]]> in NameID":                   {with(honest, fwdUser, fwdUser+"]]>"), saysNotWellFormed},
		"]]> in Issuer":                   {with(honest, fwdIssuer, fwdIssuer+"]]>"), saysNotWellFormed},
		"]]> in Audience":                 {with(honest, fwdAudience, fwdAudience+"]]>"), saysNotWellFormed},
		"an ampersand alone":              {with(honest, fwdUser, fwdUser+"&"), saysReference},
		"a reference without its end":     {with(honest, fwdUser, fwdUser+"&#65"), saysReference},
		"a reference to a surrogate":      {signedByIssuerAs("\uFFFD", "&#xD800;"), saysReference},
		"a reference beyond Unicode":      {signedByIssuerAs("\uFFFD", "&#x110000;"), saysReference},
		"a reference to NUL":              {signedByIssuerAs("\uFFFD", "&#0;"), saysReference},
		"a reference to U+FFFE":           {signedByIssuerAs("\uFFFD", "&#xFFFE;"), saysReference},
		"a reference in an attribute":     {with(honest, `Name="Groups"`, `Name="Groups&#1;"`), saysReference},
	})
}

func manyNamespaces() string {
	return strings.Repeat(`<a xmlns:a="urn:x" xmlns:b="urn:x" xmlns:c="urn:x" xmlns:d="urn:x" xmlns:e="urn:x" xmlns:f="urn:x">`, 11) + strings.Repeat("</a>", 11)
}

// signedByIssuerAs signs a user whose id ends in one text and writes another in its place.
func signedByIssuerAs(signed, written string) string {
	return with(signedByIssuer(with(honestText, fwdUser, fwdUser+signed)), fwdUser+signed, fwdUser+written)
}

// Characters that XML cannot carry, in each field that is read.
func TestForwardedForbiddenCharacters(t *testing.T) {
	t.Parallel()
	attacks := map[string]attack{}
	for field, value := range map[string]string{
		"NameID": fwdUser, "Issuer": fwdIssuer, "Audience": fwdAudience, "Recipient": fwdRecipient, "ID": `ID="` + fwdID, "attribute value": fwdGroup, "attribute name": `Name="Groups`,
	} {
		for name, c := range map[string]string{"NUL": "\x00", "U+0001": "\x01", "U+001F": "\x1f", "U+FFFE": "\uFFFE", "U+FFFF": "\uFFFF"} {
			attacks[name+" in "+field] = attack{signedByIssuer(with(honestText, value, value+c)), saysCharacter}
		}
		for name, c := range map[string]string{"invalid UTF-8": "\xff", "overlong UTF-8": "\xc0\x80", "a surrogate in UTF-8": "\xed\xa0\x80"} {
			attacks[name+" in "+field] = attack{signedByIssuer(with(honestText, value, value+c)), "is not in UTF-8"}
		}
	}
	for name, c := range map[string]string{"LF": "\n", "TAB": "\t", "CR": "&#xD;", "U+FFFD": "\uFFFD"} {
		attacks[name+" in NameID"] = attack{signedByIssuer(with(honestText, fwdUser, fwdUser+c)), "has a tab, a line break or a character that was lost"}
		attacks[name+" in Issuer"] = attack{signedByIssuer(with(honestText, fwdIssuer, fwdIssuer+c)), "Issuer: is not the configured one"}
		attacks[name+" in Audience"] = attack{signedByIssuer(with(honestText, fwdAudience, fwdAudience+c)), "does not name the configured audience"}
	}
	attacks["CR as it is in NameID"] = attack{strings.Replace(signedByIssuer(with(honestText, fwdUser, fwdUser+"\n")), fwdUser+"\n", fwdUser+"\r", 1), "has a tab, a line break"}
	for name, c := range map[string]string{"LF": "&#xA;", "TAB": "&#x9;", "CR": "&#xD;"} {
		attacks[name+" in Recipient"] = attack{signedByIssuer(with(honestText, fwdRecipient, fwdRecipient+c)), "Recipient is not the configured one"}
		attacks[name+" in ID"] = attack{signFwd(with(honestText, `ID="`+fwdID, `ID="`+fwdID+c), rsaIssuer, fwdSignature{uri: "#" + fwdID + c}), "has no ID that is an XML name"}
	}
	testAttacks(t, attacks)
}

func TestForwardedSignature(t *testing.T) {
	t.Parallel()
	honest := signedByIssuer(honestText)
	signature := elementOf(honest, "ds:Signature")
	signedWith := func(s fwdSignature) string { return signFwd(honestText, rsaIssuer, s) }
	transform := func(algorithm, content string) string {
		return `<ds:Transform Algorithm="` + algorithm + `">` + content + `</ds:Transform>`
	}
	const (
		saysMethod     = "SignatureMethod: must be RSA or ECDSA with SHA-256"
		saysTransforms = "Transforms: must be enveloped-signature and then exclusive c14n"
		saysInfo       = "SignedInfo: must be CanonicalizationMethod, SignatureMethod and one Reference"
	)
	testAttacks(t, map[string]attack{
		"no signature":              {honestText, "must have exactly one Signature of its own"},
		"an empty signature":        {with(honest, signature, `<ds:Signature xmlns:ds="`+nsXMLDSig+`"/>`), "Signature: must be SignedInfo"},
		"a signature of no kind":    {strings.ReplaceAll(honest, nsXMLDSig, "urn:x"), "must have exactly one Signature"},
		"two signatures":            {with(honest, signature, signature+signature), "must have exactly one Signature"},
		"two signatures, IDs apart": {with(honest, signature, with(signature, " ", ` Id="a" `)+signature), "must have exactly one Signature"},
		"signed deeper":             {with(with(honest, signature, ""), "</saml:Subject>", signature+"</saml:Subject>"), "must have exactly one Signature"},

		"changed user":                          {with(honest, fwdUser, fwdMallory), saysUnverified},
		"changed issuer":                        {with(honest, fwdIssuer, "https://evil.example"), saysUnverified},
		"changed attribute":                     {with(honest, fwdGroup, "root"), saysUnverified},
		"changed end":                           {with(honest, "2000-01-01T00:10:00Z", "2000-01-01T09:10:00Z"), saysUnverified},
		"changed namespace":                     {with(honest, "<saml:AttributeValue>", `<saml:AttributeValue xmlns="urn:x"><a/>`), saysUnverified},
		"a digit changed":                       {with(honest, "DigestValue>", "DigestValue>AAAA"), saysUnverified},
		"a stranger's key":                      {signFwd(honestText, rsaStranger, fwdSignature{}), saysUnverified},
		"a stranger's key with its certificate": {signFwd(honestText, rsaStranger, fwdSignature{keyInfo: x509KeyInfo(rsaStranger)}), saysUnverified},
		"a stranger's key with the issuer's certificate": {signFwd(honestText, rsaStranger, fwdSignature{keyInfo: x509KeyInfo(rsaIssuer)}), saysUnverified},
		"an ECDSA key with its certificate":              {signFwd(honestText, ecIssuer, fwdSignature{method: moreNamespace + "ecdsa-sha256", keyInfo: x509KeyInfo(ecIssuer)}), "is signed with ECDSA, and no pinned certificate"},
		"an ECDSA key that says RSA":                     {signFwd(honestText, ecIssuer, fwdSignature{}), saysUnverified},
		"a KeyInfo that is fetched":                      {signedWith(fwdSignature{keyInfo: `<ds:KeyInfo><ds:RetrievalMethod URI="http://127.0.0.1/"></ds:RetrievalMethod></ds:KeyInfo>`}), saysKeyInfo},
		"two KeyInfos":                                   {signedWith(fwdSignature{keyInfo: x509KeyInfo(rsaIssuer) + x509KeyInfo(rsaStranger)}), "Signature: must be SignedInfo"},
		"a KeyInfo before the rest":                      {with(honest, "<ds:SignedInfo>", x509KeyInfo(rsaIssuer)+"<ds:SignedInfo>"), "Signature: must be SignedInfo"},
		"a SignatureValue that is hex":                   {signedWith(fwdSignature{wrap: func(string) string { return "zz-zz" }}), "SignatureValue: is not base64"},
		"an empty SignatureValue":                        {signedWith(fwdSignature{wrap: func(string) string { return "" }}), "SignatureValue: is not base64"},
		"a SignatureValue with a no-break space":         {signedWith(fwdSignature{wrap: func(s string) string { return s[:9] + "\u00a0" + s[9:] }}), "SignatureValue: is not base64"},
		"a SignatureValue with a line separator":         {signedWith(fwdSignature{wrap: func(s string) string { return s[:9] + "\u2028" + s[9:] }}), "SignatureValue: is not base64"},
		"a SignatureValue with a next line":              {signedWith(fwdSignature{wrap: func(s string) string { return s[:9] + "&#x85;" + s[9:] }}), "SignatureValue: is not base64"},
		"a DigestValue with a blank":                     {signedWith(fwdSignature{wrapDigest: func(s string) string { return s[:9] + " " + s[9:] }}), "DigestValue: is not base64 as it is read here"},
		"a DigestValue with a tab":                       {signedWith(fwdSignature{wrapDigest: func(s string) string { return "\n\t" + s }}), "DigestValue: is not base64 as it is read here"},
		"an Id of the signature that is no name":         {with(honest, "<ds:Signature ", `<ds:Signature Id=" `+fwdID+`" `), "Signature: has an Id that is not an XML name"},
		"an Id of SignedInfo that is no name":            {with(honest, "<ds:SignedInfo>", `<ds:SignedInfo Id="1">`), "SignedInfo: has an Id that is not an XML name"},
		"an Id of SignatureValue that is no name":        {with(honest, "<ds:SignatureValue>", `<ds:SignatureValue Id="">`), "SignatureValue: has an Id that is not an XML name"},
		"an Id of the reference that is no name":         {with(honest, "<ds:Reference ", `<ds:Reference Id="a b" `), "Reference: has an Id that is not an XML name"},
		"no default namespace, taken back":               {with(signedByIssuer(with(honestText, fwdGroup, "<n></n>")), "<n>", `<n xmlns="">`), saysUnverified}, // right, and goxmldsig's fault
		"a SignatureValue with elements":                 {signedWith(fwdSignature{wrap: func(s string) string { return s[:9] + "<a/>" + s[9:] }}), "SignatureValue: must be text alone"},
		"a SignatureValue in base64url":                  {signedWith(fwdSignature{wrap: func(string) string { return "--__" }}), "SignatureValue: is not base64"},
		"two SignatureValues":                            {with(honest, "</ds:SignatureValue>", "</ds:SignatureValue><ds:SignatureValue>AAAA</ds:SignatureValue>"), "Signature: must be SignedInfo"},
		"two SignedInfos":                                {with(honest, "</ds:SignedInfo>", "</ds:SignedInfo>"+elementOf(honest, "ds:SignedInfo")), "Signature: must be SignedInfo"},
		"a SignedInfo in KeyInfo":                        {signedWith(fwdSignature{keyInfo: "<ds:KeyInfo>" + elementOf(honest, "ds:SignedInfo") + "</ds:KeyInfo>"}), saysKeyInfo},
		"a Signature in KeyInfo":                         {signedWith(fwdSignature{keyInfo: "<ds:KeyInfo>" + signature + "</ds:KeyInfo>"}), saysKeyInfo},
		"an Object":                                      {signedWith(fwdSignature{keyInfo: "<ds:Object></ds:Object>"}), "Signature: must be SignedInfo"},
		"a Manifest":                                     {signedWith(fwdSignature{keyInfo: "<ds:Object><ds:Manifest></ds:Manifest></ds:Object>"}), "Signature: must be SignedInfo"},
		"text in the signature":                          {with(honest, "<ds:SignedInfo>", "x<ds:SignedInfo>"), "Signature: must have no text"},
		"an attribute of the signature":                  {with(honest, "<ds:Signature ", `<ds:Signature x="y" `), "Signature: has an attribute"},
		"a part of a signature in a value":               {signedByIssuer(with(honestText, fwdGroup, `<ds:X509Data xmlns:ds="`+nsXMLDSig+`"></ds:X509Data>`)), saysForeign},

		"SHA-1":                            {signedWith(fwdSignature{hash: crypto.SHA1, method: nsXMLDSig + "rsa-sha1"}), saysMethod},
		"ECDSA with SHA-1":                 {signedWith(fwdSignature{method: moreNamespace + "ecdsa-sha1"}), saysMethod},
		"DSA":                              {signedWith(fwdSignature{method: nsXMLDSig + "dsa-sha1"}), saysMethod},
		"MD5":                              {signedWith(fwdSignature{method: moreNamespace + "rsa-md5"}), saysMethod},
		"no method":                        {signedWith(fwdSignature{method: " "}), saysMethod},
		"a method by another spelling":     {signedWith(fwdSignature{method: strings.ToUpper(algRSA256)}), saysMethod},
		"HMAC with the certificate as key": {hmacSigned(pemOf(rsaIssuer.cert)), saysMethod},
		"HMAC with the public key as key":  {hmacSigned(rsaIssuer.cert.RawSubjectPublicKeyInfo), saysMethod},
		"HMAC cut to nothing":              {with(hmacSigned(nil), `hmac-sha256">`, `hmac-sha256"><ds:HMACOutputLength>0</ds:HMACOutputLength>`), "SignatureMethod: must have no parameters"},
		"SHA-1 digest":                     {signedWith(fwdSignature{digest: crypto.SHA1, digestMethod: nsXMLDSig + "sha1"}), "DigestMethod: must be SHA-256"},
		"MD5 digest":                       {signedWith(fwdSignature{digestMethod: moreNamespace + "md5"}), "DigestMethod: must be SHA-256"},
		"no digest method":                 {signedWith(fwdSignature{digestMethod: " "}), "DigestMethod: must be SHA-256"},
		"c14n with comments":               {signedWith(fwdSignature{canonicalization: algExcC14N + "WithComments"}), "CanonicalizationMethod: must be exclusive c14n"},
		"inclusive c14n":                   {signedWith(fwdSignature{canonicalization: "http://www.w3.org/TR/2001/REC-xml-c14n-20010315"}), "CanonicalizationMethod: must be exclusive c14n"},
		"c14n with parameters":             {with(honest, `exc-c14n#">`, `exc-c14n#"><x xmlns="urn:x"/>`), "CanonicalizationMethod: must have no parameters"},

		"XPath":                         {signedWith(fwdSignature{transforms: transform("http://www.w3.org/TR/1999/REC-xpath-19991116", "<ds:XPath>0</ds:XPath>") + transform(algExcC14N, "")}), saysTransforms},
		"XPath as a third":              {signedWith(fwdSignature{transforms: honestTransforms + transform("http://www.w3.org/TR/1999/REC-xpath-19991116", "<ds:XPath>0</ds:XPath>")}), saysTransforms},
		"XPath filter 2":                {signedWith(fwdSignature{transforms: transform("http://www.w3.org/2002/06/xmldsig-filter2", "") + transform(algExcC14N, "")}), saysTransforms},
		"XSLT":                          {signedWith(fwdSignature{transforms: transform("http://www.w3.org/TR/1999/REC-xslt-19991116", `<xsl:stylesheet xmlns:xsl="http://www.w3.org/1999/XSL/Transform"></xsl:stylesheet>`) + transform(algExcC14N, "")}), saysTransforms},
		"base64 transform":              {signedWith(fwdSignature{transforms: transform(algEnveloped, "") + transform(nsXMLDSig+"base64", "")}), saysTransforms},
		"no transforms":                 {signedWith(fwdSignature{transforms: " "}), saysTransforms},
		"no c14n":                       {signedWith(fwdSignature{transforms: transform(algEnveloped, "")}), saysTransforms},
		"no enveloped":                  {signedWith(fwdSignature{transforms: transform(algExcC14N, "")}), saysTransforms},
		"enveloped twice":               {signedWith(fwdSignature{transforms: transform(algEnveloped, "") + honestTransforms}), saysTransforms},
		"c14n first":                    {signedWith(fwdSignature{transforms: transform(algExcC14N, "") + transform(algEnveloped, "")}), saysTransforms},
		"c14n with comments, transform": {signedWith(fwdSignature{transforms: transform(algEnveloped, "") + transform(algExcC14N+"WithComments", "")}), saysTransforms},
		"enveloped with content":        {signedWith(fwdSignature{transforms: transform(algEnveloped, "<ds:XPath></ds:XPath>") + transform(algExcC14N, "")}), saysTransforms},
		"c14n with other content":       {signedWith(fwdSignature{transforms: transform(algEnveloped, "") + transform(algExcC14N, "<ds:XPath></ds:XPath>")}), saysTransforms},
		"prefix list with content":      {signedWith(fwdSignature{transforms: transform(algEnveloped, "") + transform(algExcC14N, `<e:InclusiveNamespaces xmlns:e="`+algExcC14N+`" PrefixList="x"><e:x></e:x></e:InclusiveNamespaces>`)}), saysTransforms},
		"prefix list and more":          {signedWith(fwdSignature{transforms: transform(algEnveloped, "") + transform(algExcC14N, `<e:InclusiveNamespaces xmlns:e="`+algExcC14N+`" Other="" PrefixList="x"></e:InclusiveNamespaces>`)}), saysTransforms},
		"prefix list of no c14n":        {signedWith(fwdSignature{transforms: transform(algEnveloped, "") + transform(algExcC14N, `<e:InclusiveNamespaces xmlns:e="urn:x" PrefixList="x"></e:InclusiveNamespaces>`)}), saysTransforms},
		"two prefix lists":              {signedWith(fwdSignature{transforms: transform(algEnveloped, "") + transform(algExcC14N, strings.Repeat(`<e:InclusiveNamespaces xmlns:e="`+algExcC14N+`" PrefixList="x"></e:InclusiveNamespaces>`, 2))}), saysTransforms},

		"second reference":             {signedWith(fwdSignature{extraReference: elementOf(honest, "ds:Reference")}), saysInfo},
		"second reference, to nothing": {signedWith(fwdSignature{extraReference: with(elementOf(honest, "ds:Reference"), fwdID, "_other")}), saysInfo},
		"no reference":                 {with(honest, elementOf(honest, "ds:Reference"), ""), saysInfo},
		"reference to the document":    {signedWith(fwdSignature{uri: " "}), "Reference: must refer to the assertion by its ID"},
		"empty reference":              {with(honest, `URI="#`+fwdID, `URI="`), "Reference: must refer to the assertion by its ID"},
		"reference without URI":        {with(honest, ` URI="#`+fwdID+`"`, ""), "Reference: must refer to the assertion by its ID"},
		"reference without #":          {signedWith(fwdSignature{uri: "!" + fwdID}), "Reference: must refer to the assertion by its ID"},
		"reference to another":         {signedWith(fwdSignature{uri: "#_other"}), "Reference: must refer to the assertion by its ID"},
		"reference by XPointer":        {signedWith(fwdSignature{uri: "#xpointer(id('" + fwdID + "'))"}), "Reference: must refer to the assertion by its ID"},
		"reference to the outside":     {signedWith(fwdSignature{uri: "http://127.0.0.1/#" + fwdID}), "Reference: must refer to the assertion by its ID"},
	})
}

func TestForwardedIDs(t *testing.T) {
	t.Parallel()
	withID := func(id, uri string) string {
		return signFwd(with(honestText, ` ID="`+fwdID+`"`, id), rsaIssuer, fwdSignature{uri: uri})
	}
	attacks := map[string]attack{
		"no ID":                    {withID("", "#"), "has no ID that is an XML name"},
		"an empty ID":              {withID(` ID=""`, "#"), "has no ID that is an XML name"},
		"an ID with a blank":       {withID(` ID="a b"`, "#a b"), "has no ID that is an XML name"},
		"an ID with a colon":       {withID(` ID="a:b"`, "#a:b"), "has no ID that is an XML name"},
		"an ID with a digit first": {withID(` ID="1a"`, "#1a"), "has no ID that is an XML name"},
		"an ID in quotes":          {withID(` ID="a'b"`, "#a'b"), "has no ID that is an XML name"},
		"an endless ID":            {withID(` ID="`+strings.Repeat("a", 1025)+`"`, "#"+strings.Repeat("a", 1025)), "has no ID that is an XML name"},
		"an ID with a prefix":      {withID(` xmlns:x="urn:x" x:ID="`+fwdID+`"`, "#"+fwdID), "has an ID with a namespace"},
		"an ID by another prefix":  {signedByIssuer(with(honestText, ` ID="`, ` xmlns:x="urn:x" x:ID="_other" ID="`)), "has an ID with a namespace"},
		"Id beside ID":             {signedByIssuer(with(honestText, ` IssueInstant="`, ` Id="_other" IssueInstant="`)), "Assertion: has an attribute"},
	}
	for _, name := range []string{"ID", "Id", "id", "iD", "AssertionID"} {
		attacks["the same in "+name] = attack{signedByIssuer(with(honestText, `<saml:Attribute `, `<saml:Attribute `+name+`="`+fwdID+`" `)), "has the same ID twice"}
	}
	testAttacks(t, attacks)
}

// hmacSigned is keyed with what everybody knows.
func hmacSigned(key []byte) string {
	return signFwd(honestText, rsaIssuer, fwdSignature{method: moreNamespace + "hmac-sha256", overSignedInfo: func(info []byte) []byte {
		mac := hmac.New(sha256.New, key)
		_, _ = mac.Write(info)
		return mac.Sum(nil)
	}})
}

func pemOf(cert *x509.Certificate) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw})
}

// XML writes an ECDSA signature as two numbers of the curve's size, and as nothing else.
func TestForwardedECDSAForms(t *testing.T) {
	t.Parallel()
	method := moreNamespace + "ecdsa-sha256"
	numbers := func(change func([]byte) []byte) string {
		return signFwd(honestText, ecIssuer, fwdSignature{method: method, overSignedInfo: func(info []byte) []byte {
			return change(ecIssuer.sign(crypto.SHA256, info, false))
		}})
	}
	for name, text := range map[string]string{
		"ASN.1":      signFwd(honestText, ecIssuer, fwdSignature{method: method, derECDSA: true}),
		"zeros":      numbers(func(rs []byte) []byte { return make([]byte, len(rs)) }),
		"too long":   numbers(func(rs []byte) []byte { return append(rs, 0, 0) }),
		"too short":  numbers(func(rs []byte) []byte { return rs[:len(rs)-2] }),
		"very short": numbers(func(rs []byte) []byte { return rs[:4] }),
		"second padded": numbers(func(rs []byte) []byte {
			return append(append([]byte{}, rs[:32]...), append(make([]byte, 1), rs[32:]...)...)
		}),
		"padded": numbers(func(rs []byte) []byte {
			return append(append(make([]byte, 1), rs[:32]...), append(make([]byte, 1), rs[32:]...)...)
		}),
		"the other way":  numbers(func(rs []byte) []byte { return append(append([]byte{}, rs[32:]...), rs[:32]...) }),
		"of a curve 384": numbers(func([]byte) []byte { return make([]byte, 96) }),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := forwarding(text)
			f.Certificates = []*x509.Certificate{ecIssuer.cert}
			requireRefused(t, f, saysUnverified)
		})
	}
}

var _ samlbearer.AssertionSource = samlbearer.Forwarded{}
