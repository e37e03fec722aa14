package main

// This file is the law: who may import whom. Everything is a path below the
// module ("." is the root package), and "x/..." is x with all that lies below.
// The standard library is free except for what the last two tables name.

// A layer says what its packages may import. A package belongs to the first
// layer that covers it; one that no layer covers is an error, so that a new
// package gets its place on purpose.
type layer struct {
	name    string
	pkgs    []string // the packages it covers
	ours    []string // the layers they may import; "any" is every one
	modules []string // the third-party packages they may import
	why     string   // printed with each violation
}

var layers = []layer{
	// What users never see.
	{name: "checks", pkgs: list("internal/checks/..."),
		why: "a check must build and run whatever state the rest is in"},
	{name: "peers", pkgs: list("internal/peers/..."),
		why: "internal/peers is a module of its own and must not become part of the released one"},
	{name: "tokenclient", pkgs: list("internal/tokenclient/..."), ours: list("root", "leaf", "tokenclient"),
		modules: list("github.com/go-jose/go-jose/..."), // private_key_jwt
		why:     "the token-endpoint client stands on the root and below the grants"},
	{name: "engine", pkgs: list("internal/engine"), ours: list("root"),
		why: "what replaces sources stands on the root and below the grants and the store"},
	{name: "leaf", pkgs: list("internal/keypair/..."), ours: list("leaf"),
		modules: list("software.sslmate.com/src/go-pkcs12"), // legacy PKCS #12 files, which the standard library cannot read
		why:     "an internal leaf stands below the root, so that the root may use it"},
	{name: "leaf", pkgs: list("internal/..."), ours: list("leaf"),
		why: "an internal leaf stands below the root, so that the root may use it"},

	{name: "root", pkgs: list("."), ours: list("leaf"),
		modules: list("golang.org/x/oauth2"), // the bridge; its sub-packages bring providers that nobody asked for
		why:     "everybody links the root, so it carries next to nothing"},

	// The grants declare the small interfaces they need and credstore provides
	// them: each can be used alone, and linking one never links another.
	{name: "clientcredentials", pkgs: list("clientcredentials/..."), ours: list("root", "leaf", "tokenclient", "clientcredentials"),
		why: "a grant imports neither credstore nor another grant"},
	{name: "samlbearer", pkgs: list("samlbearer/..."), ours: list("root", "leaf", "tokenclient", "samlbearer"),
		modules: list("github.com/beevik/etree", "github.com/russellhaering/goxmldsig/..."), // XML signatures, here only
		why:     "a grant imports neither credstore nor another grant"},
	{name: "authcode", pkgs: list("authcode/..."), ours: list("root", "leaf", "tokenclient", "engine", "authcode"),
		why: "a grant imports neither credstore nor another grant"},
	{name: "socialoauth", pkgs: list("socialoauth/..."), ours: list("root", "leaf", "tokenclient", "socialoauth"),
		why: "a grant imports neither credstore nor another grant"},

	// The store. A backend sees sealed bytes, never a token, hence nothing of
	// what tokens are made of.
	{name: "driver", pkgs: list("credstore/driver"),
		why: "somebody else's backend implements the driver and must link nothing more"},
	{name: "drivertest", pkgs: list("credstore/drivertest"), ours: list("driver", "leaf"),
		why: "the suite judges a backend by the driver interface alone"},
	{name: "memstore", pkgs: list("credstore/memstore"), ours: list("driver", "leaf"),
		why: "a backend knows the driver interface and no more"},
	{name: "filestore", pkgs: list("credstore/filestore"), ours: list("driver", "leaf"),
		why: "a backend knows the driver interface and no more"},
	{name: "postgres", pkgs: list("credstore/postgres"), ours: list("driver", "leaf"),
		why: "a backend knows the driver interface and no more; the user brings the database driver"},
	{name: "console", pkgs: list("credstore/console"), ours: list("credstore", "authcode", "adapters", "root", "leaf"),
		why: "the web page does what the store's public methods do, and nothing behind their back"},
	{name: "credstore", pkgs: list("credstore"),
		ours: list("clientcredentials", "samlbearer", "authcode", "socialoauth", "tokenclient", "engine", "root", "leaf", "driver", "memstore", "filestore"),
		why:  "the store feeds the grants; it knows no adapter, and of the backends only the two that it embeds"},

	// The adapters work with every source, also one that is not ours.
	{name: "adapters", pkgs: list("adapters"), ours: list("root"),
		why: "the matrix is data about the root's grants"},
	{name: "amqp", pkgs: list("adapters/amqp/..."), ours: list("root", "adapters", "leaf", "amqp"),
		modules: list("github.com/Azure/go-amqp", "github.com/coder/websocket"), // nobody else speaks these
		why:     "an adapter takes a TokenSource and never asks which grant or store is behind it"},
	{name: "adapter", pkgs: list("adapters/httpadapter", "adapters/odata", "adapters/successfactors", "adapters/mail", "adapters/twitter", "adapters/facebook"),
		ours: list("root", "adapters", "leaf"),
		why:  "an adapter takes a TokenSource and never asks which grant or store is behind it"},

	// What users import in their tests must not pull in the code under test.
	{name: "samltest", pkgs: list("oauthtest/samltest/..."), ours: list("oauthtest", "root", "leaf", "samltest"),
		why: "the fake token service judges the grants, so it shares no code with them, nor the libraries that sign for samlbearer"},
	{name: "mailtest", pkgs: list("oauthtest/mailtest"), ours: list("oauthtest", "root", "leaf"),
		why: "the fake mail server judges the mail adapter, so it shares no code with it"},
	{name: "oauthtest", pkgs: list("oauthtest"), ours: list("root", "leaf"),
		modules: list("github.com/go-jose/go-jose/..."), // verifies private_key_jwt
		why:     "the fake token service judges the grants, so it shares no code with them"},

	{name: "examples", pkgs: list("examples/..."), ours: list("any"),
		modules: list("golang.org/x/oauth2"), // shows the bridge
		why:     "an example that needs a library of its own is a module of its own"},
}

// testOnly is what _test.go files may import beyond the modules in the table
// above. Anything else (a mail server, a database driver) goes to
// internal/peers: a test's requirement is a requirement of the released module.
var testOnly = list("github.com/stretchr/testify/...")

// testToo are more packages of modules that are required anyway: the bridge is
// tested with the sources that users have.
var testToo = list("golang.org/x/oauth2/...")

// A confinement keeps a part of the standard library in a few packages.
type confinement struct {
	what []string // may be imported
	only []string // by these
	why  string
}

var confinements = []confinement{
	{what: list("encoding/xml"),
		only: list("samlbearer/...", "oauthtest/samltest/...", "adapters/odata", "adapters/successfactors"),
		why:  "XML is parsed where a protocol demands it and nowhere else"},
	{what: list("database/sql/..."),
		only: list("credstore/postgres"),
		why:  "only the PostgreSQL backend talks to a database"},
}

// A ban holds for all that a package links, however many imports away.
type ban struct {
	from  []string // these packages
	never []string // never link this
	why   string
}

var bans = []ban{
	{from: list("..."),
		never: list("testing/...", "net/http/httptest", "github.com/stretchr/testify/..."),
		why:   "test code is for _test.go files: package testing adds flags, httptest listens"},
	{from: list(".", "internal/...", "clientcredentials/...", "authcode/...", "socialoauth/...", "oauthtest",
		"adapters", "adapters/httpadapter", "adapters/mail", "adapters/twitter", "adapters/facebook"),
		never: list("encoding/xml", "github.com/beevik/etree", "github.com/russellhaering/goxmldsig/..."),
		why:   "who uses a grant without SAML links no XML"},
	{from: list(".", "internal/...", "clientcredentials/...", "samlbearer/...", "authcode/...", "socialoauth/...",
		"credstore", "credstore/driver", "credstore/drivertest", "credstore/memstore", "credstore/filestore", "adapters/...", "oauthtest/..."),
		never: list("database/sql/..."),
		why:   "who does not use the PostgreSQL backend links no SQL"},
}

func list(s ...string) []string { return s }
