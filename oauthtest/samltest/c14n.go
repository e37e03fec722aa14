package samltest

import (
	"bytes"
	"cmp"
	"slices"
	"strings"
)

// canonical returns the canonical form of an element (Exclusive XML Canonicalization 1.0, without comments), without
// one of its descendants, if omitted is not nil: the enveloped signature. inclusive are the prefixes of an
// InclusiveNamespaces list, the default namespace being "".
func canonical(e, omitted *element, inclusive []string) []byte {
	c := canonicalizer{omitted: omitted, inclusive: inclusive}
	c.element(e, nil)
	return c.out.Bytes()
}

type canonicalizer struct {
	omitted   *element
	inclusive []string
	out       bytes.Buffer
}

// element writes an element. rendered are the declarations that its ancestors have in the output.
func (c *canonicalizer) element(e *element, rendered *scope) {
	if e == c.omitted {
		return
	}
	name := qualified(e.prefix, e.local)
	c.out.WriteString("<" + name)
	for _, prefix := range c.declared(e) {
		uri := e.scope.find(prefix)
		if uri == rendered.find(prefix) {
			continue
		}
		rendered = &scope{prefix: prefix, uri: uri, outer: rendered}
		if prefix == "" {
			c.attribute("xmlns", uri)
		} else {
			c.attribute("xmlns:"+prefix, uri)
		}
	}
	for _, a := range slices.SortedFunc(slices.Values(e.attributes), func(a, b attribute) int {
		return cmp.Or(strings.Compare(a.uri, b.uri), strings.Compare(a.local, b.local))
	}) {
		c.attribute(qualified(a.prefix, a.local), a.value)
	}
	c.out.WriteByte('>')
	for _, child := range e.children {
		if child.element != nil {
			c.element(child.element, rendered)
		} else {
			c.out.WriteString(textEscapes.Replace(child.text))
		}
	}
	c.out.WriteString("</" + name + ">")
}

// declared returns the prefixes whose declarations belong to an element, in order: the ones that it uses itself, and the
// inclusive ones. Prefix xml is never declared.
func (c *canonicalizer) declared(e *element) []string {
	prefixes := append([]string{e.prefix}, c.inclusive...)
	for _, a := range e.attributes {
		if a.prefix != "" {
			prefixes = append(prefixes, a.prefix)
		}
	}
	slices.Sort(prefixes)
	return slices.DeleteFunc(slices.Compact(prefixes), func(p string) bool { return p == "xml" })
}

func (c *canonicalizer) attribute(name, value string) {
	c.out.WriteString(" " + name + `="` + valueEscapes.Replace(value) + `"`)
}

var (
	textEscapes  = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", "\r", "&#xD;")
	valueEscapes = strings.NewReplacer("&", "&amp;", "<", "&lt;", `"`, "&quot;", "\t", "&#x9;", "\n", "&#xA;", "\r", "&#xD;")
)

func qualified(prefix, local string) string {
	if prefix == "" {
		return local
	}
	return prefix + ":" + local
}
