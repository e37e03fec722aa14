package console

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/outgrant/outgrant/credstore"
)

// importBody is what the page shows where texts are imported. It does not have the text: that holds secrets.
type importBody struct {
	Kind, Name, KeyPairAlias string
	Replace                  bool
	Problems                 []problem
	KeyPairs                 []string // names that may be the alias
}

// The kinds of texts.
const (
	artifactsText  = "artifacts"
	serviceKeyText = "service-key"
)

// imported is what came of one credential of a text.
type imported struct{ Name, Type, Link, Outcome, Class string }

func (v *visit) importPage() {
	v.showImport(http.StatusOK, "Import", importBody{Kind: artifactsText})
}

// importAll deploys what a text has: all, or if something is wrong with one of them, nothing.
func (v *visit) importAll() {
	if !v.parsePosted() {
		return
	}
	b := importBody{
		Kind: v.r.PostForm.Get("kind"), Name: strings.TrimSpace(v.r.PostForm.Get("name")), KeyPairAlias: strings.TrimSpace(v.r.PostForm.Get("keyPairAlias")),
		Replace: v.r.PostForm.Get("replace") != "",
	}
	text, err := postedFile(v.r, "file")
	if err != nil {
		v.fail(http.StatusBadRequest, "That cannot be read", "The file did not arrive whole. Nothing was changed: send it again.")
		return
	}
	if len(text) == 0 {
		text = []byte(v.r.PostForm.Get("text"))
	}
	text = bytes.TrimSpace(text)
	all, wrong := b.parse(text)
	if wrong == nil {
		if wrong, err = v.admitAll(all, b.Replace); err != nil {
			v.failed(err)
			return
		}
	}
	if wrong == nil {
		v.deployAll(all, b.Replace)
		return
	}
	b.Problems = problemsOf(wrong)
	if len(text) > 0 {
		b.Problems = append(b.Problems, problem{Text: "what you have sent is not sent back: choose the file, or paste the text, again"})
	}
	v.showImport(http.StatusUnprocessableEntity, "Not imported: Import", b)
}

func (v *visit) showImport(status int, title string, b importBody) {
	b.KeyPairs = v.keyPairs()
	v.show(status, "import", page{Title: title, Body: b})
}

func (b *importBody) parse(text []byte) ([]credstore.Artifact, error) {
	switch {
	case len(text) == 0:
		return nil, errors.New("choose a file, or paste its text")
	case b.Kind == serviceKeyText:
		return credstore.ParseServiceKey(b.Name, text, b.KeyPairAlias)
	}
	all, err := credstore.ParseArtifacts(text)
	if err == nil && len(all) == 0 {
		err = errors.New("there is no artifact in it")
	}
	return all, err
}

// admitAll checks all that can be checked before the first one is deployed. err is one of the store.
func (v *visit) admitAll(all []credstore.Artifact, replace bool) (wrong, err error) {
	var errs []error
	for _, a := range all {
		name := a.ArtifactName()
		if _, err := v.ask(Deploy, name); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", name, err))
			continue
		}
		if alias := valuesOf(a)["keyPairAlias"]; alias != "" {
			if _, err := v.ask(Use, alias); err != nil {
				errs = append(errs, fmt.Errorf("%s: key pair %s: %w", name, alias, err))
			}
		}
		for _, p := range credstore.Problems(v.store.Check(a)) {
			errs = append(errs, fmt.Errorf("%s: %s: %s", name, p.At, p.What))
		}
		if replace {
			continue
		}
		_, err := v.store.Info(v.r.Context(), name)
		switch {
		case err == nil:
			errs = append(errs, fmt.Errorf("%s: there is a credential of that name: allow that it is replaced, or give this one another name", name))
		case !errors.Is(err, credstore.ErrNotFound):
			return nil, err
		}
	}
	return errors.Join(errs...), nil
}

// deployAll deploys one after the other. If that does not go well, it tells what came of each.
func (v *visit) deployAll(all []credstore.Artifact, replace bool) {
	var outcomes []imported
	failed := 0
	for _, a := range all {
		one := imported{Name: a.ArtifactName(), Type: kindOf(a.Type()), Link: link("artifact", a.ArtifactName()), Outcome: "Deployed."}
		var err error
		if replace {
			err = v.store.Deploy(v.r.Context(), a)
		} else {
			err = v.store.DeployIf(v.r.Context(), a, "")
		}
		if err != nil {
			failed++
			one.Outcome, one.Class = sentence(err.Error()), "bad"
		}
		outcomes = append(outcomes, one)
	}
	if failed == 0 {
		v.goTo("./?sort=deployed&done=imported")
		return
	}
	n := &notice{Bad: true, Title: "Not all of it was imported", Text: fmt.Sprintf("%d of %d could not be deployed. The others are.", failed, len(all))}
	v.show(http.StatusUnprocessableEntity, "imported", page{Title: "Import", Notice: n, Body: outcomes})
}

// problemsOf takes an error apart for people.
func problemsOf(err error) (all []problem) {
	if many, ok := err.(interface{ Unwrap() []error }); ok {
		for _, err := range many.Unwrap() {
			all = append(all, problemsOf(err)...)
		}
		return all
	}
	for _, p := range credstore.Problems(err) {
		all = append(all, problem{Label: strings.TrimSpace(p.In + " " + p.At), Text: p.What})
	}
	if len(all) == 0 {
		all = []problem{{Text: err.Error()}}
	}
	return all
}
