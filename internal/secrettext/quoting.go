package secrettext

import (
	"slices"
	"sync"
)

// Of a secret that is longer than longestWhole only the beginning is looked for, which servers like to quote.
const (
	longestWhole = 96
	beginning    = 48
)

// ShortestCookie is the length of the shortest cookie that may be a secret: "true" would be found everywhere.
const ShortestCookie = 12

// Quoting returns a function that reports whether a text quotes one of the secrets. It is safe for concurrent use.
func Quoting(secrets ...string) func(text string) bool {
	all := sync.OnceValue(func() []Forms {
		forms := make([]Forms, len(secrets))
		for i, secret := range secrets {
			if len(secret) > longestWhole {
				secret = secret[:beginning]
			}
			forms[i] = Of(secret)
		}
		return forms
	})
	return func(text string) bool {
		return text != "" && slices.ContainsFunc(all(), func(f Forms) bool {
			_, found := f.In(text)
			return found
		})
	}
}
