package console

import (
	"cmp"
	"net/http"
	"path"
	"strings"

	"github.com/outgrant/outgrant/authcode"
	"github.com/outgrant/outgrant/credstore"
)

// authorize sends the browser to the provider.
func (v *visit) authorize() {
	info, err := v.store.Info(v.r.Context(), v.name)
	switch {
	case err != nil:
		v.failed(err)
	case info.Type != code:
		v.fail(http.StatusBadRequest, "There is nothing to authorize", "Only authorization codes are authorized by a user.")
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
		back := v.pageOf(tenant, name, authcode.StartOf(r))
		switch {
		case err == nil && back != "":
			v.goTo(back + "&done=authorized")
		case err == nil:
			n := doneNotices["authorized"]
			v.show(http.StatusOK, "message", page{Title: n.Title, Body: message{Text: n.Text}})
		default:
			title, text, status := authcode.Explain(cmp.Or(name, "The credential"), err)
			v.show(status, "message", page{Title: title, Body: message{text, sentence(err.Error()), name, back}})
		}
	}).ServeHTTP(v.w, v.r)
}

// pageOf returns the page of a credential: that of another tenant is beside the page where its authorization was started. "": it is
// not known.
func (v *visit) pageOf(tenant, name, start string) string {
	start, _, _ = strings.Cut(start, "?")
	switch {
	case name == "":
		return ""
	case tenant == v.store.TenantID():
		return link("artifact", name)
	case start == "":
		return ""
	}
	return path.Join(path.Dir(start), link("artifact", name))
}
