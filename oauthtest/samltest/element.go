package samltest

import "strings"

// element is an element as it stands in the document: prefixes and the place of declarations matter, because they are
// signed.
type element struct {
	prefix, local, uri string
	attributes         []attribute // without the namespace declarations
	scope              *scope
	children           []node
}

type attribute struct{ prefix, local, uri, value string }

// node is an element or a text.
type node struct {
	element *element
	text    string
}

// scope is a namespace declaration, on top of those that it stands inside of.
type scope struct {
	prefix, uri string
	outer       *scope
}

// find returns the namespace of a prefix, or "".
func (s *scope) find(prefix string) string {
	for ; s != nil; s = s.outer {
		if s.prefix == prefix {
			return s.uri
		}
	}
	return ""
}

// attribute returns the value of an attribute by the name that checkShape knows it by, or "". The element may be nil.
func (e *element) attribute(name string) string {
	if e != nil {
		for _, a := range e.attributes {
			if a.name() == name {
				return a.value
			}
		}
	}
	return ""
}

// find returns the first element at a path of names, or nil. The element may be nil.
func (e *element) find(path ...string) *element {
	for _, name := range path {
		all := e.all(name)
		if len(all) == 0 {
			return nil
		}
		e = all[0]
	}
	return e
}

// all returns the children of a name. The element may be nil.
func (e *element) all(name string) (found []*element) {
	if e != nil {
		for _, child := range e.children {
			if child.element != nil && child.element.name() == name {
				found = append(found, child.element)
			}
		}
	}
	return found
}

// content returns the text of an element without children. The element may be nil.
func (e *element) content() (text string) {
	if e != nil {
		for _, child := range e.children {
			text += child.text
		}
	}
	return text
}

const white = " \t\r\n" // XML 1.0 2.3

// isBlank reports whether there is nothing but white space.
func isBlank(text string) bool { return strings.Trim(text, white) == "" }

// words returns what white space separates.
func words(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(white, r) })
}
