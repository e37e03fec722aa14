package console_test

import (
	"fmt"
	"html"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant/credstore"
)

const twoArtifacts = `[
	{"type": "OAuth2 Client Credentials", "name": "ONE", "tokenServiceUrl": "https://acme.example/token", "clientId": "x", "clientSecret": "S3NTINEL-1"},
	{"type": "Secure Parameter", "name": "TWO", "secureParameter": "S3NTINEL-2"}]`

func TestImportArtifacts(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	b := s.browser(t)
	page := b.get("import")
	list := page.send(map[string]any{"text": twoArtifacts}).requireStatus(http.StatusOK).has("Imported What is deployed is what was in the text.", "ONE Client credentials Deployed", "TWO Secure parameter Deployed")
	require.Equal(t, "./?sort=deployed", html.UnescapeString(regexp.MustCompile(`data-here="([^"]*)"`).FindStringSubmatch(list.text)[1]), "what was done is told once")
	require.Equal(t, []string{"ONE deployed by somebody at this machine", "TWO deployed by somebody at this machine"}, s.noted())

	other := `[{"type": "Secure Parameter", "name": "THREE", "secureParameter": "S3NTINEL-3"}, {"type": "Secure Parameter", "name": "TWO", "secureParameter": "S3NTINEL-4"}]`
	page = page.send(map[string]any{"text": other}).requireStatus(http.StatusUnprocessableEntity).has("TWO: there is a credential of that name")
	require.Empty(t, s.noted(), "all or nothing")
	require.Empty(t, page.fields().Get("text"), "there are secrets in it")
	page.has("What you have sent is not sent back: choose the file, or paste the text, again")
	page.send(map[string]any{"file": file(other), "text": nil, "replace": "on"}).requireStatus(http.StatusOK)
	value, err := s.store.SecureParameter(t.Context(), "TWO")
	require.NoError(t, err)
	require.EqualValues(t, "S3NTINEL-4", value)
	require.Len(t, s.noted(), 2)
}

func TestImportRefuses(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	page := s.browser(t).get("import")
	for name, refused := range map[string]struct {
		fields map[string]any
		want   string
	}{
		"nothing":          {map[string]any{"text": " "}, "Choose a file, or paste its text"},
		"no JSON":          {map[string]any{"text": "S3NTINEL"}, "not JSON"},
		"an empty list":    {map[string]any{"text": "[]"}, "There is no artifact in it"},
		"a reference":      {map[string]any{"text": `{"type": "Secure Parameter", "name": "P", "secureParameter": "${env:HOME}"}`}, `artifacts[0] "P" secureParameter: a reference`},
		"a file reference": {map[string]any{"text": `{"type": "Key Pair", "name": "P", "pkcs12": "${file:/etc/passwd}"}`}, `artifacts[0] "P" pkcs12: a reference`},
		"one that is wrong": {map[string]any{"text": `[{"type": "Secure Parameter", "name": "P", "secureParameter": "S3NTINEL"}, {"type": "Secure Parameter", "name": "Q"}]`},
			`artifacts[1] "Q" secureParameter: missing`},
		"a destination without its secret": {map[string]any{"text": `{"Name": "D", "Type": "HTTP", "URL": "https://acme.example", "Authentication": "OAuth2ClientCredentials",
			"clientId": "x", "tokenServiceURL": "https://acme.example/token"}`}, "clientSecret: missing: exports leave secrets out"},
		"a service key without a name":           {map[string]any{"kind": "service-key", "text": `{"clientid": "x", "clientsecret": "S3NTINEL", "tokenurl": "https://acme.example"}`}, "Name of the credential : missing"},
		"both":                                   {map[string]any{"text": "{}", "file": file("[]")}, "only one of them is imported"},
		"a service key that is called artifacts": {map[string]any{"text": `{"clientid": "x", "clientsecret": "S3NTINEL", "tokenurl": "https://acme.example"}`}, "This is a service key: say so"},
		"artifacts with a name":                  {map[string]any{"text": "[]", "name": "K"}, "A name and a key pair alias are for a service key alone"},
		"no service key":                         {map[string]any{"kind": "service-key", "name": "K", "text": `{"a": 1}`}, "service key"},
	} {
		t.Run(name, func(t *testing.T) {
			page.send(refused.fields).requireStatus(http.StatusUnprocessableEntity).has(refused.want, "Nothing was deployed yet")
			require.Empty(t, s.noted())
		})
	}
}

// TestImportIsWhole: what would be refused of one artifact keeps all from being deployed, and all that is wrong is told.
func TestImportIsWhole(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	s.deploy(t, credstore.SecureParameter{Name: "TWO", Value: secret})
	page := s.browser(t).get("import")
	page.send(map[string]any{"text": `[{"type": "Secure Parameter", "name": "ONE", "secureParameter": "x"}, {"type": "Secure Parameter", "name": "TWO", "secureParameter": "x"},
		{"type": "OAuth2 Client Credentials", "name": "PLAIN", "tokenServiceUrl": "http://acme.example/token", "clientId": "x", "clientSecret": "x"}]`}).
		requireStatus(http.StatusUnprocessableEntity).has("TWO: there is a credential of that name", "PLAIN: tokenServiceUrl: ", "Nothing was deployed yet")
	require.Empty(t, s.noted())

	var many []credstore.Artifact
	for i := range 30 {
		a := s.clientCredentials(fmt.Sprint("MANY_", i))
		s.deploy(t, a)
		many = append(many, &credstore.SecureParameter{Name: a.Name})
	}
	text, err := credstore.FormatArtifacts(many)
	require.NoError(t, err)
	page.send(map[string]any{"text": strings.ReplaceAll(string(text), `"Secure Parameter",`, `"Secure Parameter", "secureParameter": "x",`)}).
		requireStatus(http.StatusUnprocessableEntity).has("MANY_19: there is a credential", "And 10 more").hasNot("MANY_20")
}

func TestImportAServiceKeyAndADestination(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	b := s.browser(t)
	page := b.get("import")
	key, err := os.ReadFile("../../clientcredentials/testdata/servicekeys/bare-secret.json")
	require.NoError(t, err)
	page.send(map[string]any{"kind": "service-key", "name": "FROM_KEY", "file": file(key)}).requireStatus(http.StatusOK).has("Imported", "FROM_KEY")
	a, err := s.store.Artifact(t.Context(), "FROM_KEY")
	require.NoError(t, err)
	require.Equal(t, credstore.InHeader, a.(*credstore.ClientCredentials).ClientAuthentication)

	page.send(map[string]any{"text": `{"Name": "FROM_DESTINATION", "Type": "HTTP", "URL": "https://acme.example", "Authentication": "OAuth2ClientCredentials",
		"clientId": "x", "clientSecret": "S3NTINEL", "tokenServiceURL": "https://acme.example/token"}`}).requireStatus(http.StatusOK)
	require.Equal(t, "https://acme.example/token", mustInfo(t, s, "FROM_DESTINATION").TokenServiceURL)
}
