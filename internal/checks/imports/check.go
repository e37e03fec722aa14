package main

import (
	"fmt"
	"slices"
	"strings"
)

const module = "github.com/outgrant/outgrant"

// A pkg is what `go list` says about a package, ours or not.
type pkg struct {
	ImportPath   string
	Imports      []string
	TestImports  []string // of _test.go files in the package
	XTestImports []string // of _test.go files in package x_test
}

// check holds pkgs, which are complete with all that they link, against the
// law. It returns one line per violation.
func check(pkgs []pkg) []string {
	byPath := make(map[string]pkg)
	for _, p := range pkgs {
		byPath[p.ImportPath] = p
	}
	var lines []string
	for _, p := range pkgs {
		from, ours := relative(p.ImportPath)
		if !ours {
			continue
		}
		l, ok := layerOf(from)
		if !ok {
			lines = append(lines, fmt.Sprintf("%s is in no layer: add it to the table in internal/checks/imports/law.go", from))
			continue
		}
		for _, imp := range p.Imports {
			lines = append(lines, direct(l, from, imp)...)
		}
		for _, imp := range slices.Concat(p.TestImports, p.XTestImports) {
			lines = append(lines, inTest(from, imp)...)
		}
		lines = append(lines, linked(byPath, p.ImportPath)...)
	}
	slices.Sort(lines)
	return slices.Compact(lines)
}

// direct judges one import of a package in layer l.
func direct(l layer, from, imp string) []string {
	if to, ours := relative(imp); ours {
		target, _ := layerOf(to) // a package without layer gets its own line
		if target.name == "" || slices.Contains(l.ours, "any") || slices.Contains(l.ours, target.name) {
			return nil
		}
		return violation(from, "imports", to, fmt.Sprintf("layer %s may import of ours: %s", l.name, words(l.ours)), l.why)
	}
	if thirdParty(imp) {
		if matchAny(l.modules, imp) || matchAny(testOnly, imp) { // testOnly is banned below, for all
			return nil
		}
		return violation(from, "imports", imp, fmt.Sprintf("layer %s may import of others: %s", l.name, words(l.modules)), l.why)
	}
	for _, c := range confinements {
		if matchAny(c.what, imp) && !matchAny(c.only, from) {
			return violation(from, "imports", imp, "only for "+words(c.only), c.why)
		}
	}
	return nil
}

// inTest judges one import of a _test.go file. Nobody links it, so only what
// would become a new requirement of the module counts.
func inTest(from, imp string) []string {
	allowed := slices.Concat(testOnly, testToo)
	for _, l := range layers {
		allowed = append(allowed, l.modules...)
	}
	if !thirdParty(imp) || matchAny(allowed, imp) {
		return nil
	}
	return violation(from, "imports in a test", imp, "tests may import of others: "+words(testOnly)+" and what the layers may",
		"what only tests need lives in internal/peers")
}

// linked judges all that the package at path links.
func linked(byPath map[string]pkg, path string) []string {
	from, _ := relative(path)
	var lines []string
	for _, b := range bans {
		if !matchAny(b.from, from) {
			continue
		}
		// A package of ours under the same ban gets its own line, which says
		// where to repair; its importers would only repeat it.
		stop := func(imp string) bool {
			rel, ours := relative(imp)
			return ours && matchAny(b.from, rel)
		}
		bad := func(imp string) bool { return matchAny(b.never, imp) }
		for _, chain := range chains(byPath, path, stop, bad) {
			to := strings.ReplaceAll(strings.Join(chain, " -> "), module+"/", "")
			lines = append(lines, violation(from, "links", to, "never "+words(b.never), b.why)...)
		}
	}
	return lines
}

// chains returns, for each bad package that path links, a shortest chain of
// imports to it. It looks neither into bad packages nor into those where stop
// holds.
func chains(byPath map[string]pkg, path string, stop, bad func(string) bool) [][]string {
	var found [][]string
	seen := map[string]bool{path: true}
	queue := [][]string{{path}}
	for len(queue) > 0 {
		chain := queue[0]
		queue = queue[1:]
		for _, imp := range byPath[chain[len(chain)-1]].Imports {
			if seen[imp] {
				continue
			}
			seen[imp] = true
			longer := append(slices.Clone(chain), imp)
			switch {
			case bad(imp):
				found = append(found, longer[1:])
			case !stop(imp):
				queue = append(queue, longer)
			}
		}
	}
	return found
}

func violation(from, verb, to, rule, why string) []string {
	return []string{fmt.Sprintf("%s %s %s (%s: %s)", from, verb, to, rule, why)}
}

// layerOf returns the first layer that covers the package of ours at rel.
func layerOf(rel string) (layer, bool) {
	for _, l := range layers {
		if matchAny(l.pkgs, rel) {
			return l, true
		}
	}
	return layer{}, false
}

// relative cuts the module's path off an import path of ours.
func relative(path string) (rel string, ours bool) {
	if path == module {
		return ".", true
	}
	return strings.CutPrefix(path, module+"/")
}

// thirdParty tells a module's package from one of the standard library, whose
// first element never has a dot.
func thirdParty(path string) bool {
	first, _, _ := strings.Cut(path, "/")
	_, ours := relative(path)
	return strings.Contains(first, ".") && !ours
}

func matchAny(patterns []string, path string) bool {
	return slices.ContainsFunc(patterns, func(pattern string) bool { return match(pattern, path) })
}

// match reports whether pattern covers path: "..." covers everything, "x/..."
// covers x and what lies below it, and anything else covers itself.
func match(pattern, path string) bool {
	prefix, below := strings.CutSuffix(pattern, "...")
	if !below {
		return pattern == path
	}
	return strings.HasPrefix(path+"/", prefix)
}

func words(patterns []string) string {
	if len(patterns) == 0 {
		return "nothing"
	}
	return strings.Join(patterns, ", ")
}
