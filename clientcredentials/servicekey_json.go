package clientcredentials

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"unicode/utf8"
)

// object is a JSON object whose members are found by name without regard to case, _ and -. Members that are null or
// "" count as missing, and a member that comes twice must say the same twice. Where a value has several names, it must
// have one.
type object struct {
	path    string // "" for the document
	name    string // the member it came from, normalized; "" for the document and for elements of a list
	members []member
}

type member struct {
	name  string // normalized
	value json.RawMessage
}

func readDocument(data []byte) (*object, error) {
	data = bytes.TrimPrefix(data, []byte("\ufeff")) // editors put it there
	if len(bytes.TrimSpace(data)) == 0 {
		return nil, errors.New("service key: empty")
	}
	if !utf8.Valid(data) {
		return nil, errors.New("service key: not UTF-8 text")
	}
	var document json.RawMessage
	decoder := json.NewDecoder(bytes.NewReader(data))
	if err := decoder.Decode(&document); err != nil {
		var syntax *json.SyntaxError
		if errors.As(err, &syntax) { // its text would quote a character of what may be a secret
			return nil, fmt.Errorf("service key: not JSON: wrong at byte %d", syntax.Offset)
		}
		return nil, errors.New("service key: not JSON: cut off")
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("service key: more text after the JSON object: pass one key alone")
	}
	return readObject(document, "", "")
}

func readObject(raw json.RawMessage, path, name string) (*object, error) {
	o := &object{path: path, name: name}
	decoder := json.NewDecoder(bytes.NewReader(raw))
	if start, err := decoder.Token(); err != nil || start != json.Delim('{') {
		if path == "" {
			path = "the text"
		}
		return nil, fmt.Errorf("service key: %s: not a JSON object", path)
	}
	for decoder.More() {
		name, err := decoder.Token()
		if err != nil {
			return nil, fmt.Errorf("service key: %s: not JSON", path)
		}
		m := member{name: normalized(name.(string))}
		if err := decoder.Decode(&m.value); err != nil {
			return nil, fmt.Errorf("service key: %s: not JSON", path)
		}
		if s := string(m.value); s != "null" && s != `""` {
			o.members = append(o.members, m)
		}
	}
	return o, nil
}

var separators = strings.NewReplacer("_", "", "-", "")

func normalized(name string) string { return separators.Replace(strings.ToLower(name)) }

// at returns where a member is, for errors.
func (o *object) at(name string) string {
	if o.path == "" {
		return name
	}
	return o.path + "." + name
}

func (o *object) missing(name string) error {
	return fmt.Errorf("service key: %s: missing", o.at(name))
}

func (o *object) has(names ...string) bool {
	return slices.ContainsFunc(o.members, func(m member) bool { return slices.Contains(names, m.name) })
}

// spelled returns which of the names is there, or the first.
func (o *object) spelled(names ...string) string {
	for _, m := range o.members {
		if slices.Contains(names, m.name) {
			return m.name
		}
	}
	return names[0]
}

// decode fills into from the member of one of these names, if there is one.
func (o *object) decode(into any, kind string, names ...string) error {
	var found *member
	for i, m := range o.members {
		switch {
		case !slices.Contains(names, m.name):
		case found == nil:
			found = &o.members[i]
		case !sameValue(found.value, m.value):
			return fmt.Errorf("service key: %s: comes twice with different values", o.at(found.name))
		}
	}
	if found == nil {
		return nil
	}
	if json.Unmarshal(found.value, into) != nil {
		return fmt.Errorf("service key: %s: not %s", o.at(found.name), kind)
	}
	return nil
}

func sameValue(a, b json.RawMessage) bool {
	var x, y any
	return json.Unmarshal(a, &x) == nil && json.Unmarshal(b, &y) == nil && reflect.DeepEqual(x, y)
}

// text returns a string member, or "".
func (o *object) text(names ...string) (string, error) {
	var s string
	err := o.decode(&s, "a string", names...)
	return s, err
}

// texts returns a member that is a string or a list of strings.
func (o *object) texts(name string) ([]string, error) {
	var list []string
	if err := o.decode(&list, "a list of strings", name); err == nil {
		return list, nil
	}
	s, err := o.text(name)
	if err != nil || s == "" {
		return nil, err
	}
	return []string{s}, nil
}

// address returns a member that is a URL for the user to call, or "". It goes into logs, so it must hold no password.
func (o *object) address(names ...string) (string, error) {
	for _, name := range names {
		s, err := o.text(name)
		if err != nil {
			return "", err
		}
		if s == "" {
			continue
		}
		if u, err := url.Parse(s); err != nil || u.User != nil {
			return "", fmt.Errorf("service key: %s: must be a URL without user name and password", o.at(name))
		}
		return s, nil
	}
	return "", nil
}

// object returns an object member, which must be there.
func (o *object) object(name string) (*object, error) {
	if !o.has(name) {
		return nil, o.missing(name)
	}
	var raw json.RawMessage
	if err := o.decode(&raw, "a JSON object", name); err != nil {
		return nil, err
	}
	return readObject(raw, o.at(name), name)
}

// list returns a member that is a list of objects.
func (o *object) list(name string) ([]*object, error) {
	var raws []json.RawMessage
	if err := o.decode(&raws, "a list of JSON objects", name); err != nil {
		return nil, err
	}
	var list []*object
	for i, raw := range raws {
		element, err := readObject(raw, fmt.Sprintf("%s[%d]", o.at(name), i), "")
		if err != nil {
			return nil, err
		}
		list = append(list, element)
	}
	return list, nil
}
