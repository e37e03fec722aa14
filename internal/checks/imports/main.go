// Command imports checks who imports whom in this module, by the law in
// law.go. Run it anywhere in the module:
//
//	go run ./internal/checks/imports
//
// It prints a line per violation and fails if there is one.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
)

// A file for one system can import what the others do not.
var systems = []string{"linux", "darwin", "windows"}

func main() {
	var lines []string
	ours := make(map[string]bool)
	for _, goos := range systems {
		pkgs, err := load(goos)
		if err != nil {
			fmt.Fprintln(os.Stderr, "imports:", err)
			os.Exit(2)
		}
		for _, p := range pkgs {
			if rel, ok := relative(p.ImportPath); ok {
				ours[rel] = true
			}
		}
		lines = append(lines, check(pkgs)...)
	}
	slices.Sort(lines)
	lines = slices.Compact(lines)
	for _, line := range lines {
		fmt.Println(line)
	}
	fmt.Printf("imports: %d packages on %s, %d violations\n", len(ours), strings.Join(systems, ", "), len(lines))
	if len(lines) > 0 {
		os.Exit(1)
	}
}

// load lists the packages of this module and all that they link on goos.
func load(goos string) ([]pkg, error) {
	cmd := exec.Command("go", "list", "-deps", "-json=ImportPath,Imports,TestImports,XTestImports", module+"/...")
	// Without cgo the answer does not depend on a C compiler for goos.
	cmd.Env = append(os.Environ(), "GOOS="+goos, "CGO_ENABLED=0")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list for %s: %w", goos, err)
	}
	var pkgs []pkg
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p pkg
		switch err := dec.Decode(&p); {
		case errors.Is(err, io.EOF):
			return pkgs, nil
		case err != nil:
			return nil, fmt.Errorf("go list for %s: %w", goos, err)
		}
		pkgs = append(pkgs, p)
	}
}
