package console

import (
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
	KeyPairs                 []string
}

// The kinds of texts.
const (
	artifactsText  = "artifacts"
	serviceKeyText = "service-key"
)

// imported is what came of one credential of a text.
type imported struct{ Name, Type, Link, Outcome, Class string }

func (v *visit) importPage() {
	v.show(http.StatusOK, "import", page{Title: "Import", Body: importBody{Kind: artifactsText}})
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
	all, err := b.parse(text)
	if err == nil {
		err = v.admitAll(all, b.Replace)
	}
	if err == nil {
		v.deployAll(all, b.Replace)
		return
	}
	b.Problems = problemsOf(err)
	v.show(http.StatusUnprocessableEntity, "import", page{Title: "Not imported: Import", Body: b})
}

func (b *importBody) parse(text []byte) ([]credstore.Artifact, error) {
	switch {
	case len(strings.TrimSpace(string(text))) == 0:
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

// admitAll checks what can be checked before the first one is deployed.
func (v *visit) admitAll(all []credstore.Artifact, replace bool) error {
	var errs []error
	for _, a := range all {
		name := a.ArtifactName()
		if _, err := v.ask(Deploy, name); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", name, err))
			continue
		}
		if replace {
			continue
		}
		_, err := v.store.Info(v.r.Context(), name)
		switch {
		case err == nil:
			errs = append(errs, fmt.Errorf("%s: there is a credential of that name: allow that it is replaced, or give this one another name", name))
		case !errors.Is(err, credstore.ErrNotFound):
			return err
		}
	}
	return errors.Join(errs...)
}

// deployAll deploys one after the other, and tells what came of each.
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
	n := &notice{Title: "Imported", Text: fmt.Sprintf("%s deployed.", times(len(all), "credential"))}
	status := http.StatusOK
	if failed > 0 {
		n = &notice{Bad: true, Title: "Not all of it was imported", Text: fmt.Sprintf("%d of %d could not be deployed. The others are.", failed, len(all))}
		status = http.StatusUnprocessableEntity
	}
	v.show(status, "imported", page{Title: n.Title, Notice: n, Body: outcomes})
}

// problemsOf takes an error apart for people.
func problemsOf(err error) (all []problem) {
	for _, p := range credstore.Problems(err) {
		all = append(all, problem{Label: strings.TrimSpace(p.In + " " + p.At), Text: p.What})
	}
	if len(all) == 0 {
		for line := range strings.SplitSeq(err.Error(), "\n") {
			all = append(all, problem{Text: line})
		}
	}
	return all
}
