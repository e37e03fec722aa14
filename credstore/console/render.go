package console

import (
	"bytes"
	"embed"
	"errors"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/outgrant/outgrant/credstore"
)

//go:embed pages
var files embed.FS

var templates = parseTemplates("list", "artifact", "form", "types", "import", "imported", "delete", "message")

func parseTemplates(names ...string) map[string]*template.Template {
	all := map[string]*template.Template{}
	for _, name := range names {
		t := template.New("page.html").Funcs(template.FuncMap{"ago": ago, "time": exactTime, "kind": kindOf, "moment": momentOf, "breakable": breakable, "capital": capital, "noRedirect": func() string { return noRedirect }})
		all[name] = template.Must(t.ParseFS(files, "pages/page.html", "pages/parts.html", "pages/field.html", "pages/"+name+".html"))
	}
	return all
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
	Live    bool   // it keeps itself up to date
	Here    string // its address, where that which the browser has is of what was done; "": the browser has it
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

	History []event // of a credential that is gone
}

// notice is what a person is told above all else.
type notice struct {
	Bad         bool
	Title, Text string
	Lines       []string // more of it
	See         string   // a page to compare it with; "": there is none
}

// doneNotices are what a page says after something was done, by the word in its address.
var doneNotices = map[string]notice{
	"deployed":   {Title: "Deployed", Text: "Programs use it from now on."},
	"authorized": {Title: "Authorized", Text: "Tokens come by themselves from now on."},
	"deleted":    {Title: "Deleted", Text: "The credential is gone. Programs that use it fail from now on."},
	"imported":   {Title: "Imported", Text: "What is deployed is what was in the text."},
}

// doneNotice returns what the address says was done, if it is one of some words.
func doneNotice(address url.Values, words ...string) *notice {
	n, known := doneNotices[address.Get("done")]
	if !known || !slices.Contains(words, address.Get("done")) {
		return nil
	}
	return &n
}

// done goes to a page that tells what was done, or tells it here, if the visitor may not view that page. target ends where its
// query goes on, and name is the credential that it is about.
func (v *visit) done(what, target, name string) {
	if v.may(View, name) {
		v.goTo(target + "done=" + what)
		return
	}
	n := doneNotices[what]
	v.show(http.StatusOK, "message", page{Title: n.Title, Body: message{Text: n.Text}})
}

func (v *visit) show(status int, name string, p page) {
	p.Console, p.Edition, p.Now = v.opts.Title, edition, time.Now()
	if v.admitted {
		p.Tenant, p.Who = v.store.TenantID(), v.who
	}
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

// refuse says why the visitor may not do that.
func (v *visit) refuse(err error) {
	v.fail(http.StatusForbidden, "You may not do that", sentence(err.Error()))
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
	again := "Load the page again in a while."
	if v.r.Method == http.MethodPost {
		again = "Do it again in a while."
	}
	v.fail(http.StatusServiceUnavailable, "The store does not answer", sentence(err.Error())+" Credentials in use go on as long as their tokens last. "+again)
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
