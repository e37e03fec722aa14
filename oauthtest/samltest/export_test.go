package samltest

// Canonical returns the canonical form of a document's root, or of the child of it that has an ID.
func Canonical(document, id string, inclusive []string) (string, error) {
	e, err := parse([]byte(document))
	if err != nil {
		return "", err
	}
	for _, child := range e.children {
		if id != "" && child.element != nil && child.element.attribute("ID") == id {
			e = child.element
		}
	}
	return string(canonical(e, nil, inclusive)), nil
}
