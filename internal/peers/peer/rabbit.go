package peer

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// RabbitMQ is a broker that takes JSON Web Tokens as passwords, with a data folder of its own. It can be killed and started again.
type RabbitMQ struct {
	TCPURL string // of AMQP 1.0
	URL    string // of WebSockets, of a tunnel before it

	command func() *exec.Cmd
	*process
	pid int
}

// RabbitUser is who the tokens of a [RabbitMQ] are for.
const RabbitUser = "publisher"

// StartRabbitMQ starts a broker, which ends with the test.
func StartRabbitMQ(tb testing.TB) *RabbitMQ {
	tb.Helper()
	found, _ := filepath.Glob("/usr/lib/rabbitmq/lib/rabbitmq_server-*/sbin/rabbitmq-server")
	if len(found) == 0 {
		need(tb, "RabbitMQ", os.ErrNotExist)
	}
	dir := tb.TempDir()
	port, epmd := FreePort(tb), FreePort(tb)
	r := &RabbitMQ{TCPURL: "amqp://127.0.0.1:" + port}
	public, err := x509.MarshalPKIXPublicKey(RSAKey().Public())
	if err != nil {
		tb.Fatal(err)
	}
	files := map[string]string{
		"public.pem": string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public})),
		"plugins":    "[rabbitmq_amqp1_0,rabbitmq_auth_backend_oauth2].\n",
		// The plugin of AMQP 1.0 logs in twice, the second time without a password: so there is a user who has none.
		"definitions.json": fmt.Sprintf(`{"vhosts": [{"name": "/"}],
			"users": [{"name": %[1]q, "password_hash": "", "hashing_algorithm": "rabbit_password_hashing_sha256", "tags": ""}],
			"permissions": [{"user": %[1]q, "vhost": "/", "configure": ".*", "write": ".*", "read": ".*"}]}`, RabbitUser),
		"rabbitmq.conf": fmt.Sprintf(`listeners.tcp.1 = 127.0.0.1:%s
distribution.listener.interface = 127.0.0.1
load_definitions = %[2]s/definitions.json
auth_backends.1 = rabbit_auth_backend_oauth2
auth_backends.2 = internal
auth_mechanisms.1 = PLAIN
auth_oauth2.resource_server_id = rabbitmq
auth_oauth2.default_key = key
auth_oauth2.signing_keys.key = %[2]s/public.pem
auth_oauth2.algorithms.1 = RS256
amqp1_0.default_user = none
amqp1_0.default_vhost = /
log.console = true
log.console.level = warning
`, port, dir),
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			tb.Fatal(err)
		}
	}
	r.command = func() *exec.Cmd {
		cmd := exec.Command(found[len(found)-1])
		cmd.Env = append(os.Environ(), "HOME="+dir, "RABBITMQ_NODENAME=outgrant"+port+"@localhost", "RABBITMQ_CONFIG_FILE="+dir+"/rabbitmq",
			"RABBITMQ_ENABLED_PLUGINS_FILE="+dir+"/plugins", "RABBITMQ_MNESIA_BASE="+dir+"/mnesia", "RABBITMQ_LOG_BASE="+dir+"/log",
			"RABBITMQ_GENERATED_CONFIG_DIR="+dir+"/mnesia", "RABBITMQ_CONF_ENV_FILE=/dev/null", "ERL_EPMD_ADDRESS=127.0.0.1", "ERL_EPMD_PORT="+epmd,
			"RABBITMQ_DIST_PORT="+FreePort(tb), "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS=+S 1:1")
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // scripts start the broker, and end with it
		return cmd
	}
	tb.Cleanup(func() {
		kill := exec.Command("epmd", "-port", epmd, "-kill") // the names of the broker's runtime, which outlive it
		kill.Env = append(os.Environ(), "ERL_EPMD_RELAXED_COMMAND_CHECK=true")
		_ = kill.Run()
	})
	r.Start(tb)
	_, r.URL = startScript(tb, "amqp", "tunnel.mjs", map[string]any{"port": port, "key": files["public.pem"]})
	return r
}

// Start starts the broker, which has been killed.
func (r *RabbitMQ) Start(tb testing.TB) {
	tb.Helper()
	cmd := r.command()
	r.process = start(tb, cmd)
	r.pid = cmd.Process.Pid
	tb.Cleanup(func() { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }) // before start's, which waits
	r.await(tb, regexp.MustCompile("completed with"), time.Minute)
}

// Kill kills the broker as a crash does.
func (r *RabbitMQ) Kill(tb testing.TB) {
	tb.Helper()
	if err := syscall.Kill(-r.pid, syscall.SIGKILL); err != nil {
		tb.Fatal(err)
	}
	<-r.ended
}

// Token returns a token that the broker takes until it ends.
func (r *RabbitMQ) Token(tb testing.TB, ends time.Time) string {
	encode := func(v any) string {
		text, err := json.Marshal(v)
		if err != nil {
			tb.Error(err)
		}
		return base64.RawURLEncoding.EncodeToString(text)
	}
	signed := encode(map[string]string{"alg": "RS256", "typ": "JWT", "kid": "key"}) + "." + encode(map[string]any{
		"sub": RabbitUser, "client_id": RabbitUser, "aud": []string{"rabbitmq"}, "exp": ends.Unix(), "jti": rand.Text(),
		"scope": strings.Join([]string{"rabbitmq.configure:*/*", "rabbitmq.read:*/*", "rabbitmq.write:*/*"}, " "),
	})
	digest := sha256.Sum256([]byte(signed))
	signature, err := RSAKey().(*rsa.PrivateKey).Sign(rand.Reader, digest[:], crypto.SHA256)
	if err != nil {
		tb.Error(err)
	}
	return signed + "." + base64.RawURLEncoding.EncodeToString(signature)
}
