package mail_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/smtp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/adapters/mail"
	"github.com/outgrant/outgrant/oauthtest"
)

func TestInitialResponses(t *testing.T) {
	t.Parallel()
	opts := &mail.Options{Host: "mail.example", Port: 993}
	for want, sasl := range map[string]*mail.SASL{
		"XOAUTH2 user=ops@acme.example\x01auth=Bearer access-1\x01\x01":                                      xoauth2(t, tokens(), opts),
		"OAUTHBEARER n,a=ops@acme.example,\x01host=mail.example\x01port=993\x01auth=Bearer access-1\x01\x01": oauthBearer(t, tokens(), opts),
		"OAUTHBEARER n,a=a=3D=2Cb,\x01auth=Bearer access-1\x01\x01": func() *mail.SASL {
			s, err := mail.OAuthBearer(t.Context(), tokens(), "a=,b")
			require.NoError(t, err)
			return s
		}(),
	} {
		mechanism, response, err := sasl.Start()
		require.NoError(t, err)
		require.Equal(t, want, mechanism+" "+string(response))
	}
}

// TestChallenges ends with an error where a server does not stop.
func TestChallenges(t *testing.T) {
	t.Parallel()
	for answer, sasl := range map[string]*mail.SASL{"": xoauth2(t, tokens()), "\x01": oauthBearer(t, tokens())} {
		_, err := sasl.Next([]byte("{}"))
		require.ErrorContains(t, err, "before the login began")
		for range 2 { // one login after the other
			_, _, err := sasl.Start()
			require.NoError(t, err)
			for range 4 {
				response, err := sasl.Next([]byte(`{"status":"400"}`))
				require.NoError(t, err)
				require.NotNil(t, response, "nil means in go-smtp that nothing is to be sent")
				require.Equal(t, answer, string(response))
			}
			_, err = sasl.Next([]byte(strings.Repeat("x", 1<<20)))
			require.ErrorContains(t, err, "one challenge after another")
		}
	}
}

func TestSASLRefused(t *testing.T) {
	t.Parallel()
	for _, says := range []string{"SMTP error 535: 5.7.8 no", "imap: NO [AUTHENTICATIONFAILED] Authentication failed.", "-ERR [AUTH] no", "imap: NO Authentication unsuccessful"} {
		source := &oauthtest.Source{User: mailbox}
		sasl := xoauth2(t, outgrant.Cached(source, nil))
		calls := 0
		err := sasl.Login(func() error {
			calls++
			_, _, err := sasl.Start()
			require.NoError(t, err)
			return errors.New(says)
		})
		require.ErrorContains(t, refusedError(t, err).Err, says)
		require.Equal(t, 2, calls)
		require.Equal(t, 2, source.Calls())
	}
	sasl := xoauth2(t, tokens())
	failing := func(says ...string) error {
		return sasl.Login(func() error {
			_, _, err := sasl.Start()
			require.NoError(t, err)
			defer func() { says = says[1:] }()
			return errors.New(says[0])
		})
	}
	require.EqualError(t, failing("connection refused"), "connection refused")
	err := failing("535 no", "connection refused")
	require.ErrorContains(t, refusedError(t, err).Err, "535 no")
	require.ErrorContains(t, err, "and once more, with another token: connection refused")

	long := outgrant.StaticToken(outgrant.Secret(strings.Repeat("x", 8650)))
	for _, says := range []string{"imap: BAD Error in IMAP command", "unexpected EOF", "500 5.5.2 line too long"} {
		sasl, err := mail.XOAUTH2(ctx, long, mailbox)
		require.NoError(t, err)
		err = sasl.Login(func() error {
			_, _, err := sasl.Start()
			require.NoError(t, err)
			_, err = sasl.Next(nil)
			require.NoError(t, err)
			return errors.New(says)
		})
		require.ErrorContains(t, err, "the token has 8650 bytes, and is too long for this server", says)
	}
}

func TestContextEnds(t *testing.T) {
	t.Parallel()
	ended, cancel := context.WithCancel(t.Context())
	sasl, err := mail.XOAUTH2(ended, tokens(), "")
	require.NoError(t, err)
	cancel()
	_, _, err = sasl.Start()
	require.ErrorIs(t, err, context.Canceled)
}

// conn is a connection to somewhere.
type conn struct {
	net.Conn
	to net.Addr
}

func (c conn) RemoteAddr() net.Addr { return c.to }

func TestConn(t *testing.T) {
	t.Parallel()
	begin := func(c net.Conn) error {
		_, _, err := xoauth2(t, tokens(), &mail.Options{Host: "mail.example", Conn: c}).Start()
		return err
	}
	far, near := &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 25}, &net.TCPAddr{IP: net.IPv6loopback, Port: 25}
	require.ErrorIs(t, begin(conn{to: far}), outgrant.ErrInsecureURL)
	require.ErrorIs(t, begin(conn{}), outgrant.ErrInsecureURL)
	require.NoError(t, begin(conn{to: near}))
	require.NoError(t, begin(conn{to: &net.UnixAddr{Name: "/run/lmtp", Net: "unix"}}))
	require.NoError(t, begin(tls.Client(conn{to: far}, &tls.Config{ServerName: "mail.example"})))
	require.ErrorIs(t, xoauth2(t, tokens()).POP3(conn{to: far}), outgrant.ErrInsecureURL)
}

func TestEmptyValues(t *testing.T) {
	t.Parallel()
	_, _, err := (&mail.SASL{}).Start()
	require.ErrorContains(t, err, "make it by XOAUTH2 or OAuthBearer")
	_, err = (&mail.SASL{}).Next(nil)
	require.Error(t, err)
	require.Error(t, (&mail.SASL{}).Login(nil))
	require.Error(t, (&mail.SASL{}).POP3(nil))
	_, _, err = (&mail.Auth[smtp.ServerInfo]{}).Start(&smtp.ServerInfo{})
	require.ErrorContains(t, err, "make it by SMTPAuth")
	_, err = mail.XOAUTH2(ctx, nil, "")
	require.ErrorContains(t, err, "the token source is nil")
	_, err = mail.NewTransport(nil, nil)
	require.ErrorContains(t, err, "the source is nil")
}

func TestRedaction(t *testing.T) {
	t.Parallel()
	src := outgrant.StaticToken("sentinel-token")
	sasl, err := mail.XOAUTH2(ctx, src, mailbox)
	require.NoError(t, err)
	auth := mail.SMTPAuth(ctx, src, mailbox)
	_, _, err = sasl.Start()
	require.NoError(t, err)
	_, _, err = auth.Start(&smtp.ServerInfo{Name: "localhost", Auth: []string{"XOAUTH2"}})
	require.NoError(t, err)
	transport, err := mail.NewTransport(src, nil)
	require.NoError(t, err)
	failed := sasl.Login(func() error {
		_, _, err := sasl.Start()
		require.NoError(t, err)
		_, err = sasl.Next([]byte(`{"status":"sentinel-token"}`))
		require.NoError(t, err)
		return errors.New("535 it was user=... auth=Bearer sentinel-token")
	})
	oauthtest.AssertNoSecrets(t, []string{"sentinel-token"}, sasl, *sasl, auth, *auth, transport, *transport, failed,
		slog.AnyValue(sasl), fmt.Sprintf("%#v", failed))
}

func TestTransport(t *testing.T) {
	t.Parallel()
	base := oauthtest.HandlerTransport(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer access-2" {
			w.WriteHeader(http.StatusUnauthorized)
		}
	}))
	transport, err := mail.NewTransport(tokens(), &mail.Options{Base: base})
	require.NoError(t, err)
	client := &http.Client{Transport: transport}
	resp, err := client.Get("https://graph.test/v1.0/me/messages")
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, resp.StatusCode)
	_, err = client.Get("http://graph.test/v1.0/me/messages")
	require.ErrorIs(t, err, outgrant.ErrInsecureURL)
	technical := described{outgrant.Cached(&oauthtest.Source{}, nil), outgrant.Credential{Grant: outgrant.ClientCredentials}}
	_, err = mail.NewTransport(technical, nil)
	require.ErrorIs(t, err, outgrant.ErrUnsupportedGrant)
	_, err = mail.NewTransport(technical, &mail.Options{AnyGrant: true})
	require.NoError(t, err)
}

// FuzzChallenge has a server say anything: the login is answered and ends, and no token is shown.
func FuzzChallenge(f *testing.F) {
	for _, seed := range []string{`{"status":"401","schemes":"bearer","scope":"x"}`, "", "{", `{"status":{"status":1e999}}`, "access-1", `"\u0061ccess-1"`, `{"scope":"\u0061ccess-1"}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, challenge []byte) {
		sasl, err := mail.OAuthBearer(ctx, outgrant.StaticToken("the-token-of-alice"), mailbox)
		require.NoError(t, err)
		err = sasl.Login(func() error {
			_, _, err := sasl.Start()
			require.NoError(t, err)
			for {
				response, err := sasl.Next(challenge)
				if err != nil {
					return errors.New("535")
				}
				require.Equal(t, "\x01", string(response))
			}
		})
		refused := refusedError(t, err)
		for _, text := range []string{refused.Status, refused.Schemes, refused.Scope} {
			require.LessOrEqual(t, len([]rune(text)), 203)
			require.NotContains(t, text, "the-token-of-alice")
			require.NotContains(t, text, "\n")
		}
	})
}
