package samltest

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
)

// The limits of a document. An assertion with hundreds of groups is well below them.
const (
	largestDocument = 256 << 10
	deepestElement  = 32
)

const xmlNamespace = "http://www.w3.org/XML/1998/namespace"

// parse reads a document (XML 1.0, Namespaces in XML 1.0). It refuses what signatures are attacked with, and what
// encoding/xml reads in another way than XML says. Its errors hold nothing of the document.
func parse(document []byte) (*element, error) {
	if len(document) > largestDocument {
		return nil, fmt.Errorf("the document is larger than %d KiB", largestDocument>>10)
	}
	document = document[len(xmlDeclaration.Find(document)):]
	switch { // "<" never stands in a text or a value, so that these are markup wherever they are
	case bytes.Contains(document, []byte("<!")):
		return nil, errors.New("the document has a comment, a CDATA section or a DOCTYPE")
	case bytes.Contains(document, []byte("<?")):
		return nil, errors.New("the document has a processing instruction")
	case namesSurrogate(document):
		return nil, errors.New("the document has a reference to a character that there is not")
	}
	p := parser{ids: map[string]bool{}}
	for decoder := xml.NewDecoder(bytes.NewReader(document)); ; {
		start := decoder.InputOffset()
		token, err := decoder.RawToken()
		if err == io.EOF {
			return p.finish()
		}
		if syntax, ok := errors.AsType[*xml.SyntaxError](err); ok {
			return nil, fmt.Errorf("the document is not well-formed at line %d", syntax.Line) // its text quotes the document
		}
		if err != nil {
			return nil, errors.New("the document is not XML 1.0 in UTF-8")
		}
		if err = p.token(token, document[start:decoder.InputOffset()]); err != nil {
			return nil, err
		}
	}
}

var xmlDeclaration = regexp.MustCompile(`^<\?xml version="1\.0"(?: encoding="(?i:utf-8)")?(?: standalone="(?:yes|no)")? ?\?>`)

var characterReference = regexp.MustCompile(`&#(?:x([0-9A-Fa-f]+)|([0-9]+));`)

// namesSurrogate finds references such as &#xD800;, all of which encoding/xml takes for U+FFFD: one user for another.
func namesSurrogate(document []byte) bool {
	for _, ref := range characterReference.FindAllSubmatch(document, -1) {
		n, err := strconv.ParseUint(string(ref[1]), 16, 32)
		if len(ref[1]) == 0 {
			n, err = strconv.ParseUint(string(ref[2]), 10, 32)
		}
		if err == nil && n >= 0xD800 && n <= 0xDFFF {
			return true
		}
	}
	return false
}

// parser builds the tree from raw tokens: they keep the prefixes, and nobody has looked yet whether they fit together.
type parser struct {
	root *element
	open []*element
	ids  map[string]bool
}

func (p *parser) token(token xml.Token, raw []byte) error {
	switch t := token.(type) {
	case xml.StartElement:
		return p.start(t, raw)
	case xml.EndElement:
		return p.end(t)
	case xml.CharData:
		return p.text(string(t))
	}
	return errors.New("the document has something that is no element and no text")
}

func (p *parser) start(t xml.StartElement, raw []byte) error {
	switch {
	case p.root != nil && len(p.open) == 0:
		return errors.New("the document has more than one root")
	case len(p.open) == deepestElement:
		return fmt.Errorf("the document is deeper than %d elements", deepestElement)
	}
	if err := checkTag(raw); err != nil {
		return err
	}
	e := &element{prefix: t.Name.Space, local: t.Name.Local, scope: &scope{prefix: "xml", uri: xmlNamespace}}
	if p.root == nil {
		p.root = e
	} else {
		parent := p.open[len(p.open)-1]
		e.scope, parent.children = parent.scope, append(parent.children, node{element: e})
	}
	p.open = append(p.open, e)
	if err := e.declare(t.Attr); err != nil {
		return err
	}
	return p.attributes(e, t.Attr)
}

// checkTag refuses attributes with no blank between them, which XML has not, and tabs and line ends in values, which XML
// reads as blanks: encoding/xml takes both as they are.
func checkTag(raw []byte) error {
	var quote byte
	for i, b := range raw {
		switch {
		case quote == 0:
			if b == '"' || b == '\'' {
				quote = b
			}
		case b == quote:
			quote = 0
			if !bytes.ContainsRune([]byte(" \t\r\n/>"), rune(raw[i+1])) { // there is one: the tag ends with >
				return errors.New("the document has attributes with no blank between them")
			}
		case b == '\t' || b == '\n' || b == '\r':
			return errors.New("the document has a tab or a line end in a value: write it as a character reference")
		}
	}
	return nil
}

// declare puts an element's own namespace declarations into its scope.
func (e *element) declare(attrs []xml.Attr) error {
	seen := map[string]bool{}
	for _, a := range attrs {
		prefix := a.Name.Local
		if !isDeclaration(a.Name) {
			continue
		}
		if a.Name.Space == "" {
			prefix = ""
		}
		switch {
		case prefix == "xml", prefix == "xmlns", a.Value == xmlNamespace, a.Value == "http://www.w3.org/2000/xmlns/":
			return errors.New("the document declares a namespace that is reserved")
		case prefix != "" && a.Value == "":
			return errors.New("the document takes a prefix back, which Namespaces in XML 1.0 has not")
		case a.Value != "" && !strings.Contains(a.Value, ":"):
			return errors.New("the document has a namespace that is relative") // Exclusive C14N 1.0 does not canonicalize it
		case seen[prefix]:
			return errors.New("the document declares a prefix twice")
		}
		seen[prefix] = true
		e.scope = &scope{prefix: prefix, uri: a.Value, outer: e.scope}
	}
	return nil
}

func isDeclaration(name xml.Name) bool {
	return name.Space == "xmlns" || name.Space == "" && name.Local == "xmlns"
}

// attributes resolves the names of an element and its attributes, and collects the IDs.
func (p *parser) attributes(e *element, attrs []xml.Attr) error {
	e.uri = e.scope.find(e.prefix)
	if e.prefix != "" && e.uri == "" || strings.Contains(e.local, ":") {
		return errUndeclared
	}
	seen := map[xml.Name]bool{}
	for _, a := range attrs {
		if isDeclaration(a.Name) {
			continue
		}
		one := attribute{prefix: a.Name.Space, local: a.Name.Local, value: a.Value}
		if one.prefix != "" {
			one.uri = e.scope.find(one.prefix)
		}
		if one.prefix != "" && one.uri == "" || strings.Contains(one.local, ":") {
			return errUndeclared
		}
		name := xml.Name{Space: one.uri, Local: one.local}
		if seen[name] {
			return errors.New("the document has an attribute twice")
		}
		seen[name] = true
		if strings.EqualFold(one.local, "ID") { // SAML's ID, XML Signature's Id, xml:id
			if p.ids[one.value] {
				return errors.New("the document has an ID twice")
			}
			p.ids[one.value] = true
		}
		e.attributes = append(e.attributes, one)
	}
	return nil
}

var errUndeclared = errors.New("the document has a name with a prefix that is not declared")

func (p *parser) end(t xml.EndElement) error {
	if len(p.open) == 0 {
		return errors.New("the document ends an element that it has not begun")
	}
	last := p.open[len(p.open)-1]
	if last.prefix != t.Name.Space || last.local != t.Name.Local {
		return errors.New("the document ends another element than it has begun")
	}
	p.open = p.open[:len(p.open)-1]
	return nil
}

func (p *parser) text(text string) error {
	if len(p.open) > 0 {
		last := p.open[len(p.open)-1]
		last.children = append(last.children, node{text: text})
		return nil
	}
	if !isBlank(text) {
		return errors.New("the document has text beside its root")
	}
	return nil
}

func (p *parser) finish() (*element, error) {
	if p.root == nil || len(p.open) > 0 {
		return nil, errors.New("the document is not complete")
	}
	return p.root, nil
}
