package oauthtest

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
)

// TB is what this package asks of a *testing.T.
type TB interface {
	Helper()
	Errorf(format string, args ...any)
}

// verbs are the ways in which fmt looks at a value.
var verbs = []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t", "%T", "%8.3v", "% x"}

// AssertNoSecrets fails the test if one of the secrets is in one of the outputs. An output is a text (string, []byte)
// or any value: a value is printed with every verb of fmt, encoded as JSON, and logged through slog as text and as JSON;
// of an error, its causes are printed too. A secret is found as it is and in URL, base64, hex and quoted form. The
// report does not print it. Secrets of fewer than four characters fail the test: they would be found everywhere.
func AssertNoSecrets(t TB, secrets []string, outputs ...any) {
	t.Helper()
	for i, secret := range secrets {
		if len(secret) < 4 {
			t.Errorf("oauthtest: secret %d has fewer than four characters", i)
		}
	}
	for i, output := range outputs {
		for how, text := range printed(output) {
			for j, secret := range secrets {
				for form, encoded := range forms(secret) {
					if len(secret) >= 4 && strings.Contains(text, encoded) {
						t.Errorf("oauthtest: secret %d leaks (%s) from output %d, a %T, by %s", j, form, i, output, how)
					}
				}
			}
		}
	}
}

func forms(secret string) map[string]string {
	b := []byte(secret)
	quoted, _ := json.Marshal(secret)
	return map[string]string{
		"as it is": secret, "query-escaped": url.QueryEscape(secret), "path-escaped": url.PathEscape(secret),
		"base64": strings.TrimRight(base64.StdEncoding.EncodeToString(b), "="), "base64url": base64.RawURLEncoding.EncodeToString(b),
		"hex": hex.EncodeToString(b), "HEX": strings.ToUpper(hex.EncodeToString(b)), "spaced hex": fmt.Sprintf("% x", secret),
		"quoted": strings.Trim(string(quoted), `"`), "bytes": strings.Trim(fmt.Sprint(b), "[]"),
	}
}

// printed returns the texts that an output can become, by how.
func printed(output any) map[string]string {
	switch o := output.(type) {
	case string:
		return map[string]string{"itself": o}
	case []byte:
		return map[string]string{"itself": string(o)}
	}
	texts := map[string]string{}
	for _, verb := range verbs {
		texts["fmt "+verb] = fmt.Sprintf(verb, output)
	}
	if b, err := json.Marshal(output); err == nil {
		texts["JSON"] = string(b)
	} else {
		texts["JSON"] = err.Error()
	}
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("output", "value", output)
	slog.New(slog.NewJSONHandler(&log, nil)).Info("output", "value", output)
	texts["slog"] = log.String()
	if err, ok := output.(error); ok {
		for i, cause := range causes(err) {
			for _, verb := range verbs {
				texts[fmt.Sprintf("fmt %s of cause %d", verb, i+1)] = fmt.Sprintf(verb, cause)
			}
		}
	}
	return texts
}

func causes(err error) []error {
	var all []error
	for _, next := range append(several(err), errors.Unwrap(err)) {
		if next != nil {
			all = append(append(all, next), causes(next)...)
		}
	}
	return all
}

func several(err error) []error {
	if s, ok := err.(interface{ Unwrap() []error }); ok {
		return s.Unwrap()
	}
	return nil
}
