// Command api guards the exported API. Run it anywhere in the module:
//
//	go run ./internal/checks/api      compares the API with api.txt
//	go run ./internal/checks/api -w   writes api.txt
//
// api.txt at the module's root is the API that was last agreed on: a change to
// it is seen in review, and what it means for the user goes to CHANGELOG.md.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

func main() {
	write := flag.Bool("w", false, "write api.txt instead of comparing with it")
	flag.Parse()
	if err := run(*write); err != nil {
		fmt.Fprintln(os.Stderr, "api:", err)
		os.Exit(1)
	}
}

func run(write bool) error {
	root, err := moduleRoot()
	if err != nil {
		return err
	}
	current, err := listing(os.DirFS(root))
	if err != nil {
		return err
	}
	file := filepath.Join(root, "api.txt")
	if write {
		return os.WriteFile(file, []byte(strings.Join(current, "\n")+"\n"), 0o644)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("%w\nrun go run ./internal/checks/api -w, and commit the file", err)
	}
	agreed := strings.Split(strings.TrimSpace(string(data)), "\n")
	changes := diff(agreed, current)
	for _, line := range changes {
		fmt.Println(line)
	}
	if len(changes) > 0 {
		return fmt.Errorf("%d lines differ from api.txt\n"+
			"if you mean it: run go run ./internal/checks/api -w, review the diff, and say in CHANGELOG.md what changes for the user", len(changes))
	}
	fmt.Printf("api: %d lines, as in api.txt\n", len(current))
	return nil
}

// moduleRoot is the nearest folder upwards that has a go.mod.
func moduleRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", fmt.Errorf("no go.mod here or above")
		}
		dir = parent
	}
}

// diff returns the lines of two sorted lists that are in one of them only,
// marked "-" and "+". The lines stand for themselves, so their order is all
// the context there is.
func diff(before, after []string) []string {
	var changes []string
	for len(before) > 0 || len(after) > 0 {
		switch {
		case len(after) == 0 || len(before) > 0 && before[0] < after[0]:
			changes = append(changes, "- "+before[0])
			before = before[1:]
		case len(before) == 0 || after[0] < before[0]:
			changes = append(changes, "+ "+after[0])
			after = after[1:]
		default:
			before, after = before[1:], after[1:]
		}
	}
	return changes
}
