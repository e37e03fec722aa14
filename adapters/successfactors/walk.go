package successfactors

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"io"
	"strings"
)

// walk calls visit with the path and the text of each value of a document, JSON or XML, whatever its content type says.
// Paths are of names, without namespaces: the elements of a JSON array have the array's path.
func walk(text []byte, visit func(path []string, value string)) {
	if !json.Valid(text) { // which also bounds how deep it is
		walkXML(text, visit)
		return
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	walkJSON(decoder, []string{""}, visit)
}

// walkJSON walks over the next value, which is valid: there are no errors.
func walkJSON(decoder *json.Decoder, path []string, visit func([]string, string)) {
	token, _ := decoder.Token()
	switch token := token.(type) {
	case json.Delim:
		for decoder.More() {
			at := path
			if token == '{' {
				name, _ := decoder.Token()
				at = append(path, name.(string))
			}
			walkJSON(decoder, at, visit)
		}
		_, _ = decoder.Token() // the end
	case string:
		visit(path, strings.TrimSpace(token))
	case json.Number:
		visit(path, token.String())
	}
}

// walkXML visits each element as it ends. It stops where the document does, is not well-formed, or has
// a DOCTYPE. Any encoding is taken for UTF-8, as names and codes are ASCII in all that is in use.
func walkXML(text []byte, visit func(path []string, value string)) {
	decoder := xml.NewDecoder(bytes.NewReader(text))
	decoder.CharsetReader = func(_ string, r io.Reader) (io.Reader, error) { return r, nil }
	var path []string
	var value strings.Builder
	for {
		token, err := decoder.Token()
		if err != nil {
			return
		}
		switch token := token.(type) {
		case xml.Directive:
			return
		case xml.StartElement:
			path = append(path, token.Name.Local)
			value.Reset()
		case xml.CharData:
			value.Write(token)
		case xml.EndElement:
			visit(path, strings.TrimSpace(value.String()))
			path = path[:len(path)-1]
			value.Reset()
		}
	}
}
