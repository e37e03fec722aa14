package peer

import (
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// MailServer is Dovecot, with Postfix behind it. Addresses are host:port on 127.0.0.1; mail for ops@acme.example arrives.
type MailServer struct {
	IMAP, IMAPS, POP3, POP3S string
	Submission               string // of Dovecot
	SMTP                     string // of Postfix, which has Dovecot check the tokens
	Folder                   string

	in Introspection

	mu    sync.Mutex
	users map[string]string // by token
}

// MailOptions say what a [MailServer] takes. Without Introspection it takes the tokens of [MailServer.Accept] alone.
type MailOptions struct {
	Introspection Introspection
	WithoutTokens bool // offer passwords instead
	PKI           *PKI
}

// StartMailServer starts both, which end with the test.
func StartMailServer(tb testing.TB, opts MailOptions) *MailServer {
	tb.Helper()
	dovecot, postfix := Program(tb, "dovecot"), Program(tb, "postfix")
	for _, part := range []string{"imap", "pop3", "submission"} {
		_, err := os.Stat("/usr/lib/dovecot/" + part)
		need(tb, "Dovecot's "+part, err)
	}
	if opts.PKI == nil {
		opts.PKI = NewPKI(tb)
	}
	dir, err := os.MkdirTemp("", "outgrant-mail-") // TB's own is for the test's user alone
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = os.RemoveAll(dir) })
	m := &MailServer{Folder: dir, in: opts.Introspection, users: map[string]string{}}
	desk := httptest.NewServer(http.HandlerFunc(m.introspect))
	tb.Cleanup(desk.Close)

	values := map[string]string{"DIR": dir, "INTROSPECTION": desk.URL + "/introspect", "MECHANISMS": "xoauth2 oauthbearer", "PASSDB": "oauth2"}
	if opts.WithoutTokens {
		values["MECHANISMS"], values["PASSDB"] = "plain", "passwd-file"
	}
	for name, addr := range map[string]*string{"IMAP": &m.IMAP, "IMAPS": &m.IMAPS, "POP3": &m.POP3, "POP3S": &m.POP3S, "SUBMISSION": &m.Submission, "SMTP": &m.SMTP, "RELAY": new(string), "AUTH": new(string)} {
		values[name] = FreePort(tb)
		*addr = "127.0.0.1:" + values[name]
	}
	m.write(tb, values, opts.PKI)
	m.serve(tb, exec.Command(dovecot, "-F", "-c", dir+"/dovecot.conf"), exec.Command(dovecot, "-c", dir+"/dovecot.conf", "stop"), "dovecot.log")
	m.serve(tb, exec.Command(postfix, "-c", dir+"/postfix", "start-fg"), exec.Command(postfix, "-c", dir+"/postfix", "stop"), "postfix.log")
	for _, addr := range []string{m.IMAP, m.IMAPS, m.POP3, m.POP3S, m.Submission, m.SMTP} {
		m.awaitListening(tb, addr)
	}
	return m
}

// write writes the configuration, with its values filled in.
func (m *MailServer) write(tb testing.TB, values map[string]string, pki *PKI) {
	tb.Helper()
	var fill []string
	for name, value := range values {
		fill = append(fill, "{"+name+"}", value)
	}
	certificate := pki.Server(tb)
	texts := map[string]string{"cert.pem": ChainPEM(certificate), "key.pem": KeyPEM(tb, certificate)}
	for _, name := range []string{"dovecot.conf", "oauth2.conf", "main.cf", "master.cf"} {
		text, err := os.ReadFile(filepath.Join(folder(tb, "mail"), name))
		if err != nil {
			tb.Fatal(err)
		}
		if strings.HasSuffix(name, ".cf") {
			name = "postfix/" + name
		}
		texts[name] = strings.NewReplacer(fill...).Replace(string(text))
	}
	for _, d := range []string{"postfix", "queue", "data", "mail"} {
		if err := os.MkdirAll(filepath.Join(m.Folder, d), 0o755); err != nil {
			tb.Fatal(err)
		}
	}
	for name, text := range texts {
		if err := os.WriteFile(filepath.Join(m.Folder, name), []byte(text), 0o644); err != nil {
			tb.Fatal(err)
		}
	}
	for _, c := range [][]string{{"chmod", "755", m.Folder}, {"chown", "mail:mail", m.Folder + "/mail"}, {"chown", "postfix", m.Folder + "/data"}} {
		if out, err := exec.Command(c[0], c[1:]...).CombinedOutput(); err != nil {
			tb.Fatalf("%v: %s", err, out)
		}
	}
}

// serve starts a server that has processes of its own, and logs to a file. It is told to stop, and then they all do.
func (m *MailServer) serve(tb testing.TB, start, stop *exec.Cmd, log string) {
	tb.Helper()
	if err := start.Start(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if out, err := stop.CombinedOutput(); err != nil {
			tb.Errorf("%v: %v: %s", stop, err, out)
		}
		_ = start.Wait() // it ended because it was told to
		if tb.Failed() {
			text, _ := os.ReadFile(filepath.Join(m.Folder, log))
			tb.Logf("%s:\n%s", log, text)
		}
	})
}

func (m *MailServer) awaitListening(tb testing.TB, addr string) {
	tb.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		conn, err := net.Dial("tcp", addr)
		if err == nil {
			_ = conn.Close()
			return
		}
		if time.Now().After(deadline) {
			text, _ := os.ReadFile(filepath.Join(m.Folder, "dovecot.log"))
			tb.Fatalf("nobody listens at %s: %v\n%s", addr, err, text)
		}
	}
}

// Accept makes a token open a user's mailbox; with "" for the user it opens none, whatever the introspection says.
func (m *MailServer) Accept(token, user string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.users[token] = user
}

// introspect is what Dovecot asks about a token.
func (m *MailServer) introspect(w http.ResponseWriter, r *http.Request) {
	token := r.PostFormValue("token")
	m.mu.Lock()
	user, known := m.users[token]
	m.mu.Unlock()
	if !known && m.in.URL != "" {
		if a, err := m.in.Ask(r.Context(), token); err == nil && a.Active {
			user = a.Subject
		}
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"active": user != "", "username": user, "scope": "mail"})
}
