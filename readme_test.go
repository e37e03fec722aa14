package outgrant_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant/oauthtest"
)

// TestREADMECodeWorks runs the README's first lines of code, against a token service and a receiver of this machine.
func TestREADMECodeWorks(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles a program")
	}
	t.Parallel()
	readme, err := os.ReadFile("README.md")
	require.NoError(t, err)
	_, code, found := strings.Cut(string(readme), "```go\n")
	require.True(t, found)
	code, _, _ = strings.Cut(code, "```")
	require.LessOrEqual(t, strings.Count(code, "\n"), 12)

	server := oauthtest.NewServer(nil)
	defer server.Close()
	var calls atomic.Int64
	receiver := httptest.NewServer(server.Protect(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { calls.Add(1) })))
	defer receiver.Close()
	code = strings.NewReplacer("https://acme.example/oauth/token", server.TokenURL(), "https://api.acme.example/orders", receiver.URL).Replace(code)
	program := "package main\n\nimport (\n\t\"log\"\n\t\"os\"\n\n\t\"github.com/outgrant/outgrant\"\n\t\"github.com/outgrant/outgrant/clientcredentials\"\n)\n\n" +
		"func main() {\n" + code + "if err != nil {\n\tlog.Fatal(err)\n}\nlog.Print(resp.Status)\n}\n"

	// An overlay puts the program into this module without a file in it.
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "main.go"), []byte(program), 0o600))
	here, err := os.Getwd()
	require.NoError(t, err)
	overlay, err := json.Marshal(map[string]any{"Replace": map[string]string{filepath.Join(here, "examples", "readme", "main.go"): filepath.Join(dir, "main.go")}})
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "overlay.json"), overlay, 0o600))
	cmd := exec.CommandContext(t.Context(), "go", "run", "-overlay", filepath.Join(dir, "overlay.json"), "./examples/readme")
	cmd.Env = append(os.Environ(), "S4_SECRET=a secret")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
	require.EqualValues(t, 1, calls.Load(), string(out))
}
