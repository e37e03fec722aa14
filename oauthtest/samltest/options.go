package samltest

import (
	"crypto/x509"
	"encoding/base64"
	"errors"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/outgrant/outgrant/oauthtest"
)

// Options describe the token service's side of the trust.
type Options struct {
	// Certificates verify the assertions: for SuccessFactors the one that is registered with each API key, for the others
	// that of each trusted issuer. Required.
	Certificates map[string]*x509.Certificate

	// Audience is what the service calls itself. Default "www.successfactors.com" for SuccessFactors, the Alias for Cloud
	// Foundry, "https://neo.test/acme" for Neo.
	Audience string

	// CompanyID is the company at SuccessFactors. Default: for each API key the one that it is first used with.
	CompanyID string

	// Alias names the service in Cloud Foundry's token URL: TokenURL() + "/alias/" + Alias. Default "acme.alias".
	Alias string

	// Users are the ones that there are, as NameID has them. Default nil: anybody.
	Users []string

	// ResponseWrapper takes an assertion inside a samlp:Response, and only so. Default false: the assertion itself, as RFC
	// 7522 wants it.
	ResponseWrapper bool
}

const grantType = "urn:ietf:params:oauth:grant-type:saml2-bearer"

// skew is how far the clocks of issuer and service may differ.
const skew = 30 * time.Second

// service is a token service of any personality.
type service struct {
	Options
	tokenURL string
	encoding *base64.Encoding
}

// newService copies and checks the options. It panics where they are wrong, as it is called in the set-up of a test.
func newService(opts *Options, tokenURL string, encoding *base64.Encoding) *service {
	if opts == nil || len(opts.Certificates) == 0 {
		panic("samltest: Options.Certificates: missing; they verify the assertions")
	}
	s := &service{Options: *opts, tokenURL: tokenURL, encoding: encoding}
	s.Certificates, s.Users = maps.Clone(opts.Certificates), slices.Clone(opts.Users)
	for name, cert := range s.Certificates {
		if name == "" || cert == nil {
			panic("samltest: Options.Certificates: a name or a certificate is empty")
		}
	}
	return s
}

func checkAlias(alias string) {
	if alias != url.PathEscape(alias) {
		panic("samltest: Options.Alias: must be one segment of a URL's path, without characters that need an escape")
	}
}

// receive decodes a request's assertion and returns it where it stands in its document. It is not verified yet.
func (s *service) receive(r *oauthtest.GrantRequest) (*element, error) {
	encoded := r.Params.Get("assertion")
	text, err := s.encoding.Strict().DecodeString(encoded)
	if err != nil || strings.ContainsAny(encoded, "\r\n") {
		if s.encoding == base64.StdEncoding {
			return nil, errors.New("the assertion is not base64 with the standard alphabet, with padding and in one line")
		}
		return nil, errors.New("the assertion is not base64url without padding, in one line")
	}
	if !s.ResponseWrapper {
		return document(text, assertionElement)
	}
	response, err := document(text, responseElement)
	return response.find(assertionElement), err
}

// accept verifies an assertion and checks it against what the service expects and the clock (RFC 7522 3).
func (s *service) accept(received *element, cert *x509.Certificate) (*Assertion, error) {
	a, err := verify(received, cert)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	earliest, latest := now.Add(-skew), now.Add(skew)
	switch {
	case a.Recipient != s.tokenURL:
		return nil, errors.New("the assertion's Recipient must be the token URL: " + s.tokenURL)
	case !slices.Contains(a.Audiences, s.Audience):
		return nil, errors.New("the assertion's Audience must be " + s.Audience)
	case !slices.Contains(nameIDFormats, a.NameIDFormat):
		return nil, errors.New("the NameID's Format must be emailAddress or unspecified")
	case !earliest.Before(a.ConfirmedUntil), !a.NotOnOrAfter.IsZero() && !earliest.Before(a.NotOnOrAfter):
		return nil, errors.New("the assertion has ended")
	case latest.Before(a.NotBefore), latest.Before(a.IssueInstant), latest.Before(a.AuthnInstant):
		return nil, errors.New("the assertion is from the future")
	case s.Users != nil && !slices.Contains(s.Users, a.NameID):
		return nil, errors.New("there is no such user")
	}
	return a, nil
}

var nameIDFormats = []string{"", "urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified", "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress"}
