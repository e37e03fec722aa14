// Package outgrant puts access tokens on outbound requests, and keeps them fresh.
//
// Use this when a Go program calls systems that belong to somebody else, and each of them wants an OAuth token from
// a token service of its own. A grant package makes a [TokenSource]; this package turns it into an [http.Client]:
//
//   - the receiver knows your program by a client id and a secret, a certificate or a key, or you have an SAP service
//     key: package clientcredentials.
//   - the receiver shall see the user who called: package samlbearer.
//   - a person authorizes it in a browser, once: package authcode.
//   - you have many credentials, or operators who know the secrets: package credstore, which has all of these by name.
//   - Twitter or Facebook: package socialoauth.
//   - you have a golang.org/x/oauth2 source: [FromOAuth2], and [Cached] around it.
//   - you write a source of your own: a [TokenSourceFunc], and [Cached] around it.
//
// Then [NewClient] gives a client for any receiver; [Transport] has the options. Adapters for particular receivers
// are below package adapters. For tests, package oauthtest has a token service that can be told to fail.
//
// # Promises
//
// A caller's context ends its call, also while a token is fetched. A refresh stalls nobody. A token service that
// fails is neither hammered nor able to take away a token that is still valid. A token goes to the origin that
// the caller asked for and to no other. Secrets print as [redacted].
package outgrant
