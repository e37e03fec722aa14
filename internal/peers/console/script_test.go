package console_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/credstore"
	"github.com/outgrant/outgrant/credstore/console"
	"github.com/outgrant/outgrant/credstore/memstore"
	"github.com/outgrant/outgrant/internal/peers/peer"
	"github.com/outgrant/outgrant/oauthtest"
)

// updateNow has a page update itself at once.
func updateNow(t testing.TB, b *peer.Chromium) {
	b.Evaluate(t, "document.dispatchEvent(new Event('visibilitychange'))")
}

func parameter(name, description string) *credstore.SecureParameter {
	return &credstore.SecureParameter{Name: name, Description: description, Value: "a secret"}
}

// TestScript is what pages do where JavaScript is: in one browser, one after the other.
func TestScript(t *testing.T) {
	t.Parallel()
	b := peer.StartChromium(t)
	for name, test := range map[string]func(*testing.T, *peer.Chromium){
		"updates leave the place": leaveThePlace,
		"updates on a phone":      onAPhone,
		"updates of a key pair":   ofAKeyPair,
		"updates of a credential": ofACredential,
		"a page is loaded again":  loadedAgain,
		"somebody is logged out":  loggedOut,
		"a form is sent once":     doubleClick,
		"lines are added":         lines,
	} {
		t.Run(name, func(t *testing.T) { test(t, b) })
	}
}

// leaveThePlace has rows come, change, move and go around the one that has the focus, in which something is selected.
func leaveThePlace(t *testing.T, b *peer.Chromium) {
	s := startSite(t, memstore.New(), nil)
	deploy := func(name, description string) {
		t.Helper()
		require.NoError(t, s.store.Deploy(t.Context(), parameter(name, description)))
	}
	for _, name := range []string{"B", "D", "E", "F"} {
		deploy(name, "as it was")
	}
	b.Open(t, wide)
	b.Goto(t, s.url+"?sort=name")
	b.Evaluate(t, `(() => {
		const link = [...document.querySelectorAll('.name')].find((e) => e.textContent === 'E');
		link.focus();
		link.is = 'the same element';
		getSelection().selectAllChildren(link.parentElement);
		window.left = 0;
		link.addEventListener('blur', () => window.left++);
	})()`)
	place := func() string {
		return b.Evaluate(t, "[document.activeElement.textContent, document.activeElement.is, 'left ' + window.left, getSelection().toString().includes('as it was')]")
	}
	const same = "E,the same element,left 0,true"
	require.Equal(t, same, place())

	require.NoError(t, s.store.Undeploy(t.Context(), "B"))
	deploy("A", "before it")
	deploy("D", "changed")
	deploy("G", "behind it")
	updateNow(t, b)
	b.Until(t, "behind it", 5*time.Second)
	require.Equal(t, "A,D,E,F,G", b.Evaluate(t, "[...document.querySelectorAll('.name')].map((e) => e.textContent)"))
	require.Contains(t, b.Text(t), "changed")
	require.NotContains(t, b.Text(t), "Show all")
	require.Equal(t, same, place())
	require.NoError(t, s.store.Undeploy(t.Context(), "A"))
	updateNow(t, b)
	b.Until(t, "1–4 of 4", 5*time.Second)
	require.Equal(t, same, place())
	s.requireClean(t, b, "a page that was updated")

	// What is typed stays, and so does what is chosen.
	b.Fill(t, "Search", "half a wo")
	b.Select(t, "Type", "Key Pair")
	deploy("H", "another")
	updateNow(t, b)
	b.Until(t, "another", 5*time.Second)
	require.Equal(t, "half a wo,Key Pair", b.Evaluate(t, "[document.getElementById('q').value, document.getElementById('type').value]"))

	// Who was at a row that is gone is at the one before it.
	b.Evaluate(t, "[...document.querySelectorAll('.name')].find((e) => e.textContent === 'F').focus()")
	require.NoError(t, s.store.Undeploy(t.Context(), "F"))
	deploy("I", "the last")
	updateNow(t, b)
	b.Until(t, "the last", 5*time.Second)
	require.Equal(t, "E", b.Evaluate(t, "document.activeElement.textContent"))

	// The order may change, too.
	b.Goto(t, s.url)
	b.Evaluate(t, "[...document.querySelectorAll('.name')].find((e) => e.textContent === 'G').focus()")
	require.NotEqual(t, "G", b.Evaluate(t, "document.querySelector('.name').textContent"))
	require.NoError(t, s.store.Deploy(t.Context(), &credstore.AuthorizationCode{Name: "G", Description: "moved", AuthorizationURL: "https://acme.example/authorize", TokenServiceURL: "https://acme.example/token",
		ClientID: "a-client", ClientSecret: "a secret"}))
	updateNow(t, b)
	b.Until(t, "moved", 5*time.Second)
	require.Equal(t, "G", b.Evaluate(t, "document.querySelector('.name').textContent"))
	require.Equal(t, "G", b.Evaluate(t, "document.activeElement.textContent"))
	require.Contains(t, b.Text(t), "Now: 1 need attention", "who hears the page is told")
	require.Equal(t, "warn", b.Evaluate(t, "document.activeElement.closest('tr').className"))
}

// onAPhone has the first row go while it has the focus, where the columns have no heads to fall back on.
func onAPhone(t *testing.T, b *peer.Chromium) {
	s := startSite(t, memstore.New(), nil)
	for _, name := range []string{"A", "B"} {
		require.NoError(t, s.store.Deploy(t.Context(), parameter(name, "")))
	}
	b.Open(t, narrow)
	b.Goto(t, s.url+"?sort=name")
	b.Evaluate(t, "document.querySelector('.name').focus()")
	require.NoError(t, s.store.Undeploy(t.Context(), "A"))
	updateNow(t, b)
	b.Until(t, "1–1 of 1", 5*time.Second)
	require.Equal(t, "Show", b.Evaluate(t, "document.activeElement.textContent"))
}

// ofAKeyPair has a credential go that names it, while the focus is on another one.
func ofAKeyPair(t *testing.T, b *peer.Chromium) {
	s := startSite(t, memstore.New(), nil)
	text, err := os.ReadFile("../../../credstore/testdata/keys/signing.pem")
	require.NoError(t, err)
	require.NoError(t, s.store.Deploy(t.Context(), &credstore.KeyPair{Name: "PAIR", PEM: outgrant.Secret(text)}))
	for _, name := range []string{"A", "B", "C"} {
		require.NoError(t, s.store.Deploy(t.Context(), &credstore.ClientCredentials{Name: name, TokenServiceURL: "https://acme.example/token", ClientID: "client",
			ClientAuthentication: credstore.WithPrivateKeyJWT, KeyPairAlias: "PAIR"}))
	}
	b.Open(t, wide)
	b.Goto(t, s.url+"artifact?name=PAIR")
	b.Evaluate(t, "[...document.querySelectorAll('.plain a')].find((e) => e.textContent === 'B').focus()")
	require.NoError(t, s.store.Undeploy(t.Context(), "A"))
	require.NoError(t, s.store.Deploy(t.Context(), &credstore.KeyPair{Name: "PAIR", Description: "changed", PEM: outgrant.Secret(text)}))
	updateNow(t, b)
	b.Until(t, "changed", 5*time.Second)
	require.Equal(t, "B", b.Evaluate(t, "document.activeElement.textContent"))
	require.Equal(t, "B,C", b.Evaluate(t, "[...document.querySelectorAll('.plain a')].map((e) => e.textContent)"))
}

// ofACredential has all of its page be as new as the page says, also when it becomes one of another type.
func ofACredential(t *testing.T, b *peer.Chromium) {
	service := oauthtest.NewServer(nil)
	t.Cleanup(service.Close)
	s := startSite(t, memstore.New(), nil)
	require.NoError(t, s.store.Deploy(t.Context(), parameter("SAME_NAME", "")))
	b.Open(t, wide)
	b.Goto(t, s.url+"artifact?name=SAME_NAME")
	b.Evaluate(t, "[...document.querySelectorAll('.actions a')].find((e) => e.textContent === 'Edit').focus()")
	require.NotContains(t, b.Text(t), "Authorize")
	code := &credstore.AuthorizationCode{Name: "SAME_NAME", Description: "of another type", AuthorizationURL: service.AuthURL(), TokenServiceURL: service.TokenURL(), ClientID: "a-client", ClientSecret: "a secret"}
	require.NoError(t, s.store.As("bob").Deploy(t.Context(), code))
	updateNow(t, b)
	b.Until(t, "by bob", 5*time.Second)
	require.Contains(t, b.Text(t), "a-client")
	require.Contains(t, b.Text(t), "of another type")
	require.Contains(t, b.Text(t), "Now: Unauthorized", "who hears the page is told")
	require.Equal(t, "Edit", b.Evaluate(t, "document.activeElement.textContent"))
	b.Click(t, "button", "Copy")
	b.Until(t, "Copied", 5*time.Second)
	code.ClientID, code.Scope, code.Description = "another-client", "openid", ""
	require.NoError(t, s.store.Deploy(t.Context(), code))
	updateNow(t, b)
	b.Until(t, "another-client", 5*time.Second)
	require.NotContains(t, b.Text(t), "a-client")
	require.NotContains(t, b.Text(t), "of another type")
	s.requireClean(t, b, "a page that was updated")
	b.Click(t, "link", "Authorize")
	require.Contains(t, b.Text(t), "Authorized Tokens come by themselves")
}

// loadedAgain has pages that tell what was done be loaded again, left and come back to: nothing is done a second time.
func loadedAgain(t *testing.T, b *peer.Chromium) {
	service := oauthtest.NewServer(nil)
	t.Cleanup(service.Close)
	s := startSite(t, memstore.New(), nil)
	require.NoError(t, s.store.Deploy(t.Context(), &credstore.ClientCredentials{Name: "CLIENT", TokenServiceURL: service.TokenURL(), ClientID: "a-client", ClientSecret: "a secret"}))
	b.Open(t, wide)
	b.Goto(t, s.url+"artifact?name=CLIENT")
	b.Click(t, "button", "Test")
	require.Equal(t, s.url+"artifact?name=CLIENT", b.URL(t))
	require.Equal(t, "A token came: CLIENT · Credentials", b.Evaluate(t, "document.title"))
	service.Inject(oauthtest.Status(503))
	b.Click(t, "button", "Test")
	require.Equal(t, "No token came: CLIENT · Credentials", b.Evaluate(t, "document.title"))
	require.Equal(t, "alert", b.Evaluate(t, "document.activeElement.role"), "who hears the page is told first")
	s.requireClean(t, b, "a test that failed")
	require.NoError(t, s.store.As("bob").Undeploy(t.Context(), "CLIENT"))
	require.NoError(t, s.store.As("bob").Deploy(t.Context(), &credstore.ClientCredentials{Name: "CLIENT", TokenServiceURL: service.TokenURL(), ClientID: "a-client", ClientSecret: "a secret"}))
	updateNow(t, b)
	b.Until(t, "by bob", 5*time.Second)
	require.Equal(t, "CLIENT · Credentials", b.Evaluate(t, "document.title"))
	require.Contains(t, b.Text(t), "No token came", "it is kept up to date, and says still what came of the test")

	asked := len(service.Requests())
	b.Click(t, "link", "Credentials")
	b.Evaluate(t, "history.back()")
	b.Until(t, "Token service URL", 5*time.Second)
	b.Evaluate(t, "location.reload()")
	b.Until(t, "Token service URL", 5*time.Second)
	require.NotContains(t, b.Text(t), "No token came")
	require.Len(t, service.Requests(), asked)

	b.Goto(t, s.url+"import")
	b.Fill(t, "Or its text", `[{"type": "Secure Parameter", "name": "ONE", "secureParameter": "a secret"}, {"type": "Secure Parameter", "name": "TWO", "secureParameter": "a secret"}]`)
	b.Click(t, "button", "Import")
	require.Equal(t, "Imported: Credentials", b.Evaluate(t, "document.title"))
	require.Equal(t, "ONE,TWO,CLIENT", b.Evaluate(t, "[...document.querySelectorAll('.name')].map((e) => e.textContent)"))
	require.Equal(t, s.url+"?sort=deployed", b.URL(t))
	s.requireClean(t, b, "an import")
}

// loggedOut has somebody be logged out while a page is open, by a program that then shows where to log in.
func loggedOut(t *testing.T, b *peer.Chromium) {
	s := startSite(t, memstore.New(), nil)
	require.NoError(t, s.store.Deploy(t.Context(), parameter("ONE", "")))
	var out atomic.Bool
	h := console.New(s.store, nil)
	program := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if out.Load() {
			fmt.Fprint(w, "<title>Log in</title>")
			return
		}
		h.ServeHTTP(w, r)
	}))
	t.Cleanup(program.Close)
	b.Open(t, wide)
	b.Goto(t, program.URL)
	out.Store(true)
	updateNow(t, b)
	b.Until(t, "This page is not up to date: you may have to log in again.", 5*time.Second)
	require.Contains(t, b.Text(t), "Load it again")
	require.Contains(t, b.Text(t), "ONE")
	require.NoError(t, s.store.Deploy(t.Context(), parameter("TWO", "")))
	out.Store(false)
	updateNow(t, b)
	b.Until(t, "TWO", 5*time.Second)
	require.NotContains(t, b.Text(t), "not up to date")
}

// doubleClick has a form be sent once, and then again, when there was an answer.
func doubleClick(t *testing.T, b *peer.Chromium) {
	s := startSite(t, memstore.New(), nil)
	b.Open(t, wide)
	b.Goto(t, s.url+"new?type=Secure+Parameter")
	b.Fill(t, "Name (required)", "ONE")
	b.Fill(t, "Secure parameter (required)", "a secret")
	require.Equal(t, "sent,held", b.Evaluate(t, `(() => {
		const said = [];
		addEventListener('submit', (event) => said.push(event.defaultPrevented ? 'held' : 'sent'));
		const deploy = document.querySelector('.edit .first');
		deploy.click();
		deploy.click();
		return said;
	})()`))
	b.Until(t, "Deployed Programs use it from now on.", 5*time.Second)
	b.Click(t, "link", "Delete")
	b.Click(t, "button", "Delete")
	b.Until(t, "Deleted The credential is gone.", 5*time.Second)
}

// lines has more custom parameters be entered than the form has lines for at first.
func lines(t *testing.T, b *peer.Chromium) {
	s := startSite(t, memstore.New(), nil)
	b.Open(t, wide)
	b.Goto(t, s.url+"new?type=OAuth2+Client+Credentials")
	b.Fill(t, "Name (required)", "CLIENT")
	b.Fill(t, "Token service URL (required)", "https://acme.example/token")
	b.Fill(t, "Client ID (required)", "a-client")
	b.Fill(t, "Client secret", "a secret")
	b.Evaluate(t, "document.querySelectorAll('details').forEach((e) => { e.open = true })")
	for i := range 12 {
		if i >= 3 {
			b.Click(t, "button", "Add a line")
			require.Equal(t, fmt.Sprintf("customParameters[%d].key,", i), b.Evaluate(t, "[document.activeElement.name, document.activeElement.value]"))
		}
		b.Fill(t, fmt.Sprint("Key ", i+1), fmt.Sprint("key-", i))
		b.Fill(t, fmt.Sprint("Value ", i+1), fmt.Sprint("value-", i))
		b.Select(t, fmt.Sprint("Send as part of ", i+1), "header")
	}
	s.requireClean(t, b, "a form with more lines")
	b.Shot(t, filepath.Join(pictures(t), "lines.png"), true)
	b.Click(t, "button", "Deploy")
	require.Contains(t, b.Text(t), "Deployed Programs use it from now on.")
	a, err := s.store.Artifact(t.Context(), "CLIENT")
	require.NoError(t, err)
	all := a.(*credstore.ClientCredentials).CustomParameters
	require.Len(t, all, 12)
	for i, p := range all {
		require.Equal(t, fmt.Sprint("key-", i, " header"), fmt.Sprint(p.Key, " ", p.SendAs))
	}
}
