package credstore

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf8"
)

// object is a JSON object whose members keep their order, and are told apart by case. One may come twice. Values are nil,
// bool, json.Number, string, []any or object; ints are written only.
type object []property

type property struct {
	name  string
	value any
}

// maxJSON is how large a text may be, in bytes, and maxValues how many values there may be in it: each takes more room in memory.
const maxJSON, maxValues = 16 << 20, 500_000

// readJSON reads a JSON text. Its errors hold no piece of it.
func readJSON(data []byte) (any, error) {
	data = bytes.TrimPrefix(data, []byte("\ufeff")) // editors put it there
	switch {
	case len(data) > maxJSON:
		return nil, fmt.Errorf("larger than %d MiB", maxJSON>>20)
	case len(bytes.TrimSpace(data)) == 0:
		return nil, errors.New("empty")
	case !utf8.Valid(data):
		return nil, errors.New("not UTF-8 text")
	}
	var whole json.RawMessage
	if err := json.Unmarshal(data, &whole); err != nil {
		syntax, ok := errors.AsType[*json.SyntaxError](err)
		if !ok || syntax.Error() == "unexpected end of JSON input" {
			return nil, errors.New("not JSON: cut off")
		}
		return nil, fmt.Errorf("not JSON: wrong in line %d", 1+bytes.Count(data[:syntax.Offset-1], []byte("\n")))
	}
	decoder := json.NewDecoder(bytes.NewReader(whole))
	decoder.UseNumber()
	left := maxValues
	return readValue(decoder, &left)
}

// readValue reads on in a text that is known to be JSON. left is how many values may come.
func readValue(decoder *json.Decoder, left *int) (any, error) {
	if *left--; *left < 0 {
		return nil, fmt.Errorf("more than %d values: cut it into several texts", maxValues)
	}
	token, err := decoder.Token()
	if err != nil {
		return nil, errors.New("not JSON")
	}
	switch token {
	case json.Delim('['):
		list := []any{}
		for decoder.More() {
			v, err := readValue(decoder, left)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		_, err = decoder.Token()
		return list, err
	case json.Delim('{'):
		o := object{}
		for decoder.More() {
			name, err := decoder.Token()
			if err != nil {
				return nil, errors.New("not JSON")
			}
			v, err := readValue(decoder, left)
			if err != nil {
				return nil, err
			}
			o = append(o, property{name.(string), v})
		}
		_, err = decoder.Token()
		return o, err
	}
	return token, nil
}

// get returns the first member of a name, or nil.
func (o object) get(name string) any {
	for _, p := range o {
		if p.name == name {
			return p.value
		}
	}
	return nil
}

// has reports whether there is a member of the name.
func (o object) has(name string) bool {
	for _, p := range o {
		if p.name == name {
			return true
		}
	}
	return false
}

// MarshalJSON writes the members in their order.
func (o object) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, p := range o {
		if i > 0 {
			b.WriteByte(',')
		}
		name, err := writeJSON(p.name)
		if err != nil {
			return nil, err
		}
		value, err := writeJSON(p.value)
		if err != nil {
			return nil, err
		}
		b.Write(name)
		b.WriteByte(':')
		b.Write(value)
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// writeJSON leaves & and < as they are: there are URLs in it, and people read it.
func writeJSON(v any) ([]byte, error) {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}
