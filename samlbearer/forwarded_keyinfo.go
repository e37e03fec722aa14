package samlbearer

import (
	"errors"
	"slices"
	"strings"

	"github.com/beevik/etree"
	dsig "github.com/russellhaering/goxmldsig"
)

// keyElements are all that may be in KeyInfo, by namespace: keys, certificates and their names. KeyInfo is not signed and stands
// before the subject, so that a receiver that looks for the first NameID, say, must find none in it, whatever its namespace.
var keyElements = map[string][]string{
	dsig.Namespace: strings.Fields("KeyInfo KeyName KeyValue RSAKeyValue Modulus Exponent X509Data X509Certificate X509CRL " +
		"X509IssuerSerial X509IssuerName X509SerialNumber X509SubjectName X509SKI"),
	"http://www.w3.org/2009/xmldsig11#":                                                 strings.Fields("DEREncodedKeyValue ECKeyValue NamedCurve PublicKey X509Digest"),
	"http://www.w3.org/2001/04/xmldsig-more#":                                           strings.Fields("ECDSAKeyValue DomainParameters NamedCurve PublicKey X Y"), // RFC 4050
	"http://www.w3.org/2001/04/xmlenc#":                                                 strings.Fields("EncryptedKey EncryptionMethod CipherData CipherValue"),
	"http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd": strings.Fields("SecurityTokenReference KeyIdentifier Reference"),
}

// checkKeyInfo refuses whatever else is in el and below.
func checkKeyInfo(el *etree.Element) error {
	if !slices.Contains(keyElements[el.NamespaceURI()], el.Tag) {
		return errors.New("KeyInfo: must hold keys and certificates alone, as it is not signed")
	}
	if err := checkID(el); err != nil {
		return err
	}
	for _, child := range el.ChildElements() {
		if err := checkKeyInfo(child); err != nil {
			return err
		}
	}
	return nil
}
