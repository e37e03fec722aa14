package saml_test

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant/internal/peers/peer"
)

// expectation is what a verifier is told to expect. Those that look at signatures alone use the certificate.
type expectation struct {
	idp                 peer.IdP
	audience, recipient string
}

// verdict is what a verifier says of an assertion.
type verdict struct {
	Refused    string // why; "" if it is accepted
	NameID     string
	Attributes map[string][]string
}

type verify func(t testing.TB, assertion []byte, want expectation) verdict

// verifier is software that others wrote to check assertions.
type verifier struct {
	name      string
	start     func(testing.TB) verify
	signature string // it looks at the signature alone, and says this if that is not good; "": at everything, and says what it read
	keyInfo   bool   // it needs the certificate in the assertion
	trims     bool   // it trims attribute values and leaves out empty ones
	rsa       bool   // it knows RSA alone: it takes an ECDSA value for ASN.1
}

func (v verifier) knows(a algorithm) bool { return !v.rsa || strings.HasPrefix(a.name, "RSA") }

var verifiers = []verifier{
	{name: "xmlsec1", start: xmlsec1("--pubkey-cert-pem"), signature: `failed to verify file`},
	{name: "xmlsec1 by KeyInfo", start: xmlsec1("--trusted-pem"), signature: `failed to verify file`, keyInfo: true},
	{name: "samlsign", start: samlsign, signature: `did not supply a(ny| successful) verification key|unsigned object`},
	{name: "python3-onelogin-saml2", start: script("/usr/bin/python3", "saml/verify.py"), trims: true},
	{name: "ruby-saml", start: script("/usr/bin/ruby", "saml/verify.rb"), rsa: true},
}

// reads returns the attribute values as the verifier reads them.
func (v verifier) reads(attributes map[string][]string) map[string][]string {
	read := map[string][]string{}
	for name, values := range attributes {
		read[name] = []string{}
		for _, value := range values {
			if v.trims {
				value = strings.TrimSpace(value)
			}
			if value != "" || !v.trims {
				read[name] = append(read[name], value)
			}
		}
	}
	return read
}

// xmlsec1 verifies with the certificate as the option says: the signer's itself, or one that is trusted.
func xmlsec1(certificate string) func(testing.TB) verify {
	return func(t testing.TB) verify {
		program := peer.Program(t, "xmlsec1")
		return func(t testing.TB, assertion []byte, want expectation) verdict {
			dir := files(t, assertion, want)
			return run(t, dir, program, "--verify", "--id-attr:ID", "urn:oasis:names:tc:SAML:2.0:assertion:Assertion",
				"--enabled-reference-uris", "same-doc", certificate, certificateFile, assertionFile)
		}
	}
}

func samlsign(t testing.TB) verify {
	program := peer.Program(t, "samlsign")
	return func(t testing.TB, assertion []byte, want expectation) verdict {
		dir := files(t, assertion, want)
		return run(t, dir, program, "-f", filepath.Join(dir, assertionFile), "-c", filepath.Join(dir, certificateFile)) // absolute, or it finds nothing
	}
}

const assertionFile, certificateFile = "assertion.xml", "idp.pem"

// files writes the files for a program and returns their folder.
func files(t testing.TB, assertion []byte, want expectation) string {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, assertionFile), assertion, 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, certificateFile), []byte(want.idp.CertificatePEM()), 0o600))
	return dir
}

// run runs a program in a folder: some split the path of a file at its commas.
func run(t testing.TB, dir, program string, args ...string) verdict {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Dir = dir
	said, err := cmd.CombinedOutput()
	if err != nil {
		return verdict{Refused: fmt.Sprintf("%v: %s", err, said)}
	}
	return verdict{}
}

// script is a verifier of responses, in a process that lives as long as the test that starts it.
func script(interpreter, path string) func(testing.TB) verify {
	return func(t testing.TB) verify {
		s := peer.StartScript(t, interpreter, path)
		return func(t testing.TB, assertion []byte, want expectation) verdict {
			var said verdict
			s.Ask(t, map[string]string{
				"response": base64.StdEncoding.EncodeToString(response(assertion, want)), "issuer": want.idp.Issuer,
				"certificate": want.idp.CertificatePEM(), "audience": want.audience, "recipient": want.recipient,
			}, &said)
			return said
		}
	}
}

// response puts an assertion, unless it is in one already, in the response that these verifiers want around it. Only the
// assertion is signed.
func response(assertion []byte, want expectation) []byte {
	if bytes.HasPrefix(assertion, []byte("<samlp:Response")) {
		return assertion
	}
	var xml bytes.Buffer
	fmt.Fprintf(&xml, `<samlp:Response xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol" ID="_response" Version="2.0" IssueInstant="%s" Destination="%s">`+
		`<saml:Issuer xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion">%s</saml:Issuer>`+
		`<samlp:Status><samlp:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:Success"/></samlp:Status>%s</samlp:Response>`,
		time.Now().UTC().Format(time.RFC3339), want.recipient, want.idp.Issuer, assertion)
	return xml.Bytes()
}
