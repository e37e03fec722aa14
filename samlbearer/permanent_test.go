package samlbearer_test

import (
	"context"
	"crypto"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/samlbearer"
)

// lasting is an error of somebody's own that says itself whether it lasts.
type lasting bool

func (lasting) Error() string     { return "no such person in the directory" }
func (l lasting) Permanent() bool { return bool(l) }

// TestWhatLasts is told as permanent, and not tried again soon; what may pass is temporary. Neither reaches the token service.
func TestWhatLasts(t *testing.T) {
	t.Parallel()
	failingSource := func(err error) samlbearer.AssertionSource {
		return assertionFunc(func(context.Context, string) ([]byte, error) { return nil, err })
	}
	signing := func(change func(*samlbearer.Signer)) func() samlbearer.AssertionSource {
		return func() samlbearer.AssertionSource {
			s := samlbearer.Signer{Key: signingKey, Certificate: signingCert}
			change(&s)
			return s
		}
	}
	unchanged := signing(func(*samlbearer.Signer) {})
	attributes := func(attributes map[string][]string, err error) func() samlbearer.AssertionSource {
		return signing(func(s *samlbearer.Signer) {
			s.AttributesFor = func(context.Context, string) (map[string][]string, error) { return attributes, err }
		})
	}
	own := func(err error) func() samlbearer.AssertionSource {
		return func() samlbearer.AssertionSource { return failingSource(err) }
	}
	const technical = "" // instead of a user
	for name, test := range map[string]struct {
		source    func() samlbearer.AssertionSource // made in the bubble
		user      string
		permanent bool
		says      string
	}{
		"a user with NUL":          {unchanged, "ali\x00ce", true, "the user: has characters that XML cannot carry"},
		"a user that is not UTF-8": {unchanged, "\xff", true, "the user: not UTF-8"},
		"a user that is too long":  {unchanged, strings.Repeat("x", 1025), true, "the user: longer than 1024 bytes"},
		"an attribute with NUL":    {attributes(map[string][]string{"mail": {"\x00"}}, nil), "alice", true, `Signer.Attributes: "mail"`},
		"a certificate that ends": {signing(func(s *samlbearer.Signer) {
			s.Certificate = certify(signingKey, pkix.Name{CommonName: "x"}, longAgo, time.Now().Add(time.Hour))
		}), "alice", true, "Signer.Certificate: "},
		"no technical user": {own(nil), technical, true, "there is no technical user"},
		"two technical users": {signing(func(s *samlbearer.Signer) {
			s.Certificate = certify(signingKey, commonNames("a", "b"), longAgo, farAhead)
		}), technical, true, "2 common names"},
		"no certificate to name one": {signing(func(s *samlbearer.Signer) { s.OmitCertificate, s.Certificate = true, nil }), technical, true, "Signer.Certificate: missing"},
		"an own error that lasts":    {own(lasting(true)), "alice", true, "no such person"},
		"an own error, wrapped":      {own(fmt.Errorf("directory: %w", lasting(true))), "alice", true, "directory: no such person"},
		"no user, by an own source":  {own(outgrant.ErrUserRequired), "alice", true, "user required"},

		"an own error that may pass": {own(lasting(false)), "alice", false, "no such person"},
		"an own error":               {own(errors.New("away")), "alice", false, "away"},
		"a directory that is away":   {attributes(nil, errors.New("away")), "alice", false, "Signer.AttributesFor: away"},
		"a directory that knows":     {attributes(nil, lasting(true)), "alice", true, "Signer.AttributesFor: no such person"},
		"a key that is away": {signing(func(s *samlbearer.Signer) {
			s.Key = kms{signingKey, func([]byte, crypto.SignerOpts) ([]byte, error) { return nil, errors.New("away") }}
		}), "alice", false, "Signer.Key: signing the assertion: away"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				server := inMemory(nil)
				cfg := config(server)
				cfg.Assertions = test.source()
				client := newClient(t, cfg)
				time.Sleep(2 * time.Hour)
				src := client.ForUser(test.user)
				if test.user == technical {
					src = client.ForTechnicalUser()
				}
				_, err := src.Token(t.Context())
				require.ErrorContains(t, err, test.says)
				var te *outgrant.TokenError
				require.ErrorAs(t, err, &te)
				require.Equal(t, !test.permanent, te.Temporary())
				require.Equal(t, "CRED", te.Credential)
				require.Zero(t, server.TokenRequests())
				if src, ok := src.(source); ok { // else there is nothing to try again
					pause := time.Until(src.Health().NextAttempt)
					require.Equal(t, test.permanent, pause > 500*time.Millisecond, pause)
				}
			})
		})
	}
}

// TestNeitherAssertionNorError: a source that returns nothing is told so, and nothing is sent.
func TestNeitherAssertionNorError(t *testing.T) {
	t.Parallel()
	for name, nothing := range map[string][]byte{"nil": nil, "empty": {}} {
		server := inMemory(nil)
		cfg := config(server)
		cfg.Target.ResponseWrapper = name == "empty"
		cfg.Assertions = assertionFunc(func(context.Context, string) ([]byte, error) { return nothing, nil })
		_, err := newClient(t, cfg).ForUser("alice").Token(t.Context())
		require.ErrorContains(t, err, "the assertion source returned neither an assertion nor an error", name)
		require.ErrorContains(t, err, `"CRED"`)
		require.Zero(t, server.TokenRequests(), name)
	}
}
