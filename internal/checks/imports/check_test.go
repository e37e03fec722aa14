package main

import (
	"slices"
	"strings"
	"testing"
)

func TestMatch(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		pattern, path string
		want          bool
	}{
		{".", ".", true},
		{".", "authcode", false},
		{"...", ".", true},
		{"...", "authcode/x", true},
		{"authcode", "authcode", true},
		{"authcode", "authcode/x", false},
		{"authcode/...", "authcode", true},
		{"authcode/...", "authcode/x/y", true},
		{"authcode/...", "authcodes", false},
		{"testing/...", "testing/synctest", true},
	} {
		if got := match(c.pattern, c.path); got != c.want {
			t.Errorf("match(%q, %q) = %v", c.pattern, c.path, got)
		}
	}
}

func TestLayers(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]string{
		".":                              "root",
		"internal/origin":                "leaf",
		"internal/keypair":               "leaf",
		"internal/tokenclient":           "tokenclient",
		"internal/checks/imports":        "checks",
		"samlbearer/internal/xmldsig":    "samlbearer",
		"credstore":                      "credstore",
		"credstore/driver":               "driver",
		"credstore/redis":                "", // a new backend gets its place on purpose
		"adapters/amqp":                  "amqp",
		"adapters/odata":                 "adapter",
		"adapters/new":                   "",
		"oauthtest/samltest":             "samltest",
		"examples/quickstart":            "examples",
		"examples/quickstart/internal/x": "examples",
	} {
		if l, _ := layerOf(path); l.name != want {
			t.Errorf("%s is in layer %q, want %q", path, l.name, want)
		}
	}
}

// A misspelled layer would forbid more than it says.
func TestEachNameIsALayer(t *testing.T) {
	t.Parallel()
	names := list("any")
	for _, l := range layers {
		names = append(names, l.name)
	}
	for _, l := range layers {
		for _, name := range l.ours {
			if !slices.Contains(names, name) {
				t.Errorf("layer %s may import %q, which is none", l.name, name)
			}
		}
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	const (
		testify = "github.com/stretchr/testify/require"
		etree   = "github.com/beevik/etree"
	)
	ours := func(rel string) string { return module + "/" + rel }
	// a package with its non-test imports
	p := func(path string, imports ...string) pkg { return pkg{ImportPath: path, Imports: imports} }

	for _, c := range []struct {
		name string
		pkgs []pkg
		want []string // how the lines begin
	}{
		{name: "downwards is free", pkgs: []pkg{
			p(module, "net/http", "golang.org/x/oauth2", ours("internal/origin")),
			p(ours("authcode"), module, ours("internal/tokenclient"), ours("internal/origin")),
			p(ours("credstore"), ours("authcode"), ours("credstore/driver")),
			p(ours("examples/quickstart"), ours("credstore"), ours("adapters/amqp")),
		}},
		{name: "a leaf imports the root",
			pkgs: []pkg{p(ours("internal/origin"), module)},
			want: list("internal/origin imports . (")},
		{name: "the root imports the token client",
			pkgs: []pkg{p(module, ours("internal/tokenclient"))},
			want: list(". imports internal/tokenclient (")},
		{name: "a grant imports another and the store",
			pkgs: []pkg{p(ours("authcode"), ours("credstore"), ours("clientcredentials"))},
			want: list("authcode imports clientcredentials (", "authcode imports credstore (")},
		{name: "the driver imports a leaf",
			pkgs: []pkg{p(ours("credstore/driver"), ours("internal/origin"))},
			want: list("credstore/driver imports internal/origin (")},
		{name: "the store links every backend",
			pkgs: []pkg{p(ours("credstore"), ours("credstore/postgres"))},
			want: list("credstore imports credstore/postgres (")},
		{name: "an adapter imports another and a grant",
			pkgs: []pkg{p(ours("adapters/odata"), ours("adapters/mail"), ours("samlbearer"))},
			want: list("adapters/odata imports adapters/mail (", "adapters/odata imports samlbearer (")},
		{name: "a check is imported",
			pkgs: []pkg{p(ours("internal/origin"), ours("internal/checks/api"))},
			want: list("internal/origin imports internal/checks/api (")},
		{name: "a package without a layer",
			pkgs: []pkg{p(ours("novelty"))},
			want: list("novelty is in no layer: add it")},

		{name: "AMQP and WebSocket in the amqp adapter", pkgs: []pkg{
			p(ours("adapters/amqp"), "github.com/Azure/go-amqp", "github.com/coder/websocket"),
		}},
		{name: "AMQP and WebSocket elsewhere", pkgs: []pkg{
			p(ours("adapters/odata"), "github.com/Azure/go-amqp"),
			p(module, "github.com/coder/websocket"),
		}, want: list(". imports github.com/coder/websocket (", "adapters/odata imports github.com/Azure/go-amqp (")},
		{name: "a sub-package that nobody asked for",
			pkgs: []pkg{p(module, "golang.org/x/oauth2/google")},
			want: list(". imports golang.org/x/oauth2/google (")},
		{name: "XML where it belongs", pkgs: []pkg{
			p(ours("samlbearer/internal/xmldsig"), "encoding/xml", etree, "github.com/russellhaering/goxmldsig"),
			p(ours("adapters/odata"), "encoding/xml"),
		}},
		{name: "XML elsewhere", pkgs: []pkg{
			p(ours("credstore"), "encoding/xml", etree),
		}, want: list("credstore imports encoding/xml (", "credstore imports github.com/beevik/etree (")},
		{name: "SQL in the wrong backend", pkgs: []pkg{
			p(ours("credstore/postgres"), "database/sql"),
			p(ours("credstore/console"), "database/sql"),
		}, want: list("credstore/console imports database/sql (")},

		{name: "tests import what they like of ours, and testify", pkgs: []pkg{{
			ImportPath: ours("clientcredentials"), TestImports: list("testing", testify), XTestImports: list(ours("oauthtest"), etree),
		}}},
		{name: "a test adds a requirement", pkgs: []pkg{{
			ImportPath: ours("credstore/postgres"), XTestImports: list("github.com/jackc/pgx/v5"),
		}}, want: list("credstore/postgres imports in a test github.com/jackc/pgx/v5 (")},
		{name: "test code outside tests", pkgs: []pkg{
			p(ours("oauthtest"), "net/http/httptest", testify),
			p(ours("credstore/drivertest"), "testing/synctest"),
		}, want: list("credstore/drivertest links testing/synctest (", "oauthtest links github.com/stretchr/testify/require (", "oauthtest links net/http/httptest (")},

		{name: "a link through others is found where it enters", pkgs: []pkg{
			p(ours("clientcredentials"), ours("internal/tokenclient")),
			p(ours("internal/tokenclient"), "github.com/go-jose/go-jose/v4"),
			p("github.com/go-jose/go-jose/v4", "example.com/printer"),
			p("example.com/printer", "encoding/xml"),
		}, want: list("internal/tokenclient links github.com/go-jose/go-jose/v4 -> example.com/printer -> encoding/xml (")},
		{name: "a link through a package of ours that is free to have it", pkgs: []pkg{
			p(ours("clientcredentials"), ours("samlbearer")),
			p(ours("samlbearer"), "encoding/xml"),
		}, want: list("clientcredentials imports samlbearer (",
			"clientcredentials links samlbearer -> encoding/xml (")},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got := check(c.pkgs)
			if !slices.EqualFunc(got, c.want, strings.HasPrefix) {
				t.Errorf("got:\n%s\nwant lines that begin with:\n%s", strings.Join(got, "\n"), strings.Join(c.want, "\n"))
			}
		})
	}
}
