package saml_test

import (
	"bytes"
	"crypto/rand"
	"encoding/xml"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"text/template"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant/internal/peers/peer"
)

// issue makes an assertion of an identity provider about a user.
type issue func(t testing.TB, idp peer.IdP, user, audience, recipient string) []byte

// npmSAML issues with npm saml; options are its own, and may be nil.
func npmSAML(script *peer.Script, options map[string]any) issue {
	return func(t testing.TB, idp peer.IdP, user, audience, recipient string) []byte {
		t.Helper()
		all := map[string]any{
			"key": idp.KeyPEM(t), "cert": idp.CertificatePEM(), "signatureAlgorithm": "rsa-sha256", "digestAlgorithm": "sha256",
			"issuer": idp.Issuer, "audiences": audience, "recipient": recipient, "lifetimeInSeconds": 300, "nameIdentifier": user,
			"attributes": map[string]any{"Groups": []string{"admins", "users"}, "active": true},
		}
		for name, value := range options {
			all[name] = value
		}
		var assertion string
		script.Ask(t, all, &assertion)
		return []byte(assertion)
	}
}

// xmlsec1Sign issues with a template that xmlsec1 signs.
func xmlsec1Sign(t testing.TB, signatureMethod, digestMethod string) issue {
	program := peer.Program(t, "xmlsec1")
	unsigned, err := template.New("assertion.xml.tmpl").ParseFiles(filepath.Join("testdata", "assertion.xml.tmpl"))
	require.NoError(t, err)
	return func(t testing.TB, idp peer.IdP, user, audience, recipient string) []byte {
		t.Helper()
		now := time.Now().UTC()
		var text bytes.Buffer
		require.NoError(t, unsigned.Execute(&text, map[string]string{
			"ID": "_" + rand.Text(), "Now": now.Format(time.RFC3339), "End": now.Add(5 * time.Minute).Format(time.RFC3339),
			"SignatureMethod": signatureMethod, "DigestMethod": digestMethod,
			"Issuer": escape(t, idp.Issuer), "User": escape(t, user), "Audience": escape(t, audience), "Recipient": escape(t, recipient),
		}))
		dir := t.TempDir()
		for name, content := range map[string]string{"assertion.xml": text.String(), "key.pem": idp.KeyPEM(t), "idp.pem": idp.CertificatePEM()} {
			require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600))
		}
		cmd := exec.CommandContext(t.Context(), program, "--sign", "--id-attr:ID", "urn:oasis:names:tc:SAML:2.0:assertion:Assertion",
			"--privkey-pem", "key.pem,idp.pem", "assertion.xml")
		cmd.Dir = dir
		var printed bytes.Buffer
		cmd.Stderr = &printed
		signed, err := cmd.Output()
		require.NoError(t, err, "%s", &printed)
		return signed
	}
}

func escape(t testing.TB, text string) string {
	t.Helper()
	var escaped bytes.Buffer
	require.NoError(t, xml.EscapeText(&escaped, []byte(text)))
	return escaped.String()
}
