package console_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant/credstore"
	"github.com/outgrant/outgrant/credstore/driver"
	"github.com/outgrant/outgrant/credstore/memstore"
	"github.com/outgrant/outgrant/internal/peers/peer"
	"github.com/outgrant/outgrant/oauthtest"
)

// TestWithoutJavaScript does all that there is to do with JavaScript switched off.
func TestWithoutJavaScript(t *testing.T) {
	t.Parallel()
	service := oauthtest.NewServer(nil)
	defer service.Close()
	s := startSite(t, memstore.New(), nil)
	b := peer.StartChromium(t)
	w := wide
	w.NoScript = true
	b.Open(t, w)
	b.Goto(t, s.url+"new?type=OAuth2+Authorization+Code")
	b.Fill(t, "Name (required)", "MAILBOX")
	b.Fill(t, "Authorization URL", service.AuthURL())
	b.Fill(t, "Token service URL", service.TokenURL())
	b.Fill(t, "Client ID (required)", "mail-client")
	b.Fill(t, "Client secret", "a secret")
	b.Click(t, "button", "Deploy")
	b.Click(t, "link", "Authorize")
	require.Contains(t, b.Text(t), "Authorized Tokens come by themselves")
	b.Click(t, "button", "Test")
	require.Contains(t, b.Text(t), "A token came")
	b.Click(t, "link", "Edit")
	b.Fill(t, "Description", "The mailbox of the operations team")
	b.Fill(t, "Client secret", "a secret")
	b.Click(t, "button", "Deploy")
	require.Contains(t, b.Text(t), "The mailbox of the operations team")
	b.Goto(t, s.url+"import")
	b.Fill(t, "Or its text", `{"type": "Secure Parameter", "name": "PARAMETER", "secureParameter": "a secret"}`)
	b.Click(t, "button", "Import")
	require.Contains(t, b.Text(t), "What is deployed is what was in the text.")
	require.NotContains(t, b.Text(t), "Pause updates", "it needs JavaScript")
	b.Fill(t, "Search", "mailbox of")
	b.Click(t, "button", "Show")
	require.Contains(t, b.Text(t), "1–1 of 1")
	b.Click(t, "link", "Show all")
	b.Click(t, "link", "PARAMETER")
	b.Click(t, "link", "Delete")
	b.Click(t, "button", "Delete")
	require.Contains(t, b.Text(t), "Deleted")
	require.NotContains(t, b.Text(t), "PARAMETER")
}

// TestKeyboard goes through the list by keys, while it keeps itself up to date.
func TestKeyboard(t *testing.T) {
	t.Parallel()
	s := startSite(t, memstore.New(), nil)
	for i := range 60 {
		require.NoError(t, s.store.Deploy(t.Context(), &credstore.SecureParameter{Name: fmt.Sprintf("PARAMETER_%02d", i), Value: "a secret"}))
	}
	b := peer.StartChromium(t)
	b.Open(t, peer.Window{Width: 1360})
	b.Goto(t, s.url)
	focused := func() string { return b.Evaluate(t, "document.activeElement.textContent.trim()") }
	b.Press(t, "Tab")
	require.Equal(t, "Skip to the content", focused())
	b.Press(t, "Enter")
	require.Equal(t, "main", b.Evaluate(t, "document.activeElement.id"))
	for range 100 {
		b.Press(t, "Tab")
		require.NotEqual(t, "none 0px", b.Evaluate(t, "getComputedStyle(document.activeElement).outlineStyle + ' ' + getComputedStyle(document.activeElement).outlineWidth"), "it is seen where one is: %s", focused())
		if focused() == "PARAMETER_40" {
			break
		}
	}
	require.Equal(t, "PARAMETER_40", focused())
	at := b.Evaluate(t, "Math.round(scrollY)")
	require.NotEqual(t, "0", at)

	require.NoError(t, s.store.Deploy(t.Context(), &credstore.SecureParameter{Name: "PARAMETER_00", Description: "changed meanwhile", Value: "a secret"}))
	b.Until(t, "changed meanwhile", 20*time.Second)
	require.Equal(t, "PARAMETER_40", focused(), "the place is not lost")
	b.Press(t, "Enter")
	b.Until(t, "Secure Parameter, deployed", 5*time.Second)
	require.Contains(t, b.URL(t), "artifact?name=PARAMETER_40")

	// Updates can be stopped.
	b.Click(t, "button", "Pause updates")
	require.NoError(t, s.store.Undeploy(t.Context(), "PARAMETER_40"))
	require.Contains(t, b.Text(t), "Go on with updates")
	b.Click(t, "button", "Go on with updates")
	b.Until(t, "This page is not up to date: it is gone.", 20*time.Second)
	require.Contains(t, b.Text(t), "Load it again")
}

// backend is one that can be away.
type backend struct {
	driver.Store
	away atomic.Bool
}

func (b *backend) List(ctx context.Context, tenant, kind string) iter.Seq2[driver.Record, error] {
	if b.away.Load() {
		return func(yield func(driver.Record, error) bool) {
			yield(driver.Record{}, errors.New("the database is away"))
		}
	}
	return b.Store.List(ctx, tenant, kind)
}

// TestAStoreThatIsAway has the store go away while the list is open: it stays, says that it is old, and goes on when the store is
// back.
func TestAStoreThatIsAway(t *testing.T) {
	t.Parallel()
	store := &backend{Store: memstore.New()}
	s := startSite(t, store, nil)
	require.NoError(t, s.store.Deploy(t.Context(), &credstore.SecureParameter{Name: "PARAMETER", Value: "a secret"}))
	b := peer.StartChromium(t)
	b.Open(t, wide)
	b.Goto(t, s.url)
	store.away.Store(true)
	b.Until(t, "This page is not up to date: the store does not answer. It is tried again.", 20*time.Second)
	require.Contains(t, b.Text(t), "PARAMETER")
	s.requireClean(t, b, "a page that is old")
	b.Shot(t, filepath.Join(pictures(t), "stale.png"), true)
	require.NoError(t, s.store.Deploy(t.Context(), &credstore.SecureParameter{Name: "ANOTHER", Value: "a secret"}))
	store.away.Store(false)
	b.Until(t, "ANOTHER", 20*time.Second)
	require.NotContains(t, b.Text(t), "not up to date")
}

// TestExample runs examples/console as a newcomer does, and takes the README's picture of it: into the file that OUTGRANT_PICTURE
// names.
func TestExample(t *testing.T) {
	t.Parallel()
	program := filepath.Join(t.TempDir(), "console")
	out, err := exec.Command("go", "build", "-o", program, "../../../examples/console").CombinedOutput()
	require.NoError(t, err, "%s", out)
	url := peer.StartProgram(t, regexp.MustCompile(`open (\S+) in a browser`), program, "-listen", "127.0.0.1:0")
	b := peer.StartChromium(t)
	b.Open(t, peer.Window{Width: 1280})
	b.Goto(t, url)
	for _, text := range []string{"S4_ORDERS", "SF_TASKS", "need attention"} {
		require.Contains(t, b.Text(t), text)
	}
	b.Click(t, "link", "MAILBOX")
	b.Click(t, "link", "Authorize")
	require.Contains(t, b.Text(t), "Authorized Tokens come by themselves")
	b.Goto(t, url)
	b.Until(t, "check client id, secret or certificate", 20*time.Second)
	picture := os.Getenv("OUTGRANT_PICTURE")
	if picture == "" {
		picture = filepath.Join(t.TempDir(), "console.png")
	}
	b.Shot(t, picture, true)
	info, err := os.Stat(picture)
	require.NoError(t, err)
	require.Less(t, info.Size(), int64(200<<10), "it is in the module that everybody downloads")
}
