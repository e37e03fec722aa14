package console

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/outgrant/outgrant/credstore"
)

// backToArtifact is for who loads the page of an outcome again.
func (v *visit) backToArtifact() { v.goTo(link("artifact", v.name)) }

// try has a token fetched.
func (v *visit) try() {
	if !v.parsePosted() {
		return
	}
	began := time.Now()
	token, err := v.store.Try(v.r.Context(), v.name, strings.TrimSpace(v.r.PostForm.Get("user")))
	took := time.Since(began).Round(time.Millisecond)
	switch {
	case errors.Is(err, credstore.ErrNotFound):
		v.failed(err)
		return
	case err != nil:
		v.showArtifact(&notice{Bad: true, Title: "No token came", Text: sentence(err.Error())})
		return
	}
	n := &notice{Title: "A token came", Text: "The credential works. The token is not shown.", Lines: []string{"It took " + took.String() + "."}}
	if !token.Expiry.IsZero() {
		n.Lines = append(n.Lines, fmt.Sprintf("It ends %s, at %s.", ago(token.Expiry, time.Now()), exactTime(token.Expiry)))
	}
	if len(token.Scopes) > 0 {
		n.Lines = append(n.Lines, "Its scopes are "+strings.Join(token.Scopes, " "))
	}
	if token.User != "" {
		n.Lines = append(n.Lines, "It is for the user "+token.User)
	}
	v.showArtifact(n)
}
