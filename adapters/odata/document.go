package odata

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"io"
	"strings"
)

// node is a part of a document, JSON or XML: a value with a name, or without one as an element of a JSON array. Names are
// without namespaces and prefixes.
type node struct {
	name, text string
	kids       []*node
}

// deepest is how many levels of a JSON document are read.
const deepest = 1000

// parse reads a document, whatever its content type says. What is broken, or longer than what is read of it, ends early.
func parse(text []byte) *node {
	t := tree{open: []*node{{}}}
	if text = bytes.TrimSpace(text); bytes.HasPrefix(text, []byte("{")) {
		decoder := json.NewDecoder(bytes.NewReader(text))
		decoder.UseNumber()
		t.readJSON(decoder)
	} else {
		t.readXML(text)
	}
	return t.open[0]
}

// child returns the first child with one of the names, in the order of the names; an empty node if there is none.
func (n *node) child(names ...string) *node {
	for _, name := range names {
		for _, kid := range n.kids {
			if strings.EqualFold(kid.name, name) {
				return kid
			}
		}
	}
	return &node{}
}

// value returns the text of the first child with one of the names that has one.
func (n *node) value(names ...string) string {
	for _, name := range names {
		if text := n.child(name).text; text != "" {
			return text
		}
	}
	return ""
}

// tree is a document as it is read.
type tree struct{ open []*node } // from the document to the node that is read

func (t *tree) begin(name string) {
	kid, in := &node{name: name}, t.open[len(t.open)-1]
	in.kids = append(in.kids, kid)
	t.open = append(t.open, kid)
}

func (t *tree) write(text string) { t.open[len(t.open)-1].text += text }

func (t *tree) end() {
	last := t.open[len(t.open)-1]
	last.text = strings.TrimSpace(last.text)
	t.open = t.open[:len(t.open)-1]
}

// readJSON reads a value, and reports whether there may be more.
func (t *tree) readJSON(decoder *json.Decoder) bool {
	token, err := decoder.Token()
	if err != nil || len(t.open) > deepest {
		return false
	}
	switch token := token.(type) {
	case json.Delim:
		for decoder.More() {
			name := ""
			if token == '{' {
				key, err := decoder.Token()
				if err != nil {
					return false
				}
				name = local(key.(string))
			}
			t.begin(name)
			more := t.readJSON(decoder)
			t.end()
			if !more {
				return false
			}
		}
		_, err = decoder.Token() // the end
	case string:
		t.write(token)
	case json.Number:
		t.write(token.String())
	}
	return err == nil
}

// local returns a JSON name without what is before it in the names of control information, such as odata.error (V3).
func local(name string) string { return strings.TrimPrefix(strings.TrimPrefix(name, "@"), "odata.") }

// readXML stops where the document does, is not well-formed, or has a DOCTYPE. Any encoding is taken for UTF-8, as names
// and codes are ASCII in all that is in use.
func (t *tree) readXML(text []byte) {
	decoder := xml.NewDecoder(bytes.NewReader(text))
	decoder.CharsetReader = func(_ string, r io.Reader) (io.Reader, error) { return r, nil }
	for {
		token, err := decoder.Token()
		if err != nil {
			return
		}
		switch token := token.(type) {
		case xml.Directive:
			return
		case xml.StartElement:
			t.begin(token.Name.Local)
		case xml.CharData:
			t.write(string(token))
		case xml.EndElement:
			t.end()
		}
	}
}
