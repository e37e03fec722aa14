package console

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/outgrant/outgrant/credstore"
)

// kindChoice is a type to make a credential of.
type kindChoice struct{ Type, Text, Link string }

// create shows the form of a new credential, or the types that there are.
func (v *visit) create() {
	typ := v.r.URL.Query().Get("type")
	if slices.Contains(credstore.Types(), typ) {
		v.showForm(http.StatusOK, newForm(typ, "", "", values{}, nil))
		return
	}
	var all []kindChoice
	for _, typ := range credstore.Types() {
		all = append(all, kindChoice{typ, kinds[typ].Text, "new?type=" + url.QueryEscape(typ)})
	}
	v.show(http.StatusOK, "types", page{Title: "New credential", Body: all})
}

// edit shows the form of a credential that is deployed.
func (v *visit) edit() {
	info, err := v.store.Info(v.r.Context(), v.name)
	if err != nil {
		v.failed(err)
		return
	}
	a, err := v.store.Artifact(v.r.Context(), v.name)
	switch {
	case err == nil:
		v.showForm(http.StatusOK, newForm(a.Type(), v.name, info.Version, valuesOf(a), nil))
	case errors.Is(err, credstore.ErrUnreadable) && slices.Contains(credstore.Types(), info.Type):
		f := newForm(info.Type, v.name, info.Version, values{"name": v.name, "description": info.Description}, nil)
		f.Warning = "What is deployed cannot be read. Enter all of it again, and deploy it in its place."
		v.showForm(http.StatusOK, f)
	default:
		v.failed(err)
	}
}

func (v *visit) showForm(status int, f *form) {
	if f.NamesKeyPair {
		f.KeyPairs = v.keyPairs()
	}
	title := "New credential: " + kindOf(f.Type)
	if f.Name != "" {
		title = "Edit " + f.Name
	}
	switch {
	case f.Refused != nil:
		title = f.Refused.Title + ": " + title
	case len(f.Problems) > 0:
		title = "Not deployed yet: " + title
	}
	p := page{Title: title, Body: f}
	if status != http.StatusOK {
		p.Here = f.address()
	}
	v.show(status, "form", p)
}

// address is the page where the form is empty, or as what is deployed.
func (f *form) address() string {
	if f.Name != "" {
		return link("edit", f.Name)
	}
	return "new?type=" + url.QueryEscape(f.Type)
}

// mostSuggestions is how many names a form suggests.
const mostSuggestions = 200

// keyPairs returns names that may be an alias: none if the store cannot tell.
func (v *visit) keyPairs() (names []string) {
	all, err := v.store.List(v.r.Context())
	if err != nil {
		return nil
	}
	for _, info := range all {
		if info.Type == keyPair && len(names) < mostSuggestions && v.may(View, info.Name) {
			names = append(names, info.Name)
		}
	}
	return names
}

// save deploys what a form has brought.
func (v *visit) save() {
	if !v.parsePosted() {
		return
	}
	typ, version := v.r.PostForm.Get("type"), v.r.PostForm.Get("version")
	if !slices.Contains(credstore.Types(), typ) {
		v.fail(http.StatusBadRequest, "That cannot be read", "The form does not say which type of credential it is. Nothing was changed.")
		return
	}
	if v.name != "" {
		v.r.PostForm.Set("name", v.name) // it is what the address names, and what was allowed
	}
	p, err := readForm(v.r, typ)
	if err != nil {
		v.failCutOff()
		return
	}
	name := p.values["name"]
	if v.name != "" && name != v.name {
		v.failed(credstore.ErrNotFound) // no name has blanks around it
		return
	}
	if r := v.deploy(p, version); r != nil {
		f := newForm(typ, v.name, r.version, p.values, append(r.wrong, p.forgotten()...))
		f.Refused = r.notice
		v.showForm(r.status, f)
		return
	}
	v.done("deployed", link("artifact", name)+"&", name)
}

// refusal is why a form comes back.
type refusal struct {
	status  int
	version string // of what is deployed, as the person has seen it then
	wrong   []credstore.Problem
	notice  *notice // what else there is to say
}

// deploy deploys what a form has brought, in place of a version.
func (v *visit) deploy(p posted, version string) *refusal {
	name := p.values["name"]
	if v.name == "" && name != "" {
		if _, err := v.ask(Deploy, name); err != nil {
			return &refusal{http.StatusForbidden, version, []credstore.Problem{{At: "name", What: err.Error()}}, nil}
		}
	}
	a, wrong, err := v.check(p)
	switch {
	case err != nil:
		return &refusal{http.StatusServiceUnavailable, version, nil, &notice{Title: "Nothing was deployed yet", Text: sentence(err.Error()) + " Send it again in a while."}}
	case len(wrong) > 0:
		return &refusal{http.StatusUnprocessableEntity, version, wrong, nil}
	}
	err = v.store.DeployIf(v.r.Context(), a, version)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, credstore.ErrChanged) && v.name == "" && v.sentTwice(name):
		return &refusal{http.StatusConflict, version, nil, &notice{Title: "There is one of that name", Text: "You have deployed it just now: it is this one, if the form was sent twice.", See: link("artifact", name)}}
	case errors.Is(err, credstore.ErrChanged) && v.name == "":
		return &refusal{http.StatusConflict, version, []credstore.Problem{{At: "name", What: "there is a credential of that name: choose another, or edit that one"}}, nil}
	case errors.Is(err, credstore.ErrChanged):
		text, now := v.changed(version)
		changed := &notice{Title: "It has changed", Text: text}
		if now != "" {
			changed.See = link("artifact", name)
		}
		return &refusal{http.StatusConflict, now, nil, changed}
	case errors.Is(err, credstore.ErrLimit):
		return &refusal{http.StatusUnprocessableEntity, version, []credstore.Problem{{What: err.Error()}}, nil}
	}
	return &refusal{http.StatusServiceUnavailable, version, nil, &notice{Title: "It cannot be told whether that was deployed",
		Text: sentence(err.Error()) + " Look at the credential before you send it again.", See: link("artifact", name)}}
}

// check returns the artifact of a form, or what is wrong with it. An error is one of the store.
func (v *visit) check(p posted) (credstore.Artifact, []credstore.Problem, error) {
	all, err := credstore.ParseArtifacts(p.json)
	if err == nil {
		err = v.store.Check(all[0])
	}
	wrong := credstore.Problems(err)
	if err != nil && len(wrong) == 0 {
		wrong = []credstore.Problem{{What: said(err.Error())}}
	}
	if alias := p.values["keyPairAlias"]; alias != "" {
		if _, err := v.ask(Use, alias); err != nil {
			wrong = append(wrong, credstore.Problem{At: "keyPairAlias", What: err.Error()})
		}
	}
	if len(wrong) > 0 {
		return nil, wrong, nil
	}
	wrong, err = v.lost(p)
	return all[0], wrong, err
}

const lostSecret = "it is set, and was not sent here: enter it again, or have it removed"

// lost returns the secrets that an edit would remove without a word: those that are set, where nobody has entered them again, nor
// anything in their place.
func (v *visit) lost(p posted) (wrong []credstore.Problem, err error) {
	if v.name == "" || len(p.secrets) > 0 {
		return nil, nil
	}
	set, err := v.store.SecretsOf(v.r.Context(), v.name)
	if errors.Is(err, credstore.ErrNotFound) || errors.Is(err, credstore.ErrUnreadable) {
		return nil, nil // there is nothing to lose
	}
	for _, name := range set {
		if v.r.PostForm.Get(name+".remove") == "" {
			wrong = append(wrong, credstore.Problem{At: name, What: lostSecret})
		}
	}
	return wrong, err
}

// sentTwice reports whether the visitor may have made a credential just now, by the same form.
func (v *visit) sentTwice(name string) bool {
	info, err := v.store.Info(v.r.Context(), name)
	return err == nil && v.who != "" && info.DeployedBy == v.who && time.Since(info.DeployedOn) < postTimeout
}

// changed tells what has happened to a credential while a version of it was edited, and which one is deployed now.
func (v *visit) changed(version string) (text, now string) {
	info, err := v.store.Info(v.r.Context(), v.name)
	switch {
	case errors.Is(err, credstore.ErrNotFound):
		return "It was deleted while you were editing. If you deploy it now, it is made again.", ""
	case err != nil:
		return sentence(err.Error()) + " Send it again in a while.", version
	case info.DeployedBy != "" && info.DeployedBy == v.who:
		text = fmt.Sprintf("You have deployed another version at %s: here, if the form was sent twice, or in another window.", exactTime(info.DeployedOn))
	case info.DeployedBy != "":
		text = fmt.Sprintf("%s has deployed another version at %s, while you were editing.", info.DeployedBy, exactTime(info.DeployedOn))
	default:
		text = fmt.Sprintf("Another version was deployed at %s, while you were editing.", exactTime(info.DeployedOn))
	}
	return text + " What you have entered is still here, but for the secrets. Compare it, and deploy it again if it is to replace the other one.", info.Version
}

// deleteBody is what the page shows that asks before it deletes.
type deleteBody struct {
	credstore.Info
	UsedBy users
}

func (v *visit) confirmDelete() { v.askDelete(http.StatusOK, nil) }

// askDelete asks whether to delete, and after an attempt tells why that came to nothing.
func (v *visit) askDelete(status int, n *notice) {
	info, err := v.store.Info(v.r.Context(), v.name)
	switch {
	case n != nil && errors.Is(err, credstore.ErrNotFound): // the form was sent twice, or somebody else was faster
		v.done("deleted", "./?", "")
		return
	case errors.Is(err, credstore.ErrNotFound) && v.isLeft():
		info = credstore.Info{Name: v.name} // a deletion that was not whole
	case err != nil:
		v.failed(err)
		return
	}
	users, err := v.usersOf(&info)
	if err != nil {
		v.failed(err)
		return
	}
	v.showDelete(status, n, deleteBody{info, users})
}

func (v *visit) showDelete(status int, n *notice, b deleteBody) {
	p := page{Title: "Delete " + v.name, Notice: n, Body: b}
	if n != nil {
		p.Here = link("delete", v.name)
	}
	v.show(status, "delete", p)
}

// isLeft reports whether there is something that was authorized under the name, although the credential is gone.
func (v *visit) isLeft() bool {
	a, err := v.store.Vault().Load(v.r.Context(), v.name)
	return err == nil && !a.Authorized.IsZero()
}

func (v *visit) delete() {
	if !v.parsePosted() {
		return
	}
	err := v.store.UndeployIf(v.r.Context(), v.name, v.r.PostForm.Get("version"))
	switch {
	case errors.Is(err, credstore.ErrChanged):
		v.askDelete(http.StatusConflict, &notice{Bad: true, Title: "Not deleted", Text: "Another version was deployed meanwhile: see whether it is to be deleted, too."})
	case err != nil && !errors.Is(err, credstore.ErrNotFound):
		n := &notice{Bad: true, Title: "It cannot be told whether all of it is deleted", Text: sentence(err.Error()) + " Delete it again in a while: what is gone is passed over."}
		v.showDelete(http.StatusServiceUnavailable, n, deleteBody{Info: credstore.Info{Name: v.name, Version: v.r.PostForm.Get("version")}})
	default:
		v.done("deleted", "./?", "")
	}
}
