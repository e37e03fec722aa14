package console

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/outgrant/outgrant/credstore"
)

// largestForm bounds what is posted: as large as the largest text of artifacts, and what is around it. It is kept in memory, as a
// file on disk would hold secrets.
const largestForm = 17 << 20

// posted is what a form has brought: an artifact in its JSON form, with secrets, and its values without them.
type posted struct {
	json    []byte
	values  values
	secrets []string // the places of those that were entered
	dropped []string // the places of what may be a secret, and is none
}

const forgottenSecret = "it is not sent back: enter it again"

// forgotten tells a person whose form comes back what is in it no longer.
func (p posted) forgotten() (all []credstore.Problem) {
	for _, place := range slices.Concat(p.secrets, p.dropped) {
		all = append(all, credstore.Problem{At: place, What: forgottenSecret})
	}
	return all
}

// readForm reads the fields of an artifact's type.
func readForm(r *http.Request, typ string) (posted, error) {
	p := posted{values: values{}}
	artifact := map[string]any{"type": typ}
	for _, a := range credstore.Attributes(typ) {
		value, err := p.read(r, a)
		if err != nil {
			return p, err
		}
		if value != nil {
			artifact[a.Name] = value
		}
	}
	var err error
	p.json, err = json.Marshal(artifact)
	return p, err
}

// read returns the value of an attribute in JSON; nil: it was left out.
func (p *posted) read(r *http.Request, a credstore.Attribute) (any, error) {
	switch a.Kind {
	case credstore.Flag:
		on := r.PostForm.Get(a.Name) != ""
		p.values[a.Name] = strconv.FormatBool(on)
		return on, nil
	case credstore.File:
		data, err := postedFile(r, a.Name)
		if err != nil || len(data) == 0 {
			return nil, err
		}
		p.secrets = append(p.secrets, a.Name)
		return base64.StdEncoding.EncodeToString(data), nil
	case credstore.Texts:
		return p.readTexts(r, a), nil
	case credstore.Objects:
		return p.readObjects(r, a), nil
	}
	text := p.text(r, a, a.Name, a.Name)
	if text == "" {
		return nil, nil
	}
	if n, err := strconv.Atoi(text); a.Kind == credstore.Number && err == nil {
		return n, nil
	}
	return text, nil
}

// text returns the text of an input, and keeps it under its place if it is no secret.
func (p *posted) text(r *http.Request, a credstore.Attribute, input, place string) string {
	text := inputOf(r, input)
	if a.Secret {
		if text != "" {
			p.secrets = append(p.secrets, place)
		}
		return text
	}
	text = strings.TrimSpace(text)
	switch {
	case text == "":
	case mayHoldPassword(a.Name, text):
		p.dropped = append(p.dropped, place)
	default:
		p.values[place] = text
	}
	return text
}

// mayHoldPassword reports whether there may be a password in a text, as in a URL that has one, or was to have one.
func mayHoldPassword(attribute, text string) bool {
	u, err := url.Parse(text)
	if err == nil && u.User != nil {
		return true
	}
	return strings.HasSuffix(attribute, "Url") && strings.Contains(text, "@") && (err != nil || u.Host == "")
}

// inputOf returns what was entered: as text, and with the ends of lines that it was entered with.
func inputOf(r *http.Request, name string) string {
	return strings.ToValidUTF8(strings.ReplaceAll(r.PostForm.Get(name), "\r\n", "\n"), "\ufffd")
}

func (p *posted) readTexts(r *http.Request, a credstore.Attribute) any {
	var all texts
	for i := range mostRows + 1 { // one more, so that too many are told
		name := strings.TrimSpace(inputOf(r, fmt.Sprintf("%s[%d].name", a.Name, i)))
		value := inputOf(r, fmt.Sprintf("%s[%d].value", a.Name, i))
		if name != "" || value != "" {
			row := fmt.Sprintf("%s[%d].", a.Name, len(all))
			p.values[row+"name"], p.values[row+"value"] = name, value
			all = append(all, [2]string{name, value})
		}
	}
	if all == nil {
		return nil
	}
	return all
}

// texts are names and values. A name that comes twice does so in JSON, too, and is refused there.
type texts [][2]string

func (t texts) MarshalJSON() ([]byte, error) {
	var parts []string
	for _, pair := range t {
		name, err := json.Marshal(pair[0])
		if err != nil {
			return nil, err
		}
		value, err := json.Marshal(pair[1])
		if err != nil {
			return nil, err
		}
		parts = append(parts, string(name)+":"+string(value))
	}
	return []byte("{" + strings.Join(parts, ",") + "}"), nil
}

func (p *posted) readObjects(r *http.Request, a credstore.Attribute) any {
	var objects []any
	for i := range mostRows + 1 { // one more, so that too many are told
		object := map[string]any{}
		filled := false
		for _, part := range a.Parts {
			input := fmt.Sprintf("%s[%d].%s", a.Name, i, part.Name)
			text := p.text(r, part, input, fmt.Sprintf("%s[%d].%s", a.Name, len(objects), part.Name))
			if text != "" {
				object[part.Name] = text
			}
			filled = filled || text != "" && part.Kind != credstore.OneWord
		}
		if filled {
			objects = append(objects, object)
		} else {
			maps.DeleteFunc(p.values, func(place, _ string) bool {
				return strings.HasPrefix(place, fmt.Sprintf("%s[%d].", a.Name, len(objects)))
			})
		}
	}
	if objects == nil {
		return nil
	}
	return objects
}

// parsePosted reads what was posted, in memory.
func (v *visit) parsePosted() bool {
	v.r.Body = http.MaxBytesReader(v.w, v.r.Body, largestForm)
	err := v.r.ParseForm()
	if err == nil {
		err = v.r.ParseMultipartForm(largestForm)
	}
	if err == nil || errors.Is(err, http.ErrNotMultipart) {
		return true
	}
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
		v.fail(http.StatusRequestEntityTooLarge, "That is too large", "At most 16 MiB can be sent. Nothing was changed.")
	} else {
		v.failCutOff()
	}
	return false
}

func (v *visit) failCutOff() {
	v.fail(http.StatusBadRequest, "That cannot be read", "The form did not arrive whole. Nothing was changed: fill it in again.")
}

// postedFile returns the bytes of a file; nil: none was chosen.
func postedFile(r *http.Request, name string) ([]byte, error) {
	f, _, err := r.FormFile(name)
	if errors.Is(err, http.ErrMissingFile) || errors.Is(err, http.ErrNotMultipart) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(f)
}
