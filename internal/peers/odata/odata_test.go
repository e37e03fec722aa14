package odata_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/adapters/odata"
	"github.com/outgrant/outgrant/internal/peers/peer"
)

func TestBooks(t *testing.T) {
	t.Parallel()
	s := startAuthServer(t, peer.AuthServerOptions{})
	receiver := peer.StartODataReceiver(t, s, appName)
	for n, v := range versions {
		t.Run(v.name, func(t *testing.T) {
			t.Parallel()
			id := 1000 * (n + 1)
			src := newSource(t, s, "odata.read", "odata.write")
			catalog := v.open(t, src, receiver, "catalog", odata.Options{})

			t.Run("read page by page", func(t *testing.T) {
				var titles []string
				pages := 0
				for page, err := range odata.Pages[struct{ Title string }](t.Context(), catalog.Client, catalog.root+"Books?$filter=ID%20lt%20300") {
					require.NoError(t, err)
					pages++
					for _, book := range page.Items {
						titles = append(titles, book.Title)
					}
				}
				require.Equal(t, []string{"Wuthering Heights", "Jane Eyre", "The Raven", "Eleonora", "Catweazle"}, titles)
				require.Equal(t, 3, pages)
			})
			t.Run("create, update, conflict, delete", func(t *testing.T) {
				book := fmt.Sprintf("Books(%d)", id)
				resp, text := catalog.do(t, "POST", "Books", fmt.Sprintf(`{"ID":%d,"title":"Emma","stock":1}`, id))
				require.Equal(t, http.StatusCreated, resp.StatusCode, text)
				_, etag := catalog.stock(t, id)
				require.NotEmpty(t, etag)
				resp, text = catalog.do(t, "PATCH", book, `{"stock":2}`, "If-Match", `W/"2000-01-01T00:00:00.000Z"`)
				require.Equal(t, http.StatusPreconditionFailed, resp.StatusCode, text)
				require.ErrorContains(t, odata.ErrorOf(resp), "read it again for its ETag")
				resp, text = catalog.do(t, "PATCH", book, `{"stock":2}`, "If-Match", etag)
				require.Less(t, resp.StatusCode, 300, text)
				stock, _ := catalog.stock(t, id)
				require.Equal(t, 2, stock)
				resp, text = catalog.do(t, "DELETE", book, "", "If-Match", "*")
				require.Equal(t, http.StatusNoContent, resp.StatusCode, text)
			})
			t.Run("errors", func(t *testing.T) {
				resp, text := catalog.do(t, "GET", "Books(4711)", "")
				e := odata.ErrorOf(resp).(*odata.Error)
				require.Equal(t, http.StatusNotFound, e.StatusCode)
				require.Equal(t, "404", e.Code, text)
				require.NotEmpty(t, e.Message)
				resp, text = catalog.do(t, "POST", "Books", fmt.Sprintf(`{"ID":%d,"stock":-1}`, id+1))
				e = odata.ErrorOf(resp).(*odata.Error)
				require.Equal(t, http.StatusBadRequest, e.StatusCode, text)
				require.Len(t, e.Details, 2, text)
				for _, d := range e.Details {
					require.NotEmpty(t, d.Code+d.Message)
					require.NotEmpty(t, d.Target, text)
				}
			})
			t.Run("many changes, one fetch", func(t *testing.T) {
				shop := v.open(t, src, receiver, "catalog", odata.Options{})
				var wg sync.WaitGroup
				for i := range 50 {
					wg.Go(func() {
						if resp, text := shop.do(t, "POST", "Books", fmt.Sprintf(`{"ID":%d,"title":"x"}`, id+100+i)); resp.StatusCode != http.StatusCreated {
							t.Error(text)
						}
					})
				}
				wg.Wait()
				require.Equal(t, 1, shop.sent.fetches)
			})
			t.Run("a batch", func(t *testing.T) {
				resp, text := catalog.do(t, "POST", "$batch", batch(id+300), "Content-Type", "multipart/mixed; boundary=b", "Accept", "multipart/mixed")
				require.Less(t, resp.StatusCode, 300, text)
				found, err := odata.BatchErrors(resp)
				require.NoError(t, err, text)
				require.Len(t, found, 1, text)
				require.Equal(t, http.StatusNotFound, found[0].StatusCode)
				require.Equal(t, "404", found[0].Code)
				require.Equal(t, "3", found[0].Part, text)
				stock, _ := catalog.stock(t, id+300)
				require.Equal(t, 9, stock)
			})
			t.Run("a role that is missing", func(t *testing.T) {
				resp, _ := v.open(t, src, receiver, "admin", odata.Options{}).do(t, "GET", "Books", "")
				require.Equal(t, http.StatusOK, resp.StatusCode)
				resp, _ = v.open(t, newSource(t, s, "odata.read"), receiver, "admin", odata.Options{}).do(t, "GET", "Books", "")
				require.Equal(t, http.StatusForbidden, resp.StatusCode)
				require.ErrorContains(t, odata.ErrorOf(resp), "check the roles and scopes")
			})
			t.Run("a token that was tampered with", func(t *testing.T) {
				token, err := src.Token(t.Context())
				require.NoError(t, err)
				text := token.AccessToken.Reveal()
				text = text[:len(text)-8] + strings.Repeat("A", 8)
				for _, method := range []string{"GET", "POST"} {
					resp, _ := v.open(t, outgrant.StaticToken(outgrant.Secret(text)), receiver, "catalog", odata.Options{}).do(t, method, "Books", "{}")
					require.Equal(t, http.StatusUnauthorized, resp.StatusCode)
					require.ErrorContains(t, odata.ErrorOf(resp), "the token was refused")
				}
			})
			t.Run("no token", func(t *testing.T) {
				resp, err := http.Get(catalog.root + "Books")
				require.NoError(t, err)
				defer resp.Body.Close()
				require.Equal(t, http.StatusUnauthorized, resp.StatusCode)
			})
			t.Run("without CSRF token", func(t *testing.T) {
				resp, text := v.open(t, src, receiver, "catalog", odata.Options{DisableCSRF: true}).do(t, "POST", "Books", "{}")
				require.Equal(t, http.StatusForbidden, resp.StatusCode)
				require.Equal(t, "CSRF token validation failed", text)
			})
		})
	}
	t.Run("a batch in JSON", func(t *testing.T) {
		t.Parallel()
		shop := versions[0].open(t, newSource(t, s, "odata.read"), receiver, "catalog", odata.Options{})
		resp, text := shop.do(t, "POST", "$batch", `{"requests":[{"id":"one","method":"GET","url":"Books(201)"},{"id":"two","method":"GET","url":"Books(4711)"}]}`)
		require.Equal(t, http.StatusOK, resp.StatusCode, text)
		found, err := odata.BatchErrors(resp)
		require.NoError(t, err, text)
		require.Len(t, found, 1, text)
		require.Equal(t, "two", found[0].Part)
		require.Equal(t, "404", found[0].Code)
	})
	// What stands between V2 and V4 calls the receiver localhost, whatever its caller called it.
	t.Run("a link to another origin", func(t *testing.T) {
		t.Parallel()
		aka := &peer.ODataReceiver{URL: strings.Replace(receiver.URL, "localhost", "127.0.0.1", 1)}
		shop := versions[1].open(t, newSource(t, s, "odata.read"), aka, "catalog", odata.Options{})
		pages := 0
		for _, err := range odata.Pages[struct{}](t.Context(), shop.Client, shop.root+"Books") {
			if pages++; pages == 2 {
				require.ErrorContains(t, err, "at another origin ("+receiver.URL+"), where the token must not go")
			} else {
				require.NoError(t, err)
			}
		}
		require.Equal(t, 2, pages)
	})
	t.Run("MERGE and tunnelling", func(t *testing.T) {
		t.Parallel()
		src := newSource(t, s, "odata.read")
		for i, opts := range []odata.Options{{Merge: true}, {Merge: true, Tunnel: true}, {Tunnel: true}} {
			shop := versions[1].open(t, src, receiver, "catalog", opts)
			resp, text := shop.do(t, "PATCH", "Books(271)", fmt.Sprintf(`{"stock":%d}`, 50+i), "If-Match", "*")
			require.Less(t, resp.StatusCode, 300, text)
			stock, _ := shop.stock(t, 271)
			require.Equal(t, 50+i, stock)
		}
	})
	t.Run("the session has ended", func(t *testing.T) {
		t.Parallel()
		shop := versions[0].open(t, newSource(t, s, "odata.read"), receiver, "catalog", odata.Options{})
		resp, _ := shop.do(t, "POST", "Books", `{"ID":5000,"title":"x"}`)
		require.Equal(t, http.StatusCreated, resp.StatusCode)
		shop.sent.forget = true
		resp, text := shop.do(t, "POST", "Books", `{"ID":5001,"title":"x"}`)
		require.Equal(t, http.StatusForbidden, resp.StatusCode, text)
		require.Equal(t, 2, shop.sent.fetches, "once more, and no more than that")
	})
}

func batch(id int) string {
	lines := []string{
		"--b", "Content-Type: application/http", "Content-Transfer-Encoding: binary", "",
		"GET Books(201) HTTP/1.1", "Accept: application/json", "", "",
		"--b", "Content-Type: multipart/mixed; boundary=c", "",
		"--c", "Content-Type: application/http", "Content-Transfer-Encoding: binary", "Content-ID: 1", "",
		"POST Books HTTP/1.1", "Content-Type: application/json", "Accept: application/json", "",
		fmt.Sprintf(`{"ID":%d,"title":"Persuasion","stock":9}`, id),
		"--c--", "",
		"--b", "Content-Type: application/http", "Content-Transfer-Encoding: binary", "",
		"GET Books(4711) HTTP/1.1", "Accept: application/json", "", "",
		"--b--", "",
	}
	return strings.Join(lines, "\r\n")
}

// TestExpiredToken has one that SAP's validator accepts for a minute more.
func TestExpiredToken(t *testing.T) {
	t.Parallel()
	s := startAuthServer(t, peer.AuthServerOptions{TokenLifetime: time.Second})
	receiver := peer.StartODataReceiver(t, s, appName)
	src := newSource(t, s, "odata.read")
	token, err := src.Token(t.Context())
	require.NoError(t, err)
	expired := outgrant.StaticToken(token.AccessToken)
	shop := versions[0].open(t, expired, receiver, "catalog", odata.Options{})
	<-time.After(time.Until(token.Expiry) + time.Second)
	resp, _ := shop.do(t, "GET", "Books(201)", "")
	require.Equal(t, http.StatusOK, resp.StatusCode, "a minute's leeway")
	<-time.After(time.Until(token.Expiry.Add(62 * time.Second)))
	resp, _ = shop.do(t, "GET", "Books(201)", "")
	require.Equal(t, http.StatusUnauthorized, resp.StatusCode)
	require.ErrorContains(t, odata.ErrorOf(resp), "the token was refused")
	resp, _ = versions[0].open(t, src, receiver, "catalog", odata.Options{}).do(t, "GET", "Books(201)", "")
	require.Equal(t, http.StatusOK, resp.StatusCode, "the source has another by now")
}
