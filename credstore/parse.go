package credstore

import (
	"errors"
	"fmt"
	"strings"
)

// ParseArtifacts reads artifacts from their JSON form: a list of objects, or one object, with SAP's attributes as members.
//
//	[{"type": "OAuth2 Client Credentials", "name": "S4_ORDERS", "tokenServiceUrl": "https://acme.example/oauth/token",
//	  "clientId": "sb-1", "clientSecret": "..."}]
//
// A member that is left out takes SAP's default for a new artifact.
//
// Destinations of SAP BTP (OAuth2ClientCredentials, OAuth2SAMLBearerAssertion), as its cockpit and its Destination service
// export them, are read as artifacts too, with the defaults of destinations: base64url, and no certificate in assertions.
// A key store's name becomes that of the key pair, and the target system is SuccessFactors where there is a companyId, and
// Generic elsewhere. What an export lacks, such as secrets, or says that an artifact cannot, is named; properties that do
// not change the token request are ignored.
//
// Plain http to another machine is not refused here, but when an artifact is deployed: see [Options].AllowInsecureHTTP.
//
// It is for texts that come from elsewhere: where a value refers to the environment or to a file, it is refused. An
// error tells all that is wrong, one problem a line, with its place, such as
//
//	artifacts[1] "NAME": customParameters[0].sendAs: "boddy": use body, header or url
//
// and never the value of a secret. At most 16 MiB.
func ParseArtifacts(data []byte) ([]Artifact, error) { return readArtifacts(data, false) }

// LoadArtifacts reads what [ParseArtifacts] reads, from a file that you trust: a string that is ${env:NAME} or ${file:PATH} as a
// whole stands for the value of that environment variable, or for the text of that file without the end of its last line.
// For pkcs12 it is the file's bytes. Paths are relative to the working directory. A variable that is not set, or empty,
// and a file that cannot be read, are errors.
func LoadArtifacts(data []byte) ([]Artifact, error) { return readArtifacts(data, true) }

func readArtifacts(data []byte, resolve bool) ([]Artifact, error) {
	v, err := readJSON(data)
	if err != nil {
		return nil, fmt.Errorf("artifacts: %w", err)
	}
	elements, isList := v.([]any)
	if !isList {
		elements = []any{v}
	}
	read := make([]Artifact, 0, len(elements))
	places := map[string]int{} // by name
	var all problems
	for i, element := range elements {
		a, wrong := readElement(element, resolve)
		where := fmt.Sprintf("artifacts[%d]", i)
		if a != nil && checkName(a.ArtifactName()) == nil {
			name := a.ArtifactName()
			where += fmt.Sprintf(" %q", name)
			if first, taken := places[name]; taken {
				wrong.add("name", "artifacts[%d] has it too", first)
			} else {
				places[name] = i
			}
		}
		for _, p := range wrong {
			all = append(all, problem{at: where, what: p.Error(), cause: p})
		}
		read = append(read, a)
	}
	if len(all) > 0 {
		return nil, all.join("")
	}
	return read, nil
}

// reader reads one artifact.
type reader struct {
	resolve  bool // replace references
	problems problems
}

// readElement reads and checks one artifact, which is nil if there is nothing to be told of it.
func readElement(v any, resolve bool) (artifact, problems) {
	o, ok := v.(object)
	if !ok {
		return nil, problems{{what: "not a JSON object"}}
	}
	if isDestination(o) {
		return readDestination(o, resolve)
	}
	r := &reader{resolve: resolve}
	a := r.artifact(o)
	if a == nil {
		return nil, r.problems
	}
	r.problems.addArtifact(a, true)
	return a, r.problems
}

// artifact reads an artifact without checking it: nil if its type is not known.
func (r *reader) artifact(o object) artifact {
	typ, _ := o.get("type").(string)
	a := newArtifact(typ)
	switch {
	case a != nil:
		r.members("", o, a.members(), typ)
	case typ == "":
		r.problems.add("type", "missing; use %s", choice(types))
	default:
		r.problems.add("type", "%s: use %s", shown(typ), choice(types))
	}
	return a
}

// members reads the members of an object: an artifact, or a part of one, which is at a place.
func (r *reader) members(at string, o object, known []member, of string) {
	seen := map[string]bool{}
	for _, p := range o {
		place := within(at, p.name)
		m := findMember(known, p.name)
		switch {
		case m == nil:
			r.unknown(at, p.name, known, of)
		case seen[p.name]:
			r.problems.add(place, "comes twice")
		case p.value != nil:
			m.read(r, place, p.value)
		}
		seen[p.name] = true
	}
}

func (r *reader) unknown(at, name string, known []member, of string) {
	for _, m := range known {
		if normalized(m.name) == normalized(name) {
			r.problems.add(at, "unknown member %s: it is spelled %s", shown(name), m.name)
			return
		}
	}
	r.problems.add(at, "unknown member %s: %s has none of that name", shown(name), of)
}

func findMember(members []member, name string) *member {
	for i := range members {
		if members[i].name == name {
			return &members[i]
		}
	}
	return nil
}

var separators = strings.NewReplacer("_", "", "-", "", " ", "")

func normalized(name string) string { return separators.Replace(strings.ToLower(name)) }

// decode reads what encode wrote. It does not check it again: what was deployed once is not refused because rules have
// changed, or a certificate has ended.
func decode(data []byte) (Artifact, error) {
	v, err := readJSON(data)
	if err != nil {
		return nil, fmt.Errorf("stored artifact: %w", err)
	}
	o, ok := v.(object)
	if !ok {
		return nil, errors.New("stored artifact: not a JSON object")
	}
	r := &reader{}
	a := r.artifact(o)
	if len(r.problems) > 0 {
		return nil, r.problems.join("stored artifact: ")
	}
	return a, nil
}
