package console

import (
	"cmp"
	"net/http"
	"slices"
	"strings"
	"unicode"

	"github.com/outgrant/outgrant/authcode"
	"github.com/outgrant/outgrant/credstore"
)

// authorize sends the browser to the provider.
func (v *visit) authorize() {
	a, err := v.store.Artifact(v.r.Context(), v.name)
	switch {
	case err != nil:
		v.failed(err)
	case a.Type() != code:
		v.fail(http.StatusBadRequest, "There is nothing to authorize", "Only authorization codes are authorized by a user.")
	case v.redirectOf(a) == "":
		v.show(http.StatusConflict, "message", page{Title: "There is no redirect URL", Body: message{Text: noRedirect, Name: v.name, Back: link("artifact", v.name)}})
	default:
		allowed := func(*http.Request, string, string) error { return nil } // this visit was admitted
		v.store.AuthorizeHandlerFor(allowed).ServeHTTP(v.w, v.r)
	}
}

// callback takes the browser back from the provider. It may be the callback of other tenants, too: their pages are where the
// authorization was started.
func (v *visit) callback() {
	v.store.CallbackHandler(func(_ http.ResponseWriter, r *http.Request, err error) {
		tenant, name := credstore.AttemptOf(r)
		back, opens := v.pageOf(tenant, name, authcode.StartOf(r), r.RequestURI)
		switch {
		case err == nil && opens:
			v.goTo(back + "&done=authorized")
		case err == nil:
			n := doneNotices["authorized"]
			v.show(http.StatusOK, "message", page{Title: n.Title, Body: message{Text: n.Text, Name: name, Back: back}})
		default:
			title, text, status := authcode.Explain(cmp.Or(isolated(name), "The credential"), err)
			v.show(status, "message", page{Title: title, Body: message{Text: text, Detail: sentence(err.Error()), Name: name, Back: back}})
		}
	}).ServeHTTP(v.w, v.r)
}

// isolated returns a name so that its direction is not that of the sentence that it is in (Unicode Annex 9).
func isolated(name string) string {
	if strings.IndexFunc(name, func(r rune) bool { return r > unicode.MaxASCII }) < 0 {
		return name
	}
	return "\u2068" + name + "\u2069"
}

// pageOf returns the page of a credential as a link from the callback, and whether it opens, as far as is known: here, or beside the
// page where its authorization was started, which may be that of another tenant or of other people. "": it is not known.
func (v *visit) pageOf(tenant, name, start, callback string) (page string, opens bool) {
	own := tenant == v.store.TenantID()
	from, to := folderOf(callback), folderOf(start)
	switch {
	case name == "":
		return "", false
	case own && v.may(View, name):
		return link("artifact", name), true
	case start != "" && !(own && slices.Equal(from, to)):
		return between(from, to) + link("artifact", name), true
	case own:
		return link("artifact", name), false
	}
	return "", false
}

// folderOf returns the folder of a page by its path and query, as the parts of its path.
func folderOf(address string) []string {
	path, _, _ := strings.Cut(address, "?")
	parts := strings.Split(path, "/")
	return parts[:len(parts)-1]
}

// between returns the way from a folder to another one. It is relative: a proxy may have taken something from the front of both.
func between(from, to []string) string {
	same := 0
	for same < min(len(from), len(to)) && from[same] == to[same] {
		same++
	}
	way := "./" + strings.Repeat("../", len(from)-same)
	for _, part := range to[same:] {
		way += part + "/"
	}
	return way
}
