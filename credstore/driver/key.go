package driver

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// longestPart is how many bytes each part of a key may have.
const longestPart = 1024

// Check returns an error that says why no backend keeps a record or a lock under the key: a part is not valid UTF-8, has
// a NUL or more than 1,024 bytes, or Kind or Name is "". Each method that takes a key begins with it.
func (k Key) Check() error {
	for _, part := range []struct {
		name, value string
		mayBeEmpty  bool
	}{{"tenant", k.Tenant, true}, {"kind", k.Kind, false}, {"name", k.Name, false}} {
		switch {
		case part.value == "" && !part.mayBeEmpty:
			return fmt.Errorf("the key of a record has no %s", part.name)
		case len(part.value) > longestPart:
			return fmt.Errorf("the %s of a record's key has %d bytes, more than %d: %.40q...", part.name, len(part.value), longestPart, part.value)
		case strings.ContainsRune(part.value, 0):
			return fmt.Errorf("the %s of a record's key has a NUL: %q", part.name, part.value)
		case !utf8.ValidString(part.value):
			return fmt.Errorf("the %s of a record's key is not valid UTF-8: %q", part.name, part.value)
		}
	}
	return nil
}

// String returns the key as errors name it. It also keeps the content of a [Record] out of what is printed with %v.
func (k Key) String() string {
	if k.Tenant == "" {
		return fmt.Sprintf("record %q of kind %q", k.Name, k.Kind)
	}
	return fmt.Sprintf("record %q of kind %q, tenant %q", k.Name, k.Kind, k.Tenant)
}
