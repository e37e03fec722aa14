package samlbearer

import (
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"time"

	"github.com/beevik/etree"
	dsig "github.com/russellhaering/goxmldsig"
)

const maxID = 1024

// foreign are elements that have no place in an assertion and are what signatures are wrapped with, whatever their namespace.
var foreign = []string{
	"Assertion", "EncryptedAssertion", "AssertionIDRef", "AssertionURIRef", "Advice", "Response", "EncryptedID",
	"Signature", "SignedInfo", "Object", "Manifest", "RetrievalMethod",
}

// signed is an assertion whose signature has the one shape that passes, and is not verified yet.
type signed struct {
	root   *etree.Element
	id     string
	method x509.PublicKeyAlgorithm
	value  *etree.Element // SignatureValue
	bytes  []byte         // what it holds
}

// readSigned reads a document that was scanned.
func readSigned(doc []byte) (*signed, error) {
	parsed := etree.NewDocument()
	if err := parsed.ReadFromBytes(doc); err != nil {
		return nil, errNotWellFormed // etree's own error quotes the document
	}
	s := &signed{root: parsed.Root()}
	if !isNamed(s.root, assertionNS, "Assertion") {
		return nil, errors.New("is not a SAML 2.0 Assertion: hand on the assertion itself, not what it came in")
	}
	if s.id = s.root.SelectAttrValue("ID", ""); !isNCName(s.id) {
		return nil, errors.New("has no ID that is an XML name")
	}
	signature, err := onlySignature(s.root)
	if err != nil {
		return nil, err
	}
	// goxmldsig looks for the signature among the first 1000 elements. It takes it out before it canonicalizes the rest.
	s.root.InsertChildAt(0, signature)
	return s, s.readSignature(signature)
}

// onlySignature returns the signature of root, which must be the only one and a child of it.
func onlySignature(root *etree.Element) (*etree.Element, error) {
	var found []*etree.Element
	for _, child := range root.ChildElements() {
		if isNamed(child, dsig.Namespace, "Signature") {
			found = append(found, child)
		}
	}
	if len(found) != 1 {
		return nil, errors.New("must have exactly one Signature of its own")
	}
	for _, child := range root.ChildElements() {
		if child == found[0] {
			continue
		}
		if err := refuseForeign(child); err != nil {
			return nil, err
		}
	}
	return found[0], nil
}

// refuseForeign refuses foreign elements, and any of a signature, in el and below.
func refuseForeign(el *etree.Element) error {
	if slices.Contains(foreign, el.Tag) || el.NamespaceURI() == dsig.Namespace {
		return errors.New("has another assertion, an encrypted part, or a part of a signature where it has no place")
	}
	for _, child := range el.ChildElements() {
		if err := refuseForeign(child); err != nil {
			return err
		}
	}
	return nil
}

// readSignature takes what is needed of the signature, and takes out of it what the assertion says about its key.
func (s *signed) readSignature(signature *etree.Element) error {
	parts, err := childrenOf(signature, "Id")
	if err != nil {
		return err
	}
	if len(parts) == 3 && isNamed(parts[2], dsig.Namespace, "KeyInfo") {
		if err := checkKeyInfo(parts[2]); err != nil {
			return err
		}
		signature.RemoveChild(parts[2])
		parts = parts[:2]
	}
	if !areNamed(parts, dsig.Namespace, "SignedInfo", "SignatureValue") {
		return errors.New("Signature: must be SignedInfo, SignatureValue and perhaps KeyInfo")
	}
	if err := s.readSignedInfo(parts[0]); err != nil {
		return err
	}
	s.value = parts[1]
	text, err := textOf(s.value, "Id")
	if err != nil {
		return err
	}
	if s.bytes, err = base64.StdEncoding.Strict().DecodeString(withoutSpace(text)); err != nil || len(s.bytes) == 0 {
		return errors.New("SignatureValue: is not base64")
	}
	return nil
}

func (s *signed) readSignedInfo(info *etree.Element) error {
	parts, err := childrenOf(info, "Id")
	if err != nil {
		return err
	}
	if !areNamed(parts, dsig.Namespace, "CanonicalizationMethod", "SignatureMethod", "Reference") {
		return errors.New("SignedInfo: must be CanonicalizationMethod, SignatureMethod and one Reference")
	}
	canonicalization, err := algorithmOf(parts[0])
	if err != nil {
		return err
	}
	if canonicalization != excC14NNamespace {
		return errors.New("CanonicalizationMethod: must be exclusive c14n without comments")
	}
	method, err := algorithmOf(parts[1])
	if err != nil {
		return err
	}
	if s.method = keyOf(method); s.method == x509.UnknownPublicKeyAlgorithm {
		return errors.New("SignatureMethod: must be RSA or ECDSA with SHA-256, SHA-384 or SHA-512")
	}
	return s.readReference(parts[2])
}

func (s *signed) readReference(reference *etree.Element) error {
	parts, err := childrenOf(reference, "Id", "URI")
	if err != nil {
		return err
	}
	if reference.SelectAttrValue("URI", "") != "#"+s.id {
		return errors.New("Reference: must refer to the assertion by its ID")
	}
	if !areNamed(parts, dsig.Namespace, "Transforms", "DigestMethod", "DigestValue") {
		return errors.New("Reference: must be Transforms, DigestMethod and DigestValue")
	}
	if err := checkTransforms(parts[0]); err != nil {
		return err
	}
	digest, err := algorithmOf(parts[1])
	if err != nil {
		return err
	}
	if !isDigest(digest) {
		return errors.New("DigestMethod: must be SHA-256, SHA-384 or SHA-512")
	}
	value, err := textOf(parts[2])
	if err != nil {
		return err
	}
	if _, err := base64.StdEncoding.DecodeString(value); err != nil { // as goxmldsig will, and it is signed as it is
		return errors.New("DigestValue: is not base64 as it is read here: it must be without blanks and tabs")
	}
	return nil
}

// checkTransforms lets the two transforms of SAML 2.0 Core 5.4.4 pass, in the order that makes sense.
func checkTransforms(transforms *etree.Element) error {
	errTransforms := errors.New("Transforms: must be enveloped-signature and then exclusive c14n without comments")
	parts, err := childrenOf(transforms)
	if err != nil {
		return err
	}
	if !areNamed(parts, dsig.Namespace, "Transform", "Transform") {
		return errTransforms
	}
	enveloped, err := algorithmOf(parts[0])
	if err != nil || enveloped != dsig.EnvelopedSignatureAltorithmId.String() {
		return errTransforms
	}
	inclusive, err := childrenOf(parts[1], "Algorithm")
	if err != nil || parts[1].SelectAttrValue("Algorithm", "") != excC14NNamespace {
		return errTransforms
	}
	if len(inclusive) == 0 {
		return nil
	}
	if !areNamed(inclusive, excC14NNamespace, "InclusiveNamespaces") {
		return errTransforms
	}
	if below, err := childrenOf(inclusive[0], "PrefixList"); err != nil || len(below) > 0 {
		return errTransforms
	}
	return nil
}

// verify returns the assertion, without its signature, as read from the bytes that were verified.
func (s *signed) verify(pinned []*x509.Certificate, now time.Time) (*etree.Element, error) {
	var outside []string
	tried := false
	for i, cert := range pinned {
		if why := outsideValidity(i, cert, now); why != "" {
			outside = append(outside, why)
			continue
		}
		if cert.PublicKeyAlgorithm != s.method {
			continue
		}
		tried = true
		if verified := s.verifyWith(cert); verified != nil {
			return verified, nil
		}
	}
	why := "the signature does not verify with a pinned certificate: pin the issuer's current one, and hand on the assertion as it was received"
	if !tried {
		why = fmt.Sprintf("is signed with %s, and no pinned certificate that is valid now has such a key", s.method)
	}
	if len(outside) > 0 {
		why += " (" + strings.Join(outside, ", ") + ")"
	}
	return nil, errors.New(why)
}

// verifyWith returns nil if the signature is not one of this certificate's key. What goxmldsig says about it may quote the
// assertion.
func (s *signed) verifyWith(cert *x509.Certificate) *etree.Element {
	value := s.bytes
	if key, ok := cert.PublicKey.(*ecdsa.PublicKey); ok {
		if value = derSignature(value, (key.Params().BitSize+7)/8); value == nil {
			return nil
		}
	}
	s.value.SetText(base64.StdEncoding.EncodeToString(value))
	verified, err := dsig.NewDefaultValidationContext(&dsig.MemoryX509CertificateStore{Roots: []*x509.Certificate{cert}}).Validate(s.root)
	if err != nil || verified == nil || verified.SelectAttrValue("ID", "") != s.id {
		return nil
	}
	return verified
}

// derSignature makes what X.509 wants of XML's r||s (RFC 4050 3.3): nil if that has another size.
func derSignature(rs []byte, size int) []byte {
	if len(rs) != 2*size {
		return nil
	}
	der, err := asn1.Marshal(struct{ R, S *big.Int }{new(big.Int).SetBytes(rs[:size]), new(big.Int).SetBytes(rs[size:])})
	if err != nil {
		return nil
	}
	return der
}

// algorithmOf returns the algorithm of an element that has no parameters.
func algorithmOf(el *etree.Element) (string, error) {
	children, err := childrenOf(el, "Algorithm")
	if err != nil {
		return "", err
	}
	if len(children) > 0 {
		return "", fmt.Errorf("%s: must have no parameters", el.Tag)
	}
	return el.SelectAttrValue("Algorithm", ""), nil
}
