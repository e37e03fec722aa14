package mail_test

import (
	"errors"
	"net/smtp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/adapters/mail"
	"github.com/outgrant/outgrant/oauthtest"
	"github.com/outgrant/outgrant/oauthtest/mailtest"
)

var message = []byte("Subject: We are open\r\n\r\nAs ever.\r\n.\r\n")

func send(server *mailtest.Server, auth smtp.Auth) error {
	return smtp.SendMail(server.SMTPAddr(), auth, mailbox, []string{"all@acme.example"}, message)
}

func TestSendMail(t *testing.T) {
	t.Parallel()
	for _, mechanism := range []string{"XOAUTH2", "OAUTHBEARER", "oauthbearer"} {
		t.Run(mechanism, func(t *testing.T) {
			t.Parallel()
			server := start(t, &mailtest.Options{Mechanisms: []string{"PLAIN", strings.ToUpper(mechanism)}, Check: only("access-1")})
			require.NoError(t, send(server, mail.SMTPAuth(t.Context(), tokens(), "")))
			require.Equal(t, []mailtest.Message{{User: mailbox, From: mailbox, To: []string{"all@acme.example"}, Data: message}}, server.Messages())
		})
	}
}

// Tokens of all lengths get through, as the initial response is kept back where it would make the command long.
func TestTokenLengths(t *testing.T) {
	t.Parallel()
	for _, n := range []int{1, 100, 130, 150, 170, 638, 1450, 1717, 4650, 8650} {
		token := outgrant.Secret(strings.Repeat("x", n))
		for _, mechanism := range []string{"XOAUTH2", "OAUTHBEARER"} {
			server := start(t, &mailtest.Options{Mechanisms: []string{mechanism}, Check: only(token)})
			require.NoError(t, send(server, mail.SMTPAuth(t.Context(), outgrant.StaticToken(token), mailbox)), "%s, %d bytes", mechanism, n)
		}
		sasl, err := mail.XOAUTH2(t.Context(), outgrant.StaticToken(token), mailbox)
		require.NoError(t, err)
		_, response, err := sasl.Start()
		require.NoError(t, err)
		require.Equal(t, n > 140, response == nil, "%d bytes", n)
		if response == nil {
			response, err = sasl.Next(nil)
			require.NoError(t, err)
		}
		require.Equal(t, "user="+mailbox+"\x01auth=Bearer "+token.Reveal()+"\x01\x01", string(response))
	}
}

func TestTokenTooLong(t *testing.T) {
	t.Parallel()
	server := start(t, &mailtest.Options{LongestLine: 2000})
	auth := mail.SMTPAuth(t.Context(), outgrant.StaticToken(outgrant.Secret(strings.Repeat("x", 1717))), mailbox)
	err := auth.Login(func() error { return send(server, auth) })
	require.True(t, refusedError(t, err).TooLong)
	require.ErrorContains(t, err, "the token has 1717 bytes, and is too long for this server")
	oauthtest.AssertNoSecrets(t, []string{strings.Repeat("x", 100)}, err)
}

// TestRefused gets the reason by both mechanisms, and has the token dropped, so that the second try is with another.
func TestRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		opts mailtest.Options
		want mail.RefusedError
		says string
	}{
		"XOAUTH2":     {mailtest.Options{Mechanisms: []string{"XOAUTH2"}}, mail.RefusedError{Mechanism: "XOAUTH2", Status: "401", Schemes: "bearer", Scope: "https://mail.example/"}, "authorize the credential again with the scope that the server names, as ops@acme.example"},
		"OAUTHBEARER": {mailtest.Options{Mechanisms: []string{"OAUTHBEARER"}, Challenge: `{"status":"invalid_token"}`}, mail.RefusedError{Mechanism: "OAUTHBEARER", Status: "invalid_token"}, `mail: 127.0.0.1 refused the token of "MAILBOX" for ops@acme.example (OAUTHBEARER, status invalid_token): 535 "5.7.8 Error: authentication failed"; check that the credential was authorized by ops@acme.example`},
		"a number":    {mailtest.Options{Challenge: `{"status":401,"scope":["x"],"schemes":null}`}, mail.RefusedError{Mechanism: "XOAUTH2", Status: "401"}, "check that"},
		"no reason":   {mailtest.Options{Bare: true}, mail.RefusedError{Mechanism: "XOAUTH2"}, "check that"},
		"no JSON":     {mailtest.Options{Challenge: "go away"}, mail.RefusedError{Mechanism: "XOAUTH2"}, "check that"},
		"lies":        {mailtest.Options{Challenge: `{"status":"` + strings.Repeat("x", 2000) + `\r\n","scope":"it was access-2, wasn't it"}`}, mail.RefusedError{Mechanism: "XOAUTH2", Status: strings.Repeat("x", 197) + "...", Scope: "(not shown: it quotes a secret)"}, "check"},
		"deep":        {mailtest.Options{Challenge: strings.Repeat(`{"status":`, 700)}, mail.RefusedError{Mechanism: "XOAUTH2"}, "check that"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.opts.Check = only("none")
			server := start(t, &c.opts)
			source := &oauthtest.Source{User: mailbox}
			auth := mail.SMTPAuth(t.Context(), described{outgrant.Cached(source, nil), outgrant.Credential{Name: "MAILBOX"}}, "")
			err := auth.Login(func() error { return send(server, auth) })
			refused := refusedError(t, err)
			if name != "lies" {
				require.ErrorContains(t, err, c.says)
			} else {
				require.Less(t, len(refused.Status), 210)
				refused.Status = c.want.Status
			}
			require.ErrorContains(t, refused.Err, "535")
			refused.Err = nil
			c.want.Host, c.want.Credential, c.want.User, c.want.TokenSize = "127.0.0.1", "MAILBOX", mailbox, len("access-1")
			require.Equal(t, &c.want, refused)
			require.Equal(t, 2, server.Refused())
			require.Equal(t, 2, source.Calls(), "a second token for the second try, and no third")
			require.Empty(t, server.Messages())
		})
	}
}

func TestLoginTriesOnceMore(t *testing.T) {
	t.Parallel()
	for _, bare := range []bool{false, true} {
		server := start(t, &mailtest.Options{Check: only("access-2"), Bare: bare})
		auth := mail.SMTPAuth(t.Context(), tokens(), "")
		require.NoError(t, auth.Login(func() error { return send(server, auth) }))
		require.Equal(t, 1, server.Refused())
		require.Len(t, server.Messages(), 1)
	}

	server := start(t, &mailtest.Options{Check: only("access-2")})
	auth := mail.SMTPAuth(t.Context(), tokens(), "")
	require.ErrorContains(t, send(server, auth), "535")
	require.NoError(t, send(server, auth), "without Login, the next login has another token")

	server = start(t, &mailtest.Options{Check: only("none")})
	auth = mail.SMTPAuth(t.Context(), outgrant.StaticToken("the only one"), mailbox)
	calls := 0
	err := auth.Login(func() error { calls++; return send(server, auth) })
	require.ErrorContains(t, err, "has a character that no token has")
	auth = mail.SMTPAuth(t.Context(), outgrant.StaticToken("the-only-one"), mailbox)
	refusedError(t, auth.Login(func() error { calls++; return send(server, auth) }))
	require.Equal(t, 2, calls, "there is no other token to try")
}

// TestNothingIsSentTwice: what fails after the login is not the login's failure, whatever it is called.
func TestNothingIsSentTwice(t *testing.T) {
	t.Parallel()
	server := start(t, nil)
	source := &oauthtest.Source{User: mailbox}
	auth := mail.SMTPAuth(t.Context(), outgrant.Cached(source, nil), "")
	err := auth.Login(func() error {
		require.NoError(t, send(server, auth))
		return errors.New("535 authentication failed")
	})
	require.EqualError(t, err, "535 authentication failed")
	require.Len(t, server.Messages(), 1)
	require.Equal(t, 1, source.Calls())
	_, err = auth.Next(nil, false)
	require.NoError(t, err)

	err = auth.Login(func() error { return errors.New("535 before anything was sent") })
	require.EqualError(t, err, "535 before anything was sent")
}

func TestStartRefuses(t *testing.T) {
	t.Parallel()
	tls, plain := &smtp.ServerInfo{Name: "mail.example", TLS: true, Auth: []string{"XOAUTH2"}}, &smtp.ServerInfo{Name: "mail.example", Auth: []string{"XOAUTH2"}}
	begin := func(server *smtp.ServerInfo, src outgrant.TokenSource, user string, opts ...*mail.Options) error {
		mechanism, response, err := mail.SMTPAuth(ctx, src, user, opts...).Start(server)
		if err != nil {
			require.Empty(t, mechanism)
			require.Nil(t, response)
		}
		return err
	}
	require.NoError(t, begin(tls, tokens(), ""))
	require.ErrorIs(t, begin(plain, tokens(), ""), outgrant.ErrInsecureURL)
	require.ErrorContains(t, begin(plain, tokens(), ""), "no token for mail.example over a connection that is not encrypted")
	require.NoError(t, begin(plain, tokens(), "", &mail.Options{AllowPlaintext: true}))
	for _, name := range []string{"localhost", "127.0.0.1", "::1"} {
		require.NoError(t, begin(&smtp.ServerInfo{Name: name, Auth: []string{"XOAUTH2"}}, tokens(), ""))
	}
	require.ErrorContains(t, begin(&smtp.ServerInfo{Name: "mail.example", TLS: true, Auth: []string{"PLAIN", "LOGIN"}}, tokens(), ""),
		`mail.example offers "PLAIN LOGIN" to log in by, and neither XOAUTH2 nor OAUTHBEARER`)
	require.ErrorContains(t, begin(&smtp.ServerInfo{Name: "mail.example", TLS: true}, tokens(), ""), `offers "nothing"`)

	require.ErrorContains(t, begin(tls, nil, ""), "the token source is nil")
	require.ErrorContains(t, begin(tls, tokens(), "", nil, nil), "more than one Options")
	require.ErrorContains(t, begin(tls, outgrant.StaticToken("x"), ""), "give the user name")
	for _, user := range []string{"a\x01auth=Bearer x", "a\r\nQUIT", "a\x00"} {
		require.ErrorContains(t, begin(tls, tokens(), user), "control character", "%q", user)
		require.ErrorContains(t, begin(tls, outgrant.Cached(&oauthtest.Source{User: user}, nil), ""), "control character", "%q", user)
	}
	require.ErrorContains(t, begin(tls, tokens(), "", &mail.Options{Host: "a\x01b"}), "Host has a control character")
	technical := described{outgrant.Cached(&oauthtest.Source{User: mailbox}, nil), outgrant.Credential{Grant: outgrant.ClientCredentials}}
	require.ErrorIs(t, begin(tls, technical, ""), outgrant.ErrUnsupportedGrant)
	require.NoError(t, begin(tls, technical, "", &mail.Options{AnyGrant: true}))
	failing := &oauthtest.Source{}
	failing.Fail(outgrant.ErrNotAuthorized)
	require.ErrorIs(t, begin(tls, failing, ""), outgrant.ErrNotAuthorized)
	require.ErrorContains(t, begin(tls, failing, ""), "no token for mail.example")
	mac := &oauthtest.Source{Script: []oauthtest.Step{{Token: &outgrant.Token{AccessToken: "x", Type: "DPoP", User: mailbox}}}}
	require.ErrorContains(t, begin(tls, mac, ""), `the type "DPoP"`)
}

// TestFork has a ServerInfo as packages have it that were made from net/smtp.
func TestFork(t *testing.T) {
	t.Parallel()
	type ServerInfo struct {
		Name string
		TLS  bool
		Auth []string
	}
	var auth interface {
		Start(*ServerInfo) (string, []byte, error)
		Next([]byte, bool) ([]byte, error)
	} = mail.SMTPAuthFor[ServerInfo](t.Context(), tokens(), "")
	mechanism, response, err := auth.Start(&ServerInfo{Name: "mail.example", TLS: true, Auth: []string{"OAUTHBEARER"}})
	require.NoError(t, err)
	require.Equal(t, "OAUTHBEARER", mechanism)
	require.Equal(t, "n,a="+mailbox+",\x01auth=Bearer access-1\x01\x01", string(response))
}

// TestReadWhenItStarts: a token is never captured.
func TestReadWhenItStarts(t *testing.T) {
	t.Parallel()
	source := &oauthtest.Source{User: mailbox} // another with each call
	auth := mail.SMTPAuth(t.Context(), source, "")
	require.Zero(t, source.Calls())
	for _, want := range []string{"access-1", "access-2"} {
		_, response, err := auth.Start(&smtp.ServerInfo{Name: "localhost", Auth: []string{"XOAUTH2"}})
		require.NoError(t, err)
		require.Contains(t, string(response), "Bearer "+want+"\x01")
	}
}
