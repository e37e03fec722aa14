package mail_test

import (
	"context"
	"errors"
	"net"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/adapters/mail"
	"github.com/outgrant/outgrant/internal/leakcheck"
	"github.com/outgrant/outgrant/oauthtest"
	"github.com/outgrant/outgrant/oauthtest/mailtest"
)

func TestMain(m *testing.M) { leakcheck.Main(m) }

const mailbox = "ops@acme.example"

// described is a source with a name.
type described struct {
	*outgrant.CachedSource
	outgrant.Credential
}

func (d described) Describe() outgrant.Credential { return d.Credential }

// tokens returns a source that hands out access-1 until that is rejected, then access-2.
func tokens() outgrant.TokenSource {
	return described{outgrant.Cached(&oauthtest.Source{User: mailbox}, nil), outgrant.Credential{Name: "MAILBOX", Grant: outgrant.AuthorizationCode}}
}

// only accepts one token.
func only(accepted outgrant.Secret) func(string, outgrant.Secret) bool {
	return func(_ string, token outgrant.Secret) bool { return token == accepted }
}

func start(t testing.TB, opts *mailtest.Options) *mailtest.Server {
	s := mailtest.NewServer(opts)
	t.Cleanup(s.Close)
	return s
}

func xoauth2(t testing.TB, src outgrant.TokenSource, opts ...*mail.Options) *mail.SASL {
	t.Helper()
	s, err := mail.XOAUTH2(t.Context(), src, "", opts...)
	require.NoError(t, err)
	return s
}

func oauthBearer(t testing.TB, src outgrant.TokenSource, opts ...*mail.Options) *mail.SASL {
	t.Helper()
	s, err := mail.OAuthBearer(t.Context(), src, "", opts...)
	require.NoError(t, err)
	return s
}

func dial(t testing.TB, addr string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func refusedError(t testing.TB, err error) *mail.RefusedError {
	t.Helper()
	refused, ok := errors.AsType[*mail.RefusedError](err)
	require.True(t, ok, "%v", err)
	return refused
}

var ctx = context.Background()
