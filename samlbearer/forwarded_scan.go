package samlbearer

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// The XML that passes here reads the same to every parser: whatever parsers are known to disagree about is refused, also where
// the standard would allow it. Without that, the bytes that go out could mean one thing here and another to the receiver.

const (
	maxDepth      = 32
	maxElements   = 4096
	maxAttributes = 32 // of an element, with namespace declarations
	maxPrefixes   = 64 // in scope at a time

	xmlNamespace   = "http://www.w3.org/XML/1998/namespace"
	xmlnsNamespace = "http://www.w3.org/2000/xmlns/"
)

var (
	errNotWellFormed = errors.New("is not well-formed XML: hand it on as it was received")
	errMarkup        = errors.New("has a document type, comment, CDATA section or processing instruction: none may be in it")

	xmlDeclaration = regexp.MustCompile(`^<\?xml[ \t\r\n]+version[ \t\r\n]*=[ \t\r\n]*(?:"1\.0"|'1\.0')` +
		`(?:[ \t\r\n]+encoding[ \t\r\n]*=[ \t\r\n]*(?:"(?i:utf-8)"|'(?i:utf-8)'))?` +
		`(?:[ \t\r\n]+standalone[ \t\r\n]*=[ \t\r\n]*(?:"yes"|'yes'|"no"|'no'))?[ \t\r\n]*\?>`)
)

// scan refuses a document that is not plain, well-formed XML.
func scan(doc []byte) error {
	if bytes.HasPrefix(doc, []byte("\uFEFF")) {
		return errors.New("begins with a byte order mark: remove it")
	}
	body, err := scanMarkup(doc)
	if err != nil {
		return err
	}
	if err := scanCharacters(doc); err != nil {
		return err
	}
	return newScanner(body).run()
}

// scanMarkup returns what follows the XML declaration, if there is one. '<' stands for itself nowhere in a document, so that
// looking for "<!" and "<?" finds all markup of these kinds and nothing else.
func scanMarkup(doc []byte) ([]byte, error) {
	if bytes.Contains(doc, []byte("<!")) {
		return nil, errMarkup
	}
	body := doc
	if bytes.HasPrefix(doc, []byte("<?xml")) {
		declaration := xmlDeclaration.Find(doc)
		if declaration == nil {
			return nil, errors.New("has an XML declaration other than version 1.0 and encoding UTF-8")
		}
		body = doc[len(declaration):]
	}
	if bytes.Contains(body, []byte("<?")) {
		return nil, errMarkup
	}
	return body, nil
}

// scanCharacters refuses what is no UTF-8, and characters and references that XML does not have. The decoder of the standard
// library makes U+FFFD of a reference to a surrogate.
func scanCharacters(doc []byte) error {
	for i := 0; i < len(doc); {
		r, size := utf8.DecodeRune(doc[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			return fmt.Errorf("is not in UTF-8, at byte %d", i)
		case !isXMLChar(r):
			return fmt.Errorf("has a character that XML does not allow, at byte %d", i)
		case r == '&' && !isReference(doc[i:]):
			return fmt.Errorf("has an entity, or a reference to a character that XML does not allow, at byte %d", i)
		}
		i += size
	}
	return nil
}

// isReference reports whether a text begins with a reference to a predefined entity or to a character of XML.
func isReference(text []byte) bool {
	name, _, ended := bytes.Cut(text[1:min(len(text), len("&#x10FFFF;"))], []byte(";"))
	if !ended {
		return false
	}
	digits, isNumber := strings.CutPrefix(string(name), "#")
	if !isNumber {
		return slices.Contains([]string{"lt", "gt", "amp", "apos", "quot"}, digits)
	}
	base := 10
	if hex, isHex := strings.CutPrefix(digits, "x"); isHex {
		digits, base = hex, 16
	}
	r, err := strconv.ParseUint(digits, base, 32)
	return err == nil && r <= utf8.MaxRune && isXMLChar(rune(r))
}

// A scanner looks at each token of a document, before anything is built from it.
type scanner struct {
	doc      []byte
	tokens   *xml.Decoder
	open     []openElement
	prefixes []prefix // in scope, the innermost last
	elements int
	ids      map[string]bool
}

type openElement struct {
	name     xml.Name
	prefixes int // in scope around it
}

type prefix struct{ name, namespace string }

func newScanner(doc []byte) *scanner {
	return &scanner{
		doc: doc, tokens: xml.NewDecoder(bytes.NewReader(doc)), ids: map[string]bool{},
		prefixes: []prefix{{"", ""}, {"xml", xmlNamespace}},
	}
}

func (s *scanner) run() error {
	for {
		start := s.tokens.InputOffset()
		token, err := s.tokens.RawToken()
		if err == io.EOF {
			break
		}
		if err != nil {
			return errNotWellFormed // the decoder's own error quotes the document
		}
		written := s.doc[start:s.tokens.InputOffset()]
		switch token := token.(type) {
		case xml.StartElement:
			err = s.start(token, written)
		case xml.EndElement:
			err = s.end(token)
		case xml.CharData:
			if len(s.open) == 0 && !isSpace(string(written)) { // a reference is none, not even to a blank
				err = errors.New("has text outside its root element: one element must be all there is")
			}
		default:
			err = errMarkup
		}
		if err != nil {
			return err
		}
	}
	if s.elements == 0 || len(s.open) > 0 {
		return errNotWellFormed
	}
	return nil
}

func (s *scanner) start(element xml.StartElement, tag []byte) error {
	s.elements++
	switch {
	case len(s.open) == 0 && s.elements > 1:
		return errors.New("has a second root element: one element must be all there is")
	case len(s.open) == maxDepth:
		return fmt.Errorf("is nested more than %d deep", maxDepth)
	case s.elements > maxElements:
		return fmt.Errorf("has more than %d elements", maxElements)
	case len(element.Attr) > maxAttributes:
		return fmt.Errorf("has an element with more than %d attributes", maxAttributes)
	}
	if err := scanTag(tag); err != nil {
		return err
	}
	s.open = append(s.open, openElement{element.Name, len(s.prefixes)})
	if err := s.declare(element.Attr); err != nil {
		return err
	}
	if _, err := s.namespace(element.Name); err != nil {
		return err
	}
	return s.attributes(element.Attr)
}

func (s *scanner) end(element xml.EndElement) error {
	if len(s.open) == 0 || s.open[len(s.open)-1].name != element.Name {
		return errNotWellFormed
	}
	last := len(s.open) - 1
	s.prefixes = s.prefixes[:s.open[last].prefixes]
	s.open = s.open[:last]
	return nil
}

// declare takes up an element's namespace declarations.
func (s *scanner) declare(attrs []xml.Attr) error {
	for _, a := range attrs {
		if !isDeclaration(a.Name) {
			continue
		}
		name := a.Name.Local
		if a.Name.Space == "" {
			name = ""
		}
		if name != "" && !startsName(name) {
			return errNotWellFormed
		}
		if name == "xml" || name == "xmlns" || name != "" && a.Value == "" || a.Value == xmlNamespace || a.Value == xmlnsNamespace {
			return errors.New("declares a namespace that is reserved, or takes one back")
		}
		if s.prefixes = append(s.prefixes, prefix{name, a.Value}); len(s.prefixes) > maxPrefixes {
			return fmt.Errorf("has more than %d namespaces in scope", maxPrefixes)
		}
	}
	return nil
}

// attributes refuses attributes that are there twice, also under two prefixes, and IDs that are.
func (s *scanner) attributes(attrs []xml.Attr) error {
	seen := make([]xml.Name, 0, maxAttributes)
	for _, a := range attrs {
		name := a.Name
		if !isDeclaration(name) {
			namespace, err := s.namespace(name)
			if err != nil {
				return err
			}
			if name.Space != "" { // a default namespace is not for attributes
				name.Space = namespace
			}
		}
		for _, other := range seen {
			if other == name {
				return errors.New("has an element with the same attribute twice")
			}
		}
		seen = append(seen, name)
		if err := s.identifier(a); err != nil {
			return err
		}
	}
	return nil
}

// identifier looks at attributes that a parser may take for an element's ID, or for what changes how the rest is read.
func (s *scanner) identifier(a xml.Attr) error {
	if a.Name.Space == "xml" && a.Name.Local != "lang" && a.Name.Local != "space" {
		return errors.New("has an attribute xml:id or xml:base, or an unknown one in the xml namespace: none may be in it")
	}
	if !namesID(a.Name.Local) {
		return nil
	}
	if a.Name.Space == "xmlns" {
		return nil // a prefix by that name
	}
	if a.Name.Space != "" {
		return errors.New("has an ID with a namespace, which some parsers take for the assertion's own")
	}
	if s.ids[a.Value] {
		return errors.New("has the same ID twice")
	}
	s.ids[a.Value] = true
	return nil
}

func namesID(attr string) bool {
	return strings.EqualFold(attr, "id") || strings.EqualFold(attr, "AssertionID")
}

// namespace resolves a name of the document.
func (s *scanner) namespace(name xml.Name) (string, error) {
	if strings.Contains(name.Local, ":") || !startsName(name.Local) || name.Space == "xmlns" {
		return "", errNotWellFormed
	}
	for i := len(s.prefixes) - 1; i >= 0; i-- {
		if s.prefixes[i].name == name.Space {
			return s.prefixes[i].namespace, nil
		}
	}
	return "", errors.New("has a prefix that it does not declare: an assertion that is cut out of a document must be whole by itself")
}

func isDeclaration(name xml.Name) bool {
	return name.Space == "xmlns" || name.Space == "" && name.Local == "xmlns"
}

// scanTag refuses what the decoder lets pass in a start tag: attributes with nothing between them, and those with a tab or line
// break that is not written as a reference. XML makes a space of that, the decoder does not.
func scanTag(tag []byte) error {
	quote := byte(0)
	for i, c := range tag {
		switch {
		case quote == 0 && (c == '"' || c == '\''):
			quote = c
		case c == quote:
			quote = 0
			if !strings.ContainsRune(xmlSpace+"/>", rune(tag[i+1])) {
				return errNotWellFormed
			}
		case quote != 0 && (c == '\t' || c == '\n' || c == '\r'):
			return errors.New("has a tab or a line break in an attribute, which parsers read in different ways")
		}
	}
	return nil
}

// startsName reports whether the decoder's name, or the part of one on either side of its colon, begins as a name may. The
// decoder looks only at the beginning of the whole.
func startsName(name string) bool {
	first, _ := utf8.DecodeRuneInString(name)
	return first == '_' || unicode.In(first, unicode.L, unicode.Nl)
}

const xmlSpace = " \t\r\n"

// isSpace reports whether a text is white space alone, as XML counts it.
func isSpace(text string) bool { return strings.Trim(text, xmlSpace) == "" }

func withoutSpace(text string) string {
	return strings.Join(strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(xmlSpace, r) }), "")
}
