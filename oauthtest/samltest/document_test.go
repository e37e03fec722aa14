package samltest_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant/oauthtest/samltest"
)

// TestVerifyRefusesDocuments changes the text of an assertion with a right signature: most of it in ways that its canonical
// form, and so the signature, does not see.
func TestVerifyRefusesDocuments(t *testing.T) {
	t.Parallel()
	good := signing{key: p256(), keyInfo: keyInfo(p256())}.sign(plain().canonical())
	const name = `>alice@acme.test</saml:NameID>`
	edit := func(oldNew ...string) string { return with(t, good, oldNew...) }
	for _, tc := range []struct{ name, text, why string }{
		{"nothing", "", "not complete"},
		{"no XML", "alice", "beside its root"},
		{"cut", good[:len(good)-1], "not well-formed"},
		{"not closed", with(t, good, "</saml:Assertion>", ""), "not complete"},
		{"comment in NameID", edit(name, `>alice@acme.test<!-- x -->.mallory.test</saml:NameID>`), "comment"},
		{"comment in Issuer", edit(`</saml:Issuer>`, `<!----></saml:Issuer>`), "comment"},
		{"comment in Audience", edit(`</saml:Audience>`, `<!----></saml:Audience>`), "comment"},
		{"comment behind the root", good + "<!-- -->", "comment"},
		{"processing instruction in NameID", edit(name, `>alice<?x?>@acme.test</saml:NameID>`), "processing instruction"},
		{"processing instruction in Audience", edit(`</saml:Audience>`, `<?x y?></saml:Audience>`), "processing instruction"},
		{"processing instruction before the root", "<?xml-stylesheet href='x'?>" + good, "processing instruction"},
		{"CDATA in NameID", edit(name, `><![CDATA[alice@acme.test]]></saml:NameID>`), "CDATA"},
		{"CDATA in Issuer", edit(`</saml:Issuer>`, `<![CDATA[]]></saml:Issuer>`), "CDATA"},
		{"DOCTYPE", "<!DOCTYPE x>" + good, "DOCTYPE"},
		{"entities", `<!DOCTYPE x [<!ENTITY a "alice@acme.test">]>` + edit(name, `>&a;</saml:NameID>`), "DOCTYPE"},
		{"entity that is not declared", edit(name, `>&mallory;</saml:NameID>`), "not well-formed at line 1"},
		{"XML declaration twice", `<?xml version="1.0"?><?xml version="1.0"?>` + good, "processing instruction"},
		{"XML declaration behind a blank", ` <?xml version="1.0"?>` + good, "processing instruction"},
		{"XML 1.1", `<?xml version="1.1"?>` + good, "processing instruction"},
		{"another encoding", `<?xml version="1.0" encoding="ISO-8859-1"?>` + good, "processing instruction"},
		{"byte order mark", "\ufeff" + good, "beside its root"},
		{"not UTF-8", edit(name, ">alice\xff</saml:NameID>"), "not well-formed"},
		{"NUL", edit(name, ">alice@acme.test\x00</saml:NameID>"), "not well-formed"},
		{"reference to NUL", edit(name, ">alice@acme.test&#0;</saml:NameID>"), "not well-formed"},
		{"U+FFFE", edit(name, ">alice@acme.test\ufffe</saml:NameID>"), "not well-formed"},
		{"reference to a surrogate", edit(name, ">alice@acme.test&#xD800;</saml:NameID>"), "character that there is not"},
		{"reference to a surrogate, decimal", edit(name, ">alice@acme.test&#056320;</saml:NameID>"), "character that there is not"},
		{"]]>", edit(name, ">alice]]></saml:NameID>"), "not well-formed"},
		{"second root", good + good, "more than one root"},
		{"second root that is another", good + "<x/>", "more than one root"},
		{"text behind the root", good + "x", "beside its root"},
		{"text before the root", "x" + good, "beside its root"},
		{"end too much", good + "</x>", "has not begun"},
		{"another end", edit(`</saml:Subject>`, `</saml:Issuer>`), "another element"},
		{"end with another prefix", edit(`<saml:Subject>`, `<saml:Subject xmlns:s="urn:oasis:names:tc:SAML:2.0:assertion">`, `</saml:Subject>`, `</s:Subject>`), "another element"},
		{"attribute twice", edit(` Version="2.0"`, ` Version="2.0" Version="2.0"`), "attribute twice"},
		{"attribute twice by namespace", edit(`<saml:Subject>`, `<saml:Subject xmlns:a="urn:x" xmlns:b="urn:x" a:x="1" b:x="1">`), "attribute twice"},
		{"declaration twice", edit(`<saml:Subject>`, `<saml:Subject xmlns:a="urn:x" xmlns:a="urn:x">`), "prefix twice"},
		{"prefix that is not declared", edit(`<saml:Subject>`, `<x:Subject>`, `</saml:Subject>`, `</x:Subject>`), "not declared"},
		{"prefix of an attribute that is not declared", edit(`<saml:Subject>`, `<saml:Subject x:y="1">`), "not declared"},
		{"prefix that is declared elsewhere", edit(`<saml:Subject>`, `<x:Subject>`, `</saml:Subject>`, `</x:Subject>`, `<saml:Issuer>`, `<saml:Issuer xmlns:x="urn:oasis:names:tc:SAML:2.0:assertion">`), "not declared"},
		{"empty prefix", edit(`<saml:Subject>`, `<:Subject>`, `</saml:Subject>`, `</:Subject>`), "not declared"},
		{"empty local name", edit(`<saml:Subject>`, `<saml:Subject x:="1">`), "not declared"},
		{"prefix taken back", edit(`<saml:Subject>`, `<saml:Subject xmlns:x="">`), "prefix back"},
		{"prefix xml for something else", edit(`<saml:Subject>`, `<saml:Subject xmlns:xml="urn:x">`), "reserved"},
		{"prefix xmlns", edit(`<saml:Subject>`, `<saml:Subject xmlns:xmlns="urn:x">`), "reserved"},
		{"another prefix for xml", edit(`<saml:Subject>`, `<saml:Subject xmlns:x="http://www.w3.org/XML/1998/namespace">`), "reserved"},
		{"namespace that is relative", edit(`<saml:Subject>`, `<saml:Subject xmlns:x="x">`), "relative"},
		{"tab in a value", edit(`Format="`, "Format=\"\t"), "tab or a line end"},
		{"line feed in a value", edit(`Format="`, "Format=\"\n"), "tab or a line end"},
		{"carriage return in a value", edit(`Format="`, "Format='\r' x=\""), "tab or a line end"},
		{"no blank between attributes", edit(` Version="2.0"`, `Version="2.0"`), "no blank"},
		{"ID twice", edit(`<saml:Subject>`, `<saml:Subject ID="_a1">`), "ID twice"},
		{"ID twice in the signature", edit(`<ds:KeyInfo>`, `<ds:KeyInfo Id="_a1">`), "ID twice"},
		{"ID twice by xml:id", edit(`<ds:KeyInfo>`, `<ds:KeyInfo xml:id="_a1">`), "ID twice"},
		{"too deep", strings.Repeat("<a>", 33) + strings.Repeat("</a>", 33), "deeper than 32"},
		{"too large", edit(name, `>`+strings.Repeat("a", 256<<10)+`</saml:NameID>`), "larger than 256 KiB"},
		{"ds:Object", edit(`</ds:Signature>`, `<ds:Object></ds:Object></ds:Signature>`), "content of ds:Signature "},
		{"assertion in KeyInfo", edit(`<ds:KeyInfo>`, `<ds:KeyInfo><saml:Assertion></saml:Assertion>`), "content of ds:KeyInfo"},
		{"another root", "<x>" + good + "</x>", "root is not saml:Assertion"},
		{"root of another namespace", strings.ReplaceAll(good, `"urn:oasis:names:tc:SAML:2.0:assertion"`, `"urn:oasis:names:tc:SAML:2.0:assertion "`), "root is not saml:Assertion"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			refused(t, tc.text, p256().cert, tc.why)
		})
	}
}

// TestVerifyRefusesWrapping hides a signed assertion in a forged one, so that the signature is right about something that
// nobody reads.
func TestVerifyRefusesWrapping(t *testing.T) {
	t.Parallel()
	good := signing{key: p256()}.sign(plain().canonical())
	forged := plain()
	forged.id, forged.nameID = "_evil", "mallory"
	evil := forged.canonical()
	_, rest, _ := strings.Cut(good, "</saml:Issuer>")
	signature, _, _ := strings.Cut(rest, "<saml:Subject>")
	original := with(t, good, signature, "")
	inSignature := func(content string) string { return with(t, signature, `</ds:Signature>`, content+`</ds:Signature>`) }
	signed := func(signature string) string {
		return with(t, evil, `</saml:Issuer>`, `</saml:Issuer>`+signature)
	}
	for _, tc := range []struct{ name, text, why string }{
		{"original at the end of the forged one", with(t, evil, `</saml:Assertion>`, good+`</saml:Assertion>`), "content of saml:Assertion"},
		{"original without signature at the end", with(t, signed(signature), `</saml:Assertion>`, original+`</saml:Assertion>`), "content of saml:Assertion"},
		{"original in ds:Object", signed(inSignature(`<ds:Object>` + original + `</ds:Object>`)), "content of ds:Signature "},
		{"original in KeyInfo", signed(inSignature(`<ds:KeyInfo>` + original + `</ds:KeyInfo>`)), "content of ds:KeyInfo"},
		{"original in the signature", signed(inSignature(original)), "content of ds:Signature "},
		{"original in an AttributeValue", with(t, signed(signature), `<saml:AttributeValue>alice@acme.test`, `<saml:AttributeValue>`+original), "content of saml:AttributeValue"},
		{"original in Advice", with(t, evil, `<saml:AuthnStatement `, `<saml:Advice>`+good+`</saml:Advice><saml:AuthnStatement `), "content of saml:Assertion"},
		{"original in the Subject", with(t, evil, `</saml:Subject>`, good+`</saml:Subject>`), "content of saml:Subject "},
		{"original behind the forged one", evil + good, "more than one root"},
		{"forged one behind the original", good + evil, "more than one root"},
		{"forged one in the original's signature", with(t, good, `</ds:Signature>`, evil+`</ds:Signature>`), "content of ds:Signature "},
		{"both with the same ID", with(t, signed(inSignature(`<ds:Object>`+original+`</ds:Object>`)), `"_evil"`, `"_a1"`), "ID twice"},
		{"signature alone", signed(signature), "something else"},
		{"signature alone, with the ID", with(t, signed(signature), `"_evil"`, `"_a1"`), "digest"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			refused(t, tc.text, p256().cert, tc.why)
		})
	}
}

// TestVerifyIsCheap: a large document is refused before it is parsed.
func TestVerifyIsCheap(t *testing.T) {
	large := []byte(strings.Repeat("<a/>", 10<<20/4))
	require.LessOrEqual(t, testing.AllocsPerRun(10, func() {
		_, err := samltest.Verify(large, p256().cert)
		require.ErrorContains(t, err, "larger")
	}), 20.0)
}
