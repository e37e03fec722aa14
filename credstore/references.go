package credstore

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"regexp"
	"strings"
)

// wholeReference is a value that is a reference and nothing else.
var wholeReference = regexp.MustCompile(`^\$\{([A-Za-z]+):(.*)\}$`)

// isReference reports whether a text is a reference, or has one of ours in it.
func isReference(s string) bool {
	return wholeReference.MatchString(s) || strings.Contains(s, "${env:") || strings.Contains(s, "${file:")
}

// text sets a string member. Where references are replaced, it is what ${env:NAME} or ${file:PATH} stand for.
func (r *reader) text(at string, v any, to *string) {
	s, ok := v.(string)
	if !ok {
		r.problems.add(at, "not a string")
		return
	}
	kind, name := r.reference(s)
	switch kind {
	case "":
		*to = s
	case "env":
		r.env(at, name, to)
	case "file":
		if data, ok := r.file(at, name); ok {
			*to = textOf(data)
		}
	default:
		r.unknownReference(at, kind)
	}
}

// bytes sets a member that holds a file: a reference to the file, or its bytes in base64.
func (r *reader) bytes(at string, v any, to *[]byte) {
	s, ok := v.(string)
	if !ok {
		r.problems.add(at, "not a string")
		return
	}
	kind, name := r.reference(s)
	switch kind {
	case "file":
		if data, ok := r.file(at, name); ok {
			*to = data
		}
		return
	case "env":
		if !r.env(at, name, &s) {
			return
		}
	case "":
		if isReference(s) {
			checkText(&r.problems, at, s, maxJSON)
			return
		}
	default:
		r.unknownReference(at, kind)
		return
	}
	data, err := base64.StdEncoding.DecodeString(strings.TrimSpace(s))
	if err != nil {
		r.problems.add(at, "not base64: give the file's bytes in base64, or ${file:PATH} to LoadArtifacts")
		return
	}
	if len(data) > 0 {
		*to = data
	}
}

// reference takes a reference apart, if references are replaced and s is one. kind is "" otherwise.
func (r *reader) reference(s string) (kind, name string) {
	if !r.resolve {
		return "", ""
	}
	if m := wholeReference.FindStringSubmatch(s); m != nil {
		return m[1], m[2]
	}
	return "", ""
}

func (r *reader) unknownReference(at, kind string) {
	r.problems.add(at, "a reference of an unknown kind, %s: use ${env:NAME} or ${file:PATH}", shown(kind))
}

func (r *reader) env(at, name string, to *string) bool {
	value, set := os.LookupEnv(name)
	switch {
	case !set:
		r.problems.add(at, "environment variable %s is not set", name)
	case value == "":
		r.problems.add(at, "environment variable %s is empty", name)
	default:
		*to = value
		return true
	}
	return false
}

// maxReferenced bounds what is read of a file: PEM and PKCS#12 are small.
const maxReferenced = 1 << 20

func (r *reader) file(at, path string) ([]byte, bool) {
	data, err := readFile(path)
	if err != nil {
		r.problems = append(r.problems, problem{at: at, what: fmt.Sprintf("file %s: %v", path, err), cause: err})
	}
	return data, err == nil
}

func readFile(path string) ([]byte, error) {
	// A pipe or a device may never end.
	info, err := os.Stat(path)
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New("not a regular file")
	}
	if err != nil {
		return nil, reason(err)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, reason(err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxReferenced+1))
	switch {
	case err != nil:
		return nil, reason(err)
	case len(data) > maxReferenced:
		return nil, fmt.Errorf("larger than %d MiB", maxReferenced>>20)
	case len(data) == 0:
		return nil, errors.New("empty")
	}
	return data, nil
}

// reason leaves out the path, which the error has already.
func reason(err error) error {
	if path, ok := errors.AsType[*fs.PathError](err); ok {
		return path.Err
	}
	return err
}

// textOf returns a text file's text: editors end the last line, and some put a byte order mark in front.
func textOf(data []byte) string {
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	if line, ended := bytes.CutSuffix(data, []byte("\n")); ended {
		data = bytes.TrimSuffix(line, []byte("\r"))
	}
	return string(data)
}
