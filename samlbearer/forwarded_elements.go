package samlbearer

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/beevik/etree"
)

// These are the only ways in which the checks of a forwarded assertion look at an element. etree's own are made for
// documents that can be trusted: a text ends at the first child, an attribute is found under any prefix.

func isNamed(el *etree.Element, namespace, name string) bool {
	return el.Tag == name && el.NamespaceURI() == namespace
}

// areNamed reports whether these are the elements, in this order.
func areNamed(els []*etree.Element, namespace string, names ...string) bool {
	return slices.EqualFunc(els, names, func(el *etree.Element, name string) bool { return isNamed(el, namespace, name) })
}

// childrenOf returns the elements in el, whose name is known. It refuses text beside them, and attributes other than these. So
// el.SelectAttr, which would find an attribute under any prefix, finds these.
func childrenOf(el *etree.Element, attrs ...string) ([]*etree.Element, error) {
	if err := checkAttributes(el, attrs); err != nil {
		return nil, err
	}
	for _, token := range el.Child {
		switch token := token.(type) {
		case *etree.Element:
		case *etree.CharData:
			if !isSpace(token.Data) {
				return nil, fmt.Errorf("%s: must have no text", el.Tag)
			}
		default:
			return nil, errMarkup
		}
	}
	return el.ChildElements(), nil
}

// textOf returns the text of el, whose name is known: all of it. It refuses anything else in it, and attributes other than these.
func textOf(el *etree.Element, attrs ...string) (string, error) {
	if err := checkAttributes(el, attrs); err != nil {
		return "", err
	}
	var text strings.Builder
	for _, token := range el.Child {
		data, ok := token.(*etree.CharData)
		if !ok {
			return "", fmt.Errorf("%s: must be text alone", el.Tag)
		}
		text.WriteString(data.Data)
	}
	return text.String(), nil
}

func checkAttributes(el *etree.Element, allowed []string) error {
	for _, a := range el.Attr {
		declaration := a.Space == "xmlns" || a.Space == "" && a.Key == "xmlns"
		if !declaration && (a.Space != "" || !slices.Contains(allowed, a.Key)) {
			return fmt.Errorf("%s: has an attribute that has no place there", el.Tag)
		}
	}
	return checkID(el)
}

// checkID refuses an Id that parsers may read as another: some drop blanks around it.
func checkID(el *etree.Element) error {
	for _, a := range el.Attr {
		if a.Space == "" && namesID(a.Key) && !isNCName(a.Value) {
			return fmt.Errorf("%s: has an Id that is not an XML name", el.Tag)
		}
	}
	return nil
}

// ncName leaves the letters beyond ASCII out, which nobody uses in IDs.
var ncName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9._-]*$`)

func isNCName(s string) bool { return len(s) <= maxID && ncName.MatchString(s) }
