package credstore

import "slices"

// Attribute is an attribute of a type of artifact: a member of its JSON form ([ParseArtifacts]), and what may be in it. It is
// for programs that show artifacts, or let people fill them in.
type Attribute struct {
	Name   string        // such as tokenServiceUrl
	Kind   AttributeKind // what its value is
	Secret bool          // it is set, and never shown
	Words  []string      // of OneWord: what it may be
	Parts  []Attribute   // of Objects: what each has
	Unset  bool          // of Flag: what it is when it is left out
}

// AttributeKind says what the value of an attribute is in JSON.
type AttributeKind int

// The kinds of attributes.
const (
	Text    AttributeKind = iota // a string
	OneWord                      // a string: one of some words
	Flag                         // true or false
	Number                       // a whole number
	File                         // a string: the bytes of a file in base64
	Texts                        // an object of strings
	Objects                      // a list of objects
)

// Types returns the types of artifacts, in SAP's words, such as OAuth2 Client Credentials.
func Types() []string { return slices.Clone(types) }

// Attributes returns the attributes of a type of artifact, in SAP's order, without the type itself; nil: there is no such
// type.
func Attributes(typ string) []Attribute {
	a := newArtifact(typ)
	if a == nil {
		return nil
	}
	return attributesOf(a.members()[1:])
}

func attributesOf(members []member) (all []Attribute) {
	for _, m := range members {
		a := Attribute{Name: m.name}
		switch f := m.field.(type) {
		case secretField:
			a.Secret = true
		case wordField:
			a.Kind, a.Words = OneWord, slices.Clone(f.words)
		case flagField:
			a.Kind, a.Unset = Flag, f.inverted
		case daysField:
			a.Kind = Number
		case fileField:
			a.Kind, a.Secret = File, true
		case textsField:
			a.Kind = Texts
		case listField:
			f.grow()
			a.Kind, a.Parts = Objects, attributesOf(f.at(0))
		}
		all = append(all, a)
	}
	return all
}

// secretsOf returns the names of the secrets that are set.
func secretsOf(members []member) (names []string) {
	for _, m := range members {
		switch m.field.(type) {
		case secretField, fileField:
			if m.write() != nil {
				names = append(names, m.name)
			}
		}
	}
	return names
}
