package samlbearer_test

import "testing"

// The eight forms of signature wrapping: the signed assertion is kept where the signature finds it, and another one is put
// where a program reads. Each is tried with an evil assertion that has an ID of its own and with one that has the signed one's.
func TestForwardedSignatureWrapping(t *testing.T) {
	t.Parallel()
	honest := signedByIssuer(honestText)
	signature := elementOf(honest, "ds:Signature")
	evilText := with(honestText, fwdUser, fwdMallory)
	inSignature := func(piece string) string { return with(signature, "</ds:Signature>", piece+"</ds:Signature>") }
	first := func(evil, piece string) string { return with(evil, "<saml:Issuer>", piece+"<saml:Issuer>") }
	afterIssuer := func(evil, piece string) string { return with(evil, "</saml:Issuer>", "</saml:Issuer>"+piece) }
	last := func(evil, piece string) string { return with(evil, "</saml:Assertion>", piece+"</saml:Assertion>") }
	const (
		saysOwn   = "must have exactly one Signature of its own"
		saysSign  = "Signature: must be SignedInfo, SignatureValue and perhaps KeyInfo"
		saysRef   = "Reference: must refer to the assertion by its ID"
		saysTwice = "has the same ID twice"
	)
	for name, c := range map[string]struct {
		wrap    func(evil string) string
		otherID string // what the error says if the evil assertion has an ID of its own
	}{
		"1 original in the signature, signature after issuer": {func(e string) string { return afterIssuer(e, inSignature(honestText)) }, saysSign},
		"2 original before the detached signature":            {func(e string) string { return afterIssuer(e, honestText+signature) }, saysForeign},
		"3 signed original as first child":                    {func(e string) string { return first(e, honest) }, saysOwn},
		"4 signed original as last child":                     {func(e string) string { return last(e, honest) }, saysOwn},
		"5 signature in the evil one, original at the end":    {func(e string) string { return last(afterIssuer(e, signature), honestText) }, saysForeign},
		"6 original in the signature, signature at the end":   {func(e string) string { return last(e, inSignature(honestText)) }, saysSign},
		"7 original in an extension": {func(e string) string {
			return afterIssuer(e, signature+`<samlp:Extensions xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol">`+honestText+`</samlp:Extensions>`)
		}, saysForeign},
		"8 original in an Object of the signature": {func(e string) string { return afterIssuer(e, inSignature("<ds:Object>"+honestText+"</ds:Object>")) }, saysSign},

		"original in Advice": {func(e string) string {
			return last(afterIssuer(e, signature), "<saml:Advice>"+honestText+"</saml:Advice>")
		}, saysForeign},
		"original in an attribute value":   {func(e string) string { return with(afterIssuer(e, signature), fwdGroup, honestText) }, saysForeign},
		"original in KeyInfo":              {func(e string) string { return afterIssuer(e, inSignature("<ds:KeyInfo>"+honestText+"</ds:KeyInfo>")) }, saysKeyInfo},
		"signed original, value, 2 levels": {func(e string) string { return with(e, fwdGroup, "<x>"+honest+"</x>") }, saysOwn},
		"two signatures, evil one second":  {func(e string) string { return last(with(honest, fwdUser, fwdUser), afterIssuer(e, signature)) }, saysForeign},
		"signature alone":                  {func(e string) string { return afterIssuer(e, signature) }, saysRef},
	} {
		t.Run(name+", own ID", func(t *testing.T) {
			t.Parallel()
			requireRefused(t, forwarding(c.wrap(with(evilText, fwdID, "_evil"))), c.otherID)
		})
		t.Run(name+", same ID", func(t *testing.T) {
			t.Parallel()
			says := saysTwice
			if name == "signature alone" {
				says = saysUnverified
			}
			requireRefused(t, forwarding(c.wrap(evilText)), says)
		})
	}
}

// An evil assertion whose ID is hidden from one reader or the other.
func TestForwardedWrappingWithOtherIDs(t *testing.T) {
	t.Parallel()
	honest := signedByIssuer(honestText)
	signature := elementOf(honest, "ds:Signature")
	evil := with(with(honestText, fwdUser, fwdMallory), "</saml:Issuer>", "</saml:Issuer>"+signature)
	original := func(id string) string { return with(honestText, `ID="`, id+`="`) }
	inside := func(text string) string { return with(evil, "</saml:Assertion>", text+"</saml:Assertion>") }
	testAttacks(t, map[string]attack{
		"Id of the original":     {inside(original("Id")), "has the same ID twice"},
		"id of the original":     {inside(original("id")), "has the same ID twice"},
		"xml:id of the original": {inside(original("xml:id")), "has an attribute xml:id"},
		"x:ID of the original":   {inside(with(original("x:ID"), "<saml:Assertion ", `<saml:Assertion xmlns:x="urn:x" `)), "has an ID with a namespace"},
		"no ID of the original":  {inside(with(honestText, ` ID="`+fwdID+`"`, "")), saysForeign},
		"Id of the evil one":     {with(evil, ` ID="`, ` Id="`), "has no ID that is an XML name"},
	})
}

// What the issuer signed itself, and should not have.
func TestForwardedPartsWithoutPlace(t *testing.T) {
	t.Parallel()
	added := func(text string) string {
		return signedByIssuer(with(honestText, "</saml:Conditions>", "</saml:Conditions>"+text))
	}
	testAttacks(t, map[string]attack{
		"Advice":               {added("<saml:Advice></saml:Advice>"), saysForeign},
		"an encrypted one":     {added("<saml:EncryptedAssertion></saml:EncryptedAssertion>"), saysForeign},
		"an assertion within":  {added("<saml:Assertion></saml:Assertion>"), saysForeign},
		"of no namespace":      {added("<Assertion></Assertion>"), saysForeign},
		"a statement unknown":  {added("<saml:AuthzDecisionStatement></saml:AuthzDecisionStatement>"), "has a part other than"},
		"a part unknown":       {added(`<x:Subject xmlns:x="urn:x"></x:Subject>`), "has a part other than"},
		"text":                 {added("text"), "Assertion: must have no text"},
		"an attribute unknown": {signedByIssuer(with(honestText, ` Version=`, ` Name="x" Version=`)), "Assertion: has an attribute"},
		"an xsi:type":          {signedByIssuer(with(with(honestText, `assertion" ID`, `assertion" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" ID`), ` Version="2.0"`, ` Version="2.0" xsi:type="saml:AssertionType"`)), "Assertion: has an attribute"},
	})
}
