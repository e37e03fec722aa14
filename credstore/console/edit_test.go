package console_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/credstore"
	"github.com/outgrant/outgrant/credstore/console"
)

func pemOfTest(t testing.TB) string {
	t.Helper()
	data, err := os.ReadFile("../testdata/keys/signing.pem")
	require.NoError(t, err)
	return string(data)
}

// full has an artifact of each type, with all that fits together, and what of it is secret by the inputs' names.
func full(t testing.TB, s *site) map[credstore.Artifact]map[string]any {
	return map[credstore.Artifact]map[string]any{
		&credstore.ClientCredentials{Name: "FULL_CLIENT", Description: "two\nlines", TokenServiceURL: s.TokenURL(), ClientID: "id", ClientSecret: secret + "-1",
			ClientAuthentication: credstore.InHeader, GrantType: credstore.InURL, Scope: "a b", ContentType: credstore.FormContent, Resource: "urn:r", Audience: "aud",
			CustomParameters: []credstore.CustomParameter{{Key: "k1", Value: secret + "-2", SendAs: credstore.InHeader}, {Key: "k2", Value: secret + "-3"}}}: {
			"clientSecret": secret + "-1", "customParameters[0].value": secret + "-2", "customParameters[1].value": secret + "-3"},
		&credstore.ClientCredentials{Name: "JWT_CLIENT", TokenServiceURL: s.TokenURL(), ClientID: "id", ClientAuthentication: credstore.WithPrivateKeyJWT,
			KeyPairAlias: "pair", KeyID: "kid", SignatureAlgorithm: "ES256", AssertionAudience: "https://acme.example"}: {},
		&credstore.SAMLBearerAssertion{Name: "FULL_SAML", Audience: "aud", ClientKey: "key", TokenServiceURL: "https://acme.example/oauth/token",
			TargetSystemType: credstore.BTPCloudFoundry, UserIDSource: "email", KeyPairAlias: "pair", TokenServiceUser: "user", TokenServicePassword: secret + "-4",
			Issuer: "iss", Recipient: "https://acme.example/oauth/token/alias/x", NameIDFormat: "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress", AuthnContextClassRef: "urn:ctx",
			Attributes: map[string]string{"Groups": "a", "mail": "b"}, SAMLAssertionEncoding: credstore.Base64URL, OmitSigningCertificate: true, Scope: "x"}: {
			"tokenServicePassword": secret + "-4"},
		&credstore.AuthorizationCode{Name: "FULL_CODE", Provider: credstore.Generic, AuthorizationURL: s.AuthURL() + "?prompt=consent&access_type=offline", TokenServiceURL: s.TokenURL(),
			RefreshTokenExpiryDays: 30, RedirectURL: s.url + "callback", ClientID: "id", ClientSecret: secret + "-5", SendAs: credstore.InHeader, UserName: "ops", Scope: "mail",
			DisablePKCE: true, ScopeOnRefresh: true, ScopeInURL: true, Issuer: "https://issuer.example", RevocationURL: s.RevokeURL()}: {"clientSecret": secret + "-5"},
		&credstore.AuthorizationCode{Name: "MICROSOFT", Provider: credstore.Microsoft365, Tenant: "acme.example", ClientID: "id", ClientSecret: secret + "-6"}: {"clientSecret": secret + "-6"},
		&credstore.SecureParameter{Name: "PARAMETER", Description: "a key", Value: secret + " with blanks "}:                                                   {"secureParameter": secret + " with blanks "},
		&credstore.KeyPair{Name: "pair", PEM: outgrant.Secret(pemOfTest(t))}:                                                                                   {"pem": pemOfTest(t)},
	}
}

// TestEditChangesNothingByItself opens the form of each artifact, enters its secrets again, and sends it: what is deployed then is
// what was, to the last attribute.
func TestEditChangesNothingByItself(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	b := s.browser(t)
	for a, secrets := range full(t, s) {
		s.deploy(t, a)
		before := mustInfo(t, s, a.ArtifactName())
		page := b.get("edit?name=" + a.ArtifactName()).requireStatus(http.StatusOK)
		require.NotContains(t, page.text, "BEGIN PRIVATE KEY")
		page.send(secrets).requireStatus(http.StatusOK).has("Deployed: " + a.ArtifactName())
		require.Empty(t, s.noted(), a.ArtifactName())
		require.Equal(t, before.Version, mustInfo(t, s, a.ArtifactName()).Version, "%s: it is the same, and stays", a.ArtifactName())
	}
}

// TestNewMakesWhatWasEntered makes each artifact under another name, from an empty form.
func TestNewMakesWhatWasEntered(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	b := s.browser(t)
	for a, secrets := range full(t, s) {
		s.deploy(t, a)
		fields := map[string]any{}
		page := b.get("edit?name=" + a.ArtifactName())
		values := page.fields()
		for name := range values {
			fields[name] = values.Get(name)
		}
		for name, value := range secrets {
			fields[name] = value
		}
		fields["name"], fields["version"] = "NEW_"+a.ArtifactName(), ""
		for _, flag := range []string{"pkce", "includeSigningCertificate", "scopeOnRefresh", "scopeInUrl"} {
			if values.Get(flag) == "" {
				fields[flag] = nil
			}
		}
		b.get("new?type=" + strings.ReplaceAll(a.Type(), " ", "+")).send(fields).requireStatus(http.StatusOK)
		one, err := s.store.Artifact(t.Context(), a.ArtifactName())
		require.NoError(t, err)
		other, err := s.store.Artifact(t.Context(), "NEW_"+a.ArtifactName())
		require.NoError(t, err)
		texts := [2][]byte{}
		for i, a := range []credstore.Artifact{one, other} {
			texts[i], err = credstore.FormatArtifacts([]credstore.Artifact{a})
			require.NoError(t, err)
		}
		require.Equal(t, string(texts[0]), strings.Replace(string(texts[1]), "NEW_", "", 1))
	}
}

func TestAKeyPairFromAFile(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	p12, err := os.ReadFile("../testdata/keys/signing.p12")
	require.NoError(t, err)
	b := s.browser(t)
	form := b.get("new?type=Key+Pair")
	form.send(map[string]any{"name": "pair", "pkcs12": file(p12), "password": "wrong"}).requireStatus(http.StatusUnprocessableEntity).has("PKCS#12 file")
	form.send(map[string]any{"name": "pair", "pkcs12": file(p12), "password": "S3NTINEL-password"}).requireStatus(http.StatusOK).has("Certificate", "Key Pair")
	require.Equal(t, []string{"pair deployed by somebody at this machine"}, s.noted())
	s.deploy(t, &credstore.SAMLBearerAssertion{Name: "SF_TASKS", ClientKey: "key", TokenServiceURL: "https://acme.example/oauth/token",
		TargetSystemType: credstore.SuccessFactors, CompanyID: "ACME", KeyPairAlias: "pair"})
	b.get("artifact?name=pair").has("Used by SF_TASKS")
	b.get("delete?name=pair").has("It is used by SF_TASKS")
	for _, page := range []string{"new?type=OAuth2+SAML+Bearer+Assertion", "import"} {
		require.Regexp(t, `list="key-pairs"[^\x00]*<datalist id="key-pairs"><option value="pair">`, b.get(page).text, "it is suggested")
	}
}

// TestProblemsBesideTheField has each problem where it is, and keeps what was entered, but for secrets.
func TestProblemsBesideTheField(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	b := s.browser(t)
	page := b.get("new?type=OAuth2+Client+Credentials").send(map[string]any{
		"name": "a/b", "description": "kept", "clientId": "", "clientSecret": secret, "tokenServiceUrl": "http://acme.example/token", "keyId": "a kid",
		"customParameters[1].key": "client_id", "customParameters[1].value": secret, "customParameters[1].sendAs": "url",
	}).requireStatus(http.StatusUnprocessableEntity).has("Nothing was deployed yet")
	for at, want := range map[string]string{
		"f-name":     "Must not contain / or \\",
		"f-clientId": "Missing",
		"f-keyId":    "Must not be set with “Client authentication” body",
	} {
		require.Contains(t, page.text, `id="`+at+`-error">`+want, at)
		require.Contains(t, page.text, `<a href="#`+at+`">`, at)
		require.Regexp(t, `id="`+at+`"[^>]*aria-invalid="true"`, page.text)
	}
	page.has("Name : must not contain / or \\ Client ID : missing Key ID : must not be set")
	fields := page.fields()
	require.Equal(t, "kept", fields.Get("description"))
	require.Equal(t, "client_id", fields.Get("customParameters[0].key"), "empty lines are closed up")
	require.Equal(t, "url", fields.Get("customParameters[0].sendAs"))
	require.Regexp(t, `<details open><summary id="f-customParameters">Custom parameters`, page.text)
	page.has("Secrets and files are not sent back: enter those again that you have entered")
	require.Regexp(t, `id="f-customParameters-0--value-error">It is not sent back: enter it again<`, page.text)
	require.Equal(t, 1, strings.Count(page.words(), "not sent back: enter those"), "once for all")
	require.Empty(t, s.noted())

	// What only shows when the rest is right.
	again := map[string]any{"name": "AB", "clientId": "id", "clientSecret": secret, "keyId": "", "customParameters[0].value": secret}
	page = page.send(again).requireStatus(http.StatusUnprocessableEntity)
	require.Regexp(t, `id="f-customParameters-0--key-error"`, page.text)
	page.has("Key 1 : ")
	require.Contains(t, page.text, `<fieldset class="rows" aria-labelledby="f-customParameters">`)
	again["customParameters[0].key"] = "k"
	page = page.send(again).requireStatus(http.StatusUnprocessableEntity)
	require.Regexp(t, `id="f-tokenServiceUrl-error">[^<]*https`, page.text, "plain http to another machine")
	again["tokenServiceUrl"] = "https://acme.example/token"
	page.send(again).requireStatus(http.StatusOK)

	b.get("new?type=OAuth2+Client+Credentials").send(map[string]any{"name": "A/B", "clientId": "id", "tokenServiceUrl": "ftp://acme.example"}).
		has("Name : must not contain", "Client secret : missing", "Token service URL : scheme must be https")
	b.get("new?type=OAuth2+Authorization+Code").send(map[string]any{"name": "CODE", "refreshTokenExpiryDays": "two"}).has("Refresh token expiry in days : not a whole number")
	page = b.get("new?type=OAuth2+SAML+Bearer+Assertion").send(map[string]any{"name": "SF", "attributes[0].name": "a-b", "attributes[0].value": "1",
		"attributes[1].name": "a_b", "attributes[1].value": "2", "attributes[3].name": "a-b", "attributes[3].value": "3"}).
		has("Attributes : \"a-b\" comes twice", "Token service URL : missing").hasNot("Secrets and files")
	for i, row := range [][2]string{{"a-b", "1"}, {"a_b", "2"}, {"a-b", "3"}} {
		at := fmt.Sprintf("attributes[%d].", i)
		require.Equal(t, row, [2]string{page.fields().Get(at + "name"), page.fields().Get(at + "value")}, "nothing that was entered is lost")
	}
	page = page.send(map[string]any{"attributes[2].name": "c", "attributes[1].value": strings.Repeat("2", 2000), "targetSystemType": "Generic", "keyPairAlias": "pair", "clientKey": "key",
		"tokenServiceUrl": "https://acme.example/token"}).has("Value 2 : ")
	b.get("new?type=OAuth2+SAML+Bearer+Assertion").send(map[string]any{"name": "SF", "targetSystemType": "SuccessFactors", "companyId": "ACME", "keyPairAlias": "pair", "clientKey": "key",
		"tokenServiceUrl": "https://acme.example/token", "tokenServicePassword": secret}).has("Token service password : must not be set for SuccessFactors", "Must not be set for SuccessFactors")
	require.Regexp(t, `<a href="#f-attributes-1--value">Value 2</a>`, page.text)
	require.Regexp(t, `id="f-attributes-1--value"[^>]* aria-describedby="f-attributes-1--value-error" aria-invalid="true"`, page.text)
	for _, reference := range []string{"${env:HOME}", "${file:/etc/passwd}"} {
		b.get("new?type=Secure+Parameter").send(map[string]any{"name": "P", "secureParameter": reference}).requireStatus(http.StatusUnprocessableEntity).has("a reference")
	}
	require.Len(t, s.noted(), 1)
}

func TestANameThatIsTaken(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	s.deploy(t, credstore.SecureParameter{Name: "P", Value: secret})
	s.browser(t).get("new?type=Secure+Parameter").send(map[string]any{"name": "P", "secureParameter": secret + "-other"}).
		requireStatus(http.StatusConflict).has("Name : there is a credential of that name")
	require.Empty(t, s.noted())
}

func TestTheLimit(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	for i := range 500 {
		s.deploy(t, s.authorizationCode(fmt.Sprintf("MAILBOX_%03d", i)))
	}
	s.browser(t).get("new?type=OAuth2+Authorization+Code").send(map[string]any{"name": "ONE_MORE", "authorizationUrl": s.AuthURL(), "tokenServiceUrl": s.TokenURL(),
		"clientId": "x", "clientSecret": secret}).requireStatus(http.StatusUnprocessableEntity).has("the tenant has 500 authorization codes")
}

// TestAStaleForm has somebody else change, or delete, what is being edited.
func TestAStaleForm(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	s.deploy(t, s.clientCredentials("S4_ORDERS"))
	b := s.browser(t)
	form, remove := b.get("edit?name=S4_ORDERS"), b.get("delete?name=S4_ORDERS")
	changed := s.clientCredentials("S4_ORDERS")
	changed.Description = "by bob"
	require.NoError(t, s.store.As("bob").Deploy(t.Context(), changed))
	s.noted()

	mine := map[string]any{"description": "by me", "clientSecret": secret}
	page := form.send(mine).requireStatus(http.StatusConflict).has("bob has deployed another version")
	require.Equal(t, "by me", page.fields().Get("description"))
	require.Equal(t, "by bob", mustInfo(t, s, "S4_ORDERS").Description)
	remove.send(nil).requireStatus(http.StatusConflict).has("Not deleted")
	require.Empty(t, s.noted())

	page.send(map[string]any{"clientSecret": secret}).requireStatus(http.StatusOK)
	require.Equal(t, "by me", mustInfo(t, s, "S4_ORDERS").Description)

	form = b.get("edit?name=S4_ORDERS")
	require.NoError(t, s.store.Undeploy(t.Context(), "S4_ORDERS"))
	page = form.send(mine).requireStatus(http.StatusConflict).has("It was deleted while you were editing")
	page.send(map[string]any{"clientSecret": secret}).requireStatus(http.StatusOK)
	require.Equal(t, "by me", mustInfo(t, s, "S4_ORDERS").Description)
	b.get("delete?name=NOBODY").requireStatus(http.StatusNotFound)
}

// TestSentTwice has forms be sent a second time before the answer to the first was there.
func TestSentTwice(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	b := s.browser(t)
	form, fields := b.get("new?type=Secure+Parameter"), map[string]any{"name": "P", "secureParameter": secret}
	form.send(fields).requireStatus(http.StatusOK)
	form.send(fields).requireStatus(http.StatusConflict).has("There is one of that name You have deployed it just now: it is this one, if the form was sent twice.").hasNot("Nothing was deployed yet")
	edit := b.get("edit?name=P")
	fields["description"] = "new"
	edit.send(fields).requireStatus(http.StatusOK)
	edit.send(fields).requireStatus(http.StatusConflict).has("You have deployed another version", "if the form was sent twice")
	remove := b.get("delete?name=P")
	for range 2 {
		remove.send(nil).requireStatus(http.StatusOK).has("Deleted The credential is gone.")
	}
	require.Equal(t, []string{"P deployed by somebody at this machine", "P deployed by somebody at this machine", "P undeployed by somebody at this machine"}, s.noted())
}

// TestAFormIsKept where the store is away, or the name is one that the person may not deploy.
func TestAFormIsKept(t *testing.T) {
	t.Parallel()
	s := newSite(t, &console.Options{Allow: func(_ *http.Request, do console.Action, name string) (string, error) {
		if do == console.Deploy && name == "FORBIDDEN" {
			return "", errors.New("this name is not yours")
		}
		return "alice", nil
	}})
	s.deploy(t, s.clientCredentials("P"))
	b := s.browser(t)
	page := b.get("new?type=Secure+Parameter").send(map[string]any{"name": "FORBIDDEN", "description": "kept", "secureParameter": secret}).requireStatus(http.StatusForbidden).has("Name : this name is not yours")
	require.Equal(t, "kept", page.fields().Get("description"))
	forms := []*shown{page, b.get("edit?name=P")}
	s.down.Store(true)
	for i, form := range forms {
		page := form.send(map[string]any{"name": "P", "description": "kept", "secureParameter": secret, "clientSecret": secret}).requireStatus(http.StatusServiceUnavailable).
			has("It cannot be told whether that was deployed", "the database is away", "See what is deployed now", "Secrets and files are not sent back").hasNot("Nothing was deployed yet")
		require.Equal(t, "kept", page.fields().Get("description"), i)
	}
	page = forms[1].send(map[string]any{"description": "kept"}).requireStatus(http.StatusUnprocessableEntity)
	require.Equal(t, "kept", page.fields().Get("description"))
	s.down.Store(false)
	page.send(map[string]any{"clientSecret": secret}).requireStatus(http.StatusOK)
	require.Equal(t, "kept", mustInfo(t, s, "P").Description)
}

// TestADeletionThatIsNotWhole can be done again.
func TestADeletionThatIsNotWhole(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	s.deploy(t, s.authorizationCode("MAILBOX"))
	b := s.browser(t)
	b.get("authorize?name=MAILBOX")
	s.noted()
	remove := b.get("delete?name=MAILBOX")
	s.keeps.Store(true)
	page := remove.send(nil).requireStatus(http.StatusServiceUnavailable).has("It cannot be told whether all of it is deleted", "undeploy it again", "Delete it again in a while")
	require.Contains(t, s.noted(), "MAILBOX undeployed by somebody at this machine")
	require.Contains(t, page.text, `data-here="delete?name=MAILBOX"`)
	page = b.get("delete?name=MAILBOX").requireStatus(http.StatusOK).has("Delete MAILBOX ?")
	s.keeps.Store(false)
	page.send(nil).requireStatus(http.StatusOK).has("Deleted The credential is gone.")
	b.get("delete?name=MAILBOX").requireStatus(http.StatusNotFound)
	a, err := s.store.Vault().Load(t.Context(), "MAILBOX")
	require.NoError(t, err)
	require.Zero(t, a.Authorized)
	b.get("artifact?name=MAILBOX").requireStatus(http.StatusNotFound).has("It was deleted by somebody at this machine", "History", "Authorized by somebody at this machine")
}

// TestAnEditOfTexts leaves what nobody has touched as it is.
func TestAnEditOfTexts(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	want := map[string]string{"lines": "one\ntwo", "blanks": " x "}
	s.deploy(t, &credstore.SAMLBearerAssertion{Name: "SF", ClientKey: "key", TokenServiceURL: s.TokenURL() + "?subscription-key=" + "hidden", TargetSystemType: credstore.SuccessFactors,
		CompanyID: "ACME", KeyPairAlias: "pair", Attributes: want})
	b := s.browser(t)
	b.get("artifact?name=SF").has(s.TokenURL() + "?…").hasNot("subscription-key")
	page := b.get("edit?name=SF")
	require.Regexp(t, `<textarea id="f-attributes-1--value"[^>]*>one\ntwo</textarea>`, page.text)
	page.send(nil).requireStatus(http.StatusOK)
	require.Empty(t, s.noted(), "nothing has changed")
	page.send(map[string]any{"description": "new"}).requireStatus(http.StatusOK)
	a, err := s.store.Artifact(t.Context(), "SF")
	require.NoError(t, err)
	require.Equal(t, want, a.(*credstore.SAMLBearerAssertion).Attributes)
	require.Contains(t, a.(*credstore.SAMLBearerAssertion).TokenServiceURL, "subscription-key=hidden")
}

// TestTwoEditsAtOnce has eight people send the same form at the same time: one is first, and the others are told.
func TestTwoEditsAtOnce(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	s.deploy(t, s.clientCredentials("S4_ORDERS"))
	forms := make([]*shown, 8)
	for i := range forms {
		forms[i] = s.browser(t).get("edit?name=S4_ORDERS")
	}
	statuses := make([]int, len(forms))
	var sending sync.WaitGroup
	for i, form := range forms {
		sending.Go(func() {
			statuses[i] = form.send(map[string]any{"description": fmt.Sprint("by person ", i), "clientSecret": secret}).status
		})
	}
	sending.Wait()
	won := 0
	for i, status := range statuses {
		if status == http.StatusOK {
			won++
			require.Equal(t, fmt.Sprint("by person ", i), mustInfo(t, s, "S4_ORDERS").Description)
		} else {
			require.Equal(t, http.StatusConflict, status)
		}
	}
	require.Equal(t, 1, won)
}

func TestFormsThatCannotBe(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	s.deploy(t, s.clientCredentials("S4_ORDERS"))
	b := s.browser(t)
	post := func(kind, body string) *shown {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+"edit?name=S4_ORDERS", strings.NewReader(body))
		require.NoError(t, err)
		r.Header.Set("Content-Type", kind)
		return b.do(r)
	}
	post("text/plain", "x").requireStatus(http.StatusBadRequest)
	post("application/x-www-form-urlencoded", "type=%zz").requireStatus(http.StatusBadRequest)
	post("application/x-www-form-urlencoded", "type=Magic").requireStatus(http.StatusBadRequest)
	post("multipart/form-data; boundary=x", "--x\r\ncut off").requireStatus(http.StatusBadRequest)
	post("application/x-www-form-urlencoded", "type="+strings.Repeat("x", 18<<20)).requireStatus(http.StatusRequestEntityTooLarge)
	form := b.get("new?type=Key+Pair")
	form.send(map[string]any{"name": "pair", "pkcs12": file(strings.Repeat("x", 18<<20))}).requireStatus(http.StatusRequestEntityTooLarge)
	form.send(map[string]any{"name": "pair", "pkcs12": file(base64.StdEncoding.EncodeToString(make([]byte, 100<<10)))}).requireStatus(http.StatusUnprocessableEntity)
	require.Empty(t, s.noted())
	b.get("new?type=Magic").requireStatus(http.StatusOK).has("Which type is it?")
}

// TestAnEditLosesNoSecret: one that nothing requires is not removed without a word.
func TestAnEditLosesNoSecret(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	a := &credstore.SAMLBearerAssertion{Name: "GENERIC", Audience: "aud", ClientKey: "key", TokenServiceURL: "https://acme.example/oauth/token",
		TargetSystemType: credstore.Generic, KeyPairAlias: "pair", TokenServicePassword: secret, Issuer: "iss"}
	s.deploy(t, a)
	b := s.browser(t)
	secrets := func() []string {
		names, err := s.store.SecretsOf(t.Context(), "GENERIC")
		require.NoError(t, err)
		return names
	}
	page := b.get("edit?name=GENERIC").send(map[string]any{"description": "new"}).requireStatus(http.StatusUnprocessableEntity)
	page.has("It is set, and was not sent here", "Remove what is set")
	require.Empty(t, s.noted())
	page.send(map[string]any{"tokenServicePassword": secret}).requireStatus(http.StatusOK)
	require.Equal(t, []string{"tokenServicePassword"}, secrets())
	page.send(map[string]any{"tokenServicePassword.remove": "on", "version": mustInfo(t, s, "GENERIC").Version}).requireStatus(http.StatusOK)
	require.Empty(t, secrets())
}

// TestWhoLeavesIsKnown: a change is noted also where the browser did not wait for the answer.
func TestWhoLeavesIsKnown(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	ctx, leave := context.WithCancel(t.Context())
	leave()
	r := httptest.NewRequestWithContext(ctx, http.MethodPost, "http://127.0.0.1/credentials/new", strings.NewReader("type=Secure+Parameter&name=P&secureParameter=x"))
	r.RemoteAddr = "127.0.0.1:4711"
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	w := httptest.NewRecorder()
	console.New(s.store, nil).ServeHTTP(w, r)
	require.Equal(t, http.StatusSeeOther, w.Code)
	require.Equal(t, []string{"P deployed by somebody at this machine"}, s.noted())
}

func TestInputThatIsTooMuch(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	b := s.browser(t)
	b.get("new?type=Key+Pair").send(map[string]any{"name": "P", "pkcs12": file(make([]byte, 13<<20))}).requireStatus(http.StatusUnprocessableEntity).has("Nothing was deployed yet")
	form := b.get("new?type=OAuth2+Client+Credentials")
	for _, address := range []string{"https://user:S3NTINEL@acme.example/token", "https://user:S3NTINEL%zz@acme.example/token", "user:S3NTINEL@acme.example/token", "S3NTINEL@acme.example",
		"https:/user:S3NTINEL@acme.example/", "https://user:S3NTINEL/x@acme.example/token"} {
		page := form.send(map[string]any{"name": "P", "clientId": "x", "clientSecret": "x", "tokenServiceUrl": address}).requireStatus(http.StatusUnprocessableEntity)
		require.NotContains(t, page.text, "S3NTINEL", address)
		require.Regexp(t, `id="f-tokenServiceUrl-error"`, page.text, "it is told that it has to be entered again")
	}
	page := form.send(map[string]any{"name": "P", "clientId": "ops@acme.example", "scope": "openid https://graph.example/.default user@acme", "description": "see https://wiki.example or ops@acme.example", "tokenServiceUrl": "https://acme.example/token/@x"})
	for name, value := range map[string]string{"clientId": "ops@acme.example", "scope": "openid https://graph.example/.default user@acme", "description": "see https://wiki.example or ops@acme.example", "tokenServiceUrl": "https://acme.example/token/@x"} {
		require.Equal(t, value, page.fields().Get(name), "there is no password in it")
	}
}

// TestRowsAreNotLost: what a form has room for is deployed, or refused.
func TestRowsAreNotLost(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	a := &credstore.SAMLBearerAssertion{Name: "SAML", ClientKey: "key", TokenServiceURL: "https://acme.example/oauth/token", CompanyID: "ACME",
		TargetSystemType: credstore.SuccessFactors, KeyPairAlias: "pair", Attributes: map[string]string{}}
	for i := range 99 {
		a.Attributes[fmt.Sprintf("attribute-%02d", i)] = "x"
	}
	s.deploy(t, a)
	page := s.browser(t).get("edit?name=SAML")
	require.Contains(t, page.text, `name="attributes[99].name"`)
	require.NotContains(t, page.text, `name="attributes[100].name"`)
	page.send(map[string]any{"attributes[99].name": "the last", "attributes[99].value": "x"}).requireStatus(http.StatusOK)
	deployed, err := s.store.Artifact(t.Context(), "SAML")
	require.NoError(t, err)
	require.Len(t, deployed.(*credstore.SAMLBearerAssertion).Attributes, 100)

	page = s.browser(t).get("edit?name=SAML")
	require.NotContains(t, page.text, "Add a line")
	page.send(map[string]any{"attributes[100].name": "one more", "attributes[100].value": "x"}).requireStatus(http.StatusUnprocessableEntity).has("101 of them; at most 100 are allowed")
}

// TestRequired has each input that is said to be required be so.
func TestRequired(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	label := regexp.MustCompile(`<label for="([^"]*)">([^<]*) <span class="quiet">\(required\)</span>`)
	for _, typ := range credstore.Types() {
		page := s.browser(t).get("new?type=" + url.QueryEscape(typ))
		all := label.FindAllStringSubmatch(page.text, -1)
		require.NotEmpty(t, all)
		require.Equal(t, "Name", all[0][2])
		empty := page.send(nil).requireStatus(http.StatusUnprocessableEntity)
		for _, one := range all {
			require.Regexp(t, `<(input|select) id="`+one[1]+`"[^>]* required`, page.text)
			empty.has(one[2] + " : missing")
		}
	}
}
