// Package authcode gets access tokens for what a person authorized in a browser: the authorization code grant (RFC 6749
// 4.1) with refresh tokens, PKCE (RFC 7636) and issuer identification (RFC 9207).
//
// Use this when a receiver wants the consent of a person, once, and your program shall act on it for months: a mailbox at
// Microsoft 365 or Google, a Dropbox. Where the program is known by a client id and a secret of its own, use
// clientcredentials; where it acts for whoever is calling it, samlbearer.
//
// A [Client] needs a [Vault], where the refresh token lives; package credstore brings one that is encrypted and lasts, and
// is the shorter way to all of this. A refresh token that its provider replaces at each use is not lost: not to a crash, nor
// to a second process, nor to a failed write.
//
//   - [Client.AuthorizeHandler] and [Client.CallbackHandler] authorize in the browser of whoever visits your server.
//   - [Client.AuthorizeLoopback] does so for a program on the command line.
//   - [Client.Token] serves access tokens, and [Client.KeepFresh] renews the refresh token before it ends.
package authcode
