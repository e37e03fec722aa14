package socialoauth

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/outgrant/outgrant"
)

// Parameters is where secure parameters are by alias: a credstore.Store, or a tenant of one. It is safe for concurrent use,
// honours ctx, and its errors hold no secret.
type Parameters interface {
	SecureParameter(ctx context.Context, alias string) (outgrant.Secret, error)
}

// key is where a key comes from: it is given, or read by alias.
type key struct {
	field string // of the keys or the aliases
	value outgrant.Secret
	alias string
	to    *outgrant.Secret // where it goes
}

// fill sets keys from what is given.
func fill(keys ...key) error {
	var problems []error
	for _, k := range keys {
		var err error
		if *k.to, err = cleaned(k.value); err != nil {
			problems = append(problems, fmt.Errorf("%s: %w", k.field, err))
		}
	}
	return errors.Join(problems...)
}

// read sets keys from secure parameters. It tells all that are wrong, so that they can be put right at once.
func read(ctx context.Context, p Parameters, keys ...key) error {
	if p == nil {
		return errors.New("the secure parameters are nil: give it a store, such as a *credstore.Store")
	}
	var problems []error
	for _, k := range keys {
		if strings.TrimSpace(k.alias) == "" {
			problems = append(problems, fmt.Errorf("%s: the alias is missing", k.field))
			continue
		}
		value, err := p.SecureParameter(ctx, k.alias)
		if err == nil {
			*k.to, err = cleaned(value)
		}
		if err != nil {
			problems = append(problems, fmt.Errorf("%s: the secure parameter %q: %w", k.field, k.alias, err))
		}
	}
	return errors.Join(problems...)
}

// cleaned takes off what came along when a key was copied.
func cleaned(s outgrant.Secret) (outgrant.Secret, error) {
	text := strings.TrimSpace(s.Reveal())
	switch {
	case text == "":
		return "", refusal{errors.New("missing")}
	case outgrant.Secret(text).IsRedacted():
		return "", refusal{errors.New("is the printed form of a secret, not the secret")}
	case strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' }):
		return "", refusal{errors.New("has a blank, a line end or a character beyond ASCII inside, as no key has: copy it again")}
	}
	return outgrant.Secret(text), nil
}
