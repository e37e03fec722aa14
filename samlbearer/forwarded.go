package samlbearer

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/outgrant/outgrant"
)

// Forwarded is an [AssertionSource] that hands on assertions that somebody else issued: byte for byte as they were received,
// after it has checked them.
//
// An assertion passes if all of this holds, and an error says what does not; it holds no piece of the assertion:
//
//   - It is one SAML 2.0 Assertion, in UTF-8, with nothing around it: no document type, comment, CDATA section or
//     processing instruction anywhere, and no other or encrypted assertion inside.
//   - It has one signature, which covers all of it (RSA or ECDSA with SHA-256, SHA-384 or SHA-512, exclusive c14n) and verifies
//     with a pinned certificate that is valid now. What the assertion says about its key is ignored, and must
//     be keys, certificates and their names alone.
//   - Issuer is the configured one; NameID is the user; a bearer confirmation names the recipient; each audience
//     restriction names the audience; the only other condition is OneTimeUse.
//   - All its times hold now, give or take Skew, and it ends within 24 hours.
//
// Four kinds of good assertions are refused, because their signature cannot be verified here:
//
//   - with attributes of two namespaces on one element, such as xsi:type and xml:lang;
//   - with #default in a PrefixList of the signature;
//   - with xmlns="" on an element, where no element around it uses a default namespace;
//   - with blanks or tabs in DigestValue.
//
// A [Client] takes an assertion for a token once: Received must return another one, or an error, when it is called again. Where
// Assertion is called without a Client, the caller looks after that.
//
// A Forwarded must not be changed while it is used. Its methods are safe for concurrent use if its functions are.
type Forwarded struct {
	// Received returns the assertion of a user: the XML as it was received, not encoded. Required.
	Received func(ctx context.Context, user string) ([]byte, error)

	// Certificates are the issuer's signing certificates: RSA keys of 2048 bits or more, or ECDSA keys on P-256, P-384 or
	// P-521. Pin two of them while the issuer changes from one to the other. Required.
	Certificates []*x509.Certificate

	// Issuer is who must have issued the assertion. Required.
	Issuer string

	// Audience is who the assertion must be meant for. Default in a Client: the target's; required elsewhere.
	Audience string

	// Recipient is where the assertion must be meant to be presented. Default in a Client: its token URL; required elsewhere.
	Recipient string

	// Skew is by how much the issuer's clock and this machine's may differ: at most 10 minutes. Default 1 minute.
	Skew time.Duration

	// MatchUser reports whether nameID, which the assertion names, is the user. It is for users whose ids differ between here
	// and there, and must refuse what it does not know. Default: they are equal.
	MatchUser func(user, nameID string) bool

	// MaxSize is how many bytes an assertion may have: at most 1 MiB. Default 256 KiB.
	MaxSize int
}

const (
	defaultSkew    = time.Minute
	maxSkew        = 10 * time.Minute
	defaultMaxSize = 256 << 10
	maxMaxSize     = 1 << 20
	maxLifetime    = 24 * time.Hour // from now; a replay is remembered until the assertion ends
)

// Assertion returns the user's assertion as it was received, if it passes; see [Forwarded]. The user must not be "". The
// context is for Received.
func (f Forwarded) Assertion(ctx context.Context, user string) ([]byte, error) {
	passed, err := f.checked(ctx, user)
	if err != nil {
		return nil, fmt.Errorf("samlbearer: %w", err)
	}
	return passed.xml, nil
}

// passed is an assertion that passed.
type passed struct {
	xml   []byte
	id    string    // tells it from others
	until time.Time // from then on it cannot pass again
}

// checked returns the user's assertion, if it passes.
func (f Forwarded) checked(ctx context.Context, user string) (*passed, error) {
	if user == "" {
		return nil, outgrant.ErrUserRequired
	}
	if err := f.check(); err != nil {
		return nil, err
	}
	f = f.withDefaults()
	received, err := f.Received(ctx, user)
	switch {
	case err != nil:
		return nil, fmt.Errorf("Forwarded.Received: %w", err)
	case len(received) == 0:
		return nil, errors.New("Forwarded.Received: returned no assertion: return the XML, or an error")
	case len(received) > f.MaxSize:
		return nil, fmt.Errorf("forwarded assertion: has %d bytes, and %d are allowed: raise Forwarded.MaxSize if that is right", len(received), f.MaxSize)
	}
	// A copy, so that what is checked is what goes out, whatever becomes of the caller's slice.
	passed, err := f.validate(bytes.Clone(received), user, time.Now())
	if err != nil {
		return nil, fmt.Errorf("forwarded assertion: %w", err)
	}
	return passed, nil
}

func (f Forwarded) validate(assertion []byte, user string, now time.Time) (*passed, error) {
	if err := scan(assertion); err != nil {
		return nil, err
	}
	signed, err := readSigned(assertion)
	if err != nil {
		return nil, err
	}
	verified, err := signed.verify(f.Certificates, now)
	if err != nil {
		return nil, err
	}
	until, err := f.accept(verified, user, now)
	if err != nil {
		return nil, err
	}
	return &passed{assertion, replayID(f.Issuer, signed.id), until}, nil
}

// check returns an error that begins with the name of the field that is wrong. A Client calls it when it has set its defaults.
func (f Forwarded) check() error {
	switch {
	case f.Received == nil:
		return errors.New("Forwarded.Received: missing")
	case len(f.Certificates) == 0:
		return errors.New("Forwarded.Certificates: missing; pin the issuer's signing certificate")
	case f.Issuer == "":
		return errors.New("Forwarded.Issuer: missing")
	case f.Audience == "":
		return errors.New("Forwarded.Audience: missing")
	case f.Recipient == "":
		return errors.New("Forwarded.Recipient: missing")
	case f.Skew < 0 || f.Skew > maxSkew:
		return fmt.Errorf("Forwarded.Skew: must be between 0 and %s", maxSkew)
	case f.MaxSize < 0 || f.MaxSize > maxMaxSize:
		return fmt.Errorf("Forwarded.MaxSize: must be between 0 and %d", maxMaxSize)
	}
	return checkCertificates(f.Certificates, time.Now())
}

func (f Forwarded) withDefaults() Forwarded {
	if f.Skew == 0 {
		f.Skew = defaultSkew
	}
	if f.MaxSize == 0 {
		f.MaxSize = defaultMaxSize
	}
	if f.MatchUser == nil {
		f.MatchUser = func(user, nameID string) bool { return user == nameID }
	}
	return f
}

// checkCertificates returns an error if one of them is of no use at all, or if none of them is valid now.
func checkCertificates(certs []*x509.Certificate, now time.Time) error {
	var outside []string
	for i, cert := range certs {
		if cert == nil || !usableKey(cert.PublicKey) {
			return fmt.Errorf("Forwarded.Certificates[%d]: must have an RSA key of at least %d bits, or an ECDSA key on P-256, P-384 or P-521", i, minRSABits)
		}
		if why := outsideValidity(i, cert, now); why != "" {
			outside = append(outside, why)
		}
	}
	if len(outside) == len(certs) {
		return fmt.Errorf("Forwarded.Certificates: none is valid now: %s: pin the issuer's current certificate", strings.Join(outside, ", "))
	}
	return nil
}

// outsideValidity says why the certificate is not valid now; "" if it is.
func outsideValidity(i int, cert *x509.Certificate, now time.Time) string {
	const minutes = "2006-01-02 15:04 MST"
	switch {
	case now.Before(cert.NotBefore):
		return fmt.Sprintf("Certificates[%d] is not valid before %s", i, cert.NotBefore.UTC().Format(minutes))
	case now.After(cert.NotAfter):
		return fmt.Sprintf("Certificates[%d] ended on %s", i, cert.NotAfter.UTC().Format(minutes))
	}
	return ""
}

// replayID is of one size, however long an ID an issuer chooses. NUL is in no XML text, so that it separates.
func replayID(issuer, id string) string {
	sum := sha256.Sum256([]byte(issuer + "\x00" + id))
	return string(sum[:])
}
