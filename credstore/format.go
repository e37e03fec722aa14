package credstore

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// FormatArtifacts writes artifacts in the form that [ParseArtifacts] reads, for people to read and to keep: indented, in the
// order given, members in SAP's order, without those that have their defaults, and without secrets. What is missing then is
// what LoadArtifacts names when it reads the text.
func FormatArtifacts(artifacts []Artifact) ([]byte, error) {
	all := []any{}
	for i, one := range artifacts {
		a, err := copyOf(one)
		if err != nil {
			return nil, fmt.Errorf("artifacts[%d]: %w", i, err)
		}
		forget(a.members())
		all = append(all, written(a.members()))
	}
	compact, err := writeJSON(all)
	if err != nil {
		return nil, fmt.Errorf("artifacts: %w", err)
	}
	var b bytes.Buffer
	if err := json.Indent(&b, compact, "", "  "); err != nil {
		return nil, fmt.Errorf("artifacts: %w", err)
	}
	b.WriteByte('\n')
	return b.Bytes(), nil
}

// withoutSecrets returns a copy of an artifact that holds none.
func withoutSecrets(a Artifact) (Artifact, error) {
	c, err := copyOf(a)
	if err != nil {
		return nil, err
	}
	forget(c.members())
	return c, nil
}

// encode writes an artifact with its secrets, to be sealed, and for nothing else.
func encode(a Artifact) ([]byte, error) {
	c, err := copyOf(a)
	if err != nil {
		return nil, err
	}
	return writeJSON(written(c.members()))
}
