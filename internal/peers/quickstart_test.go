package peers_test

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant/internal/leakcheck"
	"github.com/outgrant/outgrant/internal/peers/peer"
	"github.com/outgrant/outgrant/oauthtest"
)

func TestMain(m *testing.M) { leakcheck.Main(m) }

// What a newcomer does first: examples/quickstart with an SAP service key, a token service and a receiver.
func TestQuickstart(t *testing.T) {
	t.Parallel()
	pki := peer.NewPKI(t)
	certificate := pki.Client(t, "sb-quickstart")
	bySecret := peer.SecretClient("sb-quickstart!t1|outgrant", "s3cr:et/+ %&=")
	byCertificate := peer.CertificateClient("sb-quickstart!t2|outgrant", certificate.Leaf)
	s := peer.StartAuthServer(t, peer.AuthServerOptions{PKI: pki, Clients: []peer.Client{bySecret, byCertificate}})
	receiver := peer.StartReceiver(t, s.Introspection(), pki)
	run := build(t, pki)

	secretKey := func(secret string) map[string]string {
		return map[string]string{"clientid": bySecret.ID, "clientsecret": secret, "tokenurl": s.TokenURL, "url": receiver.URL}
	}
	// SAP names the token service's host for certificates alone, without a path.
	certificateKey := func(c *tls.Certificate) map[string]string {
		return map[string]string{"clientid": byCertificate.ID, "certificate": peer.ChainPEM(c), "key": peer.KeyPEM(t, c),
			"certurl": s.Issuer, "tokenurl": "https://without-certificates.example/oauth/token", "url": receiver.URL}
	}
	for _, test := range []struct {
		name   string
		key    map[string]string
		client peer.Client // welcomed by the receiver; none: the run fails
		says   string
	}{
		{"a client secret", secretKey(bySecret.Secret), bySecret, "200 OK"},
		{"a certificate", certificateKey(certificate), byCertificate, "200 OK"},
		{"a wrong secret", secretKey("not/the secret+at&all%"), peer.Client{}, "invalid_client"},
		{"a wrong certificate", certificateKey(pki.Client(t, "another")), peer.Client{}, "invalid_client"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			stdout, stderr, code := run(t, test.key)
			require.Contains(t, stderr, test.says)
			if test.client.ID == "" {
				require.Equal(t, 1, code, "%s", stderr)
				require.Empty(t, stdout)
			} else {
				require.Equal(t, 0, code, "%s", stderr)
				require.Equal(t, "welcome, "+test.client.ID+"\n", stdout)
			}
			if secret := test.key["clientsecret"]; secret != "" {
				oauthtest.AssertNoSecrets(t, []string{secret}, stdout, stderr)
			}
		})
	}
}

// build builds the program and returns what runs it with a service key. It trusts the PKI.
func build(t *testing.T, pki *peer.PKI) func(*testing.T, map[string]string) (stdout, stderr string, code int) {
	t.Helper()
	if runtime.GOOS == "windows" || runtime.GOOS == "darwin" {
		t.Skip("SSL_CERT_FILE does not name what is trusted on " + runtime.GOOS)
	}
	dir := t.TempDir()
	program, trusted := filepath.Join(dir, "quickstart"), filepath.Join(dir, "root.pem")
	require.NoError(t, os.WriteFile(trusted, []byte(peer.ChainPEM(pki.Root)), 0o600))
	compile := exec.Command("go", "build", "-o", program, "./examples/quickstart")
	compile.Dir = filepath.Join("..", "..")
	out, err := compile.CombinedOutput()
	require.NoError(t, err, "%s", out)

	return func(t *testing.T, key map[string]string) (stdout, stderr string, code int) {
		t.Helper()
		text, err := json.Marshal(map[string]any{"oauth": key})
		require.NoError(t, err)
		file := filepath.Join(t.TempDir(), "key.json")
		require.NoError(t, os.WriteFile(file, text, 0o600))

		cmd := exec.CommandContext(t.Context(), program, "-service-key", file, "-get", key["url"])
		cmd.Env = append(os.Environ(), "SSL_CERT_FILE="+trusted)
		var out, errOut bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &errOut
		if err := cmd.Run(); err != nil {
			require.NotNil(t, cmd.ProcessState, "%v", err)
		}
		return out.String(), errOut.String(), cmd.ProcessState.ExitCode()
	}
}
