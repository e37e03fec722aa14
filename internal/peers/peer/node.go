package peer

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
	"time"
)

var ready = regexp.MustCompile(`(?m)^READY (\S+)\n`)

// startNode starts the server.mjs of a folder, as startScript does.
func startNode(tb testing.TB, dir string, config any) (p *process, url string) {
	tb.Helper()
	return startScript(tb, dir, "server.mjs", config)
}

// startScript starts a script of a folder of this module with a configuration, waits until it listens, and returns its
// URL. It skips the test if something that the folder's package.json names is not installed. That may be a Node.js of
// its own, which is used then.
func startScript(tb testing.TB, dir, script string, config any) (p *process, url string) {
	tb.Helper()
	node, dir := Program(tb, "node"), folder(tb, dir)
	var wants struct{ Dependencies map[string]string }
	text, err := os.ReadFile(filepath.Join(dir, "package.json"))
	if err == nil {
		err = json.Unmarshal(text, &wants)
	}
	if err != nil {
		tb.Fatal(err)
	}
	for module := range wants.Dependencies {
		_, err := os.Stat(filepath.Join(dir, "node_modules", module))
		need(tb, "npm "+module, err)
	}

	text, err = json.Marshal(config)
	if err != nil {
		tb.Fatal(err)
	}
	file := filepath.Join(tb.TempDir(), "config.json")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		tb.Fatal(err)
	}
	if wants.Dependencies["node"] != "" {
		node = filepath.Join(dir, "node_modules", "node", "bin", "node")
	}
	cmd := exec.Command(node, filepath.Join(dir, script))
	cmd.Env = append(os.Environ(), "CONFIG="+file, "PORT=0")
	p = start(tb, cmd)
	return p, p.await(tb, ready, 30*time.Second)[1]
}
