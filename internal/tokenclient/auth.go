package tokenclient

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/url"
	"slices"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/cryptosigner"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/internal/keypair"
)

// CheckAuth checks that a is complete and fits its method, and that its certificate is valid at now. Its errors
// begin with the name of the field that is wrong: ClientSecret for Secret.
func CheckAuth(a outgrant.ClientAuth, now time.Time) error {
	wants := struct{ secret, certificate, key bool }{}
	switch a.Method {
	case outgrant.ClientSecretBasic, outgrant.ClientSecretPost:
		wants.secret = true
	case outgrant.TLSClientAuth:
		wants.certificate = true
	case outgrant.PrivateKeyJWT:
		wants.key = true
	case outgrant.None:
	default:
		return fmt.Errorf("Auth: unknown client authentication method %d", int(a.Method))
	}
	for _, f := range []struct {
		name       string
		wants, has bool
	}{{"ClientSecret", wants.secret, a.Secret != ""}, {"Certificate", wants.certificate, a.Certificate != nil}, {"Key", wants.key, !keypair.IsNil(a.Key)}} {
		switch {
		case f.wants && !f.has:
			return fmt.Errorf("%s: missing; %s needs it", f.name, a.Method)
		case f.has && !f.wants:
			return fmt.Errorf("%s: must not be set with the method %s: set Auth to the method that uses it, or leave it out", f.name, a.Method)
		}
	}
	if a.Secret.IsRedacted() {
		return errors.New("ClientSecret: is the printed form of a secret, not the secret")
	}
	if wants.certificate {
		if err := keypair.Check(a.Certificate, now); err != nil {
			return fmt.Errorf("Certificate: %w", err)
		}
	}
	if wants.key {
		_, err := algorithm(a)
		return err
	}
	return nil
}

// algorithm returns the JWS algorithm of the client assertion.
func algorithm(a outgrant.ClientAuth) (jose.SignatureAlgorithm, error) {
	fits := cryptosigner.Opaque(a.Key).Algs()
	switch {
	case len(fits) == 0:
		return "", fmt.Errorf("Key: a %T cannot sign an assertion: use RSA, ECDSA with P-256, P-384 or P-521, or Ed25519", a.Key.Public())
	case a.Algorithm == "":
		return fits[0], nil
	case !slices.Contains(fits, jose.SignatureAlgorithm(a.Algorithm)):
		return "", fmt.Errorf("Algorithm: %q does not fit the key; use one of %v", a.Algorithm, fits)
	}
	return jose.SignatureAlgorithm(a.Algorithm), nil
}

// authenticate adds the client authentication to a request.
func (c *Client) authenticate(o *outgoing, a outgrant.ClientAuth) error {
	id := c.cfg.ClientID
	if a.Method == outgrant.ClientSecretBasic {
		secret := url.QueryEscape(a.Secret.Reveal())
		basic := outgrant.Secret(base64.StdEncoding.EncodeToString([]byte(url.QueryEscape(id) + ":" + secret)))
		o.keep(a.Secret)
		o.keep(basic)
		o.header.Set("Authorization", "Basic "+basic.Reveal())
		return nil
	}
	o.form.Set("client_id", id)
	switch a.Method {
	case outgrant.ClientSecretPost:
		o.keep(a.Secret)
		o.form.Set("client_secret", a.Secret.Reveal())
	case outgrant.PrivateKeyJWT:
		assertion, err := c.assertion(a)
		if err != nil {
			return fmt.Errorf("signing the client assertion: %w", err)
		}
		o.keep(assertion)
		o.form.Set("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
		o.form.Set("client_assertion", assertion.Reveal())
	case outgrant.TLSClientAuth:
		if leaf, err := keypair.Leaf(a.Certificate); err == nil {
			c.WarnOfEnd(leaf)
		}
	}
	return nil
}

// assertionLife bounds a client assertion (RFC 7523 3): long enough for clocks that differ a little.
const assertionLife = 2 * time.Minute

// assertion makes a client assertion that is used once (RFC 7523 2.2).
func (c *Client) assertion(a outgrant.ClientAuth) (outgrant.Secret, error) {
	alg, err := algorithm(a)
	if err != nil {
		return "", err
	}
	opts := (&jose.SignerOptions{}).WithType("JWT")
	if a.KeyID != "" {
		opts.WithHeader("kid", a.KeyID)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: cryptosigner.Opaque(jwsSigner{a.Key})}, opts)
	if err != nil {
		return "", err
	}
	audience := a.Audience
	if audience == "" {
		audience = c.credential.TokenURL
	}
	now := time.Now()
	text, err := jwt.Signed(signer).Claims(jwt.Claims{
		Issuer: c.cfg.ClientID, Subject: c.cfg.ClientID, Audience: jwt.Audience{audience}, ID: rand.Text(),
		IssuedAt: jwt.NewNumericDate(now), Expiry: jwt.NewNumericDate(now.Add(assertionLife)),
	}).Serialize()
	return outgrant.Secret(text), err
}

// jwsSigner signs PS256 with a salt as long as the hash, which RFC 7518 3.5 wants and go-jose does not ask of a
// crypto.Signer.
type jwsSigner struct{ crypto.Signer }

func (s jwsSigner) Sign(random io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	if pss, ok := opts.(*rsa.PSSOptions); ok {
		opts = &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: pss.Hash}
	}
	return s.Signer.Sign(random, digest, opts)
}

func sameAuth(a, b outgrant.ClientAuth) bool {
	if a.Method != b.Method || a.Secret != b.Secret || a.KeyID != b.KeyID || a.Algorithm != b.Algorithm || a.Audience != b.Audience {
		return false
	}
	return sameCertificate(a.Certificate, b.Certificate) && sameKey(a.Key, b.Key)
}

func sameCertificate(a, b *tls.Certificate) bool {
	if a == nil || b == nil {
		return a == b
	}
	return slices.EqualFunc(a.Certificate, b.Certificate, bytes.Equal)
}

func sameKey(a, b crypto.Signer) bool {
	if a == nil || b == nil {
		return a == b
	}
	public, ok := a.Public().(interface{ Equal(crypto.PublicKey) bool })
	return ok && public.Equal(b.Public())
}
