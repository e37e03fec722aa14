package console

import (
	"net/http"

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

// callback takes the browser back from the provider.
func (v *visit) callback() {
	v.store.CallbackHandler(func(w http.ResponseWriter, r *http.Request, err error) {
		_, name := credstore.AttemptOf(r)
		if err == nil {
			v.goTo(link("artifact", name) + "&done=authorized")
			return
		}
		of := name
		if of == "" {
			of = "The credential"
		}
		title, text, status := authcode.Explain(of, err)
		v.show(status, "message", page{Title: title, Body: text, Name: name, Detail: sentence(err.Error())})
	}).ServeHTTP(v.w, v.r)
}
