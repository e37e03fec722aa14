package console

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"html/template"
	"io/fs"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/outgrant/outgrant/credstore"
)

//go:embed pages
var files embed.FS

var (
	templates = parseTemplates("list", "artifact", "form", "types", "import", "imported", "delete", "message")
	assets    = readAssets(map[string]string{"style.css": "text/css", "console.js": "text/javascript", "icon.svg": "image/svg+xml"})
	edition   = assets.edition()
)

func parseTemplates(names ...string) map[string]*template.Template {
	all := map[string]*template.Template{}
	for _, name := range names {
		t := template.New("page.html").Funcs(template.FuncMap{"ago": ago, "time": exactTime, "kind": kindOf, "moment": momentOf})
		all[name] = template.Must(t.ParseFS(files, "pages/page.html", "pages/parts.html", "pages/"+name+".html"))
	}
	return all
}

// assetFiles are what pages load, by name.
type assetFiles map[string]asset

type asset struct {
	kind string
	data []byte
}

func readAssets(kinds map[string]string) assetFiles {
	all := assetFiles{}
	for name, kind := range kinds {
		data, err := fs.ReadFile(files, "pages/"+name)
		if err != nil {
			panic(err) // it is embedded
		}
		all[name] = asset{kind, data}
	}
	return all
}

// edition tells these assets from those of another version of the program, which browsers may have kept.
func (a assetFiles) edition() string {
	sum := sha256.New()
	for _, name := range []string{"console.js", "icon.svg", "style.css"} {
		sum.Write(a[name].data)
	}
	return hex.EncodeToString(sum.Sum(nil))[:12]
}

// serveAsset serves what pages load, to anybody: it is the same everywhere.
func serveAsset(w http.ResponseWriter, r *http.Request, name string) bool {
	a, known := assets[name]
	if !known || r.Method != http.MethodGet && r.Method != http.MethodHead {
		return false
	}
	w.Header().Set("Content-Type", a.kind+"; charset=utf-8")
	if r.URL.RawQuery == edition {
		w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	_, _ = w.Write(a.data)
	return true
}

// secure sets the headers of all answers: nothing is loaded from elsewhere, put into a frame, or kept.
func secure(h http.Header) {
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
	h.Set("X-Frame-Options", "DENY")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cache-Control", "no-store")
}

// page is what all pages show. Body is the template's own.
type page struct {
	Title   string // of this page
	Console string // of all
	Tenant  string
	Who     string
	Edition string
	Live    bool // it keeps itself up to date
	Notice  *notice
	Now     time.Time
	Body    any
}

// message is what a page says that has nothing else to show.
type message struct {
	Text   string
	Detail string // for whoever looks into it
	Name   string // of the credential that it is about, or ""
	Back   string // its page
}

// notice is what a person is told above all else.
type notice struct {
	Bad         bool
	Title, Text string
	Lines       []string // more of it
}

func (v *visit) show(status int, name string, p page) {
	p.Console, p.Tenant, p.Who, p.Edition, p.Now = v.opts.Title, v.store.TenantID(), v.who, edition, time.Now()
	var b bytes.Buffer
	if err := templates[name].Execute(&b, p); err != nil {
		panic(err) // the templates take what they are given
	}
	v.w.Header().Set("Content-Type", "text/html; charset=utf-8")
	v.w.WriteHeader(status)
	_, _ = v.w.Write(b.Bytes()) // the browser may have left
}

// fail shows a page that says why there is no other.
func (v *visit) fail(status int, title, text string) {
	v.show(status, "message", page{Title: title, Body: message{Text: text}})
}

// failed shows what went wrong with the store.
func (v *visit) failed(err error) {
	switch {
	case errors.Is(err, credstore.ErrNotFound):
		v.fail(http.StatusNotFound, "There is no such credential", "It may have been deleted meanwhile.")
		return
	case errors.Is(err, credstore.ErrUnreadable):
		v.fail(http.StatusInternalServerError, "It cannot be read", sentence(err.Error()))
		return
	}
	v.fail(http.StatusServiceUnavailable, "The store does not answer", sentence(err.Error())+" Credentials in use go on as long as their tokens last. Load the page again in a while.")
}

// goTo sends the browser to another page of ours, by GET.
func (v *visit) goTo(target string) {
	v.w.Header().Set("Location", target) // relative to the page: the path may have lost its prefix on the way here
	v.w.WriteHeader(http.StatusSeeOther)
}

// link is a page about a credential.
func link(page, name string) string { return page + "?name=" + url.QueryEscape(name) }

// said is an error's text for people: they know which package they deal with.
func said(text string) string {
	for _, prefix := range []string{"credstore: ", "outgrant: ", "authcode: "} {
		text = strings.TrimPrefix(text, prefix)
	}
	return capital(text)
}

// sentence makes a sentence of an error's text.
func sentence(text string) string {
	if text = said(text); !strings.HasSuffix(text, ".") {
		text += "."
	}
	return text
}
