package main

import (
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

func TestListing(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, src string
		want      []string // without "p: "
	}{
		{"functions", `
			// F has a comment.
			func F(
				ctx context.Context, // the context
				names ...string,
			) (n int, err error) { return 0, nil }
			func Map[K comparable, V any](m map[K]V) {}
			func hidden() {}`,
			list(
				"func F(ctx context.Context, names ...string) (n int, err error)",
				"func Map[K comparable, V any](m map[K]V)",
			)},
		{"constants", `
			const (
				A Kind = iota
				b
				C
				_
				E, F = 1 << iota, "two  spaces"
			)
			const Single = "x"`,
			list(
				"const A Kind = 0",
				"const C Kind = 2",
				`const E = 1 << 4`,
				`const F = "two  spaces"`,
				`const Single = "x"`,
			)},
		{"variables", `
			var ErrX = errors.New("text is not API")
			var Typed, untyped error
			var Default = &Options{N: 1}
			var Hook = func(s string) bool { return s == "" }
			var One, Two = pair()`,
			list(
				"var Default = &Options{...}",
				"var ErrX = errors.New(...)",
				"var Hook = func(s string) bool",
				"var One = pair(...)",
				"var Two = pair(...)",
				"var Typed error",
			)},
		{"structs", `
			type S struct {
				A, b, C int
				Tagged  string ` + "`json:\"tagged\"`" + ` // comment
				Nested  struct {
					X int
					Y func(a, b int) error
				}
				http.Handler
				mu sync.Mutex
			}`,
			list(
				"type S struct",
				"type S struct, A int",
				"type S struct, C int",
				"type S struct, Nested struct { X int; Y func(a, b int) error }",
				"type S struct, Tagged string `json:\"tagged\"`",
				"type S struct, http.Handler",
			)},
		{"interfaces", `
			type I interface {
				io.Closer
				M(ctx context.Context) error
				sealed()
			}
			type Number interface{ ~int | ~float64 }`,
			list(
				"type I interface",
				"type I interface, M(ctx context.Context) error",
				"type I interface, io.Closer",
				"type I interface, sealed()",
				"type Number interface",
				"type Number interface, ~int | ~float64",
			)},
		{"other types", `
			type Alias = other.Type
			type Func func(ctx context.Context) error
			type Set[K comparable] map[K]struct{}
			type hidden int`,
			list(
				"type Alias = other.Type",
				"type Func func(ctx context.Context) error",
				"type Set[K comparable] map[K]struct{}",
			)},
		{"methods", `
			type S[T any] struct{}
			func (s *S[T]) Do(t T) {}
			func (S[_]) String() string { return "" }
			func (s *S[T]) hidden() {}
			type private struct{}
			func (private) Do() {}`,
			list(
				"func (*S[T]) Do(t T)",
				"func (S[_]) String() string",
				"type S[T any] struct",
			)},
		{"an embedded unexported type is promoted", `
			type S struct{ *base }
			type base struct { deeper; Field int }
			type deeper struct{}
			func (deeper) Do() {}
			func (*base) Other() {}`,
			list(
				"func (*base) Other()",
				"func (deeper) Do()",
				"type S struct",
				"type S struct, *base",
				"type base struct",
				"type base struct, Field int",
				"type base struct, deeper",
				"type deeper struct",
			)},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got, err := listing(fstest.MapFS{"p/p.go": file("package p\n" + c.src)})
			if err != nil {
				t.Fatal(err)
			}
			for i, line := range got {
				got[i] = strings.TrimPrefix(line, "p: ")
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("got:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(c.want, "\n"))
			}
		})
	}
}

func TestListingTakesWhatUsersCanImport(t *testing.T) {
	t.Parallel()
	exported := file("package x\nfunc F() {}")
	got, err := listing(fstest.MapFS{
		"root.go":              file("package rootpkg\nfunc F() {}"),
		"a/lock_unix.go":       file("//go:build unix\n\npackage a\nfunc F() {}"),
		"a/lock_windows.go":    file("package a\nfunc F() {}\nfunc OnWindows() {}"),
		"a/b/b.go":             exported,
		"a/a_test.go":          file("package a\nfunc InTest() {}"),
		"internal/x/x.go":      exported,
		"a/internal/x.go":      exported,
		"a/testdata/x.go":      file("not even Go"),
		"examples/e/e.go":      exported,
		"_attic/x.go":          exported,
		".ci/x.go":             exported,
		"cmd/main.go":          file("package main\nfunc F() {}"),
		"nested/go.mod":        file("module nested"),
		"nested/x.go":          exported,
		"nested/below/it/x.go": exported,
	})
	if err != nil {
		t.Fatal(err)
	}
	want := list("a/b: func F()", "a: func F()", "a: func OnWindows()", "rootpkg: func F()")
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestListingFailsOnBrokenSource(t *testing.T) {
	t.Parallel()
	if _, err := listing(fstest.MapFS{"p/p.go": file("package p\nfunc")}); err == nil {
		t.Error("a file that does not parse was left out in silence")
	}
}

func TestDiff(t *testing.T) {
	t.Parallel()
	got := diff(list("a", "b", "d"), list("b", "c", "d", "e"))
	if want := list("- a", "+ c", "+ e"); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := diff(list("a", "b"), list("a", "b")); got != nil {
		t.Errorf("no difference, got %q", got)
	}
}

func list(s ...string) []string { return s }

func file(src string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(src)} }
