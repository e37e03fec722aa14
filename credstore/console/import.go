package console

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/outgrant/outgrant/credstore"
)

// importBody is what the page shows where texts are imported. It does not have the text: that holds secrets.
type importBody struct {
	Kind, Name, KeyPairAlias string
	Replace                  bool
	Problems                 []problem
	ForServiceKey            []field  // what else a service key needs
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
	file, err := postedFile(v.r, "file")
	if err != nil {
		v.failCutOff()
		return
	}
	file, pasted := bytes.TrimSpace(file), bytes.TrimSpace([]byte(v.r.PostForm.Get("text")))
	all, wrong := b.parse(file, pasted)
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
	for i, p := range b.Problems { // what is wrong with the credential that the key becomes is wrong with its name, or with the key
		if text, found := strings.CutPrefix(p.Text, b.Name+": "); found && b.Kind == serviceKeyText && b.Name != "" {
			b.Problems[i] = problem{Label: "name", Text: text}
		}
	}
	if len(file)+len(pasted) > 0 {
		b.Problems = append(b.Problems, problem{Text: "what you have sent is not sent back: choose the file, or paste the text, again"})
	}
	v.showImport(http.StatusUnprocessableEntity, "Not imported: Import", b)
}

func (v *visit) showImport(status int, title string, b importBody) {
	b.KeyPairs = v.keyPairs()
	b.ForServiceKey = []field{
		{ID: "name", Name: "name", Label: "Name of the credential", Kind: "text", Value: b.Name},
		{ID: "keyPairAlias", Name: "keyPairAlias", Label: "Key pair alias", Kind: "text", Value: b.KeyPairAlias, List: "key-pairs", Hint: "For an external certificate: the key pair that has it.", Describes: "keyPairAlias-hint"},
	}
	for i := range b.ForServiceKey {
		f := &b.ForServiceKey[i]
		for j := range b.Problems {
			if p := &b.Problems[j]; b.Kind == serviceKeyText && p.Label == f.Name {
				p.ID, p.Label, f.Error, f.Describes = f.ID, f.Label, capital(p.Text), strings.TrimSpace(f.Describes+" "+f.ID+"-error")
			}
		}
	}
	p := page{Title: title, Body: b}
	if status != http.StatusOK {
		p.Here = "import"
	}
	v.show(status, "import", p)
}

func (b *importBody) parse(file, pasted []byte) ([]credstore.Artifact, error) {
	text := slices.Concat(file, pasted)
	switch {
	case len(text) == 0:
		return nil, errors.New("choose a file, or paste its text")
	case len(file) > 0 && len(pasted) > 0:
		return nil, errors.New("choose a file, or paste a text: only one of them is imported")
	case b.Kind == serviceKeyText:
		return credstore.ParseServiceKey(b.Name, text, b.KeyPairAlias)
	case b.Name != "" || b.KeyPairAlias != "":
		return nil, errors.New("a name and a key pair alias are for a service key alone: artifacts have their own")
	}
	all, err := credstore.ParseArtifacts(text)
	switch {
	case err == nil && len(all) == 0:
		return nil, errors.New("there is no artifact in it")
	case err != nil && isServiceKey(text):
		return nil, errors.New("this is a service key: say so, and which name the credential is to have")
	}
	return all, err
}

// isServiceKey reports whether a text is a service key, with a secret or with a certificate of elsewhere.
func isServiceKey(text []byte) bool {
	_, secret := credstore.ParseServiceKey("any", text, "")
	_, elsewhere := credstore.ParseServiceKey("any", text, "any")
	return secret == nil || elsewhere == nil
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
		if alias := keyPairOf(a); alias != "" {
			if _, err := v.ask(Use, alias); err != nil {
				errs = append(errs, fmt.Errorf("%s: key pair %s: %w", name, alias, err))
			}
		}
		for _, p := range credstore.Problems(v.store.Check(a)) {
			errs = append(errs, fmt.Errorf("%s: %s: %s", name, p.At, p.What))
		}
		_, err := v.store.Info(v.r.Context(), name)
		if err == nil {
			if _, err := v.ask(View, name); err != nil {
				errs = append(errs, fmt.Errorf("%s: %w", name, err))
				continue
			}
		}
		switch {
		case err == nil && replace:
		case err == nil:
			errs = append(errs, fmt.Errorf("%s: there is a credential of that name: allow that it is replaced, or give this one another name", name))
		case !errors.Is(err, credstore.ErrNotFound):
			return nil, err
		}
	}
	if more := len(errs) - mostProblems; more > 0 {
		errs = append(errs[:mostProblems], fmt.Errorf("and %d more", more))
	}
	return errors.Join(errs...), nil
}

// mostProblems is how many problems a page tells.
const mostProblems = 20

// keyPairOf returns the alias of the key pair that an artifact names, or "".
func keyPairOf(a credstore.Artifact) string {
	switch a := a.(type) {
	case *credstore.ClientCredentials:
		return a.KeyPairAlias
	case *credstore.SAMLBearerAssertion:
		return a.KeyPairAlias
	case *credstore.AuthorizationCode:
		return a.KeyPairAlias
	}
	return ""
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
		v.done("imported", "./?sort=deployed&", "")
		return
	}
	n := &notice{Bad: true, Title: "Not all of it was imported", Text: fmt.Sprintf("%d of %d could not be deployed. The others are.", failed, len(all))}
	if failed == len(all) {
		n = &notice{Bad: true, Title: "It cannot be told whether it was imported", Text: "See below, and look at the credentials before you import it again."}
	}
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
