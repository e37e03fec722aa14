package console_test

import (
	"html"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant/credstore"
	"github.com/outgrant/outgrant/credstore/console"
)

// FuzzForm posts what it likes: the answer is a page or a redirect, which has what was entered as text, and no secret.
func FuzzForm(f *testing.F) {
	seeds, err := filepath.Glob("testdata/forms/*.txt")
	require.NoError(f, err)
	require.NotEmpty(f, seeds)
	for _, seed := range seeds {
		data, err := os.ReadFile(seed)
		require.NoError(f, err)
		f.Add(string(data))
	}
	store := credstore.OpenMemory()
	f.Cleanup(func() { require.NoError(f, store.Close()) })
	h := console.New(store, nil)
	secrets := []string{"clientSecret", "tokenServicePassword", "secureParameter", "password", "pem", "customParameters[0].value"}
	f.Fuzz(func(t *testing.T, body string) {
		sent, err := url.ParseQuery(body)
		if err != nil || strings.Contains(body, secret) {
			return
		}
		for _, name := range secrets {
			sent.Set(name, secret)
		}
		r := httptest.NewRequest(http.MethodPost, "http://127.0.0.1/credentials/new", strings.NewReader(sent.Encode()))
		r.RemoteAddr = "127.0.0.1:4711"
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		page := w.Body.String()
		require.NotContains(t, page, secret)
		require.NotContains(t, w.Header().Get("Location"), secret)
		switch w.Code {
		case http.StatusSeeOther:
			require.NoError(t, store.Undeploy(t.Context(), strings.TrimSpace(sent.Get("name"))))
		case http.StatusUnprocessableEntity, http.StatusConflict:
			require.Contains(t, page, "Nothing was deployed yet")
			name := strings.TrimSpace(strings.ReplaceAll(strings.ToValidUTF8(sent.Get("name"), "\ufffd"), "\r\n", "\n"))
			require.Contains(t, html.UnescapeString(page), strings.ReplaceAll(name, "\x00", "\ufffd"))
		default:
			require.Equal(t, http.StatusBadRequest, w.Code, page)
		}
	})
}
