package console

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/outgrant/outgrant/credstore"
)

// mostRows is how many custom parameters, or attributes of an assertion, a form takes, and spareRows how many rows are empty.
const mostRows, spareRows = 100, 3

// form is the form of an artifact. It holds no secret: those are sent, and not sent back.
type form struct {
	Type, TypeText string
	Name           string // of the artifact that is edited; "" for a new one
	Version        string // of what is deployed, as the person has seen it; "": nothing
	Groups         []group
	Problems       []problem // all that is wrong
	Warning        string    // what else there is to know; "": nothing
	Refused        *notice   // why it comes back, beside the problems
	NamesKeyPair   bool      // it has a field for a key pair's alias
	KeyPairs       []string  // names that may be that
	Cancel         string    // the page to go back to
}

// group is some of the fields, which can be folded away if it has a name.
type group struct {
	Name   string
	ID     string // of the field that has its name; "": none has
	Open   bool
	Fields []field
}

// field is what is filled in.
type field struct {
	ID, Name, Label, Hint, Error string
	Kind                         string // text, area, secret, secretArea, file, choice, flag, number or rows
	Value                        string
	Checked, Required, Fixed     bool
	Removable                    bool // it is a secret that is set, and can be removed
	Words                        []word
	Rows                         [][]field
	Most                         int    // rows that there can be
	List                         string // the id of a list of suggestions
	Describes                    string // the ids of hint and error
}

// word is one that can be chosen.
type word struct {
	Value, Label string
	Chosen       bool
}

// problem is something that is wrong, with the id of its field.
type problem struct{ ID, Label, Text string }

// idOf is the id of the input of a place. Its name is the place itself.
func idOf(at string) string {
	return "f-" + strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' {
			return r
		}
		return '-'
	}, at)
}

// newForm makes the form of a type, with values, and what is wrong with them.
func newForm(typ, name, version string, all values, wrong []credstore.Problem) *form {
	f := &form{Type: typ, TypeText: kinds[typ].Text, Name: name, Version: version, Cancel: "./"}
	if name != "" {
		f.Cancel = link("artifact", name)
	}
	b := &formBuilder{form: f, values: all, wrong: map[string]string{}, inputs: map[string]problem{}}
	for i := range wrong {
		wrong[i].What = inLabels(typ, wrong[i].What)
		if _, known := b.wrong[wrong[i].At]; !known {
			b.wrong[wrong[i].At] = capital(wrong[i].What)
		}
	}
	groups := map[string]int{}
	for _, a := range credstore.Attributes(typ) {
		of := aboutOf(typ, a.Name)
		at, known := groups[of.Group]
		if !known {
			at = len(f.Groups)
			groups[of.Group] = at
			f.Groups = append(f.Groups, group{Name: of.Group, Open: of.Group == ""})
		}
		one := b.field(a, of, a.Name)
		if a.Name == "name" {
			if one.Fixed = name != ""; one.Fixed {
				one.Hint = "It cannot be changed: programs refer to it by this name."
			}
		}
		g := &f.Groups[at]
		if one.Label == g.Name {
			g.ID, one.Label = one.ID, "" // it stands there
		}
		g.Fields = append(g.Fields, one)
		g.Open = g.Open || one.isFilled()
	}
	b.addProblems(wrong)
	return f
}

// addProblems adds all that is wrong, in the order of the fields; last, what no field has.
func (b *formBuilder) addProblems(wrong []credstore.Problem) {
	place := func(p credstore.Problem) int {
		if at := slices.Index(b.places, p.At); at >= 0 {
			return at
		}
		return len(b.places)
	}
	slices.SortStableFunc(wrong, func(a, b credstore.Problem) int { return place(a) - place(b) })
	forgotten := false
	for _, p := range wrong {
		if p.What == forgottenSecret {
			forgotten = true
			continue
		}
		one := problem{Label: p.At}
		if input, known := b.inputs[p.At]; known {
			one = input
		}
		one.Text = p.What
		b.form.Problems = append(b.form.Problems, one)
	}
	if forgotten {
		b.form.Problems = append(b.form.Problems, problem{Text: "secrets and files are not sent back: enter those again that you have entered"})
	}
}

type formBuilder struct {
	form   *form
	values values
	wrong  map[string]string  // by place
	inputs map[string]problem // of the fields that there are, without texts, by place
	places []string           // of the fields, in their order
}

// field makes the field of an attribute, which is at a place.
func (b *formBuilder) field(a credstore.Attribute, of about, at string) field {
	b.add(at, idOf(at), of.Label)
	f := field{ID: idOf(at), Name: at, Label: of.Label, Hint: of.Hint, Error: b.wrong[at], Value: b.values[at], Kind: "text", Required: of.Required}
	if of.Rows {
		f.Kind = "area"
	}
	switch a.Kind {
	case credstore.OneWord:
		f.Kind = "choice"
		f.Words = []word{{"", "Choose one", f.Value == ""}}
		if of.Default != "" {
			f.Words[0].Label = wordLabel(of.Default) + " (default)"
		}
		for _, w := range a.Words {
			f.Words = append(f.Words, word{w, wordLabel(w), f.Value == w})
		}
	case credstore.Flag:
		f.Kind = "flag"
		f.Checked = cmp.Or(f.Value, strconv.FormatBool(a.Unset)) == "true"
		if f.Checked == a.Unset {
			f.Value = "" // it is as if it was left out
		}
	case credstore.Number:
		f.Kind = "number"
	case credstore.File:
		f.Kind = "file"
	case credstore.Texts:
		f.Kind, f.Most = "rows", cmp.Or(of.Most, mostRows)
		f.Rows = b.textRows(at, f.Most)
	case credstore.Objects:
		f.Kind, f.Most = "rows", cmp.Or(of.Most, mostRows)
		f.Rows = b.objectRows(a, at, f.Most)
	}
	f.Removable = f.Error == capital(lostSecret)
	if a.Secret && a.Kind == credstore.Text {
		f.Kind = map[string]string{"text": "secret", "area": "secretArea"}[f.Kind]
	}
	if a.Name == "keyPairAlias" {
		f.List, b.form.NamesKeyPair = "key-pairs", true
	}
	if f.Hint != "" {
		f.Describes = f.ID + "-hint"
	}
	if f.Error != "" {
		f.Describes = strings.TrimSpace(f.Describes + " " + f.ID + "-error")
	}
	return f
}

// add notes the input of a place, for what is wrong there. Of several, the first is shown.
func (b *formBuilder) add(at, id, label string) {
	if _, known := b.inputs[at]; !known {
		b.inputs[at] = problem{ID: id, Label: label}
		b.places = append(b.places, at)
	}
}

// rowsFor is how many rows a form has for what is filled in.
func rowsFor(filled, most int) int { return min(filled+spareRows, max(most, filled)) }

func (b *formBuilder) objectRows(a credstore.Attribute, at string, most int) (rows [][]field) {
	for i := range rowsFor(b.values.count(at), most) {
		var row []field
		for _, part := range a.Parts {
			place := fmt.Sprintf("%s[%d].%s", at, i, part.Name)
			of := aboutOf(b.form.Type, at+"."+part.Name)
			of.Label = fmt.Sprintf("%s %d", of.Label, i+1)
			row = append(row, b.field(part, of, place))
		}
		rows = append(rows, row)
	}
	return rows
}

func (b *formBuilder) textRows(at string, most int) (rows [][]field) {
	filled := b.values.pairs(at)
	for i := range rowsFor(len(filled), most) {
		part := func(name string) field {
			input := fmt.Sprintf("%s[%d].%s", at, i, name)
			return field{ID: idOf(input), Name: input, Label: fmt.Sprintf("%s %d", aboutOf(b.form.Type, at+"."+name).Label, i+1), Kind: "text"}
		}
		name, value := part("name"), part("value")
		if i < len(filled) {
			name.Value, value.Value = filled[i][0], filled[i][1]
			if strings.Contains(value.Value, "\n") {
				value.Kind = "area" // an input would lose the ends of lines
			}
			place := at + "." + name.Value
			b.add(place, value.ID, value.Label)
			if value.Error = b.wrong[place]; value.Error != "" {
				value.Describes = value.ID + "-error"
			}
		}
		rows = append(rows, []field{name, value})
	}
	return rows
}

// isFilled reports whether there is something in a field, or wrong with it.
func (f field) isFilled() bool {
	if f.Kind == "rows" {
		return f.Error != "" || slices.ContainsFunc(f.Rows, func(row []field) bool { return slices.ContainsFunc(row, field.isFilled) })
	}
	return f.Error != "" || f.Value != ""
}
