package credstore

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/outgrant/outgrant"
)

// member is an attribute of an artifact: its name in the JSON form, and the field of the struct that has it. An artifact's
// table of members is all that reading, writing and checking its attributes needs.
type member struct {
	name string
	field
}

// field is one kind of attribute, bound to a field of a struct.
type field interface {
	read(r *reader, at string, v any) // sets the field from JSON that is not null
	write() any                       // returns it as JSON, with secrets; nil: it has its default
	check(p *problems, at string)
	forget() // drops secrets
}

// typeField is the member that tells the type. It was read before, and is written.
type typeField string

func (typeField) read(*reader, string, any) {}
func (c typeField) write() any              { return string(c) }
func (typeField) check(*problems, string)   {}
func (typeField) forget()                   {}

// nameField is the name of an artifact: its own, or another's that it refers to.
type nameField struct {
	to       *string
	optional bool
}

func (f nameField) read(r *reader, at string, v any) { r.text(at, v, f.to) }
func (f nameField) write() any                       { return orNil(*f.to) }
func (nameField) forget()                            {}

func (f nameField) check(p *problems, at string) {
	if *f.to == "" && f.optional {
		return
	}
	if err := checkName(*f.to); err != nil {
		p.add(at, "%v", err)
	}
}

// textField is an attribute that everybody may see.
type textField struct {
	to  *string
	max int // characters; 0: maxText
}

func (f textField) read(r *reader, at string, v any) { r.text(at, v, f.to) }
func (f textField) write() any                       { return orNil(*f.to) }
func (f textField) check(p *problems, at string)     { checkText(p, at, *f.to, f.max) }
func (textField) forget()                            {}

// secretField is an attribute that nobody may see.
type secretField struct {
	to  *outgrant.Secret
	max int // characters; 0: maxText
}

func (f secretField) read(r *reader, at string, v any) { r.text(at, v, (*string)(f.to)) }
func (f secretField) write() any                       { return orNil(f.to.Reveal()) }
func (f secretField) forget()                          { *f.to = "" }

func (f secretField) check(p *problems, at string) {
	if f.to.IsRedacted() {
		p.add(at, "is the printed form of a secret, not the secret")
	}
	checkText(p, at, f.to.Reveal(), f.max)
}

// wordField is an attribute with a choice of values.
type wordField struct {
	to    *string
	words []string
}

func (f wordField) read(r *reader, at string, v any) { r.text(at, v, f.to) }
func (f wordField) write() any                       { return orNil(*f.to) }
func (wordField) forget()                            {}

func (f wordField) check(p *problems, at string) {
	if *f.to != "" && !slices.Contains(f.words, *f.to) {
		p.add(at, "%s: use %s", shown(*f.to), choice(f.words))
	}
}

// flagField is true or false. Where it is inverted, the field is what the member is not.
type flagField struct {
	to       *bool
	inverted bool
}

func (f flagField) read(r *reader, at string, v any) {
	b, ok := v.(bool)
	if !ok {
		r.problems.add(at, "not true or false")
		return
	}
	*f.to = b != f.inverted
}

func (f flagField) write() any {
	if !*f.to {
		return nil
	}
	return !f.inverted
}

func (flagField) check(*problems, string) {}
func (flagField) forget()                 {}

// daysField is a whole number of days; 0: none is given.
type daysField struct{ to *int }

func (f daysField) read(r *reader, at string, v any) {
	number, _ := v.(json.Number)
	n, err := strconv.Atoi(number.String())
	switch {
	case err != nil:
		r.problems.add(at, "not a whole number")
	case n == 0:
		r.problems.add(at, "0 days: leave it out to set none")
	default:
		*f.to = n
	}
}

func (f daysField) write() any {
	if *f.to == 0 {
		return nil
	}
	return *f.to
}

func (daysField) check(*problems, string) {}
func (daysField) forget()                 {}

// fileField is the content of a file, which is secret: base64 in JSON.
type fileField struct{ to *[]byte }

func (f fileField) read(r *reader, at string, v any) { r.bytes(at, v, f.to) }
func (f fileField) forget()                          { *f.to = nil }

func (f fileField) write() any { return orNil(base64.StdEncoding.EncodeToString(*f.to)) }

func (f fileField) check(p *problems, at string) {
	if len(*f.to) > maxKeyText {
		p.add(at, "%d bytes; at most %d are allowed", len(*f.to), maxKeyText)
	}
}

// textsField are texts by name.
type textsField struct{ to *map[string]string }

func (f textsField) read(r *reader, at string, v any) {
	o, ok := v.(object)
	if !ok {
		r.problems.add(at, "not a JSON object")
		return
	}
	m := map[string]string{}
	for _, p := range o {
		place := within(at, p.name)
		if _, twice := m[p.name]; twice {
			r.problems.add(at, "%s comes twice", shown(p.name))
		}
		var s string
		r.text(place, p.value, &s)
		m[p.name] = s
	}
	if len(m) > 0 {
		*f.to = m
	}
}

func (f textsField) write() any {
	if len(*f.to) == 0 {
		return nil
	}
	var o object
	for _, name := range slices.Sorted(maps.Keys(*f.to)) {
		o = append(o, property{name, (*f.to)[name]})
	}
	return o
}

func (f textsField) check(p *problems, at string) {
	if n := len(*f.to); n > maxTexts {
		p.add(at, "%d of them; at most %d are allowed", n, maxTexts)
		return
	}
	for _, name := range slices.Sorted(maps.Keys(*f.to)) {
		checkText(p, at, name, maxDescription)
		checkText(p, within(at, name), (*f.to)[name], maxDescription)
	}
}

func (textsField) forget() {}

// listField is a list of objects, each with a table of members of its own.
type listField struct {
	length func() int
	grow   func()
	at     func(i int) []member
	of     string // what they are, for errors
}

func (f listField) read(r *reader, at string, v any) {
	elements, ok := v.([]any)
	if !ok {
		r.problems.add(at, "not a list")
		return
	}
	for i, element := range elements {
		place := fmt.Sprintf("%s[%d]", at, i)
		f.grow()
		if o, ok := element.(object); ok {
			r.members(place, o, f.at(i), f.of)
		} else {
			r.problems.add(place, "not a JSON object")
		}
	}
}

func (f listField) write() any {
	var elements []any
	for i := range f.length() {
		elements = append(elements, written(f.at(i)))
	}
	if elements == nil {
		return nil
	}
	return elements
}

func (f listField) check(p *problems, at string) {
	for i := range f.length() {
		for _, m := range f.at(i) {
			m.check(p, listPlace(at, i, m.name))
		}
	}
}

func (f listField) forget() {
	for i := range f.length() {
		forget(f.at(i))
	}
}

// written returns the JSON form of members, without those that have their defaults.
func written(members []member) object {
	o := object{}
	for _, m := range members {
		if v := m.write(); v != nil {
			o = append(o, property{m.name, v})
		}
	}
	return o
}

func forget(members []member) {
	for _, m := range members {
		m.forget()
	}
}

func orNil(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// checkText refuses what cannot be kept as a text, and what is not meant as one.
func checkText(p *problems, at, s string, most int) {
	if most == 0 {
		most = maxText
	}
	switch n := utf8.RuneCountInString(s); {
	case !utf8.ValidString(s):
		p.add(at, "not UTF-8")
	case strings.ContainsRune(s, utf8.RuneError):
		p.add(at, "has the character U+FFFD, which stands for one that was lost: enter it again")
	case strings.ContainsRune(s, 0):
		p.add(at, "has a NUL")
	case n > most:
		p.add(at, "%d characters; at most %d are allowed", n, most)
	case isReference(s):
		p.add(at, "a reference, such as ${env:NAME}, must be the whole value, and is replaced by LoadArtifacts alone, for files that you trust")
	}
}
