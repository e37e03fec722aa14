package samltest

import (
	"cmp"
	"encoding/base64"
	"errors"
	"sync"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/oauthtest"
)

// CloudFoundry teaches a server the grant as SAP BTP has it in its Cloud Foundry environment (XSUAA), and returns the
// token URL: an alias address, which must also be the Recipient, exactly. It panics if the options are wrong. A server
// has one personality: the one that it was taught last.
//
// The client authenticates by Basic and says its client_id in the body, too. The assertion comes in base64url without
// padding; its Issuer is one of Options.Certificates, it has an AuthnStatement, and it gives one token. Refusals are
// those of RFC 6749 5.2.
func CloudFoundry(s *oauthtest.Server, opts *Options) (tokenURL string) {
	cf := btp{service: newService(opts, "", base64.RawURLEncoding), clientIDInBody: true}
	cf.Alias = cmp.Or(cf.Alias, "acme.alias")
	checkAlias(cf.Alias)
	cf.tokenURL, cf.Audience = s.TokenURL()+"/alias/"+cf.Alias, cmp.Or(cf.Audience, cf.Alias)
	s.Handle(grantType, cf.grant)
	return cf.tokenURL
}

// Neo teaches a server the grant as SAP BTP has it in its Neo environment, and returns the token URL. It panics if the
// options are wrong. A server has one personality: the one that it was taught last.
//
// All is as in [CloudFoundry], but that the Recipient is the server's TokenURL, that client_id need not be in the body, and
// that the Issuer may be the client's own id: this is in Options.Certificates, too.
func Neo(s *oauthtest.Server, opts *Options) (tokenURL string) {
	neo := btp{service: newService(opts, s.TokenURL(), base64.RawURLEncoding)}
	neo.Audience = cmp.Or(neo.Audience, "https://neo.test/acme")
	s.Handle(grantType, neo.grant)
	return neo.tokenURL
}

type btp struct {
	*service
	clientIDInBody bool
	used           sync.Map // assertions, by issuer and ID
}

func (s *btp) grant(r *oauthtest.GrantRequest) (*oauthtest.Granted, error) {
	switch {
	case r.URL != s.tokenURL:
		return nil, &oauthtest.Error{Code: "invalid_request", Description: "the token URL for assertions is " + s.tokenURL}
	case r.Client.Auth != outgrant.ClientSecretBasic:
		return nil, &oauthtest.Error{Code: "invalid_client", Description: "the client must authenticate by client_secret_basic"}
	case s.clientIDInBody && !r.Params.Has("client_id"): // the server has compared it with the header's
		return nil, &oauthtest.Error{Code: "invalid_request", Description: "client_id is missing in the body"}
	case !r.Params.Has("assertion"):
		return nil, &oauthtest.Error{Code: "invalid_request", Description: "assertion is missing"}
	}
	a, err := s.assertion(r)
	if err != nil {
		return nil, &oauthtest.Error{Code: "invalid_grant", Description: err.Error()}
	}
	return &oauthtest.Granted{User: a.NameID}, nil
}

func (s *btp) assertion(r *oauthtest.GrantRequest) (*Assertion, error) {
	received, err := s.receive(r)
	if err != nil {
		return nil, err
	}
	issuer := received.find("saml:Issuer").content() // it chooses the certificate whose key must have signed it
	cert, trusted := s.Certificates[issuer]
	if !trusted {
		return nil, errors.New("the assertion's Issuer is not trusted")
	}
	a, err := s.accept(received, cert)
	switch {
	case err != nil:
		return nil, err
	case a.AuthnContext == "":
		return nil, errors.New("the assertion has no AuthnStatement")
	}
	if _, before := s.used.LoadOrStore(a.Issuer+"\x00"+a.ID, true); before {
		return nil, errors.New("the assertion was used before")
	}
	return a, nil
}
