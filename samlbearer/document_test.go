package samlbearer_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/beevik/etree"
	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant/samlbearer"
)

// places are the fields that come from outside, with how an assertion gives them back.
var places = map[string]struct {
	put func(s *samlbearer.Signer, user *string, text string)
	get func(r *read) string
}{
	"user":           {func(_ *samlbearer.Signer, user *string, text string) { *user = text }, func(r *read) string { return r.NameID.Text }},
	"Issuer":         {func(s *samlbearer.Signer, _ *string, text string) { s.Issuer = text }, func(r *read) string { return r.Issuer }},
	"Audience":       {func(s *samlbearer.Signer, _ *string, text string) { s.Audience = text }, func(r *read) string { return r.Conditions.Audiences[0] }},
	"Recipient":      {func(s *samlbearer.Signer, _ *string, text string) { s.Recipient = text }, func(r *read) string { return r.Confirmation.Data.Recipient }},
	"NameIDFormat":   {func(s *samlbearer.Signer, _ *string, text string) { s.NameIDFormat = text }, func(r *read) string { return r.NameID.Format }},
	"NameQualifier":  {func(s *samlbearer.Signer, _ *string, text string) { s.NameQualifier = text }, func(r *read) string { return r.NameID.NameQualifier }},
	"AuthnContext":   {func(s *samlbearer.Signer, _ *string, text string) { s.AuthnContext = text }, func(r *read) string { return r.Authn.Class }},
	"attribute name": {func(s *samlbearer.Signer, _ *string, text string) { s.Attributes = map[string][]string{text: {"v"}} }, func(r *read) string { return r.Attributes[0].Name }},
	"attribute value": {func(s *samlbearer.Signer, _ *string, text string) {
		s.Attributes = map[string][]string{"n": {"first", text}}
	},
		func(r *read) string { return r.Attributes[0].Values[1] }},
	"attribute name of a user": {func(s *samlbearer.Signer, _ *string, text string) {
		s.AttributesFor = func(context.Context, string) (map[string][]string, error) {
			return map[string][]string{text: {"v"}}, nil
		}
	}, func(r *read) string { return r.Attributes[0].Name }},
	"attribute value of a user": {func(s *samlbearer.Signer, _ *string, text string) {
		s.AttributesFor = func(context.Context, string) (map[string][]string, error) {
			return map[string][]string{"n": {text}}, nil
		}
	}, func(r *read) string { return r.Attributes[0].Values[0] }},
}

// TestTextsSurvive: whatever XML can carry comes back as it was, signed.
func TestTextsSurvive(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"CR":            "al\rice",
		"LF":            "al\nice",
		"CRLF":          "al\r\nice",
		"TAB":           "al\tice",
		"at the ends":   " \t\r\nalice\n\r\t ",
		"quotes":        `al"i'ce`,
		"markup":        `</saml:NameID><saml:NameID>mallory`,
		"end of CDATA":  "al]]>ice",
		"CDATA":         "<![CDATA[alice]]>",
		"comment":       "al<!-- -->ice",
		"entities":      "&amp;&lt;&#13;&#0;&alice;",
		"instruction":   "<?alice ?>",
		"umlauts":       "Jürgen Größe",
		"decomposed":    "Ju\u0308rgen",
		"emoji":         "alice 👩‍🚀",
		"last ones":     "\ud7ff\ue000\ufffd\U0010ffff",
		"beyond BMP":    "\U00010000\U0001fffe\U0001ffff",
		"control C1":    "\u0080\u0085\u009f",
		"line ends":     "\u2028\u2029",
		"BOM":           "\ufeffalice",
		"replacement":   "al\ufffdice",
		"DEL":           "al\x7fice",
		"a declaration": ` xmlns:xs="http://www.w3.org/2001/XMLSchema"`,
		"slash":         `alice" ID="_evil`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for place, p := range places {
				s, user := signer(), "alice"
				p.put(&s, &user, text)
				assertion, err := s.Assertion(t.Context(), user)
				require.NoError(t, err, place)
				r := readAssertion(t, assertion, signingKey.Public())
				require.Equal(t, text, p.get(r), place)
			}
		})
	}
}

// unfit are the texts that XML cannot carry.
var unfit = map[string]string{
	"NUL":                   "S3NTINEL\x00",
	"SOH":                   "\x01S3NTINEL",
	"BEL":                   "S3NT\aINEL",
	"VT":                    "S3NTINEL\v",
	"FF":                    "S3NTINEL\f",
	"ESC":                   "S3NTINEL\x1b[0m",
	"US":                    "S3NTINEL\x1f",
	"U+FFFE":                "S3NTINEL\ufffe",
	"U+FFFF":                "S3NTINEL\uffff",
	"a lone high surrogate": "S3NTINEL\xed\xa0\x80",
	"a lone low surrogate":  "S3NTINEL\xed\xb0\x80",
	"a pair in CESU-8":      "S3NTINEL\xed\xa0\xbd\xed\xb8\x80",
	"invalid UTF-8":         "S3NTINEL\xff",
	"a piece of UTF-8":      "S3NTINEL\xc3",
	"overlong NUL":          "S3NTINEL\xc0\x80",
	"overlong slash":        "S3NTINEL\xe0\x80\xaf",
	"beyond Unicode":        "S3NTINEL\xf4\x90\x80\x80",
}

// TestTextsRefused: what XML cannot carry is refused, in every field, and the error says where but not what.
func TestTextsRefused(t *testing.T) {
	t.Parallel()
	fields := map[string]string{"user": "the user: ", "attribute name": "Attributes", "attribute value": "Attributes", "attribute name of a user": "Attributes", "attribute value of a user": "Attributes"}
	for name, text := range unfit {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for place, p := range places {
				s, user := signer(), "alice"
				p.put(&s, &user, text)
				want := fields[place]
				if want == "" {
					want = place + ": "
				}
				assertion, err := s.Assertion(t.Context(), user)
				require.ErrorContains(t, err, want, place)
				require.Nil(t, assertion)
				require.NotContains(t, err.Error(), "NTINEL", place)
				require.True(t, utf8.ValidString(err.Error()), place)

				server := inMemory(nil)
				cfg := config(server)
				cfg.Assertions = s
				client, err := samlbearer.New(cfg)
				if err == nil { // else New has seen it
					_, err = client.ForUser(user).Token(t.Context())
				} else {
					require.NotContains(t, place, "user", "New does not see it")
				}
				require.ErrorContains(t, err, want, place)
				require.NotContains(t, err.Error(), "NTINEL", place)
				require.Zero(t, server.TokenRequests(), place)
			}
		})
	}
}

// TestUsersNeverCollapse: two users that differ in a character that XML cannot carry alone are not one.
func TestUsersNeverCollapse(t *testing.T) {
	t.Parallel()
	server := inMemory(nil)
	client := newClient(t, config(server))
	for _, user := range []string{"alice\x00", "alice\x01", "alice\xff", "alice\ufffe", "alice\xed\xa0\x80"} {
		_, err := client.ForUser(user).Token(t.Context())
		require.ErrorContains(t, err, "the user: ")
	}
	require.Zero(t, server.TokenRequests())
	names := []string{"alice\ufffd", "alice\r", "alice\n", "alice\r\n", "alice\t", "alice ", "alice"} // these can be told apart
	for _, user := range names {
		token(t, client, user)
	}
	seen := map[string]bool{}
	for _, r := range server.Requests() {
		seen[readAssertion(t, sentAssertion(t, r), signingKey.Public()).NameID.Text] = true
	}
	require.Len(t, seen, len(names))
	for _, user := range names {
		require.True(t, seen[user], "%q", user)
	}
}

func TestUserTooLong(t *testing.T) {
	t.Parallel()
	server := inMemory(nil)
	client := newClient(t, config(server))
	for _, user := range []string{strings.Repeat("S3NTINEL", 128) + "x", strings.Repeat("ü", 513)} {
		_, err := signer().Assertion(t.Context(), user)
		require.ErrorContains(t, err, "the user: longer than 1024 bytes")
		require.NotContains(t, err.Error(), "S3NTINEL")
		_, err = client.ForUser(user).Token(t.Context())
		require.ErrorContains(t, err, "the user: longer than 1024 bytes")
		require.NotContains(t, err.Error(), "S3NTINEL")
	}
	require.Zero(t, server.TokenRequests())
	for _, user := range []string{strings.Repeat("x", 1024), strings.Repeat("ü", 512)} {
		token(t, client, user)
	}
}

// What goxmldsig and etree do by themselves, one test each.

// TestTrapSignatureIsAppended: goxmldsig's SignEnveloped appends the signature, where the schema does not have it.
func TestTrapSignatureIsAppended(t *testing.T) {
	t.Parallel()
	root := etree.NewDocument()
	require.NoError(t, root.ReadFromBytes(assertionOf(t, "alice")))
	var tags []string
	for _, child := range root.Root().ChildElements() {
		tags = append(tags, child.Tag)
	}
	require.Equal(t, []string{"Issuer", "Signature", "Subject", "Conditions", "AuthnStatement", "AttributeStatement"}, tags)
}

// TestTrapInclusiveCanonicalization: goxmldsig's default is C14N 1.1, which many refuse, and which would not survive a
// samlp:Response around the assertion.
func TestTrapInclusiveCanonicalization(t *testing.T) {
	t.Parallel()
	text := string(assertionOf(t, "alice"))
	require.Contains(t, text, `<ds:CanonicalizationMethod Algorithm="http://www.w3.org/2001/10/xml-exc-c14n#">`)
	require.Contains(t, text, `<ds:Transform Algorithm="http://www.w3.org/2000/09/xmldsig#enveloped-signature"></ds:Transform>`+
		`<ds:Transform Algorithm="http://www.w3.org/2001/10/xml-exc-c14n#"></ds:Transform></ds:Transforms>`)
	require.NotContains(t, text, "xml-c14n")
}

// TestTrapCanonicalizerTakesDeclarations: the exclusive canonicalizer drops xmlns:xs from its input, and xsi:type="xs:string"
// would mean nothing.
func TestTrapCanonicalizerTakesDeclarations(t *testing.T) {
	t.Parallel()
	text := string(assertionOf(t, "alice"))
	require.Contains(t, text, `<saml:AttributeValue xmlns:xs="http://www.w3.org/2001/XMLSchema" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="xs:string">v</saml:AttributeValue>`)
	require.Equal(t, strings.Count(text, "<saml:AttributeValue"), strings.Count(text, "xmlns:xs="))
}

// TestTrapPrefixList: with a list of inclusive prefixes goxmldsig's signatures are wrong.
func TestTrapPrefixList(t *testing.T) {
	t.Parallel()
	require.NotContains(t, string(assertionOf(t, "alice")), "InclusiveNamespaces")
}

// TestTrapECDSAForm: goxmldsig writes what a crypto.Signer returns, which is ASN.1, and XML Signature wants r and s.
func TestTrapECDSAForm(t *testing.T) {
	t.Parallel()
	s := signer()
	s.Key, s.Certificate, s.OmitCertificate = ecKey, nil, true
	for range 20 { // in ASN.1 it would be 70 to 72 bytes
		assertion, err := s.Assertion(t.Context(), "alice")
		require.NoError(t, err)
		readAssertion(t, assertion, ecKey.Public())
		require.Len(t, between(t, string(assertion), "<ds:SignatureValue>", "</ds:SignatureValue>"), 88)
	}
}

// TestTrapCarriageReturn: etree writes a CR as it is, and every parser makes a line feed of it.
func TestTrapCarriageReturn(t *testing.T) {
	t.Parallel()
	assertion := assertionOf(t, "a\rb")
	require.Contains(t, string(assertion), ">a&#xD;b</saml:NameID>")
	require.NotContains(t, string(assertion), "\r")
	require.Equal(t, "a\rb", readAssertion(t, assertion, signingKey.Public()).NameID.Text)
	s := signer()
	s.NameQualifier = "a\r\n\tb"
	assertion, err := s.Assertion(t.Context(), "alice")
	require.NoError(t, err)
	require.Contains(t, string(assertion), `NameQualifier="a&#xD;&#xA;&#x9;b"`)
}

// TestTrapReplacementCharacter: etree writes U+FFFD for what XML cannot carry, and two users become one.
func TestTrapReplacementCharacter(t *testing.T) {
	t.Parallel()
	for _, text := range unfit {
		_, err := signer().Assertion(t.Context(), text)
		require.Error(t, err)
	}
}

// TestTrapEmptyElements: etree closes an empty element in short form, which canonical XML has not.
func TestTrapEmptyElements(t *testing.T) {
	t.Parallel()
	require.NotContains(t, string(assertionOf(t, "alice")), "/>")
}

// TestTrapTwoCommonNames: Go's Subject.CommonName is the last of them.
func TestTrapTwoCommonNames(t *testing.T) {
	t.Parallel()
	certificate := certify(signingKey, commonNames("ALICE", "BOB"), longAgo, farAhead)
	require.Equal(t, "BOB", certificate.Subject.CommonName)
	_, err := samlbearer.Signer{Certificate: certificate}.TechnicalUser()
	require.ErrorContains(t, err, "2 common names")
}

// TestTrapKeyInfoWithoutCertificate: goxmldsig writes a KeyInfo all the same, with nothing in it.
func TestTrapKeyInfoWithoutCertificate(t *testing.T) {
	t.Parallel()
	s := signer()
	s.OmitCertificate = true
	assertion, err := s.Assertion(t.Context(), "alice")
	require.NoError(t, err)
	require.NotContains(t, string(assertion), "X509")
	require.NotContains(t, string(assertion), "KeyInfo")
}

func assertionOf(t *testing.T, user string) []byte {
	t.Helper()
	s := signer()
	s.Attributes = map[string][]string{"n": {"v", "w"}, "o": {"v"}}
	assertion, err := s.Assertion(t.Context(), user)
	require.NoError(t, err)
	return assertion
}

// FuzzSigner puts a text into NameID and attributes: it is refused, or comes back as it was under a signature that
// verifies. It seeds from the files in testdata/texts.
func FuzzSigner(f *testing.F) {
	seeds, err := filepath.Glob("testdata/texts/*")
	if err != nil || len(seeds) == 0 {
		f.Fatal("no seeds in testdata/texts")
	}
	for _, file := range seeds {
		text, err := os.ReadFile(file)
		require.NoError(f, err)
		f.Add(string(text), string(text))
		f.Add("alice", string(text))
	}
	s := signer()
	s.Key, s.Certificate, s.OmitCertificate = ecKey, nil, true // ten times as fast
	f.Fuzz(func(t *testing.T, user, text string) {
		s := s
		s.NameQualifier = text
		s.Attributes = map[string][]string{text: {user, text}, "n": {text}}
		assertion, err := s.Assertion(t.Context(), user)
		if !fits(user) || !fits(text) || user == "" || len(user) > 1024 || text == "" {
			require.Error(t, err)
			require.Nil(t, assertion)
			return
		}
		require.NoError(t, err)
		if len(assertion) > 200<<10 { // more than the verifier takes
			return
		}
		if strings.Trim(user, " \t\r\n") == "" { // which the other verifier does not take for a name
			verifySignature(t, assertion, ecKey.Public())
			return
		}
		r := readAssertion(t, assertion, ecKey.Public())
		require.Equal(t, user, r.NameID.Text)
		require.Equal(t, text, r.NameID.NameQualifier)
		require.Equal(t, s.Attributes, r.attributes())
	})
}

// fits reports whether XML 1.0 can carry a text: its Char production, written once more.
func fits(text string) bool {
	for i, r := range text {
		_, size := utf8.DecodeRuneInString(text[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			return false
		case r == 0x9, r == 0xA, r == 0xD, 0x20 <= r && r <= 0xD7FF, 0xE000 <= r && r <= 0xFFFD, 0x10000 <= r && r <= 0x10FFFF:
		default:
			return false
		}
	}
	return true
}
