package console

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/outgrant/outgrant/credstore"
)

// values are an artifact's attributes by their places, such as customParameters[0].key, as problems name them.
type values map[string]string

// valuesOf returns the values of an artifact, without its secrets.
func valuesOf(a credstore.Artifact) values {
	all := values{}
	text, err := credstore.FormatArtifacts([]credstore.Artifact{a})
	var read []map[string]any
	if err == nil {
		err = json.Unmarshal(text, &read)
	}
	if err != nil || len(read) != 1 {
		return all // it has been read from the store, and can be written
	}
	for name, value := range read[0] {
		all.set(name, value)
	}
	return all
}

func (all values) set(at string, value any) {
	switch value := value.(type) {
	case string:
		all[at] = value
	case bool:
		all[at] = strconv.FormatBool(value)
	case float64:
		all[at] = strconv.FormatFloat(value, 'f', -1, 64)
	case []any:
		for i, element := range value {
			all.set(fmt.Sprintf("%s[%d]", at, i), element)
		}
	case map[string]any:
		for name, one := range value {
			all.set(at+"."+name, one)
		}
	}
}

// shown returns the value of an attribute in one text.
func (all values) shown(a credstore.Attribute) string {
	switch a.Kind {
	case credstore.OneWord:
		return wordLabel(all[a.Name])
	case credstore.Flag:
		if value, set := all[a.Name]; set {
			return map[string]string{"true": "Yes", "false": "No"}[value]
		}
		return ""
	case credstore.Texts:
		var lines []string
		for _, pair := range all.pairs(a.Name) {
			lines = append(lines, pair[0]+": "+pair[1])
		}
		return strings.Join(lines, "\n")
	case credstore.Objects:
		var lines []string
		for i := 0; ; i++ {
			at := fmt.Sprintf("%s[%d]", a.Name, i)
			key, more := all[at+".key"]
			if !more {
				return strings.Join(lines, "\n")
			}
			place := all[at+".sendAs"]
			if place == "" {
				place = "body"
			}
			lines = append(lines, key+" ("+place+")")
		}
	}
	return all[a.Name]
}

// count returns how many elements a list has.
func (all values) count(at string) (n int) {
	for place := range all {
		if rest, ok := strings.CutPrefix(place, at+"["); ok {
			number, _, _ := strings.Cut(rest, "]")
			if i, err := strconv.Atoi(number); err == nil {
				n = max(n, i+1)
			}
		}
	}
	return n
}

// pairs returns the names and values in an object of texts: those of a form in its order, where a name may come twice, and those
// of an artifact sorted by name.
func (all values) pairs(at string) (pairs [][2]string) {
	for i := range all.count(at) {
		row := fmt.Sprintf("%s[%d].", at, i)
		pairs = append(pairs, [2]string{all[row+"name"], all[row+"value"]})
	}
	for _, place := range slices.Sorted(maps.Keys(all)) {
		if name, ok := strings.CutPrefix(place, at+"."); ok {
			pairs = append(pairs, [2]string{name, all[place]})
		}
	}
	return pairs
}
