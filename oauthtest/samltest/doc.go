// Package samltest teaches a fake token service the SAML bearer assertion grant (RFC 7522), as one of three real ones has
// it: [SuccessFactors], [CloudFoundry] or [Neo].
//
// Use this when your code gets tokens with SAML assertions, and you want to see in a test that the token service would take
// them. Make an [oauthtest.Server], give it one of the personalities, and ask for tokens at the URL that this returns. All
// else is oauthtest's: faults, what was requested, the receiver that accepts live tokens only. [Verify] reads a signed
// assertion without a server.
//
// The services are strict: they refuse what RFC 7522, SAML 2.0 and XML Signature forbid, and what a careful reader would not
// want to see, also where the real ones are lenient, so that what passes here passes there. Signatures are verified with an implementation that this package has
// for itself, so that no XML library agrees with itself here.
package samltest
