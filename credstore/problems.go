package credstore

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// maxProblems is how many problems one error tells.
const maxProblems = 20

// problem is something that is wrong with an artifact.
type problem struct {
	at    string // the member, such as customParameters[0].sendAs; "": the whole
	what  string // never the value of a secret
	cause error  // or nil
}

func (p problem) Error() string {
	if p.at == "" {
		return p.what
	}
	return p.at + ": " + p.what
}

func (p problem) Unwrap() error { return p.cause }

type problems []problem

func (p *problems) add(at, format string, args ...any) {
	*p = append(*p, problem{at: at, what: fmt.Sprintf(format, args...)})
}

// addError adds an error, if it is one.
func (p *problems) addError(err error) {
	if err == nil {
		return
	}
	*p = append(*p, problemOf(err))
}

func problemOf(err error) problem {
	if one, ok := errors.AsType[problem](err); ok {
		return one
	}
	return problem{what: err.Error(), cause: err}
}

// merge adds what is wrong elsewhere: a member with a problem is not told to have another one.
func (p *problems) merge(more problems) {
	known := slices.Clone(*p)
	for _, m := range more {
		if !slices.ContainsFunc(known, func(k problem) bool { return k.at != "" && k.at == m.at }) {
			*p = append(*p, m)
		}
	}
}

// isWithin reports whether a problem is one of a member, or of a part of it.
func (p problem) isWithin(at string) bool {
	return at != "" && (p.at == at || strings.HasPrefix(p.at, at+"."))
}

// addArtifact adds what is wrong with an artifact: also what its grant says first, of a member of which all else is right.
func (p *problems) addArtifact(a artifact, allowInsecureHTTP bool) {
	p.merge(attributeProblems(a))
	err := a.grant(allowInsecureHTTP)
	if err != nil && !slices.ContainsFunc(*p, func(known problem) bool { return problemOf(err).isWithin(known.at) }) {
		p.addError(err)
	}
}

// need says that a member is missing, if it is; why says what to do, or is "".
func (p *problems) need(at, value, why string) {
	if value != "" {
		return
	}
	if why != "" {
		why = "; " + why
	}
	p.add(at, "missing%s", why)
}

// refuse says that a member must not be set, if it is.
func (p *problems) refuse(at, value, why string) {
	if value != "" {
		p.add(at, "must not be set %s", why)
	}
}

// scopes refuses what cannot be a scope (RFC 6749 3.3).
func (p *problems) scopes(scope string) {
	for _, s := range strings.Fields(scope) {
		if strings.ContainsAny(s, `"\`) {
			p.add("scope", `%s cannot be a scope: it must not contain " or \`, shown(s))
		}
	}
}

// join returns all of them as one error, each beginning with where it is; nil if there are none.
func (p problems) join(where string) error {
	var errs []error
	for i, one := range p {
		if i == maxProblems {
			errs = append(errs, fmt.Errorf("%sand %d more", where, len(p)-i))
			break
		}
		errs = append(errs, placed{where, one})
	}
	return errors.Join(errs...)
}

// placed is a problem with the artifact that has it.
type placed struct {
	where string
	problem
}

func (p placed) Error() string { return p.where + p.problem.Error() }

// inMembers puts what a grant's constructor says into the artifact's terms. Its errors begin with the field that is wrong;
// members has the member by the field's name.
func inMembers(err error, prefixes []string, members map[string]string) error {
	if err == nil {
		return nil
	}
	text := err.Error()
	for _, prefix := range prefixes {
		text = strings.TrimPrefix(text, prefix)
	}
	// The longest name first: a field may be a part of another.
	for at := strings.LastIndex(text, ": "); at >= 0; at = strings.LastIndex(text[:at], ": ") {
		field, index := splitIndex(text[:at])
		if member, known := members[field]; known {
			return problem{at: strings.Replace(member, "[]", index, 1), what: text[at+2:], cause: err}
		}
	}
	return problem{what: text, cause: err}
}

// splitIndex cuts the index out of a field, such as Params[3]: Key.
func splitIndex(field string) (name, index string) {
	before, rest, found := strings.Cut(field, "[")
	number, after, closed := strings.Cut(rest, "]")
	if _, err := strconv.Atoi(number); !found || !closed || err != nil {
		return field, ""
	}
	return before + "[]" + after, "[" + number + "]"
}

// listPlace is the place of a member of a list's element.
func listPlace(list string, i int, member string) string {
	return fmt.Sprintf("%s[%d].%s", list, i, member)
}

// within is the place of a member of something.
func within(at, name string) string {
	if at == "" {
		return placeOf(name)
	}
	return at + "." + placeOf(name)
}

// placeOf returns a name as a place, whatever somebody has put into it.
func placeOf(name string) string {
	if name == "" || len(name) > 100 || strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsGraphic(r) }) {
		return shown(name)
	}
	return name
}

// shown is a text of the user's as an error quotes it: short, and printable. It is not for secrets.
func shown(s string) string {
	if r := []rune(s); len(r) > 40 {
		s = string(r[:40]) + "..."
	}
	return strconv.Quote(s)
}

// choice lists the words that may be used.
func choice(words []string) string {
	last := len(words) - 1
	if last == 0 {
		return words[0]
	}
	return strings.Join(words[:last], ", ") + " or " + words[last]
}

// Problem is one thing that is wrong with an artifact.
type Problem struct {
	In   string // which artifact, such as artifacts[1] "NAME"; "" where there is but one
	At   string // which member, such as customParameters[0].sendAs; "": the whole
	What string // what is wrong with it, and what to do; never the value of a secret
}

// Problems takes an error of [ParseArtifacts], [LoadArtifacts], [ParseServiceKey] or [Store.Deploy] apart; nil: it is not
// about an artifact's attributes.
func Problems(err error) (all []Problem) {
	switch one := err.(type) {
	case interface{ Unwrap() []error }:
		for _, err := range one.Unwrap() {
			all = append(all, Problems(err)...)
		}
		return all
	case placed:
		return Problems(one.problem)
	case problem:
		if inner, ok := one.cause.(problem); ok {
			return []Problem{{one.at, inner.at, inner.what}}
		}
		return []Problem{{"", one.at, one.what}}
	}
	if err = errors.Unwrap(err); err != nil {
		return Problems(err)
	}
	return nil
}
