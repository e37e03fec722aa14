package oauthtest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"

	"github.com/outgrant/outgrant/internal/secrettext"
)

// TB is what this package asks of a *testing.T.
type TB interface {
	Helper()
	Errorf(format string, args ...any)
}

// AssertNoSecrets fails the test if one of the secrets is in one of the outputs. An output is a text (string, []byte)
// or any value: a value is printed with the verbs of fmt, encoded as JSON, and logged through slog as text and as JSON;
// of an error, its causes are printed too. A secret is found as it is and in URL-escaped, base64 (also inside of what
// was encoded, such as a Basic header), HTML-escaped, hex, quoted and byte by byte form.
//
// It reports once for each secret and output, and does not print the secret. A secret of fewer than four characters
// fails the test, as it would be found everywhere; so does having none to look for.
func AssertNoSecrets(t TB, secrets []string, outputs ...any) {
	t.Helper()
	if len(secrets) == 0 {
		t.Errorf("oauthtest: there are no secrets to look for")
	}
	texts := make([][]named, len(outputs))
	for i, output := range outputs {
		texts[i] = printed(output)
	}
	for i, secret := range secrets {
		if len(secret) < secrettext.Shortest {
			t.Errorf("oauthtest: secret %d has fewer than four characters", i)
			continue
		}
		forms := secrettext.Of(secret)
		for j := range outputs {
			if form, how, found := find(forms, texts[j]); found {
				t.Errorf("oauthtest: secret %d leaks, %s, from output %d, a %T, by %s", i, form, j, outputs[j], how)
			}
		}
	}
}

// named is a text with what to call it in a report.
type named struct{ name, text string }

func find(forms secrettext.Forms, texts []named) (form, how string, found bool) {
	for _, t := range texts {
		if form, found := forms.In(t.text); found {
			return form, t.name, true
		}
	}
	return "", "", false
}

// verbs are the ways in which fmt looks at a value.
var verbs = []string{"%v", "%+v", "%#v", "%s", "%q", "%+q", "%x", "%X", "% x", "%d", "%t"}

// printed returns the texts that an output can become.
func printed(output any) []named {
	switch o := output.(type) {
	case string:
		return []named{{"itself", o}}
	case []byte:
		return []named{{"itself", string(o)}}
	}
	var texts []named
	for _, verb := range verbs {
		texts = append(texts, named{"fmt " + verb, fmt.Sprintf(verb, output)})
	}
	encoded, err := json.Marshal(output)
	if err != nil {
		encoded = []byte(err.Error())
	}
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("output", "value", output)
	slog.New(slog.NewJSONHandler(&log, nil)).Info("output", "value", output)
	texts = append(texts, named{"JSON", string(encoded)}, named{"slog", log.String()})
	if err, ok := output.(error); ok {
		for i, cause := range causes(err) {
			for _, verb := range verbs {
				texts = append(texts, named{fmt.Sprintf("fmt %s of cause %d", verb, i+1), fmt.Sprintf(verb, cause)})
			}
		}
	}
	return texts
}

// causes returns what an error wraps, and what that wraps.
func causes(err error) []error {
	direct := []error{errors.Unwrap(err)}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		direct = joined.Unwrap()
	}
	var all []error
	for _, cause := range direct {
		if cause != nil {
			all = append(append(all, cause), causes(cause)...)
		}
	}
	return all
}
